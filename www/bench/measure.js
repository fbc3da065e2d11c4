/**
 * The clock: how long calls take, and how long the page could not answer meanwhile. Units: microseconds an operation, milliseconds otherwise.
 *
 * Calls are timed in blocks of at least a thousand, so that the resolution of the browser's clock does not matter.
 */

import { median } from "./statistics.js";

/** Operations that are told apart as cold. */
export const COLD = 1000;
/** The operations behind those are made again and again for so long, which lets a fast engine become as fast as it gets. */
const STEADY_MS = 200;
const PASSES_MAX = 31;

/** Calls `op(0, pass)` to `op(count - 1, pass)`, each when the one before has resolved. */
export function inTurn(count, op) {
	return coldAndSteady(count, async (from, to, pass) => {
		for (let at = from; at < to; at++) await op(at, pass);
	});
}

/** The same for calls without promises. */
export function atOnce(count, op) {
	return coldAndSteady(count, (from, to, pass) => {
		for (let at = from; at < to; at++) op(at, pass);
	});
}

/** The same with `inFlight` calls at any time. */
export function sideBySide(count, inFlight, op) {
	return coldAndSteady(count, async (from, to, pass) => {
		let next = from;
		const lane = async () => {
			while (next < to) await op(next++, pass);
		};
		await Promise.all(Array.from({ length: inFlight }, lane));
	});
}

/** The same as `inTurn`, each operation once: for those that cannot be repeated. */
export function inTurnOnce(count, op) {
	return coldAndSteady(
		count,
		async (from, to) => {
			for (let at = from; at < to; at++) await op(at);
		},
		1,
	);
}

/** The first thousand operations, and the median of the passes over the others, in microseconds each. Their number is odd: a pass that writes other values than the one before, for there are stores that else write nothing, leaves what the first one left. */
async function coldAndSteady(count, run, passesMax = PASSES_MAX) {
	const cold = ((await timed(() => run(0, COLD, 0))).ms * 1000) / COLD;
	const passes = [];
	const begun = performance.now();
	do {
		passes.push(((await timed(() => run(COLD, count, passes.length))).ms * 1000) / (count - COLD));
		// What piled up for other tasks is theirs to do, not part of the next pass.
		await nextTask();
	} while (passes.length % 2 === 0 || (performance.now() - begun < STEADY_MS && passes.length < passesMax));
	return { cold, steady: median(passes) };
}

const { port1, port2 } = new MessageChannel();
port1.start();

/** Lets everything run that waits for the main thread. Unlike a timer, a message is not put off in a page that is not shown. */
export function nextTask() {
	return new Promise((resolve) => {
		port1.addEventListener("message", resolve, { once: true });
		port2.postMessage(null);
	});
}

/** The time in ms, the same for all pages of a machine. */
export function wallTime() {
	return performance.timeOrigin + performance.now();
}

/** How long `body()` takes: `{ value, ms }`. */
export async function timed(body) {
	const begun = performance.now();
	const value = await body();
	return { value, ms: performance.now() - begun };
}

const TICK_MS = 1;
const TICKING = `
	const tell = () => postMessage(performance.timeOrigin + performance.now());
	if (self.crossOriginIsolated) {
		const nothing = new Int32Array(new SharedArrayBuffer(4));
		for (;;) { Atomics.wait(nothing, 0, 0, ${TICK_MS}); tell(); }
	} else setInterval(tell, ${TICK_MS});`;

/**
 * The longest that the page could not answer while `body()` ran: `{ value, longestMs, longTaskMs }`. A worker sends a message every
 * millisecond; the longest that one waited is how long the main thread was busy, but for a millisecond. `longTaskMs` is what the browser
 * itself reports of tasks over 50 ms, undefined where it does not.
 */
export async function answering(body) {
	const url = URL.createObjectURL(new Blob([TICKING], { type: "text/javascript" }));
	const worker = new Worker(url);
	// Two threads may disagree on what time it is: the shortest wait is taken for none.
	let shortest = Number.POSITIVE_INFINITY;
	let longest = 0;
	await new Promise((resolve) => {
		worker.onmessage = ({ data }) => {
			const waited = wallTime() - data;
			shortest = Math.min(shortest, waited);
			longest = Math.max(longest, waited);
			resolve();
		};
	});
	longest = 0;
	const longTasks = longTaskObserver();
	try {
		const value = await body();
		// The message that waited for the last task arrives behind it.
		await new Promise((resolve) => {
			const sent = wallTime();
			worker.addEventListener("message", ({ data }) => data >= sent && resolve());
		});
		return { value, longestMs: longest - shortest, longTaskMs: longTasks() };
	} finally {
		worker.terminate();
		URL.revokeObjectURL(url);
	}
}

/** Begins to watch; what it returns ends that and gives the longest task in ms. */
function longTaskObserver() {
	if (!PerformanceObserver.supportedEntryTypes.includes("longtask")) return () => undefined;
	let longestMs = 0;
	const take = (entries) => {
		for (const { duration } of entries) longestMs = Math.max(longestMs, duration);
	};
	const observer = new PerformanceObserver((list) => take(list.getEntries()));
	observer.observe({ type: "longtask" });
	return () => {
		take(observer.takeRecords());
		observer.disconnect();
		return longestMs;
	};
}
