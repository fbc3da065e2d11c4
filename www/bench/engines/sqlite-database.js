// SQLite's official wasm build on its opfs-sahpool VFS, as a store: the page's side of sqlite-worker.js.
//
// Shapes: keys are text and values JSON text or blobs (json-columns.js), which cross the worker's boundary as such: a string is
// cheaper to clone than the object it becomes. Deliberately absent: which settings make which class, which each engine has.

import { fromColumn, toColumn } from "./json-columns.js";
import { endOfBytes } from "./key-range.js";
import { removeFromOpfs } from "./opfs-remove.js";
import { startWorker } from "./worker-calls.js";

/** Opens the database with those pragmas in that order. */
export async function openSqlite(database, pragmas) {
	const worker = startWorker(new URL("./sqlite-worker.js", import.meta.url));
	const { call } = worker;
	await call("open", directoryOf(database), pragmas);
	return {
		get: async (key) => fromColumn(await call("get", key)),
		getMany: async (keys) => (await call("getMany", keys)).map(fromColumn),
		set: (key, value) => call("set", key, toColumn(value)),
		setMany: (entries) =>
			call(
				"setMany",
				entries.map(([key]) => key),
				entries.map(([, value]) => toColumn(value)),
			),
		delete: (key) => call("delete", key),
		deleteMany: (keys) => call("deleteMany", keys),
		async scan(prefix, limit) {
			const [keys, columns] = await call("scan", prefix, endOfBytes(prefix), limit);
			return keys.map((key, index) => [key, fromColumn(columns[index])]);
		},
		count: () => call("count"),
		settle: () => call("settle"),
		async close() {
			await call("close");
			worker.terminate();
		},
		stats: () => call("stats"),
	};
}

/** Deletes a closed database: the directory of its pool of files. */
export function removeSqlite(database) {
	return removeFromOpfs(directoryOf(database));
}

function directoryOf(database) {
	return `sqlite-${database}`;
}
