// Versions, conditions, `update` and `increment`.

import { equal, failure } from "../check.mjs";
import { deferred, turn } from "./waiting.mjs";

const seqOf = async (store) => (await store.stats()).seq;

/** The action ends with that code and changes nothing. */
async function refused(store, code, action, what) {
	const before = [await store.entries().toArray(), await seqOf(store)];
	equal((await failure(action)).code, code, what);
	equal([await store.entries().toArray(), await seqOf(store)], before, `${what}: nothing is changed`);
}

export const CONDITIONS = {
	async "the version of an entry is the seq that wrote it"({ store, reopen }) {
		const { seq } = await store.set("a", 1);
		equal(await store.entry("a"), { value: 1, version: seq }, "entry");
		equal(await store.entry("absent"), undefined, "entry of a key that is not there");
		const batch = await store.setMany({ b: 1, c: 2 });
		equal([(await store.entry("b")).version, (await store.entry("c")).version], [batch.seq, batch.seq], "of a batch");
		await store.checkpoint();
		store = await reopen();
		equal((await store.entry("a")).version, seq, "after a checkpoint and reopening");
		equal((await store.set("a", 2)).seq > batch.seq, true, "versions grow");
	},

	async "ifAbsent and ifVersion: a condition that does not hold is CONFLICT and changes nothing"({ store }) {
		const { seq } = await store.set("a", 1);
		await refused(store, "CONFLICT", () => store.set("a", 2, { ifAbsent: true }), "ifAbsent");
		await refused(store, "CONFLICT", () => store.set("a", 2, { ifVersion: seq + 1 }), "ifVersion");
		await refused(store, "CONFLICT", () => store.set("a", 2, { ifVersion: 0 }), "ifVersion 0");
		await refused(
			store,
			"CONFLICT",
			() => store.set("b", 2, { ifVersion: seq }),
			"ifVersion of a key that is not there",
		);
		await refused(store, "CONFLICT", () => store.delete("a", { ifVersion: seq + 1 }), "delete");
		await refused(store, "CONFLICT", () => store.setMany({ b: 1, a: 2 }, { ifAbsent: true }), "one of several keys");
		await refused(store, "CONFLICT", () => store.deleteMany(["a", "b"], { ifVersion: seq }), "deleteMany");
		await refused(store, "OPTION_INVALID", () => store.set("a", 2, { ifAbsent: true, ifVersion: 1 }), "both");
		await refused(store, "OPTION_INVALID", () => store.set("a", 2, { ifVersion: -1 }), "no version");
		const second = await store.set("a", 2, { ifVersion: seq });
		await store.set("b", 1, { ifAbsent: true });
		await store.set("c", 1, { ifVersion: 0 });
		equal(await store.delete("a", { ifVersion: second.seq }), true, "delete");
		equal(
			await store.entries().toArray(),
			[
				["b", 1],
				["c", 1],
			],
			"what holds is done",
		);
		const answers = await Promise.allSettled(
			Array.from({ length: 20 }, (_, at) => store.set("once", at, { ifAbsent: true })),
		);
		equal(answers.filter(({ status }) => status === "fulfilled").length, 1, "of twenty at once one is first");
		equal(await store.get("once"), 0, "the first");
	},

	async "update stores what it is given, removes at undefined, and keeps the expiry"({ store }) {
		equal(await store.update("n", (old) => (old ?? 0) + 1), 1, "of none");
		equal(await store.update("n", async (old) => old + 1), 2, "of a promise");
		equal(await store.get("n"), 2, "stored");
		equal(await store.update("n", () => undefined), undefined, "undefined");
		equal(await store.has("n"), false, "removed");
		const seq = await seqOf(store);
		equal(await store.update("n", () => undefined), undefined, "undefined, and nothing there");
		equal(await seqOf(store), seq, "nothing written");
		const expiresAt = Date.now() + 3_600_000;
		await store.set("e", { n: 1 }, { expiresAt });
		await store.update("e", ({ n }) => ({ n: n + 1 }));
		const { value, expiresAt: kept } = await store.entry("e");
		equal([value, kept], [{ n: 2 }, expiresAt], "the expiry stays");
		await store.update("e", (old) => old, { expiresAt: expiresAt + 1 });
		equal((await store.entry("e")).expiresAt, expiresAt + 1, "or is the one given");
		const thrown = new Error("of the body");
		const caught = await store
			.update("e", () => {
				throw thrown;
			})
			.catch((error) => error);
		equal(caught === thrown, true, "its own error");
		await refused(store, "CONFLICT", () => store.update("e", () => 1, { ifAbsent: true }), "ifAbsent");
	},

	async "update runs again when it is overtaken while it waits, at most eight times"({ store }) {
		await store.set("k", 1);
		const { promise: gate, resolve: open } = deferred();
		const { promise: begun, resolve: begin } = deferred();
		const seen = [];
		const updated = store.update("k", async (old) => {
			seen.push(old);
			begin();
			if (seen.length === 1) await gate;
			return old + 10;
		});
		await begun;
		await store.set("k", 2);
		open();
		equal(await updated, 12, "of the newer value");
		equal(seen, [1, 2], "what it saw");
		let runs = 0;
		const never = failure(() =>
			store.update("k", async (old) => {
				runs++;
				await store.set("k", `overtaken ${runs}`);
				return old;
			}),
		);
		equal([(await never).code, runs, await store.get("k")], ["CONFLICT", 8, "overtaken 8"], "always overtaken");
		await store.set("k", 0);
		await Promise.all(
			Array.from({ length: 5 }, () =>
				store.update("k", async (old) => {
					await turn();
					return old + 1;
				}),
			),
		);
		equal(await store.get("k"), 5, "five at once");
	},

	async "increment is exact, a hundred at once too, and refuses what is no integer"({ store, reopen }) {
		equal(await store.increment("n"), 1, "of none");
		equal(await store.increment("n", 41), 42, "by 41");
		equal(await store.increment("n", -2), 40, "by -2");
		const sums = await Promise.all(Array.from({ length: 100 }, () => store.increment("n")));
		equal(
			sums,
			Array.from({ length: 100 }, (_, at) => 41 + at),
			"a hundred at once",
		);
		await store.set("max", Number.MAX_SAFE_INTEGER - 1);
		equal(await store.increment("max"), Number.MAX_SAFE_INTEGER, "up to 2^53 - 1");
		await refused(store, "VALUE_INVALID", () => store.increment("max"), "above it");
		await store.setMany({ text: "1", float: 0.5, null: null, big: 1n });
		for (const key of ["text", "float", "null", "big"])
			await refused(store, "VALUE_INVALID", () => store.increment(key), key);
		for (const by of [0.5, Number.NaN, "1", 2 ** 53])
			await refused(store, "VALUE_INVALID", () => store.increment("n", by), `by ${by}`);
		const expiresAt = Date.now() + 3_600_000;
		await store.set("e", 1, { expiresAt });
		await store.increment("e");
		equal((await store.entry("e")).expiresAt, expiresAt, "the expiry stays");
		store = await reopen();
		equal(await store.get("n"), 140, "after reopening");
	},
};
