// browser-level (abstract-level over IndexedDB), in the page.
//
// Keys are UTF-8 and values bytes, as in every abstract-level. Objects and strings are JSON text, as its "json" encoding
// writes them; bytes get a first byte that JSON text cannot begin with, because one store holds both. Bulk writes are
// `batch`, ranges `iterator().all()`, which is one `getAll`.

import { version } from "version:browser-level";
import { BrowserLevel } from "browser-level";
import { endOfBytes } from "./key-range.js";

const BYTES = 0;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const valueEncoding = {
	name: "json-or-bytes",
	format: "view",
	encode(value) {
		if (!(value instanceof Uint8Array)) return encoder.encode(JSON.stringify(value));
		const marked = new Uint8Array(1 + value.length);
		marked[0] = BYTES;
		marked.set(value, 1);
		return marked;
	},
	decode: (bytes) => (bytes[0] === BYTES ? bytes.subarray(1) : JSON.parse(decoder.decode(bytes))),
};

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "browser-level",
	name: "browser-level",
	version,
	place: "page",
	levels: {
		D2: "as it comes: transactions of the browser's default durability; it has no setting for another. Values as JSON text in UTF-8, bytes as they are",
	},

	async open(database) {
		const db = new BrowserLevel(database, { valueEncoding });
		await db.open();
		return {
			get: (key) => db.get(key),
			getMany: (keys) => db.getMany(keys),
			set: (key, value) => db.put(key, value),
			setMany: (entries) => db.batch(entries.map(([key, value]) => ({ type: "put", key, value }))),
			delete: (key) => db.del(key),
			deleteMany: (keys) => db.batch(keys.map((key) => ({ type: "del", key }))),
			scan: (prefix, limit) => db.iterator({ gte: prefix, lt: endOfBytes(prefix), limit }).all(),
			// It has no count: the keys alone are the least that can be read.
			count: async () => (await db.keys().all()).length,
			// Whatever completed is in the database already.
			settle: async () => {},
			close: () => db.close(),
		};
	},

	remove: (database) => BrowserLevel.destroy(database),
};
