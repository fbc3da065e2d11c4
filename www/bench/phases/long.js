/** What happens while an engine compacts, over minutes, and when it has not compacted for long. Writes come at a steady pace. */

import { keyOf, makeValue } from "../data.js";
import { answering, nextTask, sideBySide } from "../measure.js";
import { uniform } from "../random.js";
import { quantile } from "../statistics.js";
import { fill, ROUND, SEEDS, withNewStore, withStore } from "./store.js";

const CANNOT = "it has no log of its own that could be left or compacted at will";

/** Writes so many entries, each a call of its own, and leaves them uncompacted. */
export function leaveTail(spec) {
	return withStore(
		spec,
		async (store) => {
			if (!store.checkpoint) return { without: CANNOT };
			await sideBySide(spec.entries, spec.inFlight, (at) => store.set(keyOf(at), makeValue("S", at)));
			return {};
		},
		{ logOnly: true },
	);
}

const PACE = { tickMs: 4, setsPerTick: 4 };

/** Calls `set` at a steady pace whatever became of the calls before, until `until` resolves; gives how long each took, in ms. */
async function paced(store, entries, value, until) {
	const latencies = [];
	const calls = [];
	const numbers = uniform(SEEDS.paced, 4096, entries);
	let next = 0;
	const timer = setInterval(() => {
		for (let left = PACE.setsPerTick; left > 0; left--) {
			const number = numbers[next++ % numbers.length];
			const entry = [keyOf(number), makeValue(value, number, ROUND.written)];
			const called = performance.now();
			calls.push(store.set(...entry).then(() => latencies.push(performance.now() - called)));
		}
	}, PACE.tickMs);
	try {
		await until;
	} finally {
		clearInterval(timer);
	}
	await Promise.all(calls);
	return latencies;
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A hundred megabytes are written as a snapshot while sets go on. */
export function checkpoint(spec) {
	return withNewStore(
		spec,
		async (store, engine) => {
			if (!store.checkpoint) return { without: CANNOT };
			await fill(store, "M", spec.entries);
			await store.flush?.();
			const before = await paced(store, spec.entries, "M", wait(spec.beforeMs));
			await nextTask();
			const { value: during, longestMs } = await answering(() => paced(store, spec.entries, "M", store.checkpoint()));
			const figures = { p99: quantile(during, 0.99), p99Before: quantile(before, 0.99) };
			if (engine.place === "page") figures.longest = longestMs;
			return { figures };
		},
		{ logOnly: true },
	);
}

const SUSTAINED_ENTRIES = 10_000;
const WINDOW_MS = 30_000;

/** Minutes of writes: what they wait in the first and in the last half minute, and the longest the log became. */
export function sustained(spec) {
	return withNewStore(spec, async (store) => {
		await fill(store, "S", SUSTAINED_ENTRIES);
		const windows = [];
		let logBytes = 0;
		for (let left = spec.windows; left > 0; left--) {
			windows.push(quantile(await paced(store, SUSTAINED_ENTRIES, "S", wait(WINDOW_MS)), 0.99));
			logBytes = Math.max(logBytes, (await store.stats?.())?.logBytes ?? 0);
		}
		const figures = { p99First: windows[0], p99Last: windows.at(-1), p99Worst: Math.max(...windows) };
		if (logBytes > 0) figures.logBytes = logBytes;
		return { figures };
	});
}
