// What a walk over 10,000 values and the count of a range take in a store of a million entries: `npm run test:scan`.
//
//   npm run test:scan -- [--browser chromium,firefox] [--backend opfs] [--entries 1000000]
//
// Fills a store with small objects in a hundred groups, takes a checkpoint, and then in turn reads all values of a group by `toArray` and
// one by one, its keys, and counts half of the store. Units: ms, bytes; the first rounds warm up and are not counted. Ends with 1 when in
// Chromium the median of a walk over the values by `toArray` is 30 ms or more.

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const SCAN_MS_MAX = 30;
const WARM_UP_ROUNDS = 10;
const ROUNDS = 100;
const STEP_MS = 600_000;

const type = "string";
const { values: given } = parseArgs({
	options: {
		browser: { type, default: "chromium,firefox" },
		backend: { type, default: "opfs" },
		entries: { type, default: "1000000" },
	},
});
const entries = Number(given.entries);
const site = await startSite(await packPackage());
let isTooSlow = false;

for (const name of given.browser.split(",")) {
	const browser = await startBrowser(name);
	try {
		await browser.page(`${site.origin}/api`, async (page) => {
			const began = performance.now();
			const filled = await page.runFor(STEP_MS, (...given) => fillScan(...given), entries, { backend: given.backend });
			const seconds = ((performance.now() - began) / 1000).toFixed(1);
			console.log(`${name}: filled in ${seconds} s, ${JSON.stringify(filled)}`);
			await page.runFor(STEP_MS, (...given) => measureScan(...given), entries, WARM_UP_ROUNDS);
			const times = await page.runFor(STEP_MS, (...given) => measureScan(...given), entries, ROUNDS);
			for (const [what, ms] of Object.entries(times)) {
				ms.sort((a, b) => a - b);
				const [p50, p95] = [0.5, 0.95].map((share) => ms[Math.floor(share * ms.length)]);
				const load = loadavg()[0].toFixed(1);
				console.log(
					`  ${what.padEnd(14)} p50 ${p50.toFixed(3)}  p95 ${p95.toFixed(3)}  least ${ms[0].toFixed(3)}  load ${load}`,
				);
				if (name === "chromium" && what === "toArray") isTooSlow = p50 >= SCAN_MS_MAX;
			}
		});
	} finally {
		await browser.end();
	}
}
await site.stop();
if (isTooSlow) console.error(`a walk over ${entries / 100} values took ${SCAN_MS_MAX} ms or more`);
process.exit(isTooSlow ? 1 : 0);
