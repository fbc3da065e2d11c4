// An engine whose database is SQL in a worker, as a store: the page's side.
//
// Shapes: keys are text and values JSON text or bytes (json-columns.js), which cross the worker's boundary as such: a string is cheaper to
// clone than the object it becomes. The worker's methods are those of sqlite-worker.js and pglite-worker.js.

import { fromColumn, toColumn } from "./json-columns.js";
import { endOfBytes } from "./key-range.js";
import { startWorker } from "./worker-calls.js";

/** Starts the worker and has it open that directory, with what else its `open` takes. */
export async function openInWorker(url, ...given) {
	const worker = startWorker(url);
	const { call } = worker;
	await call("open", ...given);
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
