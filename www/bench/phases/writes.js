/** Writes of single entries, each workload in a database of its own. */

import { digestOf } from "../check.js";
import { entriesOf, keyOf, makeValue } from "../data.js";
import { atOnce, inTurn, inTurnOnce, sideBySide, timed } from "../measure.js";
import { randomOf, uniform, zipf } from "../random.js";
import { checkRead } from "./reads.js";
import { checkAll, expectedOf, fill, ROUND, SEEDS, withNewStore } from "./store.js";

/** The rounds of the values that passes write, by turns. */
const ROUNDS = [ROUND.written, ROUND.rewritten];

async function writeAll(spec, measure) {
	const byPass = ROUNDS.map((round) => entriesOf("S", 0, spec.ops, round));
	return withNewStore(spec, async (store, engine) => {
		const set = (at, pass) => store.set(...byPass[pass % ROUNDS.length][at]);
		const figures = await measure(spec.ops, set, engine);
		await store.settle();
		if (engine.stores === false) return { figures };
		return { figures, check: await checkAll(store, await digestOf(byPass[0])) };
	});
}

/** Each when the one before is acknowledged. */
export const setSeq = (spec) =>
	writeAll(spec, (count, set, { sync }) => (sync ? atOnce(count, set) : inTurn(count, set)));

/** Always a thousand that are not yet acknowledged. */
export const setPar = (spec) => writeAll(spec, (count, set) => sideBySide(count, spec.inFlight, set));

/** Reads, and whole values written over others, as YCSB mixes them; `spec.reads` is the share of reads. */
export async function mixed(spec) {
	const numbers = zipf(SEEDS.ycsb, spec.ops, spec.entries);
	const random = randomOf(SEEDS.ycsb);
	const written = new Map();
	const ops = numbers.map((number) => {
		const key = keyOf(number);
		if (random() < spec.reads) return { key };
		written.set(number, ROUND.written);
		return { key, byPass: ROUNDS.map((round) => makeValue("S", number, round)) };
	});
	return withNewStore(spec, async (store, { sync }) => {
		await fill(store, "S", spec.entries);
		const op = (at, pass) => {
			const { key, byPass } = ops[at];
			return byPass ? store.set(key, byPass[pass % ROUNDS.length]) : store.get(key);
		};
		const figures = await (sync ? atOnce : inTurn)(ops.length, op);
		await store.settle();
		const roundOf = (number) => written.get(number) ?? ROUND.load;
		const expected = spec.known ?? (await expectedOf("S", spec.entries, roundOf));
		return { figures, check: await checkAll(store, expected) };
	});
}

/** Larger values: written one after the other, then read in any order. */
export async function values(spec) {
	const entries = entriesOf(spec.value, 0, spec.ops);
	const numbers = uniform(SEEDS.uniform, spec.ops, spec.ops);
	const keys = numbers.map(keyOf);
	return withNewStore(spec, async (store) => {
		const write = await timed(async () => {
			for (const [key, value] of entries) await store.set(key, value);
		});
		await store.settle();
		const read = [];
		const reading = await timed(async () => {
			for (const key of keys) read.push(await store.get(key));
		});
		const figures = { set: (write.ms * 1000) / spec.ops, get: (reading.ms * 1000) / spec.ops };
		return { figures, check: await checkRead(numbers, read, spec.value) };
	});
}

/** Of the deletions those that are made one by one, and the entries that stay. */
const DELETED = { single: 2000, left: 1000 };

const keysOf = (first, end) => Array.from({ length: end - first }, (_, at) => keyOf(first + at));

/** Keys deleted one after the other, then all others but a thousand in one call. */
export async function deletions(spec) {
	const single = keysOf(0, DELETED.single);
	const many = keysOf(DELETED.single, spec.entries - DELETED.left);
	return withNewStore(spec, async (store) => {
		await fill(store, "S", spec.entries);
		const figures = await inTurnOnce(single.length, (at) => store.delete(single[at]));
		figures.many = ((await timed(() => store.deleteMany(many))).ms * 1000) / many.length;
		const expected = await expectedOf("S", spec.entries, (number) =>
			number < spec.entries - DELETED.left ? undefined : ROUND.load,
		);
		return { figures, check: await checkAll(store, expected) };
	});
}
