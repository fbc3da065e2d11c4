/** How much of everything a run does: its sizes, counts and samples. */

export const SIZES = { "10k": 10_000, "100k": 100_000, "1m": 1_000_000 };

export const PLANS = {
	quick: {
		samples: 3,
		sizes: ["10k"],
		/** What `get`, `getMany` and `scan` read from. */
		readSize: "10k",
		ops: { get: 4000, setSeq: 1500, setPar: 4000 },
		calls: { getMany: 6, scan: 4 },
	},
	full: {
		samples: 5,
		sizes: ["10k", "100k", "1m"],
		readSize: "100k",
		ops: { get: 11_000, setSeq: 2000, setPar: 11_000 },
		calls: { getMany: 21, scan: 6 },
	},
};

const IN_FLIGHT = 1000;

/** What a phase is told, besides engine, level and database. */
export function specOf(plan, workload, size) {
	const { ops, calls } = plan;
	const given = {
		"set-seq": { ops: ops.setSeq },
		"set-par": { ops: ops.setPar, inFlight: IN_FLIGHT },
		"get-many": { calls: calls.getMany },
		scan: { calls: calls.scan },
	};
	return { entries: SIZES[size], ops: ops.get, ...given[workload.id] };
}
