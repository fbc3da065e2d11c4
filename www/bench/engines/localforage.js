// localForage on its IndexedDB driver, in the page: values are structured clones in one object store.
//
// Bulk calls are those of its own organisation's plugins (setItems and removeItems: one transaction each); reads of many keys
// are gets at the same time. It has no range read: a scan is its `iterate`, a cursor from the first key, ended at the last row.

import { version } from "version:localforage";
import localforage from "localforage";
import { extendPrototype as withRemoveItems } from "localforage-removeitems";
import { extendPrototype as withSetItems } from "localforage-setitems";

withSetItems(localforage);
withRemoveItems(localforage);

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "localforage",
	name: "localForage",
	version,
	place: "page",
	levels: {
		D2: "IndexedDB driver as it comes: transactions of the browser's default durability; it has no setting for another. Plugins localforage-setitems and -removeitems for bulk writes",
	},

	async open(database) {
		const store = localforage.createInstance({ driver: localforage.INDEXEDDB, name: database, storeName: "keyval" });
		await store.ready();
		const get = async (key) => (await store.getItem(key)) ?? undefined;
		return {
			get,
			getMany: (keys) => Promise.all(keys.map(get)),
			set: (key, value) => store.setItem(key, value),
			setMany: (entries) =>
				store.setItems(
					entries,
					([key]) => key,
					([, value]) => value,
				),
			delete: (key) => store.removeItem(key),
			deleteMany: (keys) => store.removeItems(keys),
			async scan(prefix, limit = Number.POSITIVE_INFINITY) {
				const found = [];
				await store.iterate((value, key) => {
					if (key.startsWith(prefix)) found.push([key, value]);
					// Anything but undefined ends it.
					return found.length >= limit || (found.length > 0 && !key.startsWith(prefix)) ? true : undefined;
				});
				return found;
			},
			count: () => store.length(),
			// Whatever completed is in the database already.
			settle: async () => {},
			// It has no close: the connection ends with the page.
			close: async () => {},
		};
	},

	remove: (database) => localforage.dropInstance({ name: database }),
};
