// Ranges, against a reference in plain JavaScript, and walks while the store changes.

import { equal } from "../check.mjs";

const PIECES = ["a", "b", "c", ":", "\u0000", "\u007f", "é", "ž", "漢", "\uFFFD", "😀", "\u{10FFFF}"];
const ROUNDS = 150;
const encoder = new TextEncoder();
/** The bytes of keys, which are compared again and again. */
const encoded = new Map();

function bytesOf(key) {
	if (!encoded.has(key)) encoded.set(key, encoder.encode(key));
	return encoded.get(key);
}

/** As the bytes of their UTF-8 compare. */
export function compareKeys(one, other) {
	const [a, b] = [bytesOf(one), bytesOf(other)];
	for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] - b[at];
	return a.length - b.length;
}

/** The entries of a Map that are in the range, as the store has to give them. */
export function entriesIn(
	map,
	{ prefix = "", start = "", end, after, limit = Number.POSITIVE_INFINITY, reverse } = {},
) {
	const isIn = (key) =>
		key.startsWith(prefix) &&
		compareKeys(key, start) >= 0 &&
		(end === undefined || compareKeys(key, end) < 0) &&
		(after === undefined || (reverse ? compareKeys(key, after) < 0 : compareKeys(key, after) > 0));
	const rows = [...map].filter(([key]) => isIn(key)).sort(([one], [other]) => compareKeys(one, other));
	return (reverse ? rows.reverse() : rows).slice(0, limit);
}

export function randomText(random, lengthMin, lengthMax) {
	const length = lengthMin + Math.floor(random() * (lengthMax - lengthMin + 1));
	return Array.from({ length }, () => PIECES[Math.floor(random() * PIECES.length)]).join("");
}

export function randomRange(random, text = () => randomText(random, 0, 3)) {
	const range = {};
	for (const bound of ["prefix", "start", "end", "after"]) {
		const share = bound === "prefix" ? 0.4 : 0.3;
		if (random() < share)
			range[bound] =
				bound === "prefix"
					? text()
							.slice(0, 1)
							.replace(/[\ud800-\udfff]/, "😀")
					: text();
	}
	if (random() < 0.3) range.limit = Math.floor(random() * 40);
	if (random() < 0.5) range.reverse = random() < 0.8;
	return range;
}

/** Some of it in the snapshot, some of it only in the log, some removed. */
async function fillRandomly(store, random) {
	const map = new Map(Array.from({ length: 500 }, (_, at) => [randomText(random, 1, 4), at]));
	await store.setMany(map);
	await store.checkpoint();
	for (let at = 0; at < 150; at++) {
		const key = randomText(random, 1, 4);
		map.set(key, -at);
		store.set(key, -at);
	}
	for (const key of [...map.keys()].filter(() => random() < 0.1)) {
		map.delete(key);
		store.delete(key);
	}
	return map;
}

/** `equal` for what JSON tells all of, which is much faster where it is the same. */
export function same(actual, expected, what) {
	if (JSON.stringify(actual) !== JSON.stringify(expected)) equal(actual, expected, what);
}

export const RANGES = {
	async "ranges are those of a reference: keys, values, entries, count"({ store, random, tell }) {
		const map = await fillRandomly(store, random);
		let rows = 0;
		for (let round = 0; round < ROUNDS; round++) {
			const range = randomRange(random);
			const what = JSON.stringify(range);
			const expected = entriesIn(map, range);
			same(await store.entries(range).toArray(), expected, `entries ${what}`);
			same(
				await store.keys(range).toArray(),
				expected.map(([key]) => key),
				`keys ${what}`,
			);
			same(
				await store.values(range).toArray(),
				expected.map(([, value]) => value),
				`values ${what}`,
			);
			equal(await store.count(range), expected.length, `count ${what}`);
			rows += expected.length;
		}
		tell(`${ROUNDS} ranges, ${rows} entries`);
	},

	async "clear takes the range of a reference, and nothing else"({ store, reopen, random }) {
		const map = await fillRandomly(store, random);
		for (let round = 0; round < 12; round++) {
			const range = randomRange(random);
			const expected = entriesIn(map, range);
			equal(await store.clear(range), expected.length, `clear ${JSON.stringify(range)}`);
			for (const [key] of expected) map.delete(key);
			same(await store.entries().toArray(), entriesIn(map), `what ${JSON.stringify(range)} left`);
			if (map.size > 300) continue;
			for (const [key, value] of expected) map.set(key, value);
			await store.setMany(expected);
		}
		store = await reopen();
		equal(await store.entries().toArray(), entriesIn(map), "after reopening");
	},

	async "a walk gives what was there when its first entry was asked for, whatever happens meanwhile"({
		store,
		random,
	}) {
		const map = new Map(Array.from({ length: 1_500 }, (_, at) => [`key:${String(at).padStart(5, "0")}`, at]));
		await store.setMany(map);
		await store.checkpoint();
		for (const key of ["key:00100a", "key:00900b"]) {
			map.set(key, key);
			await store.set(key, key);
		}
		for (const range of [{}, { reverse: true }, { start: "key:0003", limit: 700 }]) {
			const walks = ["keys", "values", "entries"].map((what) => store[what](range)[Symbol.asyncIterator]());
			// Before the first entry is asked for, a change is seen.
			map.set("key:00600c", "late");
			await store.set("key:00600c", "late");
			const expected = entriesIn(map, range);
			const got = await Promise.all(walks.map(async (walk) => [(await walk.next()).value]));
			const disturb = [
				() => store.set(`key:${String(Math.floor(random() * 1_500)).padStart(5, "0")}`, "new"),
				() => store.set(`key:${random()}`, "more"),
				() => store.delete(`key:${String(Math.floor(random() * 1_500)).padStart(5, "0")}`),
				() => store.clear({ prefix: `key:00${Math.floor(random() * 10)}` }),
				() => store.checkpoint(),
				() => store.clear(),
			];
			for (let step = 0; ; step++) {
				if (step % 60 === 0) await disturb[(step / 60) % disturb.length]();
				const next = await Promise.all(walks.map((walk) => walk.next()));
				if (next.every(({ done }) => done)) break;
				next.forEach(({ value, done }, at) => {
					equal(done, false, `walk ${at} goes on as long as the others`);
					got[at].push(value);
				});
			}
			const [keys, values] = [0, 1].map((part) => expected.map((entry) => entry[part]));
			same(got, [keys, values, expected], `walks of ${JSON.stringify(range)}`);
			await store.clear();
			map.delete("key:00600c");
			await store.setMany(map);
		}
	},

	async "a walk that is left early ends, and others go on"({ store }) {
		await store.setMany(Array.from({ length: 1_000 }, (_, at) => [`key:${String(at).padStart(4, "0")}`, at]));
		const other = store.values()[Symbol.asyncIterator]();
		await other.next();
		let seen = 0;
		for await (const key of store.keys()) {
			equal(key, `key:${String(seen).padStart(4, "0")}`, "a key");
			seen++;
			await store.delete(key);
			if (seen === 200) break;
		}
		const left = store.entries()[Symbol.asyncIterator]();
		equal((await left.next()).value, ["key:0200", 200], "the first one left");
		equal(await left.return(), { value: undefined, done: true }, "return");
		equal(await left.next(), { value: undefined, done: true }, "next after return");
		let last = 0;
		for (let next = await other.next(); !next.done; next = await other.next()) last = next.value;
		equal(last, 999, "the end of the walk that was begun first");
		await store.checkpoint();
		equal(await store.count(), 800, "count");
	},

	async "a range that is none is refused"({ store }) {
		for (const range of [
			{ prefix: 1 },
			{ limit: -1 },
			{ limit: 1.5 },
			{ reverse: "yes" },
			{ start: "\ud800" },
			{ from: "a" },
		]) {
			for (const call of [
				(range) => store.keys(range).toArray(),
				(range) => store.count(range),
				(range) => store.clear(range),
			]) {
				const refused = await Promise.resolve()
					.then(() => call(range))
					.then(
						() => "taken",
						({ code }) => code,
					);
				equal(refused, "OPTION_INVALID", JSON.stringify(range));
			}
		}
	},
};
