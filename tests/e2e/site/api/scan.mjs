// Walks and counts in a store of a million entries.

import * as holdfast from "holdfast";

const GROUPS = 100;
const BATCH = 10_000;

let store;

const keyOf = (group, n) => `group:${String(group).padStart(2, "0")}:${String(n).padStart(6, "0")}`;

/** Fills a store; the groups follow one another in key order. */
export async function fillScan(entries, options) {
	store = await holdfast.open("scan", options);
	const size = entries / GROUPS;
	for (let first = 0; first < entries; first += BATCH) {
		await store.setMany(
			Array.from({ length: BATCH }, (_, at) => {
				const n = first + at;
				return [keyOf(Math.floor(n / size), n % size), { id: n, name: `name of ${n}`, active: n % 3 === 0 }];
			}),
		);
	}
	await store.checkpoint();
	const { entries: count, memory, liveBytes } = await store.stats();
	return { count, liveBytes, wasmBytes: memory.wasmBytes };
}

/** The ms that each of `rounds` walks over the values of one group took, by `toArray` and one by one, and counts of half the store. */
export async function measureScan(entries, rounds) {
	const size = entries / GROUPS;
	const times = { toArray: [], "for await": [], keys: [], "count of half": [] };
	const timed = async (what, run, expected) => {
		const began = performance.now();
		const found = await run();
		times[what].push(performance.now() - began);
		if (found !== expected) throw new Error(`${what}: ${found} is not ${expected}`);
	};
	for (let round = 0; round < rounds; round++) {
		const range = { prefix: `group:${String((round * 37) % GROUPS).padStart(2, "0")}:` };
		await timed("toArray", async () => (await store.values(range).toArray()).length, size);
		await timed("for await", () => countRows(store.values(range)), size);
		await timed("keys", async () => (await store.keys(range).toArray()).length, size);
		await timed("count of half", () => store.count({ start: keyOf(25, 0), end: keyOf(75, 0) }), entries / 2);
	}
	return times;
}

async function countRows(rows) {
	let count = 0;
	for await (const _ of rows) count++;
	return count;
}
