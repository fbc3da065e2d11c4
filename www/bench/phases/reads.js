/** Reads of a database that `load` has left. */

import { assertSame, digestOf } from "../check.js";
import { keyOf, makeValue } from "../data.js";
import { answering, atOnce, inTurn, nextTask, timed } from "../measure.js";
import { uniform, zipf } from "../random.js";
import { median } from "../statistics.js";
import { expectedOf, SEEDS, withStore } from "./store.js";

/** Compares values that were read with those of these numbers. */
export async function checkRead(numbers, values, size = "S") {
	const digest = await digestOf(numbers.map((number, at) => [keyOf(number), values[at]]));
	const expected = new Map();
	for (const number of new Set(numbers)) expected.set(number, makeValue(size, number));
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

export const getHot = (spec) => readAll(spec, zipf(SEEDS.hot, spec.ops, HOT));
export const getUniform = (spec) => readAll(spec, uniform(SEEDS.uniform, spec.ops, spec.entries));

/** Values that are shared, where the engine has such. */
export async function getShared(spec) {
	return readAll(spec, zipf(SEEDS.hot, spec.ops, HOT), { shared: true });
}

/** Keys that nothing is stored under. */
export async function getMiss(spec) {
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
export async function getMany(spec) {
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

export async function scan(spec) {
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
