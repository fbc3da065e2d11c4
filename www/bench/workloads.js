/**
 * The workloads: what is run, on which data, and what each figure of it is called.
 *
 * `levels`: "every" is run at each durability an engine offers and compared only within it; "one" does not depend on it and is run at the
 * one that is nearest to how the engine is commonly used. `data`: "own" makes and removes a database of its own; "left" makes one that is
 * removed behind it; "loaded" uses the one that `load` has left, so that it needs it; "none" is the same in a profile as it was made. `phases` run
 * one after the other, each in a page of its own; with `tabs` in two pages at once, see session.js. `scope`: which runs have it. They run in
 * this order.
 *
 * A figure's unit: `us` an operation or entry, `ms`, `bytes` an entry, `size` in bytes, `ratio`, `count`; less is better in all.
 */

const STEADY_COLD = {
	steady: { unit: "us", title: "" },
	cold: { unit: "us", title: "first 1,000" },
};

const CALLS = {
	steady: { unit: "us", title: "" },
	cold: { unit: "us", title: "first call" },
	longest: { unit: "ms", title: "longest task" },
};

const BULK = {
	perEntry: { unit: "us", title: "" },
	longest: { unit: "ms", title: "longest task" },
};

const OPENING = {
	first: { unit: "ms", title: "first get" },
	all: { unit: "ms", title: "all values read" },
	longestOpening: { unit: "ms", title: "longest task until the first get" },
};

const VALUES = {
	set: { unit: "us", title: "set" },
	get: { unit: "us", title: "get" },
};

export const WORKLOADS = [
	{
		id: "cold-open",
		title: "first open, empty profile",
		levels: "one",
		data: "none",
		phases: ["coldOpen"],
		figures: {
			open: { unit: "ms", title: "" },
			write: { unit: "ms", title: "first write acknowledged" },
			gzip: { unit: "size", title: "download, gzip" },
			brotli: { unit: "size", title: "download, brotli" },
			raw: { unit: "size", title: "download, raw" },
		},
	},
	{
		id: "set-seq",
		title: "set, one after the other",
		levels: "every",
		data: "own",
		phases: ["setSeq"],
		figures: STEADY_COLD,
	},
	{
		id: "set-par",
		title: "set, 1,000 in flight",
		levels: "every",
		data: "own",
		phases: ["setPar"],
		figures: STEADY_COLD,
	},
	{
		id: "ycsb-a",
		title: "YCSB A: half reads, half writes",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["mixed"],
		figures: STEADY_COLD,
	},
	{
		id: "ycsb-b",
		title: "YCSB B: 95 % reads",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["mixed"],
		figures: STEADY_COLD,
	},
	{
		id: "ycsb-c",
		title: "YCSB C: reads",
		scope: "more",
		levels: "one",
		data: "own",
		phases: ["mixed"],
		figures: STEADY_COLD,
	},
	{
		id: "values-m",
		title: "values of 1 KB",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["values"],
		figures: VALUES,
	},
	{
		id: "values-l",
		title: "values of 10 KB",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["values"],
		figures: VALUES,
	},
	{
		id: "blobs",
		title: "blobs of 64 KB",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["values"],
		figures: VALUES,
	},
	{
		id: "delete",
		title: "delete",
		scope: "more",
		levels: "every",
		data: "own",
		phases: ["deletions"],
		figures: {
			...STEADY_COLD,
			many: { unit: "us", title: "in bulk" },
		},
	},
	{
		id: "second-tab",
		title: "second tab",
		scope: "more",
		levels: "one",
		data: "left",
		tabs: true,
		figures: {
			first: { unit: "ms", title: "first get" },
			seen: { unit: "ms", title: "a write of the other tab seen" },
		},
	},
	{
		id: "log-tail",
		title: "reopen with 100k writes in the log",
		levels: "one",
		data: "left",
		phases: ["leaveTail", "reopen"],
		scope: "heavy",
		figures: OPENING,
	},
	{
		id: "checkpoint",
		title: "set while a snapshot of 100 MB is written",
		levels: "one",
		data: "own",
		phases: ["checkpoint"],
		scope: "heavy",
		figures: {
			p99: { unit: "ms", title: "p99" },
			p99Before: { unit: "ms", title: "p99 before it" },
			longest: { unit: "ms", title: "longest task" },
		},
	},
	{
		id: "sustained",
		title: "ten minutes of writes",
		levels: "one",
		data: "own",
		phases: ["sustained"],
		scope: "long",
		figures: {
			p99First: { unit: "ms", title: "p99 of the first half minute" },
			p99Last: { unit: "ms", title: "p99 of the last half minute" },
			p99Worst: { unit: "ms", title: "p99 of the worst half minute" },
			logBytes: { unit: "size", title: "longest log" },
		},
	},
	{
		id: "load",
		title: "load in bulk",
		levels: "every",
		data: "loaded",
		phases: ["load"],
		figures: {
			...BULK,
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
		phases: ["reopen", "readRaw"],
		figures: {
			...OPENING,
			longestReading: { unit: "ms", title: "longest task of reading all" },
			memoryPerEntry: { unit: "bytes", title: "memory of page and workers" },
			wasmPerEntry: { unit: "bytes", title: "wasm heap" },
			raw: { unit: "ms", title: "the same bytes, read raw" },
		},
	},
	{
		id: "get-hot",
		title: "get, 1,000 hot keys",
		levels: "one",
		data: "loaded",
		phases: ["getHot"],
		figures: STEADY_COLD,
	},
	{
		id: "get-uniform",
		title: "get, any key",
		levels: "one",
		data: "loaded",
		phases: ["getUniform"],
		figures: STEADY_COLD,
	},
	{
		id: "get-miss",
		title: "get, no such key",
		levels: "one",
		data: "loaded",
		phases: ["getMiss"],
		figures: STEADY_COLD,
	},
	{
		id: "get-shared",
		title: "get, shared value, 1,000 hot keys",
		levels: "one",
		data: "loaded",
		phases: ["getShared"],
		figures: STEADY_COLD,
	},
	{
		id: "get-many",
		title: "getMany, 1,000 keys a call",
		levels: "one",
		data: "loaded",
		phases: ["getMany"],
		figures: CALLS,
	},
	{
		id: "scan",
		title: "scan 10,000 by prefix",
		levels: "one",
		data: "loaded",
		phases: ["scan"],
		figures: CALLS,
	},
	{
		id: "overwrite",
		title: "overwrite in bulk, 10,000 a call",
		levels: "every",
		data: "loaded",
		phases: ["overwrite"],
		figures: BULK,
	},
];

/** Those of a run: of its scope, or whatever its scope those that are named. `filter`: parts of ids, with commas between them. */
export function workloadsOf(plan, filter) {
	if (filter) return WORKLOADS.filter(({ id }) => filter.split(",").some((part) => id.includes(part)));
	return WORKLOADS.filter(({ scope = "quick" }) => plan.scope.includes(scope));
}

/** Of the durabilities an engine offers, the one its reads are measured at. */
export function mainLevel({ levels }) {
	return ["D2", "D3", "D1"].find((level) => level in levels);
}
