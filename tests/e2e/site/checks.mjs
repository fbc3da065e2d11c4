// What the public API does, one check for each thing said about it. Run in pages and in dedicated workers, by name.

import { equal, opened } from "./check.mjs";
import { values } from "./values.mjs";

/** Runs `check` on a new store of that name; `options` say where it lives. */
export async function runCheck(open, check, name, options) {
	const { close, ...given } = await opened(open, name, options);
	try {
		await CHECKS[check](given);
	} finally {
		await close();
	}
}

const CHECKS = {
	async "every type of value comes back as it was, before and after reopening"({ store, reopen }) {
		await Promise.all(values().map(([key, value]) => store.set(key, value)));
		const read = async () => {
			for (const [key, value] of values()) {
				equal(await store.get(key), value, `get ${key}`);
				equal(store.peek(key), value, `peek ${key}`);
			}
		};
		await read();
		store = await reopen();
		await read();
	},

	async "a write is read back at once, before it is acknowledged"({ store }) {
		const acknowledged = store.set("k", 1);
		equal(store.peek("k"), 1, "peek");
		equal(await store.get("k"), 1, "get");
		await acknowledged;
		const deleted = store.delete("k");
		equal(store.peek("k"), undefined, "peek after delete");
		equal(await deleted, true, "delete");
	},

	async "get, peek and has of a key that is not there"({ store }) {
		equal(await store.get("absent"), undefined, "get");
		equal(store.peek("absent"), undefined, "peek");
		equal(await store.has("absent"), false, "has");
		equal(await store.delete("absent"), false, "delete");
		await store.set("here", undefined);
		equal(await store.has("here"), true, "has a key whose value is undefined");
	},

	async "values are copies: neither the caller's object nor a result is the store's"({ store }) {
		const mine = { list: [1] };
		await store.set("k", mine);
		mine.list.push(2);
		const first = await store.get("k");
		equal(first, { list: [1] }, "after the caller changed its object");
		first.list.push(3);
		equal(await store.get("k"), { list: [1] }, "after the caller changed a result");
	},

	async "frozen values are shared and cannot be changed"({ store, reopen }) {
		await store.set("k", { list: [1] });
		store = await reopen({ values: "frozen" });
		const value = await store.get("k");
		equal(value, { list: [1] }, "get");
		equal(Object.isFrozen(value) && Object.isFrozen(value.list), true, "deep-frozen");
		equal(store.peek("k") === value, true, "shared");
	},

	async "set overwrites, delete removes, and both survive reopening"({ store, reopen }) {
		await store.set("a", 1);
		await store.set("a", 2);
		await store.set("b", 1);
		equal(await store.delete("b"), true, "delete");
		equal(await store.delete("b"), false, "delete again");
		equal(await store.count(), 1, "count");
		store = await reopen();
		equal(await store.entries().toArray(), [["a", 2]], "entries after reopening");
	},

	async "clear empties the store or a range and says how many"({ store, reopen }) {
		await store.setMany(["a:1", "a:2", "b:1", "b:2", "c"].map((key) => [key, key]));
		equal(await store.clear({ prefix: "a:" }), 2, "clear of a prefix");
		equal(await store.keys().toArray(), ["b:1", "b:2", "c"], "what is left");
		store = await reopen();
		equal(await store.keys().toArray(), ["b:1", "b:2", "c"], "what is left after reopening");
		equal(await store.clear(), 3, "clear");
		equal(await store.clear(), 0, "clear of an empty store");
		store = await reopen();
		equal(await store.count(), 0, "count after reopening");
	},

	async "getMany, setMany and deleteMany take many keys at once"({ store, reopen }) {
		await store.setMany([
			["a", 1],
			["b", [2]],
			["c", null],
		]);
		equal(await store.getMany(["c", "absent", "b", "a", "a"]), [null, undefined, [2], 1, 1], "getMany");
		equal(await store.getMany([]), [], "getMany of none");
		await store.deleteMany(["a", "absent", "c"]);
		equal(await store.getMany(["a", "b", "c"]), [undefined, [2], undefined], "after deleteMany");
		store = await reopen();
		equal(await store.entries().toArray(), [["b", [2]]], "after reopening");
	},

	async "keys are ordered by their UTF-8 bytes"({ store, reopen }) {
		const ordered = ["!", "A", "a", "a\u0000", "aa", "b", "ž", "漢", "\uFFFD", "😀"];
		await store.setMany(ordered.toReversed().map((key) => [key, key]));
		equal(await store.keys().toArray(), ordered, "keys");
		equal(await store.values().toArray(), ordered, "values");
		store = await reopen();
		equal(await store.keys().toArray(), ordered, "keys after reopening");
	},

	async "ranges: prefix, start, end, after, limit and reverse"({ store }) {
		await store.setMany(["a", "b:1", "b:2", "b:3", "c", "d"].map((key, at) => [key, at]));
		const keys = (range) => store.keys(range).toArray();
		equal(await keys({ prefix: "b:" }), ["b:1", "b:2", "b:3"], "prefix");
		equal(await keys({ start: "b:2", end: "d" }), ["b:2", "b:3", "c"], "start and end");
		equal(await keys({ after: "b:2" }), ["b:3", "c", "d"], "after");
		equal(await keys({ limit: 2 }), ["a", "b:1"], "limit");
		equal(await keys({ reverse: true }), ["d", "c", "b:3", "b:2", "b:1", "a"], "reverse");
		equal(await keys({ prefix: "b:", reverse: true, limit: 2 }), ["b:3", "b:2"], "prefix, reverse and limit");
		equal(await keys({ prefix: "b:", after: "b:1", limit: 1 }), ["b:2"], "prefix, after and limit");
		equal(await keys({ prefix: "none" }), [], "an empty range");
		equal(await store.count({ prefix: "b:" }), 3, "count of a range");
		equal(await store.entries({ prefix: "b:", limit: 1 }).toArray(), [["b:1", 1]], "entries");
		equal(await store.values({ start: "c" }).toArray(), [4, 5], "values");
	},

	async "thousands of entries are walked in order, and walked in part"({ store, reopen }) {
		const keys = Array.from({ length: 3_000 }, (_, at) => `key:${String(at).padStart(5, "0")}`);
		await store.setMany(keys.map((key, at) => [key, { at }]));
		const walk = async () => {
			let at = 0;
			for await (const [key, value] of store.entries()) {
				equal([key, value], [keys[at], { at }], `entry ${at}`);
				at++;
			}
			equal(at, keys.length, "entries walked");
		};
		await walk();
		store = await reopen();
		await walk();
		for await (const key of store.keys({ reverse: true })) {
			equal(key, keys.at(-1), "the first key backwards");
			break;
		}
		equal(await store.count(), keys.length, "count");
	},

	async "__proto__ and other names of Object.prototype are keys like any other"({ store, reopen }) {
		for (const key of ["__proto__", "constructor", "hasOwnProperty"]) {
			equal(await store.get(key), undefined, `${key} before`);
			await store.set(key, { key });
		}
		store = await reopen();
		equal(
			await store.getMany(["__proto__", "constructor", "hasOwnProperty"]),
			[{ key: "__proto__" }, { key: "constructor" }, { key: "hasOwnProperty" }],
			"after reopening",
		);
	},

	async "each write says its seq and the level it reached"({ store, reopen }) {
		const first = await store.set("a", 1);
		const second = await store.set("b", 2);
		equal([first.level, second.level], ["os", "os"], "levels of everysec");
		equal(second.seq > first.seq, true, "seq grows");
		const raised = await store.set("c", 3, { durability: "always" });
		equal(raised.level, "disk", "the level of one raised call");
		const flushed = await store.flush();
		equal([flushed.level, flushed.seq >= raised.seq], ["disk", true], "flush");
		store = await reopen({ durability: "always" });
		equal((await store.set("d", 4)).level, "disk", "level of always");
		store = await reopen({ durability: "no" });
		equal((await store.set("e", 5)).level, "applied", "level of no");
		equal((await store.flush()).level, "disk", "flush of no");
	},

	async "a thousand writes at once are all kept"({ store, reopen }) {
		const keys = Array.from({ length: 1_000 }, (_, at) => `key:${at}`);
		await Promise.all(keys.map((key, at) => store.set(key, at)));
		store = await reopen();
		equal(
			await store.getMany(keys),
			keys.map((_, at) => at),
			"after reopening",
		);
	},

	async "a value of several megabytes is kept"({ store, reopen }) {
		const large = Uint8Array.from({ length: 5_000_000 }, (_, at) => (at * at) >> 3);
		await store.set("large", large);
		store = await reopen();
		equal(await store.get("large"), large, "after reopening");
	},

	async "a checkpoint replaces the log by a snapshot and loses nothing"({ store, reopen }) {
		for (let round = 0; round < 3; round++) {
			await store.setMany(Array.from({ length: 100 }, (_, at) => [`key:${at}`, `${round}:${at}`]));
		}
		await store.delete("key:7");
		const report = await store.checkpoint();
		equal(report.entries, 99, "entries in the report");
		equal((await store.stats()).snapshot.seq, report.seq, "the snapshot in the stats");
		await store.set("after", true);
		store = await reopen();
		equal(await store.count(), 100, "count after reopening");
		equal(await store.getMany(["key:6", "key:7", "key:99", "after"]), ["2:6", undefined, "2:99", true], "entries");
		equal(store.status.recovered.dataLoss, undefined, "data loss");
	},

	async "stats and status tell what the store is and holds"({ store, reopen }) {
		equal(store.status.state, "open", "state");
		equal(store.status.fresh, true, "fresh");
		await store.setMany([
			["a", 1],
			["b", 2],
		]);
		await store.flush();
		const stats = await store.stats();
		equal(stats.entries, 2, "entries");
		equal(stats.log.bytes > 0, true, "log bytes");
		equal(store.status.unsynced.ops, 0, "unsynced after flush");
		const { seq } = stats;
		const closed = store;
		store = await reopen();
		equal(closed.status.state, "closed", "state of the closed store");
		equal([store.status.fresh, store.status.recovered.seq], [false, seq], "what reopening found");
	},

	async "onStatus tells of the open store and of its end"({ store, reopen }) {
		const states = [];
		store = await reopen({ onStatus: ({ state }) => states.push(state) });
		await reopen();
		equal([states[0], states.at(-1)], ["open", "closed"], "the first and the last state");
	},

	async "mode log keeps every write without snapshots"({ store, reopen }) {
		store = await reopen({ mode: "log" });
		await store.set("by log", 1);
		store = await reopen({ mode: "log" });
		equal(await store.get("by log"), 1, "after reopening");
	},
};

/** The names of the checks that hold on every backend. */
export const CHECK_NAMES = Object.keys(CHECKS);

// What holds on one backend only.

CHECKS["backend auto is OPFS, without a fallback"] = async ({ store, reopen }) => {
	await store.set("k", 1);
	equal([store.status.backend, store.status.fallback], ["opfs", undefined], "backend and fallback");
	store = await reopen({ backend: "opfs" });
	equal(await store.get("k"), 1, "the same store, named opfs");
};

CHECKS["memory keeps nothing"] = async ({ store, reopen }) => {
	equal((await store.set("k", 1)).level, "applied", "level of a write");
	equal((await store.flush()).level, "applied", "level of a flush");
	equal([await store.get("k"), store.status.backend], [1, "memory"], "value and backend");
	store = await reopen();
	equal([await store.get("k"), store.status.fresh], [undefined, true], "value after reopening, and fresh");
};
