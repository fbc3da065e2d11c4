/**
 * What all phases do: import the engine, open its database, load it, and compare what it holds with what it should.
 *
 * A phase gets `spec`: `{ engine, level, database, ... }` and resolves to `{ figures, check }`: figures by name (their units are in
 * workloads.js), and the digest that has to be the same for every engine; or to `{ without }`, why it cannot be done. It rejects when the
 * engine does or when a check fails.
 */

import { assertSame, Digest, digestOf } from "../check.js";
import { entriesOf, keyOf, makeValue, PREFIX } from "../data.js";
import { answering, nextTask, timed } from "../measure.js";

/** Entries of one bulk call at most. */
const BULK = 100_000;

/** Rounds of the values that workloads write. */
export const ROUND = { load: 0, overwrite: 1, written: 2, rewritten: 3 };

/** Seeds of what is chosen, each for workloads that should not choose the same. */
export const SEEDS = { hot: 1, uniform: 2, many: 3, overwrite: 4, ycsb: 5, sampled: 6, paced: 7 };

export const importEngine = async (id) => (await import(`../built/${id}.js`)).engine;

/** Opens the database, runs `body(store, engine)`, closes. */
export async function withStore(spec, body, options) {
	const engine = await importEngine(spec.engine);
	const store = await engine.open(spec.database, spec.level, options);
	const result = await body(store, engine);
	await store.close();
	return result;
}

/** The same with a database of its own, removed when all is done. */
export async function withNewStore(spec, body, options) {
	const result = await withStore(spec, body, options);
	await removeDatabase(spec);
	return result;
}

/** What the engine says of itself. */
export async function about(spec) {
	const { open, remove, ...about } = await importEngine(spec.engine);
	return about;
}

export async function removeDatabase({ engine, database }) {
	await (await importEngine(engine)).remove(database);
	return {};
}

/** Compares everything that the store holds with what it should. */
export async function checkAll(store, expected) {
	const [actual, count] = [await digestOf(await store.scan(PREFIX)), await store.count()];
	assertSame(actual, expected);
	if (count !== expected.count) throw new Error(`the check failed: count() is ${count}, not ${expected.count}`);
	return expected;
}

/** The digest of the entries below `count`, each of the round that `roundOf` says; without those of which it says undefined. */
export async function expectedOf(value, count, roundOf = () => ROUND.load) {
	const digest = new Digest();
	for (let number = 0; number < count; number++) {
		const round = roundOf(number);
		if (round !== undefined) await digest.add(keyOf(number), makeValue(value, number, round));
	}
	return digest.end();
}

/** Loads entries 0 to `count - 1`; gives the milliseconds that the calls took, and the longest task of theirs. */
export async function fill(store, value, count) {
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
