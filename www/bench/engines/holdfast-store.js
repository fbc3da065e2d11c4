/** Holdfast as the benchmark's engines use it; they differ in the backend. */

import { destroy, open } from "holdfast";

const DURABILITIES = { D1: "no", D2: "everysec", D3: "always" };
const NEVER = { mode: "log", save: [], rewrite: { percentage: 1e9, minBytes: 2 ** 40 } };

export const LEVELS = {
	D1: 'durability: "no"',
	D2: 'durability: "everysec" (default)',
	D3: 'durability: "always"',
};

/** What `open` of an engine is for that backend. */
export function opener(backend) {
	return async (database, level, { shared, logOnly } = {}) => {
		const values = shared ? "frozen" : "copy";
		const durability = DURABILITIES[level];
		return storeOf(await open(database, { backend, durability, values, ...(logOnly ? NEVER : {}) }));
	};
}

export { destroy };

function storeOf(store) {
	return {
		get: (key) => store.get(key),
		getShared: (key) => store.get(key),
		getMany: (keys) => store.getMany(keys),
		set: (key, value) => store.set(key, value),
		setMany: (entries) => store.setMany(entries),
		delete: (key) => store.delete(key),
		deleteMany: (keys) => store.deleteMany(keys),
		scan: (prefix, limit) => store.entries({ prefix, ...(limit ? { limit } : {}) }).toArray(),
		count: () => store.count(),
		settle: () => store.checkpoint(),
		checkpoint: () => store.checkpoint(),
		close: () => store.close(),
		async stats() {
			const { memory, log, snapshot, calls } = await store.stats();
			return {
				wasmHeapBytes: memory.wasmBytes,
				bytesOnDisk: log.bytes + (snapshot?.bytes ?? 0),
				bytesWritten: calls.bytesWritten,
				syncs: calls.syncs,
				logBytes: log.bytes,
			};
		},
	};
}
