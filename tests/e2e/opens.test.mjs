// Opening a store writes nothing: the bytes of its files or records, read below the package, are the same after many openings.
// HOLDFAST_OPENS sets how many there are of a store in each state; all states natively:
// `ten_thousand_opens_change_no_byte` in tests/crash_faults.rs.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const OPENS = Number(process.env.HOLDFAST_OPENS ?? 25);
/** Openings in one call of the page, which has to answer in time. */
const BATCH = 25;

/** What was done to a store before it is opened again and again: keys that were set one after the other, and checkpoints. */
const STATES = [
	{ state: "with nothing in it", steps: [], end: "closed" },
	{ state: "with a log", steps: ["a", "b", "c"], end: "closed" },
	{ state: "with snapshots and a log", steps: ["a", "checkpoint", "b", "checkpoint", "c"], end: "closed" },
	{ state: "whose page was gone at once", steps: ["a", "checkpoint", "b", "c"], end: "killed" },
	{ state: "with damage in its log", steps: ["a", "victim", "c"], end: "damaged" },
];

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const name of ["chromium", "firefox"]) {
	describe(`openings in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		for (const backend of ["opfs", "idb"]) {
			for (const given of STATES) {
				test(`${name}, ${backend}: ${OPENS} openings of a store ${given.state}`, () =>
					browser.page(site.origin, (page) => openAgain(page, { ...given, backend })));
			}
		}
	});
}

async function openAgain(page, { backend, state, steps, end }) {
	const name = `opens ${backend} ${state}`;
	await page.run(write, name, backend, steps, end);
	if (end === "killed") await page.reload();
	const bytes = () => page.run((...given) => bytesOf(...given), name, backend);
	const before = await bytes();
	assert.ok(before.length >= steps.length, "what was written is among the bytes");
	const found = new Set();
	for (let opens = 0; opens < OPENS; opens += BATCH) {
		for (const entries of await page.run(open, name, backend, Math.min(BATCH, OPENS - opens))) found.add(entries);
	}
	assert.equal(found.size, 1, `entries: ${[...found].join(", ")}`);
	assert.deepEqual(await bytes(), before);
}

/** In the page. */
async function write(name, backend, steps, end) {
	const store = await holdfast.open(name, { backend });
	for (const step of steps) {
		if (step === "checkpoint") await store.checkpoint();
		else await store.set(step, `value of ${step}`);
	}
	if (end === "killed") return;
	await store.close();
	if (end === "closed") return;
	const patch = backend === "opfs" ? patchOpfs : patchIndexedDb;
	const changed = await patch(name, (bytes) => {
		const at = new TextDecoder("latin1").decode(bytes).indexOf("value of victim");
		if (at >= 0) bytes[at] ^= 1;
		return at >= 0;
	});
	if (changed !== 1) throw new Error(`${changed} places damaged`);
}

/** In the page: opens and closes the store so many times; gives how many entries each opening found. */
async function open(name, backend, times) {
	const entries = [];
	for (let time = 0; time < times; time++) {
		const store = await holdfast.open(name, { backend });
		entries.push((await store.entries().toArray()).length);
		await store.close();
	}
	return entries;
}
