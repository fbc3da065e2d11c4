// A store of many entries, written to at a steady pace. What the driver calls is on `globalThis`.

import * as holdfast from "holdfast";

/** Calls come in at this pace whatever became of those before, so that a stall is not hidden by the calls it put off. */
const TICK_MS = 4;
const SETS_PER_TICK = 4;
const BATCH = 500;

let store;
let sizes;
let latenciesMs;

/** Opens a store that makes no checkpoint by itself and fills it. */
globalThis.fill = async (backend, entries, valueBytes) => {
	sizes = { entries, valueBytes };
	const never = { percentage: 1e9, minBytes: 2 ** 40 };
	store = await holdfast.open("large", { backend, mode: "log", save: [], rewrite: never });
	for (let first = 0; first < entries; first += BATCH) {
		await store.setMany(Array.from({ length: BATCH }, (_, at) => [keyOf(first + at), newValue()]));
	}
	return (await store.stats()).entries;
};

/**
 * Writes to random keys for `msMin`, or, given 0, while a checkpoint runs; resolves to the report of that when all calls
 * are acknowledged.
 */
globalThis.measure = async (msMin) => {
	latenciesMs = [];
	const calls = [];
	const timer = setInterval(() => {
		for (let left = SETS_PER_TICK; left > 0; left--) {
			const value = newValue();
			const called = performance.now();
			const call = store.set(keyOf(Math.floor(Math.random() * sizes.entries)), value);
			calls.push(call.then(() => latenciesMs.push(performance.now() - called)));
		}
	}, TICK_MS);
	const report = msMin === 0 ? await store.checkpoint() : await new Promise((resolve) => setTimeout(resolve, msMin));
	clearInterval(timer);
	await Promise.all(calls);
	return report ?? null;
};

/** How many ms each of those calls waited; asked for later, because so long an answer is a long task itself. */
globalThis.latencies = () => latenciesMs;

function keyOf(at) {
	return `key:${String(at).padStart(9, "0")}`;
}

// Text that does not compress well, whatever the browser stores it in.
function newValue() {
	const parts = [];
	for (let length = 0; length < sizes.valueBytes; length += 8)
		parts.push(Math.random().toString(36).slice(2, 10).padEnd(8));
	return parts.join("").slice(0, sizes.valueBytes - 2);
}
