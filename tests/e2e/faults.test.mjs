// What a store does when the platform fails it, in real browsers: faults of OPFS and IndexedDB injected below the packed
// package, data damaged or gone between two openings, quotas. Titles begin with the rows of the list of faults.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";
import { mountMissing, mountSmallDisk } from "./small-disk.mjs";

// What the origin may keep where the quota is real.
const QUOTA_BYTES = 20 * 1024 * 1024;
// What a nearly full disk still takes.
const FREE_BYTES = 8 * 1024 * 1024;
// The longest that an answer may take when a request of the platform never gets one.
const ANSWER_MS_MAX = 20_000;

/** Of OPFS and of IndexedDB: those that say there is no room, and those that a store gets over by itself. */
const NO_ROOM = {
	opfs: ["writes return 0", "writes return a meaningless count", "no room"],
	idb: ["commits find no room", "puts are not admitted"],
};
const PASSING = {
	opfs: ["short writes", "the next write fails", "the next flush fails and drops what was written"],
	idb: ["connections close", "connections are lost", "a transaction hangs", "a transaction hangs after its commit"],
};

const DURABILITIES = ["always", "everysec"];

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const name of ["chromium", "firefox"]) {
	describe(`faults in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());
		const scenarioAt = (hash) => (title, body) =>
			test(`${title} (${name})`, () => browser.page(`${site.origin}/${hash}`, (page) => body(page, browser)));
		const scenario = scenarioAt("");
		const withoutWorkers = scenarioAt("#without-workers");

		for (const backend of ["opfs", "idb"]) {
			const each =
				(run, fault, durabilities = DURABILITIES) =>
				async (page) => {
					for (const durability of durabilities) await run(page, { backend, durability }, fault);
				};
			// IndexedDB is used by the page itself where it has no workers.
			for (const [where, scenarioThere] of [
				[backend, scenario],
				...(backend === "idb" ? [["idb, no workers", withoutWorkers]] : []),
			]) {
				for (const fault of NO_ROOM[backend]) {
					const title = `rows 20 21 23 61: ${where}, ${fault}: QUOTA, nothing changed, writes again`;
					scenarioThere(title, each(withoutRoom, fault));
				}
				for (const fault of PASSING[backend]) {
					scenarioThere(`rows 20 24 25 33 35: ${where}, ${fault}: acknowledged, once`, each(carriedOut, fault));
				}
			}
			scenario(`row 12: ${backend}: a flipped bit in the last frame ends the log before it`, (page) =>
				lastFrame(page, backend),
			);
			scenario(`row 48: ${backend}: memory grows while a write is under way`, (page) => memoryGrows(page, backend));
			scenario(`row 49: ${backend}: out of memory`, (page) => outOfMemory(page, backend));
		}
		for (const [backend, fault] of [
			["opfs", "no room"],
			["opfs", "writes fail"],
			["idb", "commits find no room"],
		]) {
			scenario(`row 21: ${backend}, no, ${fault}: a flush does not confirm what was taken back`, (page) =>
				flushTells(page, backend, fault),
			);
		}
		scenario("row 34: idb: an opening that fails twice works", (page) => opensAgain(page, { backend: "idb" }));
		scenario("row 34: auto: a store on IndexedDB whose opening fails twice is not taken for a new one", (page) =>
			opensAgain(page, {}),
		);
		withoutWorkers(
			"row 34: openings that always fail are UNAVAILABLE, also where another backend would do",
			opensNever,
		);
		scenario("row 36: idb: a tab that wants the database for itself gets it at once", (page) =>
			browser.page(site.origin, (other) => givesWay(page, other)),
		);
		for (const backend of ["opfs", "idb"]) {
			scenario(`rows 11 37: ${backend}: everything vanished: told as data loss, refused by strict recovery`, (page) =>
				vanished(page, backend),
			);
		}
		scenario("row 35: openings that hang are TIMEOUT, and give back what they took", opensHang);
		scenario("row 35: a store on IndexedDB opens also where the I/O worker does not come up", workerHangs);
		scenario("row 66: persist() and estimate() that never answer, or are missing", withoutAnswers);
	});
}

// In Chromium deletes give room only when the files are closed (OPFS) or compacted (IndexedDB); Firefox's limit cannot be lifted.
for (const { name, limit, title, full } of [
	{ name: "chromium", limit: overrideQuota, title: "it works again when the quota is lifted", full: liftedQuota },
	{ name: "firefox-small-quota", title: "deletes work; a checkpoint gives room", full: fullStorage },
]) {
	describe(`a full quota in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());
		for (const backend of ["opfs", "idb"]) {
			test(`rows 21 22 23: ${backend}: without room writes are QUOTA; ${title} (${name})`, () =>
				browser.page(site.origin, async (page) => {
					await limit?.(page, QUOTA_BYTES);
					await full(page, backend);
				}));
		}
	});
}

for (const name of ["chromium", "firefox"]) {
	describe(`a full disk under ${name}`, { skip: mountMissing() }, () => {
		let disk;
		let browser;
		before(async () => {
			disk = mountSmallDisk();
			browser = await startBrowser(name, disk.directory);
		});
		after(async () => {
			await browser?.end();
			disk?.unmount();
		});
		for (const backend of ["opfs", "idb"]) {
			test(`rows 61 62: ${backend}: on a full disk writes are QUOTA and deletes work; it works again when there is room (${name})`, () =>
				browser.page(site.origin, (page) => fullDisk(page, disk, backend)));
		}
	});
}

describe("chromium loses its storage", () => {
	let browser;
	before(async () => {
		browser = await startBrowser("chromium");
	});
	after(() => browser?.end());
	for (const backend of ["opfs", "idb"]) {
		test(`rows 33 38: ${backend}: the origin is cleared under an open store: calls are answered, the next page starts anew`, () =>
			browser.page(site.origin, (page) => cleared(page, backend)));
	}
});

for (const { name, backend } of [
	{ name: "chromium-incognito", backend: "opfs" },
	{ name: "firefox-private", backend: "idb" },
]) {
	describe(`private windows in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());
		test(`row 39: auto is ${backend} (${name})`, () =>
			browser.page(site.origin, (page) => privateWindow(page, backend)));
	});
}

async function overrideQuota(page, quotaSize) {
	const session = await page.cdp();
	await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize });
}

/**
 * In the page: writes until several writes in a row find no room, at most so many MiB: `{ error, kept }`, the last error and the
 * numbers of the keys that were acknowledged. The store is a global.
 */
async function fillUp(name, options, mebibytesMax) {
	const REFUSED_MIN = 3;
	globalThis.store = await holdfast.open(name, options);
	// Bytes that no storage engine can compress.
	globalThis.mebibyte = new Uint8Array(1024 * 1024);
	for (let at = 0; at < mebibyte.length; at += 65_536) crypto.getRandomValues(mebibyte.subarray(at, at + 65_536));
	let error;
	let refused = 0;
	const kept = [];
	for (let n = 0; refused < REFUSED_MIN && kept.length < mebibytesMax; n++) {
		const write = store.set(`key:${n}`, mebibyte);
		const failed = await write.then(
			() => undefined,
			() => failure(() => write),
		);
		refused = failed ? refused + 1 : 0;
		if (failed) error = { n, ...failed };
		else kept.push(n);
	}
	return { error, kept };
}

/** Has the storage full, and shows what can be done then and afterwards. */
async function fullStorage(page, backend) {
	const options = { backend, durability: "everysec" };
	const { error, kept } = await page.run(fillUp, `full ${backend}`, options, (2 * QUOTA_BYTES) / 2 ** 20);
	assert.deepEqual([error?.code, error?.retryable], ["QUOTA", false]);
	assert.ok(error.bytesNeeded > 2 ** 20, `bytesNeeded ${error.bytesNeeded}`);
	assert.ok(error.estimate.quota > 0, "estimate");
	assert.ok(kept.length > 0, "some writes were acknowledged");

	const full = await page.run(async (kept) => {
		const keys = await store.keys().toArray();
		const deletes = [];
		for (const n of kept.slice(1)) deletes.push(await store.delete(`key:${n}`));
		return { keys, deletes, count: await store.count(), state: store.status.state };
	}, kept);
	assert.deepEqual(full.keys, kept.map((n) => `key:${n}`).sort(), "what was acknowledged is there, and nothing else");
	assert.deepEqual([full.state, full.count], ["open", 1]);
	assert.ok(full.deletes.every(Boolean), "deletes work");

	const roomy = await page.run(async () => {
		await store.delete("key:0");
		await store.checkpoint();
		await store.set("small", 1);
		await store.checkpoint();
		await store.set("large", mebibyte);
		await store.flush();
		return store.status.state;
	});
	assert.equal(roomy, "open");
	await page.reload();
	const found = await page.run(
		async (name, options) => {
			const store = await holdfast.open(name, options);
			const entries = (await store.entries().toArray()).map(([key, value]) => [key, value.length ?? value]);
			await store.close();
			await holdfast.destroy(name);
			return { entries, dataLoss: store.status.recovered.dataLoss };
		},
		`full ${backend}`,
		options,
	);
	assert.deepEqual(found.entries, [
		["large", 2 ** 20],
		["small", 1],
	]);
	assert.equal(found.dataLoss, undefined);
}

/** Has the storage full for longer than a sync may wait, and then not any more. */
async function liftedQuota(page, backend) {
	const options = { backend, durability: "everysec" };
	const { error, kept } = await page.run(fillUp, `lifted ${backend}`, options, (2 * QUOTA_BYTES) / 2 ** 20);
	assert.deepEqual([error?.code, error?.retryable], ["QUOTA", false]);
	const full = await page.run(async () => {
		const flush = await store.flush().catch(({ code }) => code);
		return { flush, state: store.status.state };
	});
	assert.equal(full.state, "open");
	if (backend === "opfs") assert.equal(full.flush.level, "disk");
	else assert.ok(full.flush.level === "disk" || full.flush === "QUOTA", `${full.flush}`);
	await overrideQuota(page, undefined);
	await page.run(async () => {
		await store.set("later", mebibyte);
		await store.flush();
		await store.checkpoint();
	});
	await page.reload();
	const found = await page.run(
		async (name, options) => {
			const store = await holdfast.open(name, options);
			const keys = await store.keys().toArray();
			await store.close();
			await holdfast.destroy(name);
			return { keys, isWhole: store.status.recovered.dataLoss === undefined };
		},
		`lifted ${backend}`,
		options,
	);
	assert.deepEqual(found, { keys: [...kept.map((n) => `key:${n}`), "later"].sort(), isWhole: true });
}

async function fullDisk(page, disk, backend) {
	const options = { backend, durability: "everysec" };
	disk.fill(FREE_BYTES);
	const { error, kept } = await page.runFor(60_000, fillUp, `disk ${backend}`, options, (2 * FREE_BYTES) / 2 ** 20);
	assert.deepEqual([error?.code, error?.retryable], ["QUOTA", false]);
	disk.empty();
	const { state, missing } = await page.run(async (kept) => {
		await store.set("later", mebibyte);
		await store.flush();
		const missing = [];
		for (const n of kept) if (!(await store.has(`key:${n}`))) missing.push(n);
		return { state: store.status.state, missing };
	}, kept);
	assert.deepEqual([state, missing], ["open", []]);
	await page.reload();
	const found = await page.run(
		async (name, options) => {
			const store = await holdfast.open(name, options);
			const keys = await store.keys().toArray();
			return { keys, dataLoss: store.status.recovered.dataLoss };
		},
		`disk ${backend}`,
		options,
	);
	assert.deepEqual(found.keys, [...kept.map((n) => `key:${n}`), "later"].sort());
	assert.equal(found.dataLoss, undefined);
}

async function cleared(page, backend) {
	const options = { backend, durability: "always" };
	await page.run(
		async (name, options) => {
			globalThis.store = await holdfast.open(name, options);
			await store.set("k", 1);
		},
		`cleared ${backend}`,
		options,
	);
	const session = await page.cdp();
	await session.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "all" });
	const answer = await page.run(async () => {
		const endHurry = hurryTimers(10);
		const answer = await store.set("k", 2).then(
			() => "acknowledged",
			({ code }) => code,
		);
		endHurry();
		return { answer, read: await store.get("k") };
	});
	assert.match(answer.answer, /^(acknowledged|UNAVAILABLE|FENCED|POISONED)$/);
	assert.equal(answer.read, answer.answer === "acknowledged" ? 2 : 1);
	await page.reload();
	const found = await page.run(
		async (name, options) => {
			const store = await holdfast.open(name, options);
			const { fresh } = store.status;
			await store.set("new", 1);
			return { fresh, keys: await store.keys().toArray() };
		},
		`cleared ${backend}`,
		options,
	);
	// A store that was still open may have rescued what it held.
	assert.deepEqual(found, found.fresh ? { fresh: true, keys: ["new"] } : { fresh: false, keys: ["k", "new"] });
}

async function privateWindow(page, backend) {
	const { status, values, opfs } = await page.run(async (backend) => {
		const store = await holdfast.open("private");
		await store.set("k", 1);
		await store.close();
		const again = await holdfast.open("private");
		const values = await again.entries().toArray();
		const opfs = backend === "opfs" ? undefined : await failure(() => holdfast.open("other", { backend: "opfs" }));
		return { status: { ...again.status }, values, opfs: opfs?.code };
	}, backend);
	assert.equal(status.backend, backend);
	assert.deepEqual(values, [["k", 1]]);
	if (backend !== "opfs") assert.equal(opfs, "UNAVAILABLE");
}

/** A write that finds no room is refused and leaves no trace; the next one counts. */
async function withoutRoom(page, options, fault) {
	const found = await page.run(
		async (options, fault) => {
			const name = `${fault}, ${options.durability} ${location.hash}`;
			const { store, strike, relieve } = await openFaulty(fault, name, options);
			await store.setMany([
				["kept", 1],
				["other", 2],
			]);
			const events = [];
			store.on("status", ({ state }) => events.push(state));
			await strike();
			const before = JSON.stringify(await imageOf(store));
			const large = "x".repeat(5000);
			const refused = [
				await failure(() => store.set("kept", large)),
				await failure(() =>
					store.setMany([
						["kept", large],
						["new", 1],
					]),
				),
			];
			const together = await Promise.allSettled([store.set("a", large), store.set("b", large)]);
			const unchanged = before === JSON.stringify(await imageOf(store));
			const removed = fault === "no room" && (await store.delete("other"));
			await relieve();
			await store.setMany([
				["kept", 3],
				["later", large],
			]);
			const { state } = store.status;
			if (!removed) await store.delete("other");
			await store.close();
			const reopened = await holdfast.open(name, options);
			const entries = (await reopened.entries().toArray()).map(([key, value]) => [
				key,
				value === large ? "large" : value,
			]);
			const { dataLoss } = reopened.status.recovered;
			return { refused, together: together.map(({ status }) => status), unchanged, events, state, entries, dataLoss };
		},
		options,
		fault,
	);
	for (const { code, bytesNeeded, estimate, rejects } of found.refused) {
		assert.deepEqual({ code, rejects }, { code: "QUOTA", rejects: true });
		assert.ok(bytesNeeded > 5000, `bytesNeeded ${bytesNeeded}`);
		assert.ok(estimate.quota > 0, "estimate");
	}
	assert.deepEqual(found.together, ["rejected", "rejected"]);
	assert.ok(found.unchanged, "the map is as it was");
	assert.equal(found.state, "open");
	assert.ok(!found.events.includes("readonly"), `${found.events}`);
	assert.deepEqual(found.entries, [
		["kept", 3],
		["later", "large"],
	]);
	assert.equal(found.dataLoss, undefined);
}

/** What the platform failed to do is done another way, and each write counts once. */
async function carriedOut(page, options, fault) {
	const found = await page.run(
		async (options, fault) => {
			const name = `${fault}, ${options.durability} ${location.hash}`;
			const { store, strike, relieve } = await openFaulty(fault, name, options);
			await store.set("gone", 1);
			// The limit for an answer of the platform is 10 s.
			const endHurry = hurryTimers(fault.includes("hangs") ? 10 : 1);
			await strike();
			const answers = await Promise.all([
				store.set("a", 1),
				store.set("b", "y".repeat(5000)),
				store.delete("gone"),
				store.flush(),
			]);
			await store.set("after", 2);
			const { state } = store.status;
			const { seq } = await store.stats();
			endHurry();
			await relieve();
			await store.close();
			const reopened = await holdfast.open(name, options);
			const entries = (await reopened.entries().toArray()).map(([key, value]) => [key, value.length ?? value]);
			return { levels: answers.map((answer) => answer.level ?? answer), state, seq, entries, ...reopened.status };
		},
		options,
		fault,
	);
	const level = options.durability === "always" ? "disk" : "os";
	assert.deepEqual(found.levels, [level, level, true, "disk"]);
	assert.equal(found.state, "open");
	assert.deepEqual(found.entries, [
		["a", 1],
		["after", 2],
		["b", 5000],
	]);
	assert.equal(found.seq, 5, "each write has a seq, and one only");
	assert.equal(found.recovered.seq, 5, "the newest seq found");
	assert.equal(found.recovered.dataLoss, undefined);
}

/** Under "no" a write is acknowledged before it is tried; the flush behind it must not say that it is on disk. */
async function flushTells(page, backend, fault) {
	const found = await page.run(
		async (backend, fault) => {
			const options = { backend, durability: "no" };
			const { store, strike, relieve } = await openFaulty(fault, `flush ${fault}`, options);
			await store.set("a", 1);
			await store.flush();
			await strike();
			const told = new Promise((resolve) => store.on("error", resolve));
			const { level } = await store.set("b", "x".repeat(9000));
			await told;
			const has = await store.has("b");
			const flush = await failure(() => store.flush());
			await relieve();
			return { level, has, code: flush.code };
		},
		backend,
		fault,
	);
	assert.deepEqual([found.level, found.has], ["applied", false]);
	assert.match(found.code, /^(QUOTA|UNAVAILABLE|POISONED)$/);
}

async function lastFrame(page, backend) {
	const { patched, entries, recovered } = await page.run(async (backend) => {
		const options = { backend, durability: "always" };
		const store = await holdfast.open(`bit ${backend}`, options);
		for (const [key, value] of Object.entries({ a: 1, b: 2, c: "the victim" })) await store.set(key, value);
		await store.close();
		const patch = backend === "opfs" ? patchOpfs : patchIndexedDb;
		const patched = await patch(`bit ${backend}`, (bytes) => {
			const at = new TextDecoder("latin1").decode(bytes).indexOf("victim");
			if (at >= 0) bytes[at] ^= 1;
			return at >= 0;
		});
		const reopened = await holdfast.open(`bit ${backend}`, options);
		const entries = await reopened.entries().toArray();
		await reopened.set("d", 4);
		await reopened.close();
		const again = await holdfast.open(`bit ${backend}`, options);
		return { patched, entries, recovered: reopened.status.recovered, again: await again.entries().toArray() };
	}, backend);
	assert.equal(patched, 1, "frames damaged");
	assert.deepEqual(entries, [
		["a", 1],
		["b", 2],
	]);
	assert.ok(recovered.tornBytes > 0 || recovered.dataLoss, "nothing is said of the bytes left out");
}

async function memoryGrows(page, backend) {
	const wrong = await page.run(async (backend) => {
		const fault = backend === "opfs" ? "slow writes" : "puts fail";
		// A checkpoint would go in a hundred small writes, each of them slow.
		const rewrite = { percentage: 1e9, minBytes: 2 ** 40 };
		const { store, strike } = await openFaulty(fault, `memory ${backend}`, { backend, save: [], rewrite });
		await store.set("before", { list: [1, 2, 3] });
		if (backend === "opfs") await strike();
		const bytesOf = (n) => new Uint8Array(4_000_000).fill(n);
		const writes = [store.set("small", "s".repeat(1000))];
		// Each needs more than what is free of the memory that the one before made grow.
		for (let n = 0; n < 4; n++) {
			writes.push(store.set(`large:${n}`, bytesOf(n)));
			await store.get("before");
		}
		await Promise.all(writes);
		await store.close();
		const reopened = await holdfast.open(`memory ${backend}`, { backend });
		const wrong = [];
		for (let n = 0; n < 4; n++) {
			const value = await reopened.get(`large:${n}`);
			if (value?.length !== 4_000_000 || value.some((byte) => byte !== n)) wrong.push(`large:${n}`);
		}
		if ((await reopened.get("small")) !== "s".repeat(1000)) wrong.push("small");
		if (JSON.stringify(await reopened.get("before")) !== '{"list":[1,2,3]}') wrong.push("before");
		return wrong;
	}, backend);
	assert.deepEqual(wrong, []);
}

/** An engine whose memory may not grow beyond some MiB fails with a code, and what it acknowledged is there in the next page. */
async function outOfMemory(page, backend) {
	const { error, later, state, kept, found } = await page.run(async (backend) => {
		const bytes = new Uint8Array(await (await fetch("/package/dist/holdfast.wasm")).arrayBuffer());
		const store = await holdfast.open(`out of memory ${backend}`, { backend, wasm: limitMemory(bytes, 16) });
		let kept = 0;
		let error;
		while (error === undefined) {
			const write = store.set(`key:${kept}`, "v".repeat(200_000));
			error = await write.then(
				() => undefined,
				() => failure(() => write),
			);
			if (error === undefined) kept++;
		}
		const later = await failure(() => store.set("later", 1));
		const { state } = store.status;
		await store.close();
		const again = await holdfast.open(`out of memory ${backend}`, { backend });
		const found = await again.count();
		await again.set("again", 1);
		await again.close();
		return { error, later, state, kept, found };
	}, backend);
	assert.ok(kept > 0, "something was written before");
	assert.ok(found === kept || found === kept + 1, `a new engine finds ${found} of ${kept} entries`);
	assert.ok(["UNAVAILABLE", "TOO_LARGE", "QUOTA"].includes(error.code), error.code);
	assert.ok(["UNAVAILABLE", "POISONED", "TOO_LARGE", "QUOTA"].includes(later.code), `${later.code} in state ${state}`);
	await page.reload();
	const missing = await page.run(
		async (backend, kept) => {
			const store = await holdfast.open(`out of memory ${backend}`, { backend });
			const values = await store.getMany(Array.from({ length: kept }, (_, n) => `key:${n}`));
			return values.flatMap((value, n) => (value === "v".repeat(200_000) ? [] : [n]));
		},
		backend,
		kept,
	);
	assert.deepEqual(missing, []);
}

async function opensAgain(page, options) {
	const { backend, value } = await page.run(async (options) => {
		// Where there are no handles, auto is IndexedDB.
		const name = `again ${options.backend}`;
		const first = await holdfast.open(name, { ...options, worker: faultyWorker("no handles") });
		await first.set("k", 1);
		await first.close();
		strikeIdb("two opens fail");
		const store = await holdfast.open(name, options);
		return { backend: store.status.backend, value: await store.get("k") };
	}, options);
	assert.deepEqual({ backend, value }, { backend: "idb", value: 1 });
}

async function opensNever(page) {
	const { error, elapsedMs, auto, backend, value } = await page.run(async () => {
		const first = await holdfast.open("never", { backend: "idb" });
		await first.set("k", 1);
		await first.close();
		const relieve = strikeIdb("opens fail");
		const began = performance.now();
		const error = await failure(() => holdfast.open("never", { backend: "idb" }));
		const elapsedMs = performance.now() - began;
		const auto = await failure(() => holdfast.open("never"));
		relieve();
		const store = await holdfast.open("never");
		return { error, elapsedMs, auto: auto.code, backend: store.status.backend, value: await store.get("k") };
	});
	assert.deepEqual([error.code, error.retryable, auto], ["UNAVAILABLE", true, "UNAVAILABLE"]);
	assert.deepEqual([backend, value], ["idb", 1]);
	assert.ok(elapsedMs < ANSWER_MS_MAX, `${elapsedMs} ms`);
}

async function givesWay(page, other) {
	await page.run(async () => {
		globalThis.store = await holdfast.open("gives way", { backend: "idb" });
		await store.set("k", 1);
	});
	const waitedMs = await other.run(async () => {
		const began = performance.now();
		const request = indexedDB.open("holdfast:gives way", 2);
		await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }));
		request.result.close();
		return performance.now() - began;
	});
	assert.ok(waitedMs < 1000, `${waitedMs} ms`);
	const found = await page.run(async () => {
		const { code } = await failure(() => store.set("k", 2));
		return { code, value: await store.get("k") };
	});
	assert.deepEqual(found, { code: "VERSION", value: 1 });
}

/** What is left of a store is the record of its birth in the other backend. */
async function vanished(page, backend) {
	const found = await page.run(async (backend) => {
		const name = `vanished ${backend}`;
		const isOpfs = backend === "opfs";
		const born = await holdfast.open(name, isOpfs ? {} : { worker: faultyWorker("no handles") });
		await born.set("k", 1);
		await born.close();
		await (await holdfast.open(name, { recovery: "strict" })).close();
		if (isOpfs) {
			const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
			await root.removeEntry("vanished%20opfs", { recursive: true });
		} else {
			const request = indexedDB.deleteDatabase(`holdfast:${name}`);
			await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }));
		}
		const codes = [
			await failure(() => holdfast.open(name, { recovery: "strict" })),
			await failure(() => holdfast.open(name, { backend: isOpfs ? "idb" : "opfs" })),
		].map(({ code, seq = 0 }) => [code, seq]);
		const store = await holdfast.open(name);
		const loss = await new Promise((resolve) => store.on("dataloss", resolve));
		const { recovered, fresh } = store.status;
		const status = { backend: store.status.backend, source: recovered.source, told: recovered.dataLoss, fresh };
		await store.set("new", 2);
		await store.close();
		const again = await holdfast.open(name, { recovery: "strict" });
		const entries = await again.entries().toArray();
		await again.close();
		await holdfast.destroy(name);
		const anew = await holdfast.open(name, { recovery: "strict" });
		const isFresh = anew.status.fresh;
		await anew.close();
		await holdfast.destroy(name);
		return { codes, loss, status, entries, isFresh };
	}, backend);
	const loss = { from: 1, to: 1, reason: "missing" };
	assert.deepEqual(found, {
		codes: [
			["CORRUPT", 1],
			["OPTION_INVALID", 0],
		],
		loss,
		status: { backend, source: "primary-missing", told: loss, fresh: false },
		entries: [["new", 2]],
		isFresh: true,
	});
}

async function opensHang(page) {
	const answers = await page.run(async () => {
		const { Worker } = globalThis;
		const answers = [];
		const openTimeoutMs = 400;
		const hang = async (title, options, strike) => {
			const first = await holdfast.open(title, options);
			await first.set("k", title);
			await first.close();
			const relieve = strike();
			const began = performance.now();
			const given = { ...options, openTimeoutMs, ...relieve.options };
			const { code, retryable } = await failure(() => holdfast.open(title, given));
			const elapsedMs = performance.now() - began;
			relieve();
			const store = await holdfast.open(title, options);
			answers.push({ title, code, retryable, elapsedMs, value: await store.get("k") });
		};
		globalThis.Worker = undefined;
		await hang("idb", { backend: "idb" }, () => strikeIdb("opens hang"));
		globalThis.Worker = Worker;
		await hang("opfs", { backend: "opfs" }, () =>
			Object.assign(() => {}, { options: { worker: faultyWorker("handles hang") } }),
		);
		return answers;
	});
	for (const { title, code, retryable, elapsedMs, value } of answers) {
		assert.deepEqual({ code, retryable, value }, { code: "TIMEOUT", retryable: true, value: title });
		assert.ok(elapsedMs >= 400 && elapsedMs < ANSWER_MS_MAX, `${title}: ${elapsedMs} ms`);
	}
}

async function workerHangs(page) {
	const values = await page.run(async () => {
		const silent = () => new Worker("/site/silent-worker.mjs", { type: "module" });
		const nothing = new URL("/nothing", location.href);
		const values = [];
		for (const worker of [silent, nothing, silent]) {
			const store = await holdfast.open("worker hangs", { backend: "idb", worker });
			values.push((await store.get("k")) ?? 0);
			await store.set("k", values.at(-1) + 1);
			await store.close();
		}
		return values;
	});
	assert.deepEqual(values, [0, 1, 2]);
}

async function withoutAnswers(page) {
	const found = await page.run(async () => {
		const results = {};
		const cases = {
			silent: () => new Promise(() => {}),
			missing: undefined,
		};
		for (const [title, answer] of Object.entries(cases)) {
			for (const method of ["persist", "persisted", "estimate"]) StorageManager.prototype[method] = answer;
			const { store, strike, relieve } = await openFaulty("commits find no room", title, { backend: "idb" });
			await store.set("k", 1);
			// It waits up to 10 s for the user's answer.
			const endHurry = hurryTimers(100);
			const persist = await store.persist();
			endHurry();
			await strike();
			const { code, estimate } = await failure(() => store.set("k", 2));
			const { persisted } = store.status;
			results[title] = { persist, persisted, code, estimate, k: await store.get("k") };
			await relieve();
			await store.close();
		}
		return results;
	});
	for (const title of ["silent", "missing"]) {
		const { persist, persisted, code, estimate, k } = found[title];
		assert.deepEqual([persist, persisted, code, estimate, k], [false, undefined, "QUOTA", undefined, 1], title);
	}
}
