// PGlite (Postgres) on its opfs-ahp file system in a worker: the page's side of pglite-worker.js.
//
// Shapes: a key is text, a value JSON text in a `json` column or bytes in a `bytea` column, which cross the worker's boundary as such.

import { version } from "version:@electric-sql/pglite";
import { fromColumn, toColumn } from "./json-columns.js";
import { endOfBytes } from "./key-range.js";
import { removeFromOpfs } from "./opfs-remove.js";
import { startWorker } from "./worker-calls.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "pglite",
	name: "PGlite",
	version,
	place: "worker",
	levels: {
		D2: "opfs-ahp in a worker, relaxedDurability: true. Its documentation promises D1; on opfs-ahp Postgres has written its log to the files before it answers, and every acknowledged key was found after kills (bench:classes)",
		D3: "opfs-ahp in a worker, as it comes",
	},

	async open(database, level) {
		const worker = startWorker(new URL("./pglite-worker.js", import.meta.url));
		const { call } = worker;
		await call("open", directoryOf(database), { relaxedDurability: level === "D2" });
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
	},

	remove: (database) => removeFromOpfs(directoryOf(database)),
};

function directoryOf(database) {
	return `pglite-${database}`;
}
