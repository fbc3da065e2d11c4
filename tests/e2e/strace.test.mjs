// That a durability syncs when it says so, and not before, seen from outside of the browser: the system calls of Chromium on
// the files of each backend.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";
import { straceMissing, syncsDuring } from "./strace.mjs";

const AREAS = { opfs: "/File System/", idb: "/IndexedDB/" };
const WRITES = 20;

describe("syncs in chromium", { skip: straceMissing() }, () => {
	let site;
	let browser;
	before(async () => {
		site = await startSite(await packPackage());
		browser = await startBrowser("chromium");
	});
	after(async () => {
		await browser?.end();
		await site?.stop();
	});

	for (const [backend, area] of Object.entries(AREAS)) {
		/** Opens a store and counts the syncs of each step; in the page `store` is a global. */
		const counted = (durability, ...steps) =>
			browser.page(site.origin, async (page) => {
				await page.run(
					async (name, options) => {
						globalThis.store = await holdfast.open(name, options);
						await store.set("k", 0);
						await store.flush();
					},
					`${backend} ${durability}`,
					{ backend, durability },
				);
				const counts = [];
				for (const step of steps) counts.push(await syncsDuring(browser, area, () => step(page)));
				return counts;
			});

		test(`${backend}, always: a sync for each group of writes that is acknowledged`, async (t) => {
			const [one, together] = await counted("always", writeInTurn, writeAtOnce);
			t.diagnostic(`${one} syncs for ${WRITES} writes one after the other, ${together} for ${WRITES} at once`);
			assert.ok(one >= WRITES, `${one} syncs for ${WRITES} writes one after the other`);
			assert.ok(together >= 1 && together < WRITES, `${together} syncs for ${WRITES} writes at once`);
		});

		test(`${backend}, everysec: no sync for each write, one within a second or so`, async (t) => {
			const [syncs] = await counted("everysec", async (page) => {
				await writeInTurn(page);
				await page.until(() => store.status.unsynced.ops === 0);
			});
			t.diagnostic(`${syncs} syncs for ${WRITES} writes`);
			assert.ok(syncs >= 1 && syncs < WRITES, `${syncs} syncs for ${WRITES} writes`);
		});

		test(`${backend}, no: no sync before a flush or a checkpoint`, async (t) => {
			const write = async (page) => {
				await writeInTurn(page);
				await page.until(async () => (await store.stats()).osSeq === (await store.stats()).seq);
			};
			const [written, flushed, again, checkpoint] = await counted(
				"no",
				write,
				(page) => page.run(() => store.flush()),
				write,
				(page) => page.run(() => store.checkpoint()),
			);
			t.diagnostic(
				`${written + again} syncs for ${2 * WRITES} writes, ${flushed} for a flush, ${checkpoint} for a checkpoint`,
			);
			assert.deepEqual([written, again], [0, 0], "syncs for writes");
			assert.ok(flushed >= 1, "a flush syncs");
			assert.ok(checkpoint >= 1, "a checkpoint syncs");
		});
	}
});

const writeInTurn = (page) =>
	page.run(async (writes) => {
		for (let n = 0; n < writes; n++) await store.set("k", n);
	}, WRITES);

const writeAtOnce = (page) =>
	page.run((writes) => Promise.all(Array.from({ length: writes }, (_, n) => store.set("k", n))), WRITES);
