// `maxBytes`, with "reject" and with "lru".

import { equal, failure } from "../check.mjs";
import { awaited } from "./waiting.mjs";

const VALUE_BYTES = 100;
const value = (n) => String(n % 10).repeat(VALUE_BYTES);
const liveBytes = async (store) => (await store.stats()).liveBytes;
const keysOf = (store) => store.keys().toArray();

/** What one entry of these takes, as the store counts it. */
async function entryBytes(store) {
	await store.set("k0", value(0));
	const bytes = await liveBytes(store);
	await store.delete("k0");
	return bytes;
}

export const ROOM = {
	async "reject: what finds no room is QUOTA with the bytes it lacks, and changes nothing"({ store, reopen }) {
		const bytes = await entryBytes(store);
		store = await reopen({ maxBytes: 3 * bytes });
		for (const n of [1, 2, 3]) await store.set(`k${n}`, value(n));
		const { seq } = await store.stats();
		const refused = [
			[bytes, () => store.set("k4", value(4))],
			[2 * bytes, () => store.setMany({ k4: value(4), k5: value(5) })],
			[10, () => store.set("k1", `${value(1)}0123456789`)],
			[bytes, () => store.transaction((tx) => tx.set("k4", value(4)))],
			[bytes, () => store.update("k4", () => value(4))],
		];
		for (const [bytesNeeded, call] of refused) {
			const error = await failure(call);
			equal([error.code, error.bytesNeeded], ["QUOTA", bytesNeeded], `${call}`);
		}
		equal([(await store.stats()).seq, await store.count()], [seq, 3], "nothing is changed");
		await store.set("k1", value(9));
		equal(await store.get("k1"), value(9), "as much as before has room");
		await store.transaction((tx) => {
			tx.delete("k1");
			tx.set("k4", value(4));
		});
		equal(await keysOf(store), ["k2", "k3", "k4"], "what is removed in the same batch makes room");
		await store.delete("k2");
		await store.set("k5", value(5));
		equal([await keysOf(store), await liveBytes(store)], [["k3", "k4", "k5"], 3 * bytes], "what is removed makes room");
		equal(await store.clear({ prefix: "k" }), 3, "clear");
		await store.setMany({ k1: value(1), k2: value(2), k3: value(3) });
		equal(await store.count(), 3, "after clear");
	},

	async "lru: the entries least recently used make room, and are told as evicted"({ store, reopen }) {
		const bytes = await entryBytes(store);
		store = await reopen({ maxBytes: 4 * bytes, eviction: "lru" });
		const evicted = awaited("evicted keys");
		store.watch({}, (changes) => {
			for (const { key, cause, old, value } of changes) if (cause === "evict") evicted.push([key, old.length, value]);
		});
		for (const n of [1, 2, 3, 4]) await store.set(`k${n}`, value(n));
		// Used: 2 by get, 1 by set, 3 by peek; 4 is the one not used since.
		await store.get("k2");
		await store.set("k1", value(9));
		store.peek("k3");
		await store.set("k5", value(5));
		equal(await keysOf(store), ["k1", "k2", "k3", "k5"], "the one not used since");
		await store.set("k6", value(6));
		equal(await keysOf(store), ["k1", "k3", "k5", "k6"], "then the one used first");
		await store.setMany({ k7: value(7), k8: value(8) });
		equal(await keysOf(store), ["k5", "k6", "k7", "k8"], "two for two, in the order of their use");
		await evicted.of(4);
		equal(
			evicted.list,
			["k4", "k2", "k1", "k3"].map((key) => [key, VALUE_BYTES, undefined]),
			"told",
		);
		await store.getMany(["k5"]);
		await store.set("k9", value(9));
		equal(await keysOf(store), ["k5", "k7", "k8", "k9"], "getMany uses");
		const refused = await failure(() => store.set("large", "x".repeat(4 * bytes)));
		equal([refused.code, refused.bytesNeeded > 0], ["QUOTA", true], "more than there is room at all");
		equal(await store.count(), 4, "which evicts nothing");
		await store.increment("n");
		await store.transaction((tx) => tx.set("t", value(1)));
		equal(
			[await store.has("n"), await store.has("t"), (await liveBytes(store)) <= 4 * bytes],
			[true, true, true],
			"by every write",
		);
		const { seq } = await store.stats();
		const before = await keysOf(store);
		equal((await failure(() => store.set("new", value(1), { ifVersion: 1 }))).code, "CONFLICT", "a condition");
		equal((await failure(() => store.set("", value(1)))).code, "KEY_INVALID", "a key");
		equal([await keysOf(store), (await store.stats()).seq], [before, seq], "what is refused evicts nothing");
	},

	async "lru: what this opening has not used goes first, in key order"({ store, reopen }) {
		const bytes = await entryBytes(store);
		await store.setMany(Array.from({ length: 8 }, (_, n) => [`k${n}`, value(n)]));
		await store.checkpoint();
		const options = { maxBytes: 9 * bytes, eviction: "lru" };
		store = await reopen(options);
		await store.get("k0");
		await store.get("k2");
		// What was there at opening counts a few bytes more.
		for (let n = 0; (await store.count()) === 8 + n; n++) await store.set(`new:${n}`, value(n));
		equal(await store.has("k1"), false, "the first of the unused");
		equal([await store.has("k0"), await store.has("k2")], [true, true], "the used ones stay");
		for (let n = 10; (await store.count({ prefix: "k" })) > 2; n++) await store.set(`new:${n}`, value(n));
		equal(await keysOf(store.namespace("k")), ["0", "2"], "the used ones stay longest");
		equal((await liveBytes(store)) <= options.maxBytes, true, "bound");
		if (store.status.backend !== "memory") {
			store = await reopen();
			equal(await store.has("k1"), false, "evicted after reopening");
		}
	},

	async "lru: a full store of many entries stays fast, and forgets keys that are gone"({ store, reopen, tell }) {
		const entries = 10_000;
		store = await reopen({ maxBytes: entries * 30, eviction: "lru", mode: "memory", backend: "memory" });
		const rounds = async (what, count, run) => {
			const began = performance.now();
			for (let n = 0; n < count; n++) await run(n);
			const us = Math.round(((performance.now() - began) / count) * 1000);
			tell(`${what} ${us} us`);
			return us;
		};
		const filling = await rounds("a set while there is room", 2_000, (n) => store.set(`key:${n}`, n));
		await store.setMany(Array.from({ length: entries * 2 }, (_, n) => [`key:${n}`, n]).slice(0, entries));
		await rounds("until it is full", entries, (n) => store.set(`more:${n}`, n));
		const full = await rounds("a set that evicts", 2_000, (n) => store.set(`yet more:${n}`, n));
		equal((await liveBytes(store)) <= entries * 30, true, "bound");
		if (full > 10 * filling + 50)
			throw new Error(`a set that evicts takes ${full} us, one that does not ${filling} us`);
	},
};
