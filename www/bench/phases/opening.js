/** Opening: for the first time, and again with everything there. */

import { assertSame, Digest, digestOf } from "../check.js";
import { keyOf, makeValue, PREFIX } from "../data.js";
import { answering, timed } from "../measure.js";
import { expectedOf, importEngine } from "./store.js";

/** The first open of a profile: everything is downloaded, compiled and made. */
export async function coldOpen(spec) {
	const begun = performance.now();
	const engine = await importEngine(spec.engine);
	const store = await engine.open(spec.database, spec.level);
	const opened = performance.now();
	const entry = [keyOf(0), makeValue("S", 0)];
	await store.set(...entry);
	const written = performance.now();
	const check = await digestOf([[entry[0], await store.get(entry[0])]]);
	assertSame(check, await digestOf([entry]));
	await store.close();
	return { figures: { open: opened - begun, write: written - begun }, check };
}

/** In a page in which nothing is open: the first value, then all. `spec.options` are those of `open`. */
export async function reopen(spec) {
	const engine = await importEngine(spec.engine);
	const number = Math.floor(spec.entries / 2);
	const before = await memoryBytes();
	const first = await answering(() =>
		timed(async () => {
			const store = await engine.open(spec.database, spec.level, spec.options);
			return { store, value: await store.get(keyOf(number)) };
		}),
	);
	const { store, value } = first.value.value;
	const after = before && (await memoryBytes());
	const stats = await store.stats?.();
	const all = await readAll(store, spec.entries);
	assertSame(all.check, spec.known ?? (await expectedOf("S", spec.entries)));
	assertSame(await digestOf([[keyOf(number), value]]), await digestOf([[keyOf(number), makeValue("S", number)]]));
	await store.close();
	const figures = { first: first.value.ms, all: first.value.ms + all.ms };
	if (engine.place === "page") figures.longestOpening = first.longestMs;
	figures.longestReading = all.longestMs;
	if (after !== undefined) figures.memoryPerEntry = (after - before) / spec.entries;
	if (stats?.wasmHeapBytes) figures.wasmPerEntry = stats.wasmHeapBytes / spec.entries;
	return { figures, check: all.check, bytesOnDisk: stats?.bytesOnDisk };
}

/** Entries of one scan at most. */
const SCANNED_MAX = 100_000;

/** Reads everything: `{ check, ms, longestMs }`, where only the time of the calls counts. */
async function readAll(store, entries) {
	const digest = new Digest();
	const result = { ms: 0, longestMs: 0 };
	for (let first = 0; first < entries; first += SCANNED_MAX) {
		const prefix = entries > SCANNED_MAX ? keyOf(first).slice(0, -String(SCANNED_MAX - 1).length) : PREFIX;
		const { value, longestMs } = await answering(() => timed(() => store.scan(prefix)));
		result.ms += value.ms;
		result.longestMs = Math.max(result.longestMs, longestMs);
		for (const entry of value.value) await digest.add(...entry);
	}
	return { ...result, check: await digest.end() };
}

/** Longest to wait for the browser to measure memory, which it may put off until it collects garbage anyway. */
const MEMORY_WAIT_MS = 1000;

/** Memory of the page and its workers, in bytes; undefined where the browser does not tell. */
async function memoryBytes() {
	if (!performance.measureUserAgentSpecificMemory || !crossOriginIsolated) return undefined;
	const late = new Promise((resolve) => setTimeout(resolve, MEMORY_WAIT_MS));
	return (await Promise.race([performance.measureUserAgentSpecificMemory(), late]))?.bytes;
}

/** Reads as many bytes as the engine has on disk from the origin's files, the largest first, as a page does that wants nothing else. */
export async function readRaw(spec) {
	const files = [];
	const collect = async (directory) => {
		for await (const handle of directory.values()) {
			if (handle.kind === "directory") await collect(handle);
			else files.push(handle);
		}
	};
	await collect(await navigator.storage.getDirectory());
	const sized = await Promise.all(files.map(async (handle) => ({ handle, bytes: (await handle.getFile()).size })));
	const largest = sized.sort((a, b) => b.bytes - a.bytes);
	let left = spec.bytesOnDisk;
	const { ms } = await timed(async () => {
		for (const { handle } of largest) {
			if (left === 0) break;
			const file = await handle.getFile();
			const bytes = await file.slice(0, left).arrayBuffer();
			left -= bytes.byteLength;
		}
	});
	if (left > 0) throw new Error(`${left} of ${spec.bytesOnDisk} bytes are not in the origin's files`);
	return { figures: { raw: ms } };
}
