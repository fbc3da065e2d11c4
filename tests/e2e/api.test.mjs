// The key-value API through the packed package in real browsers: ranges, versions, transactions, expiry, changes, room, namespaces,
// presets and modes, and what many operations do to memory and log. `HOLDFAST_SEED` repeats what is random, `HOLDFAST_SOAK` is the
// number of operations (`npm run test:leak`: ten million).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { CHECK_NAMES, STORAGE_CHECK_NAMES } from "./site/api/checks.mjs";
import { packPackage, startSite } from "./site.mjs";

const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const soakOperations = Number(process.env.HOLDFAST_SOAK ?? 300_000);
const SAMPLES = 20;
const SAMPLE_MS_MAX = 150_000;
/** What the engine's memory may still grow by after a third of the operations: its heap has holes. */
const GROWTH_BYTES_MAX = 1 << 20;
/** A checkpoint begins when the log has a MiB, and the log grows until it ends. */
const LOG_BYTES_MAX = 8 << 20;

const BROWSERS = [
	{
		name: "chromium",
		places: [
			["Page", "opfs", CHECK_NAMES],
			["Page", "idb", STORAGE_CHECK_NAMES],
			["Worker", "opfs", STORAGE_CHECK_NAMES],
		],
	},
	{
		name: "firefox",
		places: [
			["Page", "opfs", STORAGE_CHECK_NAMES],
			["Page", "idb", CHECK_NAMES],
		],
	},
];

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const { name, places } of BROWSERS) {
	describe(`the key-value API in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		for (const [place, backend, checks] of places) {
			test(`${name}, ${backend}, in a ${place.toLowerCase()}`, (t) =>
				browser.page(`${site.origin}/api`, async (page) => {
					t.diagnostic(`HOLDFAST_SEED=${seed}`);
					for (const check of checks) {
						await t.test(check, async (t) => {
							const told = await page.run(
								(place, ...given) => globalThis[`checkIn${place}`](...given),
								place,
								check,
								`${place} ${backend} ${check}`,
								{ backend },
								seed,
							);
							for (const line of told) t.diagnostic(line);
						});
					}
				}));
		}

		for (const backend of ["opfs", "idb"]) {
			test(`${name}, ${backend}: versions, expiries and the last snapshot after a reload`, () =>
				browser.page(`${site.origin}/api`, async (page) => {
					const left = await page.run((backend) => begin(backend), backend);
					await page.reload();
					await page.run((...given) => verify(...given), backend, left);
				}));
		}

		if (name === "chromium")
			test(`${name}: ${soakOperations} mixed operations leave memory flat and the log bounded`, (t) =>
				browser.page(`${site.origin}/api`, async (page) => {
					await page.run((...given) => beginSoak(...given), seed, { backend: "opfs" });
					const each = soakOperations / SAMPLES;
					const samples = [];
					while (samples.length < SAMPLES)
						samples.push(await page.runFor(SAMPLE_MS_MAX, (operations) => soakMore(operations), each));
					for (const { counts, ...sample } of samples) t.diagnostic(JSON.stringify(sample));
					t.diagnostic(JSON.stringify(samples.at(-1).counts));
					const warm = samples[Math.floor(samples.length / 3)];
					const last = samples.at(-1);
					assert.ok(
						last.wasmBytes <= warm.wasmBytes + GROWTH_BYTES_MAX,
						`${last.wasmBytes - warm.wasmBytes} bytes more`,
					);
					assert.ok(Math.max(...samples.map(({ logBytes }) => logBytes)) < LOG_BYTES_MAX, "log");
					assert.ok(last.checkpoints > 0, "checkpoints");
				}));
	});
}
