// What calls of the built package cost between JavaScript and wasm, in counts that do not depend on the machine: how often wasm is called.
// What they cost behind that is counted in tests/costs.rs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ROOT, TARGET } from "../../scripts/toolchain.mjs";

/** How often each export of the engine was called. */
const calls = new Map();

/** An instance whose exports count their calls; its memory and what else it exports is as it was. */
globalThis.WebAssembly.Instance = class extends WebAssembly.Instance {
	constructor(...given) {
		super(...given);
		const counted = Object.entries(this.exports).map(([name, value]) => {
			if (typeof value !== "function") return [name, value];
			const call = (...args) => {
				calls.set(name, (calls.get(name) ?? 0) + 1);
				return value(...args);
			};
			return [name, call];
		});
		Object.defineProperty(this, "exports", { value: Object.fromEntries(counted) });
	}
};

const { open } = await import(`${ROOT}/dist/index.js`);
const wasm = readFileSync(`${ROOT}/dist/holdfast.wasm`);

/** The names that `src/wasm.rs` gives the exports, by those that the build gives them. */
const names = Object.fromEntries(
	Object.entries(JSON.parse(readFileSync(`${TARGET}/bindgen/exports.json`, "utf8"))).map(([name, short]) => [
		short,
		name,
	]),
);

/**
 * How often which call of the engine is made while `run` runs. Left out: what promises and tasks of its own go on with, and the
 * call that makes the scratch area larger.
 */
async function callsOf(run) {
	calls.clear();
	await run();
	const named = [...calls].map(([short, count]) => [names[short] ?? short, count]);
	return Object.fromEntries(named.filter(([name]) => name.startsWith("engine_") && name !== "engine_scratch"));
}

const ENTRIES = 10_000;
const keyOf = (at) => `user:${String(at).padStart(11, "0")}`;
const entries = Array.from({ length: ENTRIES }, (_, at) => [keyOf(at), { at, name: `user ${at}`, active: true }]);

test("what calls cost in calls of wasm", async (t) => {
	const store = await open("costs", { backend: "memory", wasm });
	const frozen = await open("costs frozen", { backend: "memory", values: "frozen", wasm });
	await store.setMany(entries);
	await frozen.setMany(entries);
	const cost = (name, wanted, run) => t.test(name, async () => assert.deepEqual(await callsOf(run), wanted));

	await cost("a get is one", { engine_get: 1000 }, async () => {
		for (let at = 0; at < 1000; at++) assert.equal((await store.get(keyOf(at))).at, at);
	});
	await cost("so is one of what is not there", { engine_get: 1 }, async () =>
		assert.equal(await store.get("absent"), undefined),
	);
	await cost("getMany of 1,000 keys is one", { engine_get_many: 1 }, async () => {
		assert.equal((await store.getMany(entries.slice(0, 1000).map(([key]) => key))).length, 1000);
	});
	await cost("a shared value is decoded once, and then costs none", { engine_get: 1 }, async () => {
		for (let times = 0; times < 100; times++) assert.equal((await frozen.get(keyOf(7))).at, 7);
	});
	await cost("a set is one", { engine_write: 1000 }, async () => {
		for (let at = 0; at < 1000; at++) await store.set(...entries[at]);
	});
	await cost("setMany of 10,000 entries is one", { engine_write: 1 }, () => store.setMany(entries));
	await cost(
		"a walk over 10,000 entries is one for 128 of them",
		{ engine_scan: Math.ceil(ENTRIES / 128) },
		async () => {
			assert.equal((await store.entries({ prefix: "user:" }).toArray()).length, ENTRIES);
		},
	);
	await store.close();
	await frozen.close();
});
