// The page of transfer.mjs: stores that are exported into a sink that counts, and into each other.

import * as holdfast from "holdfast";

const SOURCE = "transfer source";
const TARGET = "transfer target";
const BATCH_ENTRIES = 500;

let source;
let target;

const wasmBytes = async () => (await (source ?? target).stats()).memory.wasmBytes;

/** Text of which a half is random, so that gzip has something to do and finds something. */
function textOf(i, bytes) {
	let state = i + 1;
	let text = "";
	while (text.length < bytes) {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		text += `${state.toString(36)} of entry ${i}, `;
	}
	return text.slice(0, bytes);
}

/** Fills a store in memory, so that what is measured is not what it writes. */
globalThis.fillSource = async (entries, valueBytes) => {
	source = await holdfast.open(SOURCE, { backend: "memory" });
	for (let from = 0; from < entries; from += BATCH_ENTRIES) {
		const batch = [];
		for (let i = from; i < Math.min(from + BATCH_ENTRIES, entries); i++)
			batch.push([`key:${String(i).padStart(9, "0")}`, textOf(i, valueBytes)]);
		await source.setMany(batch);
	}
	await source.checkpoint();
	return { wasmBytes: await wasmBytes(), entries: await source.count() };
};

/** The answer of `action()`, with the longest task of the page's thread meanwhile in ms, 0 if none took 50. */
async function tasksDuring(action) {
	const tasks = [];
	const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
	observer.observe({ type: "longtask" });
	const answer = await action();
	// The last task is told once it has ended.
	await new Promise((resolve) => setTimeout(resolve));
	await new Promise((resolve) => requestAnimationFrame(resolve));
	tasks.push(...observer.takeRecords());
	observer.disconnect();
	return { ...answer, longestMs: Math.max(0, ...tasks.map(({ duration }) => duration)) };
}

/** Exports into a sink that counts. */
const exportAway = async (form) => {
	const before = await wasmBytes();
	let bytes = 0;
	const began = performance.now();
	await source.export(form).pipeTo(
		new WritableStream({
			write(piece) {
				bytes += piece.length;
			},
		}),
	);
	return { bytes, seconds: (performance.now() - began) / 1000, before, after: await wasmBytes() };
};

/** Imports what the source exports meanwhile into a store on OPFS; both are in the same wasm memory. */
const importAcross = async (form) => {
	target = await holdfast.open(TARGET, { backend: "opfs" });
	const before = await wasmBytes();
	const began = performance.now();
	const { bytes } = await target.import(source.export(form));
	const seconds = (performance.now() - began) / 1000;
	const after = await wasmBytes();
	const first = "key:000000000";
	if ((await target.get(first)) !== (await source.get(first))) throw new Error("the first value differs");
	const [own, other] = [await target.count(), await source.count()];
	if (own !== other) throw new Error(`${own} entries came of ${other}`);
	await target.close();
	await holdfast.destroy(TARGET);
	return { bytes, seconds, before, after };
};

const STEPS = { export: exportAway, import: importAcross };

globalThis.transfer = (what, form) => tasksDuring(() => STEPS[what](form));
