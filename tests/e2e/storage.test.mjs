// What a store keeps, through the public API of the packed package, in real browsers on both backends: over a reload, and
// over SIGKILL of the whole browser and a restart on the same profile.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { CHECK_NAMES } from "./site/checks.mjs";
import { packPackage, startSite } from "./site.mjs";
import { startWebkit, webkitMissing } from "./webkit.mjs";

const LEVELS = { always: "disk", everysec: "os", no: "applied" };
// Acknowledged writes of every writer before the browser is killed, and the write after which a writer flushes.
const WRITES_MIN = 300;
const FLUSH_AFTER = 150;
// How much longer a slow platform takes (site/faults.mjs).
const SLOW_MS = 200;
// Small enough for checkpoints to run while the browser is killed.
const REWRITE = { percentage: 100, minBytes: 256 * 1024 };

const BROWSERS = [
	{ name: "chromium", backends: ["opfs", "idb"] },
	{ name: "chromium-sqlite", backends: ["idb"] },
	{ name: "firefox", backends: ["opfs", "idb"] },
];

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const { name, backends } of BROWSERS) {
	describe(name, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		for (const backend of backends) {
			for (const durability of Object.keys(LEVELS)) {
				test(`${name}, ${backend}, ${durability}: what was written is read after a reload`, () =>
					browser.page(site.origin, (page) => writeReloadRead(page, { backend, durability })));
			}
			test(`${name}, ${backend}: SIGKILL in the middle of writes, restart on the same profile`, (t) =>
				writeKillRead(t, browser, backend));
			// A dedicated worker does itself what a page has its I/O worker do.
			for (const place of ["Page", "Worker"]) {
				test(`${name}, ${backend}: the API in a ${place.toLowerCase()}`, (t) =>
					browser.page(site.origin, (page) => checkApi(t, page, backend, place)));
			}
		}
		test(`${name}, idb: a write is one transaction, and asks the browser for nothing else`, () =>
			browser.page(`${site.origin}/#without-workers`, writesInOneTransaction));
		test(`${name}: backend "memory" is a store that keeps nothing`, () =>
			browser.page(site.origin, (page) =>
				page.run((...given) => checkInPage(...given), "memory keeps nothing", "memory", { backend: "memory" }),
			));
		if (backends.includes("opfs")) {
			test(`${name}, opfs: a write is acknowledged after the platform's write returned, at "disk" after its flush`, () =>
				browser.page(site.origin, acknowledgesLate));
			test(`${name}: backend "auto" is OPFS, in a page and in a dedicated worker`, () =>
				browser.page(site.origin, autoIsOpfs));
		}
	});
}

describe("webkit", { skip: webkitMissing() }, () => {
	let browser;
	before(async () => {
		browser = await startWebkit();
	});
	after(() => browser?.end());

	for (const durability of Object.keys(LEVELS)) {
		test(`webkit, idb, ${durability}: what was written is read after a reload`, () =>
			browser.page(site.origin, (page) => writeReloadRead(page, { backend: "idb", durability })));
	}
	for (const place of ["Page", "Worker"]) {
		test(`webkit, idb: the API in a ${place.toLowerCase()}`, (t) =>
			browser.page(site.origin, (page) => checkApi(t, page, "idb", place)));
	}
	test('webkit: backend "auto" falls back to IndexedDB and says so', () =>
		browser.page(site.origin, async (page) => {
			const status = await page.run(async () => {
				const store = await holdfast.open("auto");
				await store.set("k", 1);
				return store.status;
			});
			assert.equal(status.backend, "idb");
			assert.match(status.fallback, /opfs/i);
		}));
});

async function writeReloadRead(page, options) {
	const name = `reload ${options.backend} ${options.durability}`;
	const { level, status } = await page.run(write, name, options);
	assert.equal(level, LEVELS[options.durability]);
	assert.equal(status.backend, options.backend);
	assert.equal(status.durability, options.durability);
	assert.equal(status.fresh, true);

	await page.reload();
	const found = await page.run(read, name, options);
	assert.deepEqual(found.entries, [
		["added", true],
		["changed", "new"],
	]);
	assert.equal(found.status.backend, options.backend);
	assert.equal(found.status.fresh, false);
	assert.equal(found.status.recovered.dataLoss, undefined);
}

/** In the page. The store stays open: the reload must not need a `close()`. */
async function write(name, options) {
	const store = await holdfast.open(name, options);
	await store.set("changed", "old");
	await store.set("deleted", "old");
	await store.set("changed", "new");
	await store.delete("deleted");
	const { level } = await store.set("added", true);
	// Without a flush "no" promises nothing yet.
	if (options.durability === "no") await store.flush();
	return { level, status: { ...store.status } };
}

/** In the page. */
async function read(name, options) {
	const store = await holdfast.open(name, options);
	return { entries: await store.entries().toArray(), status: { ...store.status } };
}

async function writeKillRead(t, browser, backend) {
	const store = (durability, flushAfter, title = durability) => ({
		title,
		name: `killed ${backend} ${title}`,
		options: { backend, durability, rewrite: REWRITE },
		flushAfter,
	});
	const inPage = [
		{ ...store("always"), promised: (acknowledged) => acknowledged },
		{ ...store("everysec"), promised: (acknowledged) => acknowledged },
		{ ...store("no", FLUSH_AFTER, "no, flushed once"), promised: () => FLUSH_AFTER },
		{ ...store("no", undefined, "no, never flushed"), promised: () => 0 },
	];
	const inWorker = { ...store("always", undefined, "always, in a worker"), promised: (acknowledged) => acknowledged };
	const readers = [
		...inPage.map((store) => ({ ...store, read: "readWritten" })),
		{ ...inWorker, read: "readWrittenInWorker" },
	];

	const counts = await browser.page(site.origin, async (page) => {
		await page.run((stores) => Promise.all(stores.map(startWriter)), inPage);
		await page.run((store) => startWriterInWorker(store), inWorker);
		await page.until(
			(names, least) => writerFailures.length > 0 || names.every((name) => acknowledged[name] >= least),
			readers.map(({ name }) => name),
			WRITES_MIN,
		);
		const { counts, failures } = await page.run(() => ({ counts: acknowledged, failures: writerFailures }));
		await browser.kill();
		assert.deepEqual(failures, []);
		return counts;
	});
	await browser.start();
	await browser.page(site.origin, async (page) => {
		for (const { title, name, options, promised, read } of readers) {
			await t.test(`durability ${title}: everything promised is there, and nothing but whole writes`, async (t) => {
				const found = await page.run((how, store) => globalThis[how](store), read, { name, options });
				t.diagnostic(`${counts[name]} writes seen acknowledged, ${found.last} found`);
				assert.equal(found.wrong, null);
				assert.equal(found.recovered.dataLoss, undefined);
				assert.ok(found.last >= promised(counts[name]), `${found.last} of ${counts[name]} acknowledged writes`);
			});
		}
	});
}

/** Counts, in the first session of a store, whose first write also says in OPFS where it is. */
async function writesInOneTransaction(page) {
	const writes = 20;
	const counts = await page.run(async (writes) => {
		const store = await holdfast.open("counted", { backend: "idb" });
		await store.set("k", 0);
		const counts = { transactions: 0, directories: 0 };
		const counted = (target, method, what) => {
			const plain = target[method];
			target[method] = function (...given) {
				counts[what]++;
				return plain.apply(this, given);
			};
		};
		counted(IDBDatabase.prototype, "transaction", "transactions");
		counted(StorageManager.prototype, "getDirectory", "directories");
		for (let at = 1; at <= writes; at++) await store.set("k", at);
		return counts;
	}, writes);
	assert.equal(counts.directories, 0);
	// One more when the second in which they are synced ends in between.
	assert.ok(counts.transactions - writes <= 1, `${counts.transactions} transactions for ${writes} writes`);
}

/** Data is safe too soon after a call on OPFS for a kill to show a write that was acknowledged before its time. */
async function acknowledgesLate(page) {
	const elapsedMs = (fault, durability) =>
		page.run(
			async (fault, durability) => {
				const store = await holdfast.open(`slow ${fault} ${durability}`, {
					backend: "opfs",
					worker: faultyWorker(fault),
				});
				await store.set("k", 1);
				await store.flush();
				await strike();
				const began = performance.now();
				await store.set("k", 2, { durability });
				const elapsed = performance.now() - began;
				await store.close();
				return elapsed;
			},
			fault,
			durability,
		);
	assert.ok((await elapsedMs("slow writes", "everysec")) >= SLOW_MS, "os");
	assert.ok((await elapsedMs("slow writes", "always")) >= SLOW_MS, "disk, by its write");
	assert.ok((await elapsedMs("slow flushes", "always")) >= SLOW_MS, "disk, by its flush");
}

async function checkApi(t, page, backend, place) {
	for (const check of CHECK_NAMES) {
		await t.test(check, () =>
			page.run(
				(place, ...given) => globalThis[`checkIn${place}`](...given),
				place,
				check,
				`${place} ${backend} ${check}`,
				{ backend },
			),
		);
	}
}

async function autoIsOpfs(page) {
	for (const place of ["Page", "Worker"]) {
		await page.run(
			(place) => globalThis[`checkIn${place}`]("backend auto is OPFS, without a fallback", `auto ${place}`, {}),
			place,
		);
	}
}
