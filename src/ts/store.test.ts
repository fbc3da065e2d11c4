/** The store over an engine that acknowledges, fails and moves its memory on demand. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeEngine, openFake } from "./engine.fixture.js";
import { Acknowledgements } from "./engine.js";
import { HoldfastError } from "./error.js";
import type { Status } from "./types.js";

/** What the promise came to so far: everything that is to happen has happened in microtasks and a turn of the loop. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
	const turn = new Promise((resolve) => setImmediate(resolve, "pending"));
	return Promise.race([promise.catch((error) => error), turn]);
}

const code = (error: unknown) => (error as HoldfastError).code;
const trap = () => new WebAssembly.RuntimeError("unreachable");

async function rejects(promise: Promise<unknown>, expected: string): Promise<HoldfastError> {
	try {
		await promise;
	} catch (error) {
		assert(error instanceof HoldfastError, String(error));
		assert.equal(error.code, expected, error.message);
		return error;
	}
	assert.fail(`did not fail with ${expected}`);
}

describe("acknowledgements", () => {
	it("come in the order of seqs, each at its level", async () => {
		const acknowledgements = new Acknowledgements(0, 0);
		const order: string[] = [];
		const wait = (seq: number, level: number) =>
			acknowledgements.wait(seq, level, `${seq}@${level}`).then((answer) => order.push(answer));
		wait(1, 1);
		wait(1, 2);
		wait(2, 1);
		wait(3, 1);
		wait(3, 2);
		await outcome(Promise.resolve());
		assert.deepEqual(order, []);
		acknowledgements.progress(2, 0);
		await outcome(Promise.resolve());
		assert.deepEqual(order, ["1@1", "2@1"]);
		acknowledgements.progress(3, 2);
		await outcome(Promise.resolve());
		assert.deepEqual(order, ["1@1", "2@1", "3@1", "1@2"]);
		acknowledgements.progress(3, 3);
		await outcome(Promise.resolve());
		assert.deepEqual(order, ["1@1", "2@1", "3@1", "1@2", "3@2"]);
	});

	it("of what is reached come at once", async () => {
		const acknowledgements = new Acknowledgements(7, 5);
		assert.equal(await outcome(acknowledgements.wait(100, 0, "applied")), "applied");
		assert.equal(await outcome(acknowledgements.wait(7, 1, "os")), "os");
		assert.equal(await outcome(acknowledgements.wait(5, 2, "disk")), "disk");
		assert.equal(await outcome(acknowledgements.wait(6, 2, "disk")), "pending");
	});

	it("fail all that wait, and only those", async () => {
		const acknowledgements = new Acknowledgements(0, 0);
		const answers = [1, 2, 3].map((seq) => acknowledgements.wait(seq, 1, seq));
		acknowledgements.progress(1, 0);
		acknowledgements.detach()("failed");
		assert.deepEqual(await Promise.all(answers.map(outcome)), [1, "failed", "failed"]);
		acknowledgements.progress(3, 0);
		assert.equal(await acknowledgements.wait(3, 1, "later"), "later");
	});

	it("keep their order over many waits that overlap", async () => {
		const acknowledgements = new Acknowledgements(0, 0);
		const answers: number[] = [];
		for (let seq = 1; seq <= 5000; seq++) {
			acknowledgements.wait(seq, 1, seq).then((answer) => answers.push(answer));
			if (seq > 10) acknowledgements.progress(seq - 10 + (seq % 7), 0);
		}
		acknowledgements.progress(5000, 0);
		await outcome(Promise.resolve());
		assert.deepEqual(
			answers,
			Array.from({ length: 5000 }, (_, i) => i + 1),
		);
	});
});

describe("levels", () => {
	it("are those of the durability, raised by the call", async () => {
		for (const [durability, level, name] of [
			["no", 0, "applied"],
			["everysec", 1, "os"],
			["always", 2, "disk"],
		] as const) {
			const { store, engine } = openFake({ durability });
			const plain = store.set("k", 1);
			const raised = store.set("k", 2, { durability: "always" });
			assert.deepEqual(engine.levels, [level, 2]);
			assert.equal((await outcome(plain)) === "pending", level > 0);
			assert.equal(await outcome(raised), "pending");
			engine.reach(2, 0);
			assert.equal((await outcome(plain)) === "pending", level > 1);
			engine.reach(2, 2);
			assert.deepEqual(await plain, { seq: 1, level: name });
			assert.deepEqual(await raised, { seq: 2, level: "disk" });
			assert.equal(store.status.promise.level, name);
			assert.equal(store.status.promise.powerCut, level === 0 ? "no" : "best-effort");
		}
	});

	it("end at applied where nothing is below memory", async () => {
		const { store } = openFake({ backend: "memory", durability: "always" });
		assert.deepEqual(await store.set("k", 1), { seq: 1, level: "applied" });
		assert.deepEqual(await store.set("k", 1, { durability: "always" }), { seq: 2, level: "applied" });
		assert.deepEqual(store.status.promise, { level: "applied", powerCut: "no" });
	});

	it("hold for every kind of write", async () => {
		const { store, engine } = openFake();
		const writes = [
			store.setMany({ a: 1, b: 2, c: 3, d: 4 }),
			store.delete("a"),
			store.deleteMany(["b", "x"]),
			store.clear({ prefix: "c" }),
			store.clear(),
			store.flush(),
		];
		for (const write of writes) assert.equal(await outcome(write), "pending");
		engine.reach(5, 0);
		const all = [{ seq: 1, level: "os" }, true, 1, 1, 1];
		for (const [i, expected] of all.entries()) assert.deepEqual(await writes[i], expected);
		assert.equal(await outcome(writes[5] as Promise<unknown>), "pending");
		engine.reach(5, 5);
		assert.deepEqual(await writes[5], { seq: 5, level: "disk" });
	});

	it("are not waited for where nothing changed", async () => {
		const { store } = openFake({ durability: "always" });
		assert.equal(await store.delete("a"), false);
		assert.equal(await store.deleteMany(["a", "b"]), 0);
		assert.equal(await store.clear(), 0);
		assert.equal(await store.clear({ prefix: "a" }), 0);
		assert.deepEqual(await store.setMany([]), { seq: 0, level: "disk" });
	});
});

describe("keys and values through wasm memory", () => {
	const open = () => openFake({ durability: "no" }).store;

	it("come back although memory moves under every call", async () => {
		const store = open();
		const values = {
			text: "x".repeat(200_000),
			object: { list: [1, { a: null }], when: new Date(5) },
			bytes: new Uint8Array(300_000).fill(7),
			empty: new Uint8Array(),
			undefined: undefined,
		};
		for (const [key, value] of Object.entries(values)) await store.set(key, value);
		for (const [key, value] of Object.entries(values)) {
			assert.deepEqual(await store.get(key), value);
			assert.deepEqual(store.peek(key), value);
			assert.equal(await store.has(key), true);
		}
		assert.deepEqual(await store.getMany(["bytes", "none", "object", "object"]), [
			values.bytes,
			undefined,
			values.object,
			values.object,
		]);
		assert.equal(await store.count(), 5);
		assert.deepEqual(await store.keys().toArray(), ["bytes", "empty", "object", "text", "undefined"]);
		assert.deepEqual(await store.values({ start: "t" }).toArray(), [values.text, undefined]);
	});

	it("entries may be pairs, a Map, an object or a generator that uses the store", async () => {
		const store = open();
		await store.set("n", 20);
		await store.setMany([["a", 1]]);
		await store.setMany(new Map([["b", 2]]));
		await store.setMany({ c: 3 });
		await store.setMany(
			(function* () {
				yield ["d", store.peek("n")] as const;
				void store.set("n", 21);
				yield ["e", store.peek("n")] as const;
			})(),
		);
		assert.deepEqual(await store.entries().toArray(), [
			["a", 1],
			["b", 2],
			["c", 3],
			["d", 20],
			["e", 21],
			["n", 21],
		]);
	});

	it("a bad entry in the middle changes nothing", async () => {
		const store = open();
		await store.set("a", "before");
		const bad = { nested: [() => {}] };
		const error = await rejects(store.setMany({ a: "after", b: bad, c: 1 }), "VALUE_INVALID");
		assert.equal(error.path, "nested[0]");
		assert.match(error.message, /"b"/);
		await rejects(
			store.setMany([
				["a", 1],
				["", 2],
			]),
			"KEY_INVALID",
		);
		await rejects(store.setMany([["a", 1], 5 as never]), "OPTION_INVALID");
		await rejects(store.setMany(5 as never), "OPTION_INVALID");
		await rejects(store.deleteMany(["a", ""]), "KEY_INVALID");
		assert.deepEqual(await store.entries().toArray(), [["a", "before"]]);
	});

	it("a large batch gives way to others, and is still one", async () => {
		const { store, engine } = openFake({ durability: "no" });
		let turns = 0;
		const count = setInterval(() => turns++);
		const entries = (function* () {
			// For ever, if nobody else ever gets a turn.
			const end = performance.now() + 10_000;
			for (let i = 0; i < 500 || (turns < 2 && performance.now() < end); i++) yield [`key:${i % 500}`, { i }] as const;
		})();
		const done = store.setMany(entries);
		assert.equal(await store.count(), 0, "nothing is there before all is");
		assert.deepEqual(await done, { seq: 1, level: "applied" });
		clearInterval(count);
		assert(turns > 1, `${turns} turns`);
		assert.equal(await store.count(), 500);
		assert.equal(engine.figures()[0], 1);
	});

	it("an accessor may call the store while its value is stored", async () => {
		const store = open();
		await store.set("a", "before");
		const value = {
			get now() {
				void store.set("a", { list: ["x".repeat(300), undefined] });
				return store.peek("a");
			},
			after: undefined,
		};
		await store.set("b", value);
		await store.setMany({ c: value });
		const now = { list: ["x".repeat(300), undefined] };
		assert.deepEqual(await store.entries().toArray(), [
			["a", now],
			["b", { now, after: undefined }],
			["c", { now, after: undefined }],
		]);
	});

	it("no key at all removes nothing", async () => {
		const store = open();
		await store.set("a", 1);
		for (const key of [undefined, null, "", []] as never[]) {
			await rejects(store.delete(key), "KEY_INVALID");
			await rejects(store.deleteMany([key]), "KEY_INVALID");
		}
		assert.equal(await store.deleteMany([]), 0);
		assert.equal(await store.count(), 1);
	});

	it("an accessor may use another store of the same memory", async () => {
		const engine = new FakeEngine();
		const { store } = openFake({ durability: "no" }, engine);
		const value = {
			before: ["b", undefined],
			get moving() {
				engine.move();
				return "m";
			},
			after: new Uint8Array([1]),
		};
		await store.set("key", value);
		assert.deepEqual(await store.entries().toArray(), [
			["key", { before: ["b", undefined], moving: "m", after: new Uint8Array([1]) }],
		]);
	});

	it("a small batch is stored at the call, however slow the day", async () => {
		const store = open();
		const { now } = performance;
		let slowMs = 0;
		performance.now = () => {
			slowMs += 1000;
			return slowMs;
		};
		try {
			void store.setMany(Array.from({ length: 999 }, (_, i) => [`k${i}`, i] as const));
			assert.equal(store.peek("k998"), 998);
		} finally {
			performance.now = now;
		}
	});

	it("a value that cannot be stored leaves the store working", async () => {
		const store = open();
		const error = await rejects(store.set("k", { a: Symbol("s") }), "VALUE_INVALID");
		assert.equal(error.path, "a");
		await store.set("k", 2);
		assert.equal(store.peek("k"), 2);
		await rejects(store.set("k", 3, { tll: 5 } as never), "OPTION_INVALID");
		assert.equal(store.peek("k"), 2);
	});
});

describe("walks", () => {
	const filled = async (count: number) => {
		const { store } = openFake({ durability: "no" });
		const keys = Array.from({ length: count }, (_, i) => `k${String(i).padStart(4, "0")}`);
		await store.setMany(keys.map((key, i) => [key, i] as const));
		return { store, keys };
	};

	it("read everything in blocks, forwards and backwards", async () => {
		for (const count of [0, 1, 127, 128, 129, 300]) {
			const { store, keys } = await filled(count);
			assert.deepEqual(await store.keys().toArray(), keys);
			assert.deepEqual(await store.keys({ reverse: true }).toArray(), keys.toReversed());
			const walked: unknown[] = [];
			for await (const entry of store.entries()) walked.push(entry);
			assert.deepEqual(
				walked,
				keys.map((key, i) => [key, i]),
			);
			assert.equal(await store.count({}), count);
		}
	});

	it("keep to their limit", async () => {
		const { store, keys } = await filled(300);
		for (const limit of [0, 1, 128, 200, 1000]) {
			assert.deepEqual(await store.keys({ limit }).toArray(), keys.slice(0, limit));
			assert.deepEqual(
				await store.values({ limit, reverse: true }).toArray(),
				keys
					.map((_, i) => i)
					.reverse()
					.slice(0, limit),
			);
			assert.equal(await store.count({ limit }), Math.min(limit, 300));
		}
		assert.equal(await store.clear({ limit: 2, reverse: true }), 2);
		assert.deepEqual(await store.keys({ start: "k0297" }).toArray(), ["k0297"]);
	});

	it("see what stays exactly once while others come and go", async () => {
		for (const reverse of [false, true]) {
			const { store, keys } = await filled(300);
			const seen: string[] = [];
			for await (const [key] of store.entries({ reverse })) {
				seen.push(key);
				const other = keys[seen.length];
				if (other) await store.delete(other);
				await store.set(`new:${seen.length}`, 1);
			}
			for (const key of keys)
				if (await store.has(key)) assert.equal(seen.filter((other) => other === key).length, 1, key);
		}
	});

	it("can be left and walked again", async () => {
		const { store, keys } = await filled(200);
		const listing = store.keys();
		for await (const key of listing) {
			assert.equal(key, keys[0]);
			break;
		}
		assert.deepEqual(await listing.toArray(), keys);
	});
});

describe("frozen values", () => {
	it("are shared until the key changes", async () => {
		const { store } = openFake({ durability: "no", values: "frozen" });
		const changes: (() => Promise<unknown>)[] = [
			() => store.set("k", { n: [2] }),
			() => store.setMany({ k: { n: [2] } }),
			() => store.delete("k"),
			() => store.deleteMany(["k"]),
			() => store.clear({ prefix: "k" }),
			() => store.clear(),
		];
		for (const change of changes) {
			await store.set("k", { n: [1] });
			const first = store.peek("k") as { n: number[] };
			assert(Object.isFrozen(first) && Object.isFrozen(first.n));
			assert.equal(await store.get("k"), first);
			await change();
			assert.notEqual(store.peek("k"), first);
			assert.notDeepEqual(store.peek("k"), { n: [1] });
		}
	});

	it("with what cannot be frozen are copies", async () => {
		const { store } = openFake({ durability: "no", values: "frozen" });
		await store.set("k", { when: new Date(1), list: [new Map([["a", 1]])] });
		const first = store.peek("k") as { when: Date };
		first.when.setTime(2);
		assert.deepEqual(store.peek("k"), { when: new Date(1), list: [new Map([["a", 1]])] });
	});

	it("are bounded", async () => {
		const { store } = openFake({ durability: "no", values: "frozen" });
		await store.setMany(Array.from({ length: 40 }, (_, i) => [`k${i}`, { text: "x".repeat(1 << 20) }] as const));
		const first = store.peek("k0");
		for (let i = 1; i < 40; i++) store.peek(`k${i}`);
		assert.notEqual(store.peek("k0"), first);
		assert.equal(store.peek("k0"), store.peek("k0"));
		await store.set("k39", "new");
		for (let i = 1; i < 20; i++) store.peek(`k${i}`);
		assert.equal(store.peek("k39"), "new");
		const older = store.peek("k19");
		for (let i = 1; i < 10; i++) store.peek(`k${i}`);
		assert.equal(store.peek("k19"), older, "the newest half is kept");
		await store.set("k19", "new");
		assert.equal(store.peek("k19"), "new");
	});

	it("in walks and getMany are frozen too", async () => {
		const { store } = openFake({ durability: "no", values: "frozen" });
		await store.set("k", { n: [1] });
		for (const value of [...(await store.values().toArray()), ...(await store.getMany(["k"]))] as { n: number[] }[])
			assert(Object.isFrozen(value.n));
	});
});

describe("failures", () => {
	it("a failed write rejects what waits, and is told", async () => {
		const { store, engine } = openFake();
		const errors: HoldfastError[] = [];
		const statuses: Status[] = [];
		store.on("error", (error) => errors.push(error));
		store.on("status", (status) => statuses.push(status));
		const writes = [store.set("a", 1), store.set("b", 2), store.flush()];
		engine.notify(1, 1, 0, { code: "UNAVAILABLE", message: "the disk is gone", cause: "EIO" });
		assert.deepEqual(await writes[0], { seq: 1, level: "os" });
		const error = await rejects(writes[1] as Promise<unknown>, "UNAVAILABLE");
		assert.equal(error.message, "the disk is gone");
		assert.equal(error.cause, "EIO");
		await rejects(writes[2] as Promise<unknown>, "UNAVAILABLE");
		await outcome(Promise.resolve());
		assert.deepEqual(errors.map(code), ["UNAVAILABLE"]);
		assert.equal(statuses.length, 1);
	});

	it("a write that was taken back is rejected even if its seq is given to another", async () => {
		const { store, engine } = openFake();
		const statuses: Status[] = [];
		store.on("status", (status) => statuses.push(status));
		const [first, second, flushed] = [store.set("a", 1), store.set("b", 2), store.flush()];
		engine.notify(3, 1, 0, { code: "QUOTA", message: "the disk is full", bytesNeeded: 50 });
		engine.notify(0, 2, 2, undefined);
		assert.deepEqual(await first, { seq: 1, level: "os" });
		assert.equal((await rejects(second as Promise<unknown>, "QUOTA")).bytesNeeded, 50);
		await rejects(flushed as Promise<unknown>, "QUOTA");
		assert.equal(statuses.length, 1);
	});

	it("what was read before writes were taken back is read again, whatever its version says", async () => {
		const { store, engine } = openFake({ durability: "no" });
		await store.set("a", 1);
		const runs = { transaction: 0, update: 0 };
		const takeBackOnce = (run: number) => {
			if (run === 1) engine.notify(3, 0, 0, { code: "QUOTA", message: "the disk is full", bytesNeeded: 50 });
		};
		await store.transaction(async (tx) => {
			await tx.get("a");
			takeBackOnce(++runs.transaction);
			tx.set("b", runs.transaction);
		});
		await store.update("a", async () => {
			takeBackOnce(++runs.update);
			return runs.update;
		});
		assert.deepEqual(runs, { transaction: 2, update: 2 });
		assert.deepEqual([store.peek("a"), store.peek("b")], [2, 2]);
	});

	it("what the engine refuses is a HoldfastError, where it is asked", async () => {
		const { store, engine } = openFake();
		engine.thrown = { code: "POISONED", message: "read-only", seq: 3 };
		const error = await rejects(store.set("a", 1), "POISONED");
		assert.equal(error.seq, 3);
		engine.thrown = { code: "CORRUPT", message: "bad" };
		assert.throws(
			() => store.peek("a"),
			(thrown) => thrown instanceof HoldfastError && thrown.code === "CORRUPT",
		);
	});

	it("QUOTA says how much room there is, when the browser says it", async () => {
		const estimate = { usage: 9, quota: 10 };
		const { store, engine } = openFake();
		const storage = { estimate: async () => estimate };
		Object.defineProperty(globalThis, "navigator", { value: { storage }, configurable: true });
		try {
			const write = store.set("a", 1);
			engine.notify(1, 0, 0, { code: "QUOTA", message: "full", bytesNeeded: 5 });
			const error = await rejects(write, "QUOTA");
			assert.deepEqual([error.bytesNeeded, error.estimate, error.retryable], [5, estimate, false]);
			engine.thrown = { code: "QUOTA", message: "full" };
			assert.deepEqual((await rejects(store.set("a", 1), "QUOTA")).estimate, estimate);
		} finally {
			Reflect.deleteProperty(globalThis, "navigator");
		}
	});

	it("a failed checkpoint is told; one that ended is not", async () => {
		const { store, engine } = openFake();
		const errors: HoldfastError[] = [];
		store.on("error", (error) => errors.push(error));
		engine.notify(2, 0, 0, { seq: 1, entries: 1 });
		engine.notify(2, 0, 0, { code: "QUOTA", message: "full" });
		await outcome(Promise.resolve());
		assert.deepEqual(errors.map(code), ["QUOTA"]);
	});

	it("a trap ends every store of the instance, and nothing calls it again", async () => {
		const engine = new FakeEngine();
		const { store, released } = openFake({}, engine);
		const other = openFake({}, engine).store;
		const errors: unknown[] = [];
		other.on("error", (error) => errors.push(error));
		const waiting = other.set("a", 1);
		engine.thrown = trap();
		const error = await rejects(store.set("a", 1), "UNAVAILABLE");
		assert.equal(error.retryable, false);
		assert(error.cause instanceof WebAssembly.RuntimeError);
		assert.equal(await outcome(waiting), error);
		engine.thrown = new Error("called again");
		assert.equal(await outcome(store.get("a")), error);
		assert.equal(await outcome(other.flush()), error);
		assert.equal(other.status.state, "degraded");
		assert.equal(other.status.cause, error);
		assert.deepEqual(errors, [error]);
		assert.equal(store.status.state, "degraded");
		await store.close();
		assert.deepEqual(released, ["released"]);
		assert.equal(engine.isClosed, false);
	});

	it("a trap while it is asked how it is, or closed, keeps nothing", async () => {
		const { store, engine, released } = openFake();
		engine.thrown = trap();
		assert.equal(store.status.state, "degraded");
		const closing = openFake();
		closing.engine.close = async () => {
			closing.engine.thrown = trap();
		};
		await closing.store.close();
		assert.deepEqual(closing.released, ["released"]);
		await store.close();
		assert.deepEqual(released, ["released"]);
	});

	it("what the caller's own code throws stays what it is", async () => {
		const { store } = openFake();
		const mine = new TypeError("mine");
		const entries = (function* (): Generator<readonly [string, unknown]> {
			yield ["a", 1];
			throw mine;
		})();
		assert.equal(await outcome(store.setMany(entries)), mine);
		assert.equal(store.status.state, "open");
	});
});

describe("events", () => {
	it("data loss is kept for the first listener", async () => {
		const engine = new FakeEngine();
		engine.dataLoss = { from: 3, to: 9, reason: "corrupt" };
		const { store } = openFake({}, engine);
		await outcome(Promise.resolve());
		const heard: unknown[] = [];
		store.on("dataloss", (loss) => heard.push(loss));
		store.on("dataloss", () => heard.push("second"));
		await outcome(Promise.resolve());
		assert.deepEqual(heard, [{ from: 3, to: 9, reason: "corrupt" }, "second"]);
		store.on("dataloss", () => heard.push("third"));
		await outcome(Promise.resolve());
		assert.equal(heard.length, 2);
	});

	it("onStatus hears of the opening, with the data loss, and of the end", async () => {
		const engine = new FakeEngine();
		engine.dataLoss = { from: 3, to: 9, reason: "corrupt" };
		const statuses: Status[] = [];
		const { store } = openFake({ onStatus: (status) => statuses.push(status) }, engine);
		await outcome(Promise.resolve());
		assert.deepEqual(
			statuses.map(({ state, recovered }) => [state, recovered.dataLoss?.from]),
			[["open", 3]],
		);
		await store.close();
		await outcome(Promise.resolve());
		assert.deepEqual(
			statuses.map(({ state }) => state),
			["open", "closed"],
		);
	});

	it("a listener that throws does not stop the others, and is not swallowed", async () => {
		const { store, engine } = openFake();
		const heard: string[] = [];
		const mine = new Error("mine");
		const reported: unknown[] = [];
		const { reportError } = globalThis;
		globalThis.reportError = (error) => reported.push(error);
		store.on("error", () => {
			throw mine;
		});
		const end = store.on("error", () => heard.push("ended"));
		store.on("error", () => heard.push("second"));
		end();
		engine.notify(2, 0, 0, { code: "QUOTA", message: "full" });
		await outcome(Promise.resolve());
		globalThis.reportError = reportError;
		assert.deepEqual(reported, [mine]);
		assert.deepEqual(heard, ["second"]);
	});

	it("listeners may call the store", async () => {
		const { store, engine } = openFake();
		const read = new Promise((resolve) => store.on("error", () => resolve(store.peek("a"))));
		void store.set("a", 5);
		engine.notify(2, 0, 0, { code: "QUOTA", message: "full" });
		assert.equal(await read, 5);
	});

	it("others are refused", () => {
		const { store } = openFake();
		assert.throws(
			() => store.on("closed" as never, () => {}),
			(error) => code(error) === "OPTION_INVALID",
		);
		assert.throws(
			() => store.on("error", 5 as never),
			(error) => code(error) === "OPTION_INVALID",
		);
	});
});

describe("close", () => {
	it("drains, gives everything back, and ends every call", async () => {
		const { store, engine, released } = openFake();
		const write = store.set("a", 1);
		const closing = store.close();
		assert.equal(store.close(), closing);
		await closing;
		assert.deepEqual(await write, { seq: 1, level: "os" });
		assert.deepEqual(released, ["released"]);
		await new Promise((resolve) => setTimeout(resolve));
		assert.equal(engine.isFreed, true);
		engine.thrown = new Error("called again");
		const calls: (() => unknown)[] = [
			() => store.get("a"),
			() => store.has("a"),
			() => store.count(),
			() => store.count({}),
			() => store.set("a", 1),
			() => store.delete("a"),
			() => store.clear(),
			() => store.getMany(["a"]),
			() => store.setMany({ a: 1 }),
			() => store.deleteMany(["a"]),
			() => store.keys().toArray(),
			() => store.values({ reverse: true }).toArray(),
			() => store.entries()[Symbol.asyncIterator]().next(),
			() => store.flush(),
			() => store.checkpoint(),
			() => store.stats(),
			() => store.persist(),
		];
		for (const call of calls) await rejects(call() as Promise<unknown>, "CLOSED");
		assert.throws(
			() => store.peek("a"),
			(error) => code(error) === "CLOSED",
		);
		assert.equal(store.status.state, "closed");
	});

	it("gives everything back when it fails too", async () => {
		const { store, engine, released } = openFake();
		const write = store.set("a", 1);
		engine.thrown = { code: "QUOTA", message: "full" };
		await rejects(store.close(), "QUOTA");
		await rejects(write, "CLOSED");
		assert.deepEqual(released, ["released"]);
	});

	it("is what `await using` does", async () => {
		const { store } = openFake();
		await store[Symbol.asyncDispose]();
		assert.equal(store.status.state, "closed");
	});
});
