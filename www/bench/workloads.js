/**
 * The workloads: what is run, on which data, and what each figure of it is called.
 *
 * `levels`: "every" is run at each durability an engine offers and compared only within it; "one" does not depend on it and is run at the
 * one that is nearest to how the engine is commonly used. `data`: "own" makes and removes a database of its own; "loaded" uses the one that
 * `load` has left, so that it needs it; "none" wants the profile as it was made. The order is the order they run in.
 * A figure's unit: `us` an operation or entry, `ms`, `bytes` an entry, `ratio`, `count`; less is better in all.
 */

const STEADY_COLD = {
	steady: { unit: "us", title: "" },
	cold: { unit: "us", title: "first 1,000" },
};

/** @type {{ id: string, title: string, levels: "every" | "one", data: "none" | "own" | "loaded", figures: Record<string, object> }[]} */
export const WORKLOADS = [
	{
		id: "cold-open",
		title: "first open, empty profile",
		levels: "one",
		data: "none",
		phase: "coldOpen",
		figures: {
			open: { unit: "ms", title: "" },
			write: { unit: "ms", title: "first write acknowledged" },
		},
	},
	{
		id: "set-seq",
		title: "set, one after the other",
		levels: "every",
		data: "own",
		phase: "setSeq",
		figures: STEADY_COLD,
	},
	{
		id: "set-par",
		title: "set, 1,000 in flight",
		levels: "every",
		data: "own",
		phase: "setPar",
		figures: STEADY_COLD,
	},
	{
		id: "load",
		title: "load in bulk",
		levels: "every",
		data: "loaded",
		phase: "load",
		figures: {
			perEntry: { unit: "us", title: "" },
			longest: { unit: "ms", title: "longest task" },
			diskPerEntry: { unit: "bytes", title: "on disk" },
			writtenPerByte: { unit: "ratio", title: "bytes written per logical byte" },
			syncs: { unit: "count", title: "syncs" },
		},
	},
	{
		id: "reopen",
		title: "reopen",
		levels: "one",
		data: "loaded",
		phase: "reopen",
		figures: {
			first: { unit: "ms", title: "first get" },
			all: { unit: "ms", title: "all values read" },
			longestOpening: { unit: "ms", title: "longest task until the first get" },
			longestReading: { unit: "ms", title: "longest task of reading all" },
			wasmBytesPerEntry: { unit: "bytes", title: "wasm heap" },
		},
	},
	{
		id: "get-hot",
		title: "get, 1,000 hot keys",
		levels: "one",
		data: "loaded",
		phase: "getHot",
		figures: STEADY_COLD,
	},
	{
		id: "get-uniform",
		title: "get, any key",
		levels: "one",
		data: "loaded",
		phase: "getUniform",
		figures: STEADY_COLD,
	},
	{
		id: "get-miss",
		title: "get, no such key",
		levels: "one",
		data: "loaded",
		phase: "getMiss",
		figures: STEADY_COLD,
	},
	{
		id: "get-shared",
		title: "get, shared value, 1,000 hot keys",
		levels: "one",
		data: "loaded",
		phase: "getShared",
		figures: STEADY_COLD,
	},
	{
		id: "get-many",
		title: "getMany, 1,000 keys a call",
		levels: "one",
		data: "loaded",
		phase: "getMany",
		figures: {
			steady: { unit: "us", title: "" },
			cold: { unit: "us", title: "first call" },
			longest: { unit: "ms", title: "longest task" },
		},
	},
	{
		id: "scan",
		title: "scan 10,000 by prefix",
		levels: "one",
		data: "loaded",
		phase: "scan",
		figures: {
			steady: { unit: "us", title: "" },
			cold: { unit: "us", title: "first call" },
			longest: { unit: "ms", title: "longest task" },
		},
	},
	{
		id: "overwrite",
		title: "overwrite in bulk, 10,000 a call",
		levels: "every",
		data: "loaded",
		phase: "overwrite",
		figures: {
			perEntry: { unit: "us", title: "" },
			longest: { unit: "ms", title: "longest task" },
		},
	},
];

/** Of the durabilities an engine offers, the one its reads are measured at. */
export function mainLevel({ levels }) {
	return ["D2", "D3", "D1"].find((level) => level in levels);
}
