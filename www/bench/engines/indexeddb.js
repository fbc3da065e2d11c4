/** IndexedDB without a library: keys out of line, values as structured clones. */

const STORE = "entries";
const DURABILITIES = { D2: "default", D3: "strict" };
const AFTER_PREFIX = "\uffff";

const resultOf = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

const completed = (transaction) =>
	new Promise((resolve, reject) => {
		transaction.oncomplete = () => resolve();
		transaction.onabort = () => reject(transaction.error);
	});

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "indexeddb",
	name: "IndexedDB",
	version: "browser",
	place: "page",
	levels: {
		D2: 'durability: "default"; bulk calls in one transaction; scans by getAll and getAllKeys',
		D3: 'durability: "strict"; otherwise the same',
	},

	async open(database, level) {
		const request = indexedDB.open(database, 1);
		request.onupgradeneeded = () => request.result.createObjectStore(STORE);
		const db = await resultOf(request);
		const durability = DURABILITIES[level];
		const reading = () => db.transaction(STORE, "readonly").objectStore(STORE);

		/** Runs `body(store)` in a transaction and resolves when that is complete. */
		const write = (body) => {
			const transaction = db.transaction(STORE, "readwrite", { durability });
			const done = completed(transaction);
			body(transaction.objectStore(STORE));
			transaction.commit();
			return done;
		};

		return {
			get: (key) => resultOf(reading().get(key)),
			getMany(keys) {
				const store = reading();
				return Promise.all(keys.map((key) => resultOf(store.get(key))));
			},
			set: (key, value) => write((store) => store.put(value, key)),
			setMany: (entries) =>
				write((store) => {
					for (const [key, value] of entries) store.put(value, key);
				}),
			delete: (key) => write((store) => store.delete(key)),
			deleteMany: (keys) =>
				write((store) => {
					for (const key of keys) store.delete(key);
				}),
			async scan(prefix, limit) {
				const store = reading();
				const range = IDBKeyRange.bound(prefix, prefix + AFTER_PREFIX);
				const [keys, values] = await Promise.all([
					resultOf(store.getAllKeys(range, limit)),
					resultOf(store.getAll(range, limit)),
				]);
				return keys.map((key, at) => [key, values[at]]);
			},
			count: () => resultOf(reading().count()),
			// A strict transaction takes every earlier one with it.
			async settle() {
				const transaction = db.transaction(STORE, "readwrite", { durability: "strict" });
				const done = completed(transaction);
				transaction.objectStore(STORE).delete("");
				transaction.commit();
				await done;
			},
			async close() {
				db.close();
			},
		};
	},

	async remove(database) {
		await resultOf(indexedDB.deleteDatabase(database));
	},
};
