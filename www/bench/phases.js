/**
 * What runs in a page of its own: the bodies of the workloads. Each opens the engine's database, loads what it needs, takes the time of its
 * body, checks what the engine then holds or has read against what it was given, and closes.
 *
 * A phase gets `spec`: `{ engine, level, database, ... }` and resolves to `{ figures, check }`: figures by name (their units are in
 * workloads.js), and the digest that has to be the same for every engine. It rejects when an engine does or when a check fails.
 */

import { assertSame, Digest, digestOf } from "./check.js";
import { entriesOf, keyOf, makeValue, PREFIX, VALUE_BYTES } from "./data.js";
import { answering, atOnce, inTurn, nextTask, sideBySide, timed } from "./measure.js";
import { uniform, zipf } from "./random.js";
import { median } from "./statistics.js";

/** Entries of one bulk call at most. */
const BULK = 100_000;
/** Beyond that many entries what was loaded is checked by a part of it; all of it is read when it is opened again. */
const CHECKED_MAX = 100_000;
const SEEDS = { hot: 1, uniform: 2, many: 3, overwrite: 4, ycsb: 5, sampled: 6 };
/** Rounds of the values that a workload writes. */
const ROUND = { load: 0, overwrite: 1, written: 2 };

const importEngine = async (id) => (await import(`./built/${id}.js`)).engine;

/** Opens the database, runs `body(store, engine)`, closes. */
async function withStore(spec, body, options) {
	const engine = await importEngine(spec.engine);
	const store = await engine.open(spec.database, spec.level, options);
	const result = await body(store, engine);
	await store.close();
	return result;
}

/** The same with a database of its own, removed when all is done. */
async function withNewStore(spec, body) {
	const result = await withStore(spec, body);
	await removeDatabase(spec);
	return result;
}

/** What the engine says of itself. */
async function about(spec) {
	const { open, remove, ...about } = await importEngine(spec.engine);
	return about;
}

async function removeDatabase({ engine, database }) {
	await (await importEngine(engine)).remove(database);
	return {};
}

/** Compares everything that the store holds with what it should. */
async function checkAll(store, expected) {
	const [actual, count] = [await digestOf(await store.scan(PREFIX)), await store.count()];
	assertSame(actual, expected);
	if (count !== expected.count) throw new Error(`the check failed: count() is ${count}, not ${expected.count}`);
	return expected;
}

/** The digest of the entries below `count`, each of the round that `roundOf` says; without those of which it says undefined. */
async function expectedOf(value, count, roundOf = () => ROUND.load) {
	const digest = new Digest();
	for (let number = 0; number < count; number++) {
		const round = roundOf(number);
		if (round !== undefined) await digest.add(keyOf(number), makeValue(value, number, round));
	}
	return digest.end();
}

/** Loads entries 0 to `count - 1`; gives the milliseconds that the calls took, and the longest task of theirs. */
async function fill(store, value, count) {
	let ms = 0;
	let longestMs = 0;
	for (let first = 0; first < count; first += BULK) {
		const entries = entriesOf(value, first, Math.min(BULK, count - first));
		await nextTask();
		const call = await answering(() => timed(() => store.setMany(entries)));
		ms += call.value.ms;
		longestMs = Math.max(longestMs, call.longestMs);
	}
	return { ms, longestMs };
}

// ---- opening ----------------------------------------------------------------------------------------------------

/** The first open of a profile: everything is downloaded, compiled and made. */
async function coldOpen(spec) {
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
	await engine.remove(spec.database);
	return { figures: { open: opened - begun, write: written - begun }, check };
}

/** In a page in which nothing is open: the first value, then all. */
async function reopen(spec) {
	const engine = await importEngine(spec.engine);
	const number = Math.floor(spec.entries / 2);
	const first = await answering(async () => {
		const begun = performance.now();
		const store = await engine.open(spec.database, spec.level);
		const value = await store.get(keyOf(number));
		return { store, value, ms: performance.now() - begun };
	});
	const { store, value, ms } = first.value;
	const memory = (await store.stats?.())?.wasmHeapBytes;
	const all = await answering(() => timed(() => store.scan(PREFIX)));
	const check = await digestOf(all.value.value);
	assertSame(check, await expectedOf("S", spec.entries));
	assertSame(await digestOf([[keyOf(number), value]]), await digestOf([[keyOf(number), makeValue("S", number)]]));
	await store.close();
	const figures = {
		first: ms,
		all: ms + all.value.ms,
		longestOpening: first.longestMs,
		longestReading: all.longestMs,
	};
	if (memory) figures.wasmBytesPerEntry = memory / spec.entries;
	return { figures, check };
}

// ---- bulk -------------------------------------------------------------------------------------------------------

/** Loads a database that stays for the workloads that read it. */
async function load(spec) {
	return withStore(spec, async (store, engine) => {
		const before = await usage();
		const { ms, longestMs } = await fill(store, "S", spec.entries);
		const acknowledged = await store.stats?.();
		await store.settle();
		const figures = { perEntry: (ms * 1000) / spec.entries };
		if (engine.place === "page") figures.longest = longestMs;
		if (!engine.memory) figures.diskPerEntry = ((await usage()) - before) / spec.entries;
		addWritten(figures, acknowledged, spec.entries);
		return { figures, check: await checkLoaded(store, spec.entries) };
	});
}

async function checkLoaded(store, entries) {
	if (entries <= CHECKED_MAX) return checkAll(store, await expectedOf("S", entries));
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
async function overwrite(spec) {
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
		return { figures, check: await checkAll(store, await expectedOf("S", spec.entries, roundOf)) };
	});
}

// ---- reads ------------------------------------------------------------------------------------------------------

/** Compares values that were read with those of these numbers. */
async function checkRead(numbers, values) {
	const digest = await digestOf(numbers.map((number, at) => [keyOf(number), values[at]]));
	const expected = new Map();
	for (const number of new Set(numbers)) expected.set(number, makeValue("S", number));
	assertSame(digest, await digestOf(numbers.map((number) => [keyOf(number), expected.get(number)])));
	return digest;
}

/** Reads entries of these numbers one after the other. */
async function readAll(spec, numbers, options) {
	const keys = numbers.map(keyOf);
	const values = new Array(keys.length);
	return withStore(
		spec,
		async (store, { sync }) => {
			const read = options?.shared ? store.getShared : store.get;
			if (!read) return { without: "its values are not shared" };
			const figures = await (sync
				? atOnce(keys.length, (at) => {
						values[at] = read(keys[at]);
					})
				: inTurn(keys.length, async (at) => {
						values[at] = await read(keys[at]);
					}));
			return { figures, check: await checkRead(numbers, values) };
		},
		options,
	);
}

const HOT = 1000;

const getHot = (spec) => readAll(spec, zipf(SEEDS.hot, spec.ops, HOT));
const getUniform = (spec) => readAll(spec, uniform(SEEDS.uniform, spec.ops, spec.entries));

/** Values that are shared, where the engine has such. */
async function getShared(spec) {
	return readAll(spec, zipf(SEEDS.hot, spec.ops, HOT), { shared: true });
}

/** Keys that nothing is stored under. */
async function getMiss(spec) {
	const keys = uniform(SEEDS.uniform, spec.ops, spec.entries).map((number) => keyOf(spec.entries + number));
	let found = 0;
	return withStore(spec, async (store, { sync }) => {
		const count = (value) => {
			if (value !== undefined) found++;
		};
		const figures = await (sync
			? atOnce(keys.length, (at) => count(store.get(keys[at])))
			: inTurn(keys.length, async (at) => count(await store.get(keys[at]))));
		if (found > 0) throw new Error(`the check failed: ${found} values under keys that were never set`);
		return { figures, check: { found } };
	});
}

const MANY = 1000;

/** Calls of `getMany` for a thousand keys each; the first apart. */
async function getMany(spec) {
	const numbers = uniform(SEEDS.many, spec.calls * MANY, spec.entries);
	const keys = Array.from({ length: spec.calls }, (_, at) => numbers.slice(at * MANY, (at + 1) * MANY).map(keyOf));
	return withStore(spec, async (store) => {
		const values = [];
		const { figures, longestMs } = await repeated(spec.calls, MANY, async (at) => {
			values.push(await store.getMany(keys[at]));
		});
		return { figures: { ...figures, longest: longestMs }, check: await checkRead(numbers, values.flat()) };
	});
}

/** Entries of a scan: those whose numbers have this prefix. */
const SCANNED = 10_000;
const SCANNED_PREFIX = keyOf(SCANNED - 1).slice(0, -String(SCANNED - 1).length);

async function scan(spec) {
	return withStore(spec, async (store) => {
		let rows;
		const { figures, longestMs } = await repeated(spec.calls, SCANNED, async () => {
			rows = await store.scan(SCANNED_PREFIX, SCANNED);
		});
		const check = await digestOf(rows);
		assertSame(check, await expectedOf("S", SCANNED));
		return { figures: { ...figures, longest: longestMs }, check };
	});
}

/** Microseconds an entry of bulk calls, each in a task of its own: the first, and the median of the others. */
async function repeated(calls, entries, call) {
	const { value, longestMs } = await answering(async () => {
		const each = [];
		for (let at = 0; at < calls; at++) {
			each.push(((await timed(() => call(at))).ms * 1000) / entries);
			await nextTask();
		}
		return { cold: each[0], steady: median(each.slice(1)) };
	});
	return { figures: value, longestMs };
}

// ---- writes of single entries -----------------------------------------------------------------------------------

async function writeAll(spec, measure) {
	const entries = entriesOf(spec.value ?? "S", 0, spec.ops, ROUND.written);
	return withNewStore(spec, async (store, engine) => {
		const figures = await measure(entries, (at) => store.set(...entries[at]), engine);
		await store.settle();
		if (engine.stores === false) return { figures };
		return { figures, check: await checkAll(store, await digestOf(entries)) };
	});
}

/** Each when the one before is acknowledged. */
const setSeq = (spec) =>
	writeAll(spec, ({ length }, set, { sync }) => (sync ? atOnce(length, set) : inTurn(length, set)));

/** Always a thousand that are not yet acknowledged. */
const setPar = (spec) => writeAll(spec, ({ length }, set) => sideBySide(length, spec.inFlight, set));

/** By the names that workloads.js calls them. */
export const PHASES = {
	about,
	removeDatabase,
	coldOpen,
	reopen,
	load,
	overwrite,
	getHot,
	getUniform,
	getShared,
	getMiss,
	getMany,
	scan,
	setSeq,
	setPar,
};
