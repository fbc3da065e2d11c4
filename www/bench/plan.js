/** How much of everything a run does: its sizes, counts and samples. */

export const SIZES = { "1k": 1000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000, "5m": 5_000_000 };

/**
 * `sizes`: what `load` loads; reads are made at `readSize`, larger ones are only loaded and opened again. `scope`: which workloads it has, see
 * workloads.js. `mixed`: entries of databases that are read and written by turns, or deleted from. `loadMsMax`: a load that would take longer, by the engine's own load of the size before, is left out.
 */
export const PLANS = {
	quick: {
		samples: 3,
		sizes: ["10k"],
		readSize: "10k",
		scope: ["quick"],
		mixed: 10_000,
		loadMsMax: 10_000,
		ops: { get: 2000, setSeq: 1500, setPar: 3000, mixed: 1500, values: 200, blobs: 50 },
		calls: { getMany: 4, scan: 4 },
	},
	/** As little as shows that everything runs and agrees: for tests. */
	smoke: {
		samples: 1,
		sizes: ["10k"],
		readSize: "10k",
		scope: ["quick", "more"],
		mixed: 4000,
		loadMsMax: 10_000,
		ops: { get: 1100, setSeq: 1100, setPar: 1100, mixed: 1100, values: 10, blobs: 2 },
		calls: { getMany: 2, scan: 2 },
	},
	full: {
		samples: 5,
		sizes: ["100k", "1m"],
		readSize: "100k",
		scope: ["quick", "more", "heavy"],
		mixed: 10_000,
		loadMsMax: 25_000,
		ops: { get: 4000, setSeq: 2000, setPar: 11_000, mixed: 3000, values: 1000, blobs: 1000 },
		calls: { getMany: 11, scan: 6 },
	},
};

const IN_FLIGHT = 1000;
const TAIL = 100_000;
/** 100 MB of values of the size class M. */
const SNAPSHOT = { entries: 100_000, beforeMs: 4000 };
const SUSTAINED_WINDOWS = 20;

/** What a phase is told, besides engine, level and database. */
export function specOf(plan, workload, size) {
	const { ops, calls } = plan;
	const given = {
		"set-seq": { ops: ops.setSeq },
		"set-par": { ops: ops.setPar, inFlight: IN_FLIGHT },
		"get-many": { calls: calls.getMany },
		scan: { calls: calls.scan },
		"ycsb-a": { ops: ops.mixed, reads: 0.5, entries: plan.mixed },
		"ycsb-b": { ops: ops.mixed, reads: 0.95, entries: plan.mixed },
		"ycsb-c": { ops: ops.mixed, reads: 1, entries: plan.mixed },
		"values-m": { ops: ops.values, value: "M" },
		"values-l": { ops: ops.values, value: "L" },
		delete: { entries: plan.mixed },
		blobs: { ops: ops.blobs, value: "B" },
		"second-tab": { writes: 10 },
		"log-tail": { entries: TAIL, inFlight: IN_FLIGHT, options: { logOnly: true } },
		checkpoint: SNAPSHOT,
		sustained: { windows: SUSTAINED_WINDOWS },
	};
	return { entries: SIZES[size], ops: ops.get, ...given[workload.id] };
}
