// TinyBase, in the page: one table in memory, a row for each key with one cell, saved whole by its OPFS persister.
//
// Objects are object cells, which TinyBase keeps as JSON text and parses for every read. Its `startAutoSave` would queue a save of
// everything for each transaction; here a save begins when a transaction ends and none is under way, and once more if there
// were others meanwhile. Bytes cannot be kept in a cell.

import { version } from "version:tinybase";
import { createStore } from "tinybase";
import { createOpfsPersister } from "tinybase/persisters/persister-browser";
import { removeFromOpfs } from "./opfs-remove.js";

const TABLE = "entries";
const CELL = "value";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "tinybase",
	name: "TinyBase",
	version,
	place: "page",
	levels: {
		D1: "OPFS persister; saves itself after each transaction, one save at a time (startAutoSave would queue one for each transaction)",
	},
	without: { blobs: "a cell holds JSON: bytes would have to be turned into text by its user" },

	async open(database) {
		const root = await navigator.storage.getDirectory();
		const handle = await root.getFileHandle(fileOf(database), { create: true });
		let failure;
		const fail = (error) => {
			failure = error;
		};
		const store = createStore();
		const persister = createOpfsPersister(store, handle, fail);
		if ((await handle.getFile()).size > 0) await persister.load();
		if (failure) throw failure;
		let isDirty = false;
		let saving;
		const saveAll = async () => {
			while (isDirty) {
				isDirty = false;
				await persister.save();
			}
			saving = undefined;
		};
		const listener = store.addDidFinishTransactionListener(() => {
			isDirty = true;
			saving ??= saveAll();
		});
		const get = (key) => store.getCell(TABLE, key, CELL);
		const set = (key, value) => store.setCell(TABLE, key, CELL, value);
		const settle = async () => {
			await saving;
			if (failure) throw failure;
		};
		return {
			get: async (key) => get(key),
			getMany: async (keys) => keys.map(get),
			set: async (key, value) => void set(key, value),
			setMany: async (entries) =>
				void store.transaction(() => {
					for (const [key, value] of entries) set(key, value);
				}),
			delete: async (key) => void store.delRow(TABLE, key),
			deleteMany: async (keys) =>
				void store.transaction(() => {
					for (const key of keys) store.delRow(TABLE, key);
				}),
			async scan(prefix, limit) {
				const keys = store.getRowIds(TABLE).filter((key) => key.startsWith(prefix));
				return keys
					.sort()
					.slice(0, limit)
					.map((key) => [key, get(key)]);
			},
			count: async () => store.getRowCount(TABLE),
			settle,
			async close() {
				await settle();
				store.delListener(listener);
				await persister.destroy();
			},
		};
	},

	remove: (database) => removeFromOpfs(fileOf(database)),
};

function fileOf(database) {
	return `tinybase-${database}.json`;
}
