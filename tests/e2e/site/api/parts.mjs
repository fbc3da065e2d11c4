// Namespaces, presets and modes.

import { equal, failure } from "../check.mjs";
import { awaited, soon } from "./waiting.mjs";

export const PARTS = {
	async "a namespace is the keys with its prefix, without it"({ store, reopen }) {
		await store.setMany({ "user:0": 0, "user;": "behind", user: "in front" });
		let users = store.namespace("user:");
		await users.set("a", 1);
		await users.setMany([
			["b", 2],
			["é", 3],
			["😀", 4],
		]);
		equal(await store.get("user:a"), 1, "the store's key");
		equal(
			[await users.get("a"), users.peek("b"), await users.has("0"), await users.has("user:a")],
			[1, 2, true, false],
			"reads",
		);
		equal((await users.entry("a")).value, 1, "entry");
		equal(await users.getMany(["b", "absent", "a"]), [2, undefined, 1], "getMany");
		equal(await users.keys().toArray(), ["0", "a", "b", "é", "😀"], "keys");
		equal(
			await users.entries({ start: "a", end: "é" }).toArray(),
			[
				["a", 1],
				["b", 2],
			],
			"entries of a range",
		);
		equal(await users.values({ reverse: true, limit: 2 }).toArray(), [4, 3], "values from the end");
		equal(await users.keys({ after: "b" }).toArray(), ["é", "😀"], "after");
		equal(await users.keys({ reverse: true, after: "b" }).toArray(), ["a", "0"], "after, from the end");
		equal(await users.keys({ prefix: "é" }).toArray(), ["é"], "a prefix");
		equal([await users.count(), await users.count({ end: "b" }), await users.count({ limit: 3 })], [5, 2, 3], "count");
		equal(await users.increment("n"), 1, "increment");
		equal(await users.update("n", (n) => n + 1), 2, "update");
		equal([await users.delete("n"), await users.deleteMany(["é", "absent"])], [true, 1], "delete");
		equal((await failure(() => users.set("", 1))).code, "KEY_INVALID", "an empty key");
		equal(
			(await failure(() => users.set("x".repeat(1020), 1))).code,
			"KEY_INVALID",
			"a key that is too long with its prefix",
		);
		for (const prefix of ["", 1, undefined, "\ud800"])
			equal((await failure(() => store.namespace(prefix))).code, "OPTION_INVALID", `namespace(${prefix})`);
		equal(await users.clear({ end: "a" }), 1, "clear of a range");
		equal(await users.clear({ limit: 1 }), 1, "clear with a limit");
		equal(await users.clear(), 2, "clear");
		equal(await store.keys().toArray(), ["user", "user;"], "what is not its own stays");
		await users.set("kept", 1);
		store = await reopen();
		users = store.namespace("user:");
		equal(await users.entries().toArray(), [["kept", 1]], "after reopening");
	},

	async "namespaces nest, have defaults, watch and transact"({ store }) {
		const outer = store.namespace("a:", { ttl: 3_600_000 });
		const inner = outer.namespace("b:");
		const lasting = outer.namespace("c:", { ttl: 7_200_000 });
		const seen = awaited("changes");
		const outside = awaited("changes");
		inner.watch({}, (changes) => seen.push(...changes.map(({ key, cause }) => [key, cause])));
		store.watch({ prefix: "a:" }, (changes) => outside.push(...changes.map(({ key }) => key)));
		await inner.set("k", 1);
		await lasting.set("k", 1);
		await outer.set("k", 1, { durability: "always" });
		equal(await store.keys().toArray(), ["a:b:k", "a:c:k", "a:k"], "keys");
		const hours = async (key) => Math.round(((await store.entry(key)).expiresAt - Date.now()) / 3_600_000);
		equal([await hours("a:b:k"), await hours("a:c:k"), await hours("a:k")], [1, 2, 1], "defaults");
		await inner.setMany({ many: 1 });
		await inner.update("updated", () => 1);
		equal([await hours("a:b:many"), await hours("a:b:updated")], [1, 1], "defaults of setMany and update");
		const answer = await inner.transaction(async (tx) => {
			tx.set("t", (await tx.get("k")) + 1);
			equal(await tx.keys().toArray(), ["k", "many", "t", "updated"], "keys in a transaction");
			equal(await tx.entries({ prefix: "t" }).toArray(), [["t", 2]], "entries in a transaction");
			equal([await tx.has("k"), await tx.has("a:b:k")], [true, false], "has in a transaction");
			tx.delete("many");
			return tx.count();
		});
		equal([answer, await store.get("a:b:t"), await hours("a:b:t")], [3, 2, 1], "a transaction");
		let runs = 0;
		await inner.transaction(async (tx) => {
			const count = await tx.count();
			if (++runs === 1) await store.set("a:c:beside", 1);
			if (runs === 1) await store.set("a:b:phantom", 1);
			tx.set("count", count);
		});
		equal([runs, await inner.get("count")], [2, 4], "a phantom in a namespace");
		const all = ["k set", "many set", "updated set", "t set", "many delete", "phantom set", "count set"];
		equal(
			(await seen.of(all.length)).map((change) => change.join(" ")),
			all,
			"what is told has keys without the prefix",
		);
		equal(
			(await outside.of(10)).filter((key) => key.startsWith("a:c:")),
			["a:c:k", "a:c:beside"],
			"the store is told its own keys",
		);
		const iterator = inner.changes("k")[Symbol.asyncIterator]();
		const next = iterator.next();
		await store.set("a:b:k", 5);
		const { value } = await soon(next, "a change");
		equal([value.key, value.value], ["k", 5], "changes");
		equal((await failure(() => store.namespace("x:", { ttl: -1 }))).code, "OPTION_INVALID", "defaults that are none");
		await inner.close();
		equal(store.status.state, "closed", "close is the store's");
	},

	async "presets are the options they stand for"({ reopen }) {
		const of = async (options) => {
			const store = await reopen(options);
			const { level } = await store.set("k", 1);
			const { durability, promise, backend } = store.status;
			return { level, durability, promised: promise.level, backend, store };
		};
		const plain = await of({});
		const { backend } = plain;
		const session = await of({ preset: "session" });
		for (const { level, durability, promised } of [plain, session])
			equal([level, durability, promised], ["os", "everysec", "os"], "session");
		const financial = await of({ preset: "financial" });
		equal([financial.level, financial.durability, financial.promised], ["disk", "always", "disk"], "financial");
		const own = await of({ preset: "financial", durability: "everysec" });
		equal([own.level, own.durability], ["os", "everysec"], "what is given besides counts more");
		for (const preset of ["cache", "analytics"]) {
			const { level, durability, promised, store } = await of({ preset });
			equal([level, durability, promised], ["applied", "no", "applied"], preset);
			// What another mode left of a log goes with the second snapshot.
			for (const value of [2, 3]) {
				await store.set("k", value);
				equal((await store.flush()).level, "disk", `flush of ${preset}`);
			}
			await store.set("k", 4);
			const { log, snapshot } = await store.stats();
			equal([log.bytes, snapshot.bytes > 0], [0, true], `a flush of ${preset} is a snapshot, and there is no log`);
		}
		equal(backend, plain.store.status.backend, "backend");
		const cache = await of({ preset: "cache", maxBytes: 1000 });
		for (let n = 0; n < 20; n++) await cache.store.set(`k${n}`, "x".repeat(100));
		equal([(await cache.store.stats()).liveBytes <= 1000, await cache.store.has("k19")], [true, true], "cache evicts");
		await cache.store.clear();
	},

	async "mode snapshot writes no log, and what came after the last snapshot goes with the page"({
		store,
		reopen,
		open,
		destroy,
		name,
		options,
	}) {
		const mode = "snapshot";
		store = await reopen({ mode });
		equal((await store.set("a", 1)).level, "applied", "level");
		const report = await store.checkpoint();
		equal([report.entries, (await store.stats()).log.bytes], [1, 0], "a checkpoint, and no log");
		await store.set("b", 2);
		store = await reopen({ mode });
		equal(await store.keys().toArray(), ["a", "b"], "closing keeps everything");
		await store.delete("a");
		equal((await store.flush()).level, "disk", "flush");
		const refused = await open(`${name} refused`, { ...options, mode, durability: "always" }).catch(({ code }) => code);
		equal(refused, "OPTION_INVALID", "with a durability");
		store = await reopen({ mode: "hybrid" });
		equal(await store.keys().toArray(), ["b"], "in another mode");
		await store.set("c", 3);
		store = await reopen({ mode });
		equal(await store.keys().toArray(), ["b", "c"], "and back");
		await destroy(`${name} refused`);
	},

	async "mode memory keeps nothing, whatever the backend; mode log keeps all without snapshots"({ store, reopen }) {
		store = await reopen({ mode: "log" });
		for (let n = 0; n < 50; n++) await store.set(`k${n % 10}`, n);
		equal([(await store.stats()).snapshot, (await store.stats()).log.bytes > 0], [undefined, true], "a log alone");
		store = await reopen({ mode: "log" });
		equal([await store.count(), store.status.recovered.source], [10, "log"], "after reopening");
		store = await reopen({ mode: "memory", backend: "auto" });
		equal(
			[store.status.backend, store.status.role, store.status.fresh],
			["memory", "single", true],
			"status of memory",
		);
		equal((await store.set("k", 1)).level, "applied", "level of memory");
		const told = awaited("changes");
		store.watch({}, (changes) => told.push(...changes.map(({ cause }) => cause)));
		await store.set("ttl", 1, { ttl: 20 });
		await store.transaction((tx) => tx.delete("k"));
		equal(await told.of(3), ["set", "delete", "expire"], "watch in memory");
		store = await reopen();
		equal(await store.count(), 10, "what was on disk is there");
	},
};
