// LokiJS, in the page: documents `{ key, value }` in a collection in memory, saved by its incremental IndexedDB adapter.
//
// Reads are by a unique index and a binary index. A read copies by JSON, which is LokiJS's own way of cloning, only where a copy
// is asked for. Bytes cannot be kept: every adapter of it saves JSON text.

import { version } from "version:lokijs";
import LokiJS from "lokijs";
import IncrementalIndexedDBAdapter from "lokijs/src/incremental-indexeddb-adapter.js";
import { deleteIdb } from "./idb-delete.js";
import { endOf } from "./key-range.js";

const AUTOSAVE_MS = 1000;

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "lokijs",
	name: "LokiJS",
	version,
	place: "page",
	levels: {
		D1: `IncrementalIndexedDBAdapter, autosave every ${AUTOSAVE_MS} ms; unique and binary index on the key, adaptiveBinaryIndices false, disableMeta`,
	},
	without: { blobs: "it saves JSON text: bytes would have to be turned into text by its user" },

	async open(database) {
		const adapter = new IncrementalIndexedDBAdapter();
		const loki = new LokiJS(database, { adapter, autosave: true, autosaveInterval: AUTOSAVE_MS });
		await called((done) => loki.loadDatabase({}, done));
		const collection =
			loki.getCollection("entries") ??
			loki.addCollection("entries", {
				unique: ["key"],
				indices: ["key"],
				adaptiveBinaryIndices: false,
				disableMeta: true,
			});
		const getShared = (key) => collection.by("key", key)?.value;
		const get = (key) => copyOf(getShared(key));
		const set = (key, value) => {
			const found = collection.by("key", key);
			if (!found) return void collection.insert({ key, value });
			found.value = value;
			collection.update(found);
		};
		const settle = async () => {
			await called((done) => loki.throttledSaveDrain((whole) => done(whole ? undefined : new Error("not saved"))));
			await called((done) => loki.saveDatabase(done));
		};
		return {
			get: async (key) => get(key),
			getShared,
			getMany: async (keys) => keys.map(get),
			set: async (key, value) => set(key, value),
			async setMany(entries) {
				const fresh = [];
				for (const [key, value] of entries) {
					if (collection.by("key", key)) set(key, value);
					else fresh.push({ key, value });
				}
				// Its bulk insert, which brings the index up to date once.
				if (fresh.length > 0) collection.insert(fresh, true);
			},
			async delete(key) {
				const found = collection.by("key", key);
				if (found) collection.remove(found);
			},
			deleteMany: async (keys) =>
				void collection.removeBatch(keys.map((key) => collection.by("key", key)).filter(Boolean)),
			async scan(prefix, limit = Number.POSITIVE_INFINITY) {
				const range = collection.chain().find({ key: { $between: [prefix, endOf(prefix)] } });
				const rows = range.simplesort("key").limit(limit).data();
				return rows.map(({ key, value }) => [key, copyOf(value)]);
			},
			count: async () => collection.count(),
			settle,
			close: () => called((done) => loki.close(done)),
		};
	},

	remove: deleteIdb,
};

function copyOf(value) {
	return typeof value === "object" ? JSON.parse(JSON.stringify(value)) : value;
}

/** Resolves when the function it hands out was called; rejects if that was with an error. */
function called(body) {
	return new Promise((resolve, reject) => {
		body((error) => (error instanceof Error ? reject(error) : resolve()));
	});
}
