/** Bulk writes: one call, many entries. */

import { keyOf, makeValue, VALUE_BYTES } from "../data.js";
import { answering, nextTask, timed } from "../measure.js";
import { uniform, zipf } from "../random.js";
import { checkRead } from "./reads.js";
import { checkAll, expectedOf, fill, ROUND, SEEDS, withStore } from "./store.js";

/** Beyond that many entries what was loaded is checked by a part of it; all of it is read when it is opened again. */
const CHECKED_MAX = 100_000;

/** Loads a database that stays for the workloads that read it. What is on disk counts when it is closed: browsers take room for open files in advance. */
export async function load(spec) {
	const before = await usage();
	const { figures, check, isStored } = await withStore(spec, async (store, engine) => {
		const { ms, longestMs } = await fill(store, "S", spec.entries);
		const acknowledged = await store.stats?.();
		await store.settle();
		const figures = { perEntry: (ms * 1000) / spec.entries };
		if (engine.place === "page") figures.longest = longestMs;
		addWritten(figures, acknowledged, spec.entries);
		return { figures, check: await checkLoaded(store, spec), isStored: !engine.memory };
	});
	if (isStored) figures.diskPerEntry = ((await usage()) - before) / spec.entries;
	return { figures, check };
}

async function checkLoaded(store, { entries, known }) {
	if (entries <= CHECKED_MAX) return checkAll(store, known ?? (await expectedOf("S", entries)));
	const count = await store.count();
	if (count !== entries) throw new Error(`the check failed: count() is ${count}, not ${entries}`);
	const numbers = uniform(SEEDS.sampled, 1000, entries);
	return checkRead(numbers, await store.getMany(numbers.map(keyOf)));
}

/** Bytes written per logical byte, and syncs, where the engine can tell. */
function addWritten(figures, stats, entries) {
	const logical = entries * (VALUE_BYTES.S + keyOf(0).length);
	if (stats?.bytesWritten !== undefined) figures.writtenPerByte = stats.bytesWritten / logical;
	if (stats?.syncs !== undefined) figures.syncs = stats.syncs;
}

async function usage() {
	return (await navigator.storage.estimate()).usage;
}

/** Entries of one call that overwrites. */
const OVERWRITTEN = 10_000;

/** As many as were loaded are overwritten, some keys more often than others, in calls of ten thousand without those that come twice. */
export async function overwrite(spec) {
	const numbers = zipf(SEEDS.overwrite, spec.entries, spec.entries);
	const calls = [];
	for (let first = 0; first < numbers.length; first += OVERWRITTEN)
		calls.push([...new Set(numbers.slice(first, first + OVERWRITTEN))]);
	const written = new Set(numbers);
	return withStore(spec, async (store, engine) => {
		const prepared = calls.map((call) =>
			call.map((number) => [keyOf(number), makeValue("S", number, ROUND.overwrite)]),
		);
		const { value: ms, longestMs } = await answering(async () => {
			let ms = 0;
			for (const entries of prepared) {
				ms += (await timed(() => store.setMany(entries))).ms;
				await nextTask();
			}
			return ms;
		});
		const figures = { perEntry: (ms * 1000) / calls.reduce((sum, { length }) => sum + length, 0) };
		if (engine.place === "page") figures.longest = longestMs;
		const roundOf = (number) => (written.has(number) ? ROUND.overwrite : ROUND.load);
		return { figures, check: await checkAll(store, spec.known ?? (await expectedOf("S", spec.entries, roundOf))) };
	});
}
