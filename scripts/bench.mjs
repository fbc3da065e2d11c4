// Runs the benchmark in headless browsers: `npm run bench`.
//
//   npm run bench -- [--quick] [--browser chromium,firefox] [--engines holdfast,indexeddb] [--filter set] [--samples 5] [--sizes 10k,100k] [--levels D2,D3] [--record latest]
//
// Each sample is one engine at one durability in a browser with a new profile on disk; the engines take turns, in another order each
// round. Prints every row with its ratios and the aims, and writes all to www/bench/results/last, which git ignores, or with --record
// to the directory of that name beside it. A quick run has Chromium, fewer engines, samples, entries and operations, and leaves out what takes long.
// Ends with 1 when an engine failed, or when the checks of two engines differ.

import { relative } from "node:path";
import { parseArgs } from "node:util";
import { verdictsOf } from "../www/bench/aims.js";
import { installPeers } from "../www/bench/bundle.mjs";
import { ENGINES, ENGINES_QUICK, PEERS } from "../www/bench/engines.js";
import { PLANS } from "../www/bench/plan.js";
import { faultsOf, rowsOf } from "../www/bench/ratios.js";
import { ratioText, spreadText, titleOf } from "../www/bench/table.js";
import { workloadsOf } from "../www/bench/workloads.js";
import { BROWSERS } from "./bench/host.mjs";
import { buildPackage, isStale } from "./bench/package.mjs";
import { record } from "./bench/record.mjs";
import { runIn, startBench } from "./bench/run.mjs";
import { buildSite } from "./bench/site.mjs";
import { Steps } from "./progress.mjs";
import { ROOT } from "./toolchain.mjs";

/** So few engines leave a quick run the time for more entries. */
const FEW = 4;

const { values: given } = parseArgs({
	options: {
		quick: { type: "boolean", default: false },
		browser: { type: "string" },
		engines: { type: "string" },
		levels: { type: "string", default: "D1,D2,D3" },
		filter: { type: "string", default: "" },
		samples: { type: "string" },
		sizes: { type: "string" },
		record: { type: "string", default: "last" },
	},
});
const names = given.engines?.split(",") ?? (given.quick ? ENGINES_QUICK : ENGINES);
const browsers = given.browser?.split(",") ?? (given.quick ? ["chromium"] : Object.keys(BROWSERS));
const levels = given.levels.split(",");
const plan = { ...PLANS[given.quick ? "quick" : "full"] };
if (given.quick && names.length <= FEW) plan.sizes = ["10k", "100k"];
if (given.sizes) plan.sizes = given.sizes.split(",");
if (!plan.sizes.includes(plan.readSize)) plan.readSize = plan.sizes.at(-1);
if (given.samples) plan.samples = Number(given.samples);
const kind = [given.quick ? "quick run" : "full run", given.filter && `only ${given.filter}`]
	.filter(Boolean)
	.join(", ");
const workloads = workloadsOf(plan, given.filter);

const steps = new Steps();
if (isStale()) await steps.step("build Holdfast", buildPackage);
if (names.some((name) => PEERS.includes(name))) await steps.step("install the peers", async () => installPeers());
await steps.step("bundle the engines", () => buildSite(names));
const bench = await startBench();

/** Every row with its ratios, then the aims. */
function print(run) {
	const rows = rowsOf(run);
	console.log(`\n=== ${run.userAgent}, ${run.kind} ===`);
	for (const row of rows) {
		console.log(`\n${titleOf(row)}`);
		for (const cell of row.cells) {
			const { name } = run.engines.find(({ id }) => id === cell.engine);
			const figures = cell.samples ? `${spreadText(cell, row.unit).padEnd(40)}${ratioText(cell)}` : undefined;
			console.log(`  ${name.padEnd(24)}${figures ?? `without: ${cell.without.split("\n")[0]}`}`);
		}
	}
	console.log("\naims");
	const verdicts = verdictsOf(run, rows);
	const about = verdicts.filter(({ measured }) => measured);
	for (const { title, aim, measured, verdict } of about)
		console.log(`  ${verdict.padEnd(9)}${title}: ${aim}: ${measured}`);
	console.log(`  ${verdicts.length - about.length} others are not about what was run`);
}

let faults = [];
for (const browser of browsers) {
	const run = await runIn({ browser, ids: names, plan, kind, workloads, levels, bench, steps });
	print(run);
	console.log(`\nwritten to ${relative(ROOT, await record(run, given.record))}`);
	faults = [...faults, ...faultsOf(run)];
}
await bench.stop();
for (const fault of faults) console.error(`\nfault: ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);
