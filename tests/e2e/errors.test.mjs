// Every error code that a store can raise, through the public API of the packed package in real browsers; and that what
// is refused changes nothing.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

// What the origin may keep where the tests are about a full quota.
const QUOTA_BYTES = 20 * 1024 * 1024;

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const name of ["chromium", "firefox"]) {
	describe(`errors in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());
		const scenario = (title, body) =>
			test(`${name}: ${title}`, () => browser.page(site.origin, (page) => body(page, browser)));

		for (const backend of ["opfs", "idb"]) {
			scenario(`LOCKED on ${backend}: another tab holds the store for itself, until it closes it`, (page) =>
				locked(page, browser, backend),
			);
			scenario(`POISONED on ${backend}: where nothing can be written any more the store is read-only`, (page) =>
				poisoned(page, backend),
			);
			scenario(
				`row 2: UNAVAILABLE on ${backend}: the I/O worker ends; what was acknowledged is there for the next opening`,
				(page) => workerEnds(page, backend),
			);
		}
		scenario("LOCKED: destroy() of a store that is open", destroyLocked);
		scenario("CLOSED: every call after close()", closed);
		scenario("KEY_INVALID: keys that are no keys change nothing", invalidKeys);
		scenario("VALUE_INVALID: values that cannot be stored change nothing and say where", invalidValues);
		scenario("OPTION_INVALID: options with values they cannot have", invalidOptions);
		scenario("TOO_LARGE: a value above the limit changes nothing", tooLarge);
		scenario("UNAVAILABLE: storage, worker or wasm that cannot be had", unavailable);
		scenario("row 39: auto falls back to IndexedDB and then to memory, and says so", fallsBack);
		scenario("TIMEOUT: a worker that never answers; what was taken is given back", timedOut);
		scenario("CORRUPT: strict recovery refuses damaged bytes, pointInTime serves what is before them", corrupt);
		scenario("VERSION: bytes or a database of a newer format", newerVersion);
		scenario("FENCED: of two engines on one database only the newer one writes", (page) => fenced(page, browser));
		test(`${name}: WASM_BLOCKED: a page whose policy forbids WebAssembly`, () =>
			browser.page(`${site.origin}/no-wasm`, wasmBlocked));
	});
}

for (const { name, limit, lift } of [
	{ name: "chromium", limit: overrideQuota, lift: (page) => overrideQuota(page, undefined) },
	{ name: "firefox-small-quota", limit: () => {}, lift: undefined },
]) {
	describe(`a full quota in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		for (const backend of ["opfs", "idb"]) {
			test(`${name}: QUOTA on ${backend}: what is refused changes nothing, deletes work, and a checkpoint makes room`, () =>
				browser.page(site.origin, async (page) => {
					await limit(page, QUOTA_BYTES);
					const { error, state, refused, removed, kept, missing } = await page.run(fillUp, backend, QUOTA_BYTES);
					assert.equal(error.code, "QUOTA");
					assert.equal(error.retryable, false);
					assert.ok(error.bytesNeeded > 0, "bytesNeeded");
					assert.ok(kept > 0, "some writes were acknowledged");
					assert.equal(state, "open");
					assert.equal(refused, false, "what was refused is not there");
					// Browsers may put off giving back what was deleted from a database, the reserve too.
					if (backend === "opfs" || !String(removed).startsWith("QUOTA"))
						assert.equal(removed, true, "a delete on the full store");
					assert.deepEqual(missing, []);
					await page.reload();
					assert.deepEqual(await page.run(readKept, backend, kept), []);
					await lift?.(page);
					assert.equal(await page.run(writeAgain, backend, kept), true);
				}));
		}
	});
}

async function overrideQuota(page, quotaSize) {
	const session = await page.cdp();
	await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize });
}

/** In the page: writes until the store refuses, at most twice the quota. */
async function fillUp(backend, quotaBytes) {
	const store = await holdfast.open(`quota ${backend}`, { backend, durability: "always" });
	const bytes = new Uint8Array(1024 * 1024);
	// Bytes that no storage engine can compress.
	for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
	let kept = 0;
	let error;
	while (error === undefined && kept < (2 * quotaBytes) / bytes.length) {
		const written = store.set(`key:${kept}`, bytes);
		const refused = await written.then(
			() => undefined,
			() => failure(() => written),
		);
		if (refused) error = refused;
		else kept++;
	}
	const refused = await store.has(`key:${kept}`);
	const removed = await store.delete(`key:${--kept}`).catch(({ code, bytesNeeded }) => `${code}, ${bytesNeeded} bytes`);
	const missing = [];
	for (let n = 0; n < kept; n++) if (!(await store.has(`key:${n}`))) missing.push(n);
	return { error, state: store.status.state, refused, removed, kept, missing };
}

/** In the page: the acknowledged keys that are not there. */
async function readKept(backend, kept) {
	globalThis.store = await holdfast.open(`quota ${backend}`, { backend });
	const values = await store.getMany(Array.from({ length: kept }, (_, n) => `key:${n}`));
	return values.flatMap((value, n) => (value?.length === 1024 * 1024 ? [] : [n]));
}

/** In the page, on the store that `readKept` opened: makes room and uses it. */
async function writeAgain(backend, kept) {
	await store.deleteMany(Array.from({ length: kept }, (_, n) => `key:${n}`));
	// The snapshot before the newest is kept, so it takes two.
	for (const round of [1, 2]) {
		await store.set("round", round);
		await store.checkpoint();
	}
	await store.set("again", new Uint8Array(1024 * 1024));
	await store.flush();
	const isThere = await store.has("again");
	await store.close();
	await holdfast.destroy(`quota ${backend}`);
	return isThere;
}

async function locked(page, browser, backend) {
	const store = [`locked ${backend}`, { backend, multiTab: false }];
	const refused = (name, options) => failure(() => holdfast.open(name, options));
	await page.run(
		async (name, options) => {
			globalThis.store = await holdfast.open(name, options);
			await globalThis.store.set("mine", 1);
		},
		...store,
	);
	await browser.page(site.origin, async (other) => {
		for (const { code, retryable } of await Promise.all([page.run(refused, ...store), other.run(refused, ...store)])) {
			assert.deepEqual({ code, retryable }, { code: "LOCKED", retryable: true });
		}
		await page.run(async () => {
			await store.set("still mine", 2);
			await store.close();
		});
		const entries = await other.run(
			async (name, options) => {
				const store = await holdfast.open(name, options);
				return store.entries().toArray();
			},
			...store,
		);
		assert.deepEqual(entries, [
			["mine", 1],
			["still mine", 2],
		]);
	});
}

async function destroyLocked(page) {
	const backends = ["opfs", "idb"];
	const found = await page.run(
		(backends) =>
			Promise.all(
				backends.map(async (backend) => {
					const name = `destroyed ${backend}`;
					const store = await holdfast.open(name, { backend });
					await store.set("k", 1);
					const error = await failure(() => holdfast.destroy(name));
					await store.set("l", 2);
					await store.close();
					const listed = async () => (await holdfast.stores()).filter((row) => row.name === name);
					const before = await listed();
					await holdfast.destroy(name);
					const after = await listed();
					const again = await holdfast.open(name, { backend });
					const { fresh } = again.status;
					const entries = await again.count();
					await again.close();
					return { error, before, after, fresh, entries };
				}),
			),
		backends,
	);
	for (const [at, { error, before, after, fresh, entries }] of found.entries()) {
		assert.equal(error.code, "LOCKED");
		assert.deepEqual(
			before.map(({ backend, bytes }) => ({ backend, isEmpty: bytes === 0 })),
			[{ backend: backends[at], isEmpty: false }],
		);
		assert.deepEqual({ after, fresh, entries }, { after: [], fresh: true, entries: 0 });
	}
}

async function closed(page) {
	const { failures, state } = await page.run(async () => {
		const store = await holdfast.open("closed");
		await store.set("k", 1);
		await store.close();
		const calls = {
			get: () => store.get("k"),
			peek: () => store.peek("k"),
			has: () => store.has("k"),
			set: () => store.set("k", 2),
			delete: () => store.delete("k"),
			clear: () => store.clear(),
			getMany: () => store.getMany(["k"]),
			setMany: () => store.setMany([["k", 2]]),
			deleteMany: () => store.deleteMany(["k"]),
			keys: () => store.keys().toArray(),
			values: () => store.values().toArray(),
			entries: () => store.entries().toArray(),
			count: () => store.count(),
			flush: () => store.flush(),
			checkpoint: () => store.checkpoint(),
			stats: () => store.stats(),
		};
		const failures = [];
		for (const [call, action] of Object.entries(calls)) failures.push({ call, ...(await failure(action)) });
		return { failures, state: store.status.state };
	});
	for (const { call, code, retryable } of failures)
		assert.deepEqual({ call, code, retryable }, { call, code: "CLOSED", retryable: false });
	assert.equal(state, "closed");
}

async function invalidKeys(page) {
	const { failures, unchanged } = await page.run(async () => {
		const store = await holdfast.open("key invalid");
		await store.set("k".repeat(1024), 1);
		await store.set("ž".repeat(512), 2);
		const before = JSON.stringify(await imageOf(store));
		const failures = [];
		const bad = ["", "k".repeat(1025), "ž".repeat(513), "a\uD800", "\uDFFFa", 1, null, undefined, {}, Symbol("key")];
		for (const [at, key] of bad.entries()) {
			const calls = {
				get: () => store.get(key),
				peek: () => store.peek(key),
				has: () => store.has(key),
				set: () => store.set(key, 1),
				delete: () => store.delete(key),
				getMany: () => store.getMany(["good", key]),
				setMany: () =>
					store.setMany([
						["good", 1],
						[key, 1],
					]),
				deleteMany: () => store.deleteMany(["k".repeat(1024), key]),
			};
			for (const [call, action] of Object.entries(calls)) failures.push({ at, call, ...(await failure(action)) });
		}
		return { failures, unchanged: before === JSON.stringify(await imageOf(store)) };
	});
	for (const { at, call, code, rejects } of failures) {
		assert.deepEqual({ at, call, code, rejects }, { at, call, code: "KEY_INVALID", rejects: call !== "peek" });
	}
	assert.ok(unchanged, "the store is as it was");
}

async function invalidValues(page) {
	const { failures, unchanged } = await page.run(async () => {
		const store = await holdfast.open("value invalid");
		await store.set("k", 1);
		const before = JSON.stringify(await imageOf(store));
		const detached = new ArrayBuffer(8);
		structuredClone(detached, { transfer: [detached] });
		let deep = [];
		for (let level = 0; level < 5_000; level++) deep = [deep];
		const throws = {
			get mine() {
				throw new Error("from a getter");
			},
		};
		const bad = [
			{ value: () => 1, path: "" },
			{ value: Symbol("value"), path: "" },
			{ value: document.body, path: "" },
			{ value: { a: { b: [1, { c: () => 1 }] } }, path: "a.b[1].c" },
			{ value: [0, Symbol("inner")], path: "[1]" },
			{ value: { deep: new WeakMap() }, path: "deep" },
			{ value: { promise: Promise.resolve() }, path: "promise" },
			{ value: { blob: new Blob(["b"]) }, path: "blob" },
			{ value: throws, path: "mine" },
			{ value: { detached }, path: "detached" },
			{ value: new Map([["k", () => 1]]) },
			{ value: new Set([() => 1]) },
			{ value: deep },
		];
		const failures = [];
		for (const [at, { value, path }] of bad.entries()) {
			failures.push({ at, call: "set", expected: path, ...(await failure(() => store.set("k", value))) });
			failures.push({
				at,
				call: "setMany",
				...(await failure(() =>
					store.setMany([
						["good", 1],
						["k", value],
					]),
				)),
			});
		}
		return { failures, unchanged: before === JSON.stringify(await imageOf(store)) };
	});
	for (const { at, call, code, rejects, path, expected } of failures) {
		assert.deepEqual({ at, call, code, rejects }, { at, call, code: "VALUE_INVALID", rejects: true });
		if (expected !== undefined) assert.equal(path, expected, `path of value ${at}`);
	}
	assert.ok(unchanged, "the store is as it was");
}

async function invalidOptions(page) {
	const { failures, ofSet, unchanged, listed } = await page.run(async () => {
		const bad = [
			{ durability: "sometimes" },
			{ mode: "append" },
			{ backend: "disk" },
			{ recovery: "lenient" },
			{ values: "shared" },
			{ preset: "speed" },
			{ save: "often" },
			{ save: [[0, 1]] },
			{ save: [[1]] },
			{ rewrite: { percentage: 0, minBytes: 1 << 20 } },
			{ rewrite: { percentage: 100, minBytes: -1 } },
			{ openTimeoutMs: -1 },
			{ openTimeoutMs: "soon" },
		];
		const failures = [];
		for (const options of bad) {
			failures.push({ options, ...(await failure(() => holdfast.open("option invalid", options))) });
		}
		const listed = (await holdfast.stores()).some(({ name }) => name === "option invalid");
		const store = await holdfast.open("option invalid");
		await store.set("k", 1);
		const before = JSON.stringify(await imageOf(store));
		const ofSet = await failure(() => store.set("k", 2, { durability: "sometimes" }));
		return { failures, ofSet, unchanged: before === JSON.stringify(await imageOf(store)), listed };
	});
	for (const { options, code, rejects } of failures) {
		assert.deepEqual({ options, code, rejects }, { options, code: "OPTION_INVALID", rejects: true });
	}
	assert.equal(listed, false, "a store that was refused was not made");
	assert.equal(ofSet.code, "OPTION_INVALID");
	assert.ok(unchanged, "the store is as it was");
}

async function tooLarge(page) {
	const { error, unchanged } = await page.run(async () => {
		const store = await holdfast.open("too large");
		await store.set("k", 1);
		const before = JSON.stringify(await imageOf(store));
		const error = await failure(() => store.set("k", new Uint8Array(256 * 1024 * 1024 + 1)));
		return { error, unchanged: before === JSON.stringify(await imageOf(store)) };
	});
	assert.equal(error.code, "TOO_LARGE");
	assert.ok(error.bytesNeeded > 256 * 1024 * 1024);
	assert.ok(unchanged, "the store is as it was");
}

async function unavailable(page) {
	const failures = await page.run(async () => {
		const nothing = new URL("/nothing", location.href);
		const cases = {
			// First: wasm is loaded once in a page.
			"wasm at a URL with nothing": { backend: "idb", wasm: nothing },
			"a worker at a URL with nothing": { backend: "opfs", worker: nothing },
			"a browser without sync handles": { backend: "opfs", worker: faultyWorker("no handles") },
			"a browser that refuses the directory": { backend: "opfs", worker: faultyWorker("no directory") },
		};
		const failures = [];
		for (const [title, options] of Object.entries(cases)) {
			failures.push({ title, ...(await failure(() => holdfast.open("unavailable", options))) });
		}
		strikeIdb("opens are refused");
		const worker = faultyWorker("no storage");
		failures.push({
			title: "IndexedDB refused",
			...(await failure(() => holdfast.open("unavailable", { backend: "idb", worker }))),
		});
		return failures;
	});
	for (const { title, code, retryable } of failures) {
		assert.deepEqual({ title, code, retryable }, { title, code: "UNAVAILABLE", retryable: true });
	}
}

async function fallsBack(page) {
	const { idb, kept, memory } = await page.run(async () => {
		const noHandles = { worker: faultyWorker("no handles") };
		const first = await holdfast.open("fallback", noHandles);
		await first.set("k", 1);
		const idb = { ...first.status };
		await first.close();
		const second = await holdfast.open("fallback", noHandles);
		const kept = await second.get("k");
		await second.close();
		strikeIdb("opens are refused");
		const third = await holdfast.open("fallback to memory", { worker: faultyWorker("no storage") });
		await third.set("k", 1);
		return { idb, kept, memory: { ...third.status, value: await third.get("k") } };
	});
	assert.equal(idb.backend, "idb");
	assert.match(idb.fallback, /opfs/i);
	assert.equal(kept, 1);
	assert.equal(memory.backend, "memory");
	assert.match(memory.fallback, /memory|idb|IndexedDB/i);
	assert.equal(memory.value, 1);
}

async function poisoned(page, backend) {
	const faults =
		backend === "opfs"
			? [
					{ fault: "writes fail", code: "UNAVAILABLE" },
					{ fault: "flushes fail", code: "UNAVAILABLE", durability: "always" },
				]
			: [{ fault: "puts fail", code: "UNAVAILABLE" }];
	for (const { fault, code, durability = "everysec" } of faults) {
		const name = `poisoned: ${fault}`;
		const found = await page.run(poisonAndReopen, name, { backend, durability }, fault);
		assert.equal(found.write.code, code, fault);
		for (const { call, code, cause } of found.later)
			assert.deepEqual({ fault, call, code }, { fault, call, code: "POISONED" }, cause);
		assert.equal(found.state, "readonly", fault);
		assert.deepEqual(found.told, [code, "readonly"], fault);
		assert.equal(found.read, 1, fault);
		assert.equal(found.kept, 1, fault);
		assert.equal(found.dataLoss, undefined, fault);
		assert.equal(found.again, 3, fault);
		// What failed to be written is not there; what failed only to be synced may be.
		if (fault !== "flushes fail") assert.equal(found.lost, undefined, fault);
	}
}

/** In the page. */
async function poisonAndReopen(name, options, fault) {
	const { store, strike } = await openFaulty(fault, name, options);
	await store.set("kept", 1);
	await strike();
	const told = Promise.all([
		new Promise((resolve) => store.on("error", ({ code }) => resolve(code))),
		new Promise((resolve) => store.on("status", ({ state }) => resolve(state))),
	]);
	const write = await failure(() => store.set("lost", 2));
	const later = [];
	for (const [call, action] of Object.entries({
		set: () => store.set("later", 1),
		delete: () => store.delete("kept"),
		clear: () => store.clear(),
		setMany: () => store.setMany([["later", 1]]),
		deleteMany: () => store.deleteMany(["kept"]),
	})) {
		later.push({ call, ...(await failure(action)) });
	}
	const read = await store.get("kept");
	const { state } = store.status;
	await store.close().catch(() => {});
	const reopened = await holdfast.open(name, options);
	const [kept, lost] = await reopened.getMany(["kept", "lost"]);
	const { dataLoss } = reopened.status.recovered;
	await reopened.set("again", 3);
	const again = await reopened.get("again");
	await reopened.close();
	return { write, later, told: await told, read, state, kept, lost, dataLoss, again };
}

async function workerEnds(page, backend) {
	const { waiting, later, read, state, kept } = await page.run(async (backend) => {
		let io;
		const worker = () => {
			io = new Worker("/package/dist/worker.js", { type: "module" });
			return io;
		};
		const store = await holdfast.open("worker ends", { backend, worker, durability: "always" });
		await store.set("kept", 1);
		io.terminate();
		const waiting = await failure(() => store.set("lost", 2));
		const later = await failure(() => store.set("later", 3));
		const read = [await store.get("kept"), await store.has("lost")];
		const { state } = store.status;
		await store.close().catch(() => {});
		const next = await holdfast.open("worker ends", { backend });
		const kept = await next.get("kept");
		await next.close();
		await holdfast.destroy("worker ends");
		return { waiting, later, read, state, kept };
	}, backend);
	assert.equal(waiting.code, "UNAVAILABLE");
	assert.equal(later.code, "POISONED");
	assert.deepEqual(read, [1, false]);
	assert.equal(state, "readonly");
	assert.equal(kept, 1);
}

async function timedOut(page) {
	const { error, waitedMs, value } = await page.run(async () => {
		const silent = () => new Worker("/site/silent-worker.mjs", { type: "module" });
		const began = performance.now();
		const error = await failure(() =>
			holdfast.open("timeout", { backend: "opfs", worker: silent, openTimeoutMs: 300 }),
		);
		const waitedMs = performance.now() - began;
		const store = await holdfast.open("timeout", { backend: "opfs" });
		await store.set("k", 1);
		return { error, waitedMs, value: await store.get("k") };
	});
	assert.equal(error.code, "TIMEOUT");
	assert.equal(error.retryable, true);
	assert.ok(waitedMs >= 300 && waitedMs < 5_000, `${waitedMs} ms`);
	assert.equal(value, 1);
}

async function corrupt(page) {
	const { patched, strict, loose } = await page.run(async () => {
		const options = { backend: "idb", durability: "always" };
		const store = await holdfast.open("corrupt", options);
		for (const [key, value] of Object.entries({ a: 1, b: "the victim", c: 3, d: 4 })) await store.set(key, value);
		await store.close();
		const patched = await patchIndexedDb("corrupt", (bytes) => {
			const at = new TextDecoder("latin1").decode(bytes).indexOf("victim");
			if (at >= 0) bytes[at] ^= 1;
			return at >= 0;
		});
		const refuse = () => failure(() => holdfast.open("corrupt", { ...options, recovery: "strict" }));
		const strict = [await refuse(), await refuse()];
		const again = await holdfast.open("corrupt", options);
		const told = await new Promise((resolve) => again.on("dataloss", resolve));
		const loose = { entries: await again.entries().toArray(), dataLoss: again.status.recovered.dataLoss, told };
		await again.close();
		return { patched, strict, loose };
	});
	assert.equal(patched, 1, "records damaged");
	for (const { code, retryable } of strict)
		assert.deepEqual({ code, retryable }, { code: "CORRUPT", retryable: false });
	assert.deepEqual(loose.entries, [["a", 1]]);
	assert.deepEqual(loose.told, loose.dataLoss);
	assert.equal(loose.dataLoss.from, 2);
	assert.ok(loose.dataLoss.to >= 3, `data loss up to ${loose.dataLoss.to}`);
}

async function newerVersion(page) {
	const { patched, newerLog, restored, newerDatabase } = await page.run(async () => {
		const options = { backend: "idb", durability: "always" };
		const store = await holdfast.open("version", options);
		await store.set("k", 1);
		await store.close();
		// A segment begins with its magic and its version, twice (FORMAT.md).
		const setVersion = (version) => (bytes) => {
			if (new TextDecoder("latin1").decode(bytes.subarray(0, 5)) !== "HFLOG") return false;
			const view = new DataView(bytes.buffer, bytes.byteOffset);
			view.setUint32(8, version, true);
			view.setUint32(64 + 8, version, true);
			return true;
		};
		const patched = await patchIndexedDb("version", setVersion(2));
		const newerLog = await failure(() => holdfast.open("version", options));
		await patchIndexedDb("version", setVersion(1));
		const again = await holdfast.open("version", options);
		const restored = await again.entries().toArray();
		await again.close();
		const raised = indexedDB.open("holdfast:version", 2);
		await new Promise((resolve, reject) => Object.assign(raised, { onsuccess: resolve, onerror: reject }));
		raised.result.close();
		return { patched, newerLog, restored, newerDatabase: await failure(() => holdfast.open("version", options)) };
	});
	assert.ok(patched > 0, "segments patched");
	assert.equal(newerLog.code, "VERSION");
	assert.equal(newerLog.retryable, false);
	assert.deepEqual(restored, [["k", 1]], "what was refused is untouched");
	assert.equal(newerDatabase.code, "VERSION");
}

async function fenced(page, browser) {
	// Without Web Locks nothing keeps two tabs apart but the storage itself.
	const openWithoutLocks = async () => {
		Object.defineProperty(navigator, "locks", { value: undefined });
		globalThis.store = await holdfast.open("fenced", { backend: "idb", durability: "always" });
		return store.entries().toArray();
	};
	await page.run(openWithoutLocks);
	await page.run(() => store.set("first", 1));
	await browser.page(site.origin, async (newer) => {
		assert.deepEqual(await newer.run(openWithoutLocks), [["first", 1]]);
		await newer.run(() => store.set("second", 2));
		const overtaken = await page.run(() => failure(() => store.set("third", 3)));
		assert.equal(overtaken.code, "FENCED");
		assert.equal((await page.run(() => failure(() => store.set("fourth", 4)))).code, "POISONED");
		await newer.run(() => store.set("fifth", 5));
		await newer.reload();
		assert.deepEqual(await newer.run(openWithoutLocks), [
			["fifth", 5],
			["first", 1],
			["second", 2],
		]);
	});
}

async function wasmBlocked(page) {
	const error = await page.run(() => failure(() => holdfast.open("blocked", { backend: "idb" })));
	assert.equal(error.code, "WASM_BLOCKED");
	assert.match(error.message, /wasm-unsafe-eval/);
	assert.equal(error.retryable, false);
}
