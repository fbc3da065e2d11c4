// Entries that end. The thread is kept where a check is about what is hidden before anything is removed.

import { equal, failure } from "../check.mjs";
import { awaited, deferred, holdThreadUntil, soon } from "./waiting.mjs";

const SHORT_MS = 60;

/** Resolves when the store has told that the key's time was over. */
function expiryOf(store, key) {
	const { promise, resolve } = deferred();
	const stop = store.on("expired", (event) => event.key === key && resolve(event));
	return soon(promise, `${key} to expire`).finally(stop);
}

export const EXPIRY = {
	async "what has ended is hidden at once, from every read"({ store }) {
		const read = async () => ({
			get: await store.get("a:2"),
			has: await store.has("a:2"),
			peek: store.peek("a:2"),
			entry: (await store.entry("a:2"))?.expiresAt,
			getMany: await store.getMany(["a:1", "a:2"]),
			keys: await store.keys().toArray(),
			values: await store.values({ reverse: true }).toArray(),
			entries: await store.entries({ prefix: "a:", limit: 2 }).toArray(),
			count: [await store.count(), await store.count({ start: "a:2", end: "a:3" })],
			transaction: await store.transaction(async (tx) => [await tx.has("a:2"), await tx.count()]),
		});
		await store.setMany({ "a:1": 1, "a:3": 3 });
		const later = Date.now() + 3_600_000;
		await store.setMany({ "a:2": 2, "a:4": 4 }, { expiresAt: later });
		const before = await read();
		equal(
			before,
			{
				get: 2,
				has: true,
				peek: 2,
				entry: later,
				getMany: [1, 2],
				keys: ["a:1", "a:2", "a:3", "a:4"],
				values: [4, 3, 2, 1],
				entries: [
					["a:1", 1],
					["a:2", 2],
				],
				count: [4, 1],
				transaction: [true, 4],
			},
			"before",
		);
		const gone = expiryOf(store, "a:4");
		const expiresAt = Date.now() + SHORT_MS;
		store.setMany({ "a:2": 2, "a:4": 4 }, { expiresAt });
		equal((await store.entry("a:2")).expiresAt, expiresAt, "an expiry that is sooner");
		holdThreadUntil(expiresAt);
		equal(store.peek("a:2"), undefined, "peek, before anything else can run");
		const after = {
			get: undefined,
			has: false,
			peek: undefined,
			entry: undefined,
			getMany: [1, undefined],
			keys: ["a:1", "a:3"],
			values: [3, 1],
			entries: [
				["a:1", 1],
				["a:3", 3],
			],
			count: [2, 0],
			transaction: [false, 2],
		};
		equal(await read(), after, "hidden");
		equal(await store.delete("a:2"), false, "delete says it was not there");
		await gone;
		equal(await read(), after, "removed");
		equal((await store.stats()).entries, 2, "entries");
	},

	async "ttl and expiresAt, as a number and as a Date; another set takes it back"({ store, reopen }) {
		const at = Date.now() + 3_600_000;
		await store.set("ttl", 1, { ttl: 3_600_000 });
		const { expiresAt } = await store.entry("ttl");
		equal(expiresAt >= at && expiresAt <= Date.now() + 3_600_000, true, "ttl");
		await store.set("number", 1, { expiresAt: at });
		await store.set("date", 1, { expiresAt: new Date(at) });
		await store.setMany({ many: 1 }, { expiresAt: at });
		for (const key of ["number", "date", "many"]) equal((await store.entry(key)).expiresAt, at, key);
		await store.set("number", 2);
		equal("expiresAt" in (await store.entry("number")), false, "set without ttl");
		await store.checkpoint();
		store = await reopen();
		equal((await store.entry("date")).expiresAt, at, "after a checkpoint and reopening");
		await store.set("past", 1, { expiresAt: Date.now() - 1 });
		equal([store.peek("past"), await store.has("past")], [undefined, false], "a time that is over");
		for (const options of [
			{ ttl: 0 },
			{ ttl: -1 },
			{ ttl: "1" },
			{ ttl: Number.NaN },
			{ expiresAt: "soon" },
			{ expiresAt: new Date(Number.NaN) },
		])
			equal((await failure(() => store.set("k", 1, options))).code, "OPTION_INVALID", JSON.stringify(options));
	},

	async "expired and the cause expire tell of each entry once, with its value"({ store }) {
		const keys = Array.from({ length: 1_200 }, (_, at) => `key:${at}`);
		const expired = awaited("expired events");
		const changes = awaited("changes");
		// Whoever listened before is not told, and nobody is told twice.
		store.on("expired", () => expired.push("told after it was ended"))();
		const stop = store.on("expired", (event) => expired.push(event));
		store.watch({ prefix: "key:" }, (told) => changes.push(...told));
		const { seq } = await store.setMany(
			keys.map((key, at) => [key, { at }]),
			{ ttl: SHORT_MS },
		);
		await store.set("stays", 1);
		const told = await expired.of(keys.length);
		const value = new Map(told.map(({ key, value }) => [key, value]));
		for (const [at, key] of keys.entries()) equal(value.get(key), { at }, `the value of ${key}`);
		const seen = await changes.of(2 * keys.length);
		const ended = seen.filter(({ cause }) => cause === "expire");
		equal([expired.list.length, ended.length, seen.length], [keys.length, keys.length, 2 * keys.length], "each once");
		for (const change of ended) {
			equal([change.old, "value" in change], [value.get(change.key), false], "old and value");
			equal(change.version > seq, true, "version");
		}
		equal((await store.stats()).entries, 1, "entries");
		stop();
	},

	async "what ended while the store was closed is hidden, and told, when it opens"({
		store,
		reopen,
		open,
		name,
		options,
	}) {
		const expiresAt = Date.now() + SHORT_MS;
		// Not awaited: before it is acknowledged it may be removed.
		store.setMany({ short: "value" }, { expiresAt });
		store.set("long", 1, { ttl: 3_600_000 });
		await store.close();
		holdThreadUntil(expiresAt);
		const again = await open(name, options);
		const told = options.backend === "memory" ? undefined : expiryOf(again, "short");
		equal([again.peek("short"), await again.count()], [undefined, 1], "hidden");
		equal(await told, { key: "short", value: "value" }, "told");
		await again.checkpoint();
		await again.close();
		store = await reopen();
		equal(await store.keys().toArray(), ["long"], "after a checkpoint");
	},

	async "an entry that ends is none to conditions, update and increment"({ store }) {
		await store.increment("warm");
		const expiresAt = Date.now() + SHORT_MS;
		const written = store.setMany({ absent: 5, version: 5, update: 5, n: 5 }, { expiresAt });
		const { version } = await store.entry("version");
		await written;
		holdThreadUntil(expiresAt);
		const calls = [
			store.set("absent", 1, { ifAbsent: true }),
			failure(() => store.set("version", 1, { ifVersion: version })),
			store.update("update", (old) => old ?? "none"),
			store.increment("n"),
		];
		const [, refused, updated, sum] = await Promise.all(calls);
		equal([refused.code, updated, sum], ["CONFLICT", "none", 1], "of none");
		equal("expiresAt" in (await store.entry("n")), false, "an expiry that is over is not kept");
	},
};
