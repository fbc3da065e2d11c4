// Dexie, in the page: rows `{ key, value }` in one table with `key` as the inbound primary key.
//
// Bulk calls are `bulkPut`, `bulkGet`, `bulkDelete`; ranges are `where().between().toArray()`, which is one `getAll`.

import { version } from "version:dexie";
import { Dexie } from "dexie";
import { endOf } from "./key-range.js";

/** Dexie's name for the durability of a level. */
const DURABILITIES = { D2: "default", D3: "strict" };

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "dexie",
	name: "Dexie",
	version,
	place: "page",
	levels: {
		D2: "as it comes: transactions of the browser's default durability",
		D3: 'chromeTransactionDurability: "strict"',
	},

	async open(database, level) {
		const db = new Dexie(database, { chromeTransactionDurability: DURABILITIES[level] });
		db.version(1).stores({ entries: "key" });
		await db.open();
		const { entries: table } = db;
		return {
			get: async (key) => (await table.get(key))?.value,
			getMany: async (keys) => (await table.bulkGet(keys)).map((row) => row?.value),
			set: (key, value) => table.put({ key, value }),
			setMany: (entries) => table.bulkPut(entries.map(([key, value]) => ({ key, value }))),
			delete: (key) => table.delete(key),
			deleteMany: (keys) => table.bulkDelete(keys),
			async scan(prefix, limit) {
				const range = table.where("key").between(prefix, endOf(prefix));
				const rows = await (limit === undefined ? range : range.limit(limit)).toArray();
				return rows.map(({ key, value }) => [key, value]);
			},
			count: () => table.count(),
			// Whatever completed is in the database already.
			settle: async () => {},
			close: async () => db.close(),
		};
	},

	remove: (database) => Dexie.delete(database),
};
