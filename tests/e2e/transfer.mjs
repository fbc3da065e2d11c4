// What export and import of a large store take, and that memory stays flat: `npm run test:transfer`.
//
//   npm run test:transfer -- [--megabytes 500] [--value-bytes 10000]
//
// In Chromium a store is filled in the page, exported in both formats, plain and packed, into a sink that counts, and imported into a
// store on OPFS from a stream that the export feeds. Prints MB (10^6 bytes) and seconds of each, MB of the store per second, the growth of
// wasm memory, and the most that lived in JavaScript's heap and its buffers beyond before: every second the garbage is collected, which
// the times include, because some 150 MB of pieces that have passed may lie about else. `task` is the longest task of
// the page, `samples` how often memory was looked at meanwhile. Ends with 1 when a bound is broken: an export may not take wasm memory, an
// import not more than the map itself, which its snapshot has twice, neither a heap that grows with the store or the thread for long.

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const STEP_MS = 600_000;
const SAMPLE_MS = 1000;
const MEGABYTE = 1e6;
const EXPORT_WASM_MB_MAX = 2;
/** The new map, and the same again while its snapshot is made and read back; wasm memory is grown in steps. */
const IMPORT_WASM_FACTOR_MAX = 2.5;
const LIVE_MB_MAX = 64;
/** A task is meant to take some ms; the rest is for a loaded machine. */
const TASK_MS_MAX = 500;

const FORMS = [
	{ format: "snapshot", gzip: false },
	{ format: "snapshot", gzip: true },
	{ format: "ndjson", gzip: false },
	{ format: "ndjson", gzip: true },
];

const type = "string";
const { values: given } = parseArgs({
	options: { megabytes: { type, default: "500" }, "value-bytes": { type, default: "10000" } },
});
const megabytes = Number(given.megabytes);
const valueBytes = Number(given["value-bytes"]);

const site = await startSite(await packPackage());
const browser = await startBrowser("chromium");
const broken = [];
try {
	await browser.page(`${site.origin}/transfer`, async (page) => {
		const session = await page.cdp();
		const liveBytes = async () => {
			await session.send("HeapProfiler.collectGarbage");
			const { usedSize, backingStorageSize = 0 } = await session.send("Runtime.getHeapUsage");
			return usedSize + backingStorageSize;
		};
		const filled = await page.runFor(
			STEP_MS,
			(...given) => fillSource(...given),
			Math.ceil((megabytes * MEGABYTE) / valueBytes),
			valueBytes,
		);
		console.log(`${filled.entries} entries of ${valueBytes} bytes, wasm memory ${mb(filled.wasmBytes)} MB`);
		console.log("what                          MB  seconds    MB/s  live MB+  wasm MB+  task ms  samples   load");

		for (const what of ["export", "import"]) {
			for (const form of FORMS) {
				const atFirst = await liveBytes();
				let most = atFirst;
				let samples = 0;
				const sampler = setInterval(async () => {
					const bytes = await liveBytes().catch(() => 0);
					most = Math.max(most, bytes);
					samples++;
				}, SAMPLE_MS);
				const { bytes, seconds, before, after, longestMs } = await page
					.runFor(STEP_MS, (...given) => transfer(...given), what, form)
					.finally(() => clearInterval(sampler));
				most = Math.max(most, await liveBytes());
				const [live, wasm] = [most - atFirst, after - before];
				const name = `${what} ${form.format}${form.gzip ? " gzip" : ""}`;
				const figures = [
					...[mb(bytes).padStart(8), seconds.toFixed(1).padStart(9), (megabytes / seconds).toFixed(1).padStart(8)],
					...[
						mb(live).padStart(10),
						mb(wasm).padStart(10),
						longestMs.toFixed(0).padStart(9),
						String(samples).padStart(9),
						loadavg()[0].toFixed(1).padStart(7),
					],
				];
				console.log(`${name.padEnd(22)}${figures.join("")}`);
				const wasmMax = what === "export" ? EXPORT_WASM_MB_MAX : IMPORT_WASM_FACTOR_MAX * megabytes;
				if (wasm > wasmMax * MEGABYTE) broken.push(`${name}: wasm memory grew by ${mb(wasm)} MB`);
				if (longestMs > TASK_MS_MAX) broken.push(`${name}: a task took ${longestMs.toFixed(0)} ms`);
				if (live > LIVE_MB_MAX * MEGABYTE) broken.push(`${name}: the heap grew by ${mb(live)} MB`);
			}
		}
	});
} finally {
	await browser.end();
	await site.stop();
}
for (const line of broken) console.error(line);
process.exit(broken.length > 0 ? 1 : 0);

function mb(bytes) {
	return (bytes / MEGABYTE).toFixed(1);
}
