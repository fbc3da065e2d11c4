// idb-keyval, in the page: values are structured clones in one object store.
//
// Bulk calls are its own (`setMany`, `getMany`, `delMany`: one transaction). It has no range read and no count: those use its
// documented custom-store function and `promisifyRequest` on `getAll`, as its users write them.

import { version } from "version:idb-keyval";
import { createStore, del, delMany, get, getMany, promisifyRequest, set, setMany } from "idb-keyval";
import { deleteIdb } from "./idb-delete.js";
import { rangeOf } from "./key-range.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "idb-keyval",
	name: "idb-keyval",
	version,
	place: "page",
	levels: { D2: "as it comes: transactions of the browser's default durability; it has no setting for another" },

	async open(database) {
		const withStore = createStore(database, "keyval");
		await withStore("readonly", () => {});
		return {
			get: (key) => get(key, withStore),
			getMany: (keys) => getMany(keys, withStore),
			set: (key, value) => set(key, value, withStore),
			setMany: (entries) => setMany(entries, withStore),
			delete: (key) => del(key, withStore),
			deleteMany: (keys) => delMany(keys, withStore),
			scan: (prefix, limit) =>
				withStore("readonly", async (store) => {
					const range = rangeOf(prefix);
					const [keys, values] = await Promise.all([
						promisifyRequest(store.getAllKeys(range, limit)),
						promisifyRequest(store.getAll(range, limit)),
					]);
					return keys.map((key, index) => [key, values[index]]);
				}),
			count: () => withStore("readonly", (store) => promisifyRequest(store.count())),
			// Whatever completed is in the database already.
			settle: async () => {},
			close: () => withStore("readonly", (store) => store.transaction.db.close()),
		};
	},

	remove: deleteIdb,
};
