// Telling what changes.

import { equal } from "../check.mjs";
import { awaited, soon } from "./waiting.mjs";

/** Has the errors that listeners throw taken for what they are meant to be; resolves to them. */
async function thrownMeanwhile(body) {
	const thrown = [];
	const keep = (event) => {
		thrown.push(event.error ?? event.message);
		event.preventDefault();
	};
	addEventListener("error", keep);
	try {
		await body();
	} finally {
		removeEventListener("error", keep);
	}
	return thrown;
}

export const WATCH = {
	async "watch tells key, cause, old, value and version, in order, a batch at a time"({ store }) {
		await store.set("before", 0);
		const batches = awaited("batches");
		store.watch({}, (changes) => batches.push(changes));
		const one = await store.set("a", 1);
		const two = await store.set("a", { n: 2 });
		const many = await store.setMany([
			["b", 1],
			["c", undefined],
			["b", 2],
		]);
		await store.delete("a");
		await store.delete("absent");
		await store.deleteMany(["b", "absent"]);
		await store.update("c", () => 3);
		await store.increment("n");
		await store.clear({ prefix: "c" });
		await store.clear();
		const seqs = (await batches.of(9)).map(([{ version }]) => version);
		equal(
			seqs,
			seqs.toSorted((a, b) => a - b),
			"in the order of their seqs",
		);
		const plain = batches.list.map((changes) => changes.map(({ version, ...change }) => change));
		equal(
			plain,
			[
				[{ key: "a", cause: "set", value: 1 }],
				[{ key: "a", cause: "set", old: 1, value: { n: 2 } }],
				[
					{ key: "b", cause: "set", value: 1 },
					{ key: "c", cause: "set", value: undefined },
					{ key: "b", cause: "set", old: 1, value: 2 },
				],
				[{ key: "a", cause: "delete", old: { n: 2 } }],
				[{ key: "b", cause: "delete", old: 2 }],
				[{ key: "c", cause: "set", old: undefined, value: 3 }],
				[{ key: "n", cause: "set", value: 1 }],
				[{ key: "c", cause: "clear", old: 3 }],
				[
					{ key: "before", cause: "clear", old: 0 },
					{ key: "n", cause: "clear", old: 1 },
				],
			].map((changes) => changes.map(({ key, cause, ...values }) => ({ key, cause, ...values }))),
			"changes",
		);
		equal(seqs.slice(0, 3), [one.seq, two.seq, many.seq], "versions");
		for (const changes of batches.list)
			equal(new Set(changes.map(({ version }) => version)).size, 1, "one seq a batch");
	},

	async "a key, a prefix and a range are told of what is in them"({ store }) {
		const told = {};
		const watch = (name, what) => {
			told[name] = awaited(`changes of ${name}`);
			store.watch(what, (changes) => told[name].push(...changes.map(({ key }) => key)));
		};
		watch("key", "b");
		watch("prefix", { prefix: "b" });
		watch("range", { start: "b:", end: "c" });
		watch("after", { after: "b" });
		watch("all", {});
		await Promise.all(["a", "b", "b:1", "bé", "c", "😀"].map((key) => store.set(key, key)));
		await told.all.of(6);
		equal(
			Object.values(told).map(({ list }) => list),
			[["b"], ["b", "b:1", "bé"], ["b:1", "bé"], ["b:1", "bé", "c", "😀"], ["a", "b", "b:1", "bé", "c", "😀"]],
			"keys told",
		);
	},

	async "told after the commit, with the new state to see, and of what came after the call"({ store }) {
		await store.set("k", 0);
		const unacknowledged = store.set("k", 1);
		const seen = awaited("changes");
		store.watch("k", ([{ old, value, version }]) => seen.push([old, value, version, store.peek("k")]));
		await unacknowledged;
		const { seq } = await store.set("k", 2);
		await seen.of(1);
		equal(seen.list, [[1, 2, seq, 2]], "from the call on");
		await store.transaction((tx) => tx.set("k", 3));
		await seen.of(2);
		equal(seen.list[1].slice(0, 2), [2, 3], "of a transaction");
		const again = awaited("changes");
		store.watch("k", (changes) => again.push(...changes));
		await store.set("k", 4);
		await again.of(1);
		equal(
			again.list.map(({ value }) => value),
			[4],
			"one that came later",
		);
	},

	async "a listener that throws stops nobody; one that is ended is told nothing more"({ store }) {
		const first = awaited("batches");
		const last = awaited("batches");
		let ended = 0;
		const errors = await thrownMeanwhile(async () => {
			store.watch("k", (changes) => first.push(changes));
			store.watch("k", () => {
				throw new Error("of a listener");
			});
			const end = store.watch("k", () => {
				ended++;
				end();
				end();
			});
			const never = store.watch("k", () => {
				throw new Error("it was ended before anything was written");
			});
			never();
			store.watch("k", (changes) => last.push(changes));
			for (const value of [1, 2, 3]) await store.set("k", value);
			await Promise.all([first.of(3), last.of(3)]);
		});
		equal(
			errors.map((error) => error.message ?? error).filter((text) => !/of a listener/.test(text)),
			[],
			"other errors",
		);
		equal([errors.length, ended], [3, 1], "what was thrown, and calls of the one that ended itself");
	},

	async "what a listener writes is told after what it was told of"({ store }) {
		const seen = awaited("changes");
		store.watch("a", ([{ value }]) => {
			seen.push(`a ${value}`);
			if (value < 3) store.set("a", value + 1);
			store.set("b", value);
		});
		store.watch("b", ([{ value }]) => seen.push(`b ${value}`));
		await store.set("a", 1);
		equal((await seen.of(6)).toSorted(), ["a 1", "a 2", "a 3", "b 1", "b 2", "b 3"], "all of it");
		equal(
			seen.list.filter((text) => text.startsWith("a")),
			["a 1", "a 2", "a 3"],
			"in order",
		);
	},

	async "changes gives one after another and ends with the store"({ store, reopen }) {
		const got = [];
		const begun = awaited("changes");
		const reading = (async () => {
			for await (const { key, value, cause } of store.changes({ prefix: "k" })) {
				got.push([key, value, cause]);
				begun.push(key);
			}
			return "ended";
		})();
		await store.setMany({ k1: 1, other: 1, k2: 2 });
		await begun.of(2);
		await Promise.all([store.set("k3", 3), store.delete("k1")]);
		// Acknowledged, so it has to come, though the store is closed before anybody had the thread.
		await store.set("k4", 4);
		await reopen();
		equal(await soon(reading, "the end of changes"), "ended", "the loop ended");
		equal(
			got,
			[
				["k1", 1, "set"],
				["k2", 2, "set"],
				["k3", 3, "set"],
				["k1", undefined, "delete"],
				["k4", 4, "set"],
			],
			"changes",
		);
	},

	async "leaving a loop over changes ends it, and each loop has its own"({ store }) {
		const changes = store.changes("k");
		const one = changes[Symbol.asyncIterator]();
		const other = changes[Symbol.asyncIterator]();
		const nexts = [one.next(), one.next(), other.next()];
		await store.set("k", 1);
		await store.set("k", 2);
		equal(
			(await Promise.all(nexts)).map(({ value }) => value.value),
			[1, 2, 1],
			"each its own",
		);
		await one.return();
		equal(await one.next(), { value: undefined, done: true }, "after return");
		equal((await other.next()).value.value, 2, "the other goes on");
	},

	async "what was acknowledged before close is told, what is closed says so"({ store, reopen, open, name, options }) {
		const told = awaited("changes");
		store.watch({}, (changes) => told.push(...changes.map(({ value }) => value)));
		// The part that tells is there.
		await store.set("k", 1);
		await told.of(1);
		const last = store.set("k", 2);
		const closed = store.close();
		await Promise.all([last, closed]);
		await told.of(2);
		equal(told.list, [1, 2], "changes");
		for (const call of [() => store.watch("k", () => {}), () => store.changes("k")[Symbol.asyncIterator]().next()]) {
			const code = await Promise.resolve()
				.then(call)
				.then(
					() => "taken",
					({ code }) => code,
				);
			equal(code, "CLOSED", "a closed store");
		}
		const again = await open(name, options);
		await again.close();
		await reopen();
	},
};
