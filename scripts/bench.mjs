// Runs the benchmark in headless browsers: `npm run bench`.
//
//   npm run bench -- [--quick] [--browser chromium,firefox] [--engines holdfast,indexeddb] [--filter set] [--samples 5] [--sizes 10k,100k]
//
// Each sample is one engine at one durability in a browser with a new profile on disk; the engines take turns, in another order each
// round. Prints every row with its ratios. Ends with 1 when an engine failed, or when the checks of two engines differ.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundleEngines, installPeers, PEERS } from "../www/bench/bundle.mjs";
import { ENGINES } from "../www/bench/engines.js";
import { PLANS } from "../www/bench/plan.js";
import { faultsOf, rowsOf } from "../www/bench/ratios.js";
import { runSample, stepsOf } from "../www/bench/session.js";
import { ratioText, spreadText, titleOf } from "../www/bench/table.js";
import { WORKLOADS } from "../www/bench/workloads.js";
import { BROWSERS, withHost } from "./bench/host.mjs";
import { buildPackage, isStale } from "./bench/package.mjs";
import { Steps } from "./progress.mjs";
import { serve } from "./serve.mjs";
import { ROOT } from "./toolchain.mjs";

const BENCH = join(ROOT, "www", "bench");
/** So few engines leave a quick run the time for more entries. */
const FEW = 4;

const { values: given } = parseArgs({
	options: {
		quick: { type: "boolean", default: false },
		browser: { type: "string", default: Object.keys(BROWSERS).join() },
		engines: { type: "string", default: ENGINES.join() },
		filter: { type: "string", default: "" },
		samples: { type: "string" },
		sizes: { type: "string" },
	},
});
const names = given.engines.split(",");
const plan = { ...PLANS[given.quick ? "quick" : "full"] };
if (given.quick && names.length <= FEW) plan.sizes = ["10k", "100k"];
if (given.sizes) plan.sizes = given.sizes.split(",");
if (!plan.sizes.includes(plan.readSize)) plan.readSize = plan.sizes.at(-1);
if (given.samples) plan.samples = Number(given.samples);
const workloads = WORKLOADS.filter(({ id }) => id.includes(given.filter));

const steps = new Steps();
if (isStale()) await steps.step("build Holdfast", buildPackage);
if (names.some((name) => PEERS.includes(name))) await steps.step("install the peers", async () => installPeers());
await steps.step("bundle the engines", () => bundleEngines(join(BENCH, "built"), names));
const site = await serve();

/** What the engines say of themselves. */
function aboutEngines(browser) {
	return withHost(browser, site.origin, async (host) => {
		const page = await host.page();
		const about = [];
		for (const engine of names) about.push(await page.phase("about", { engine }));
		return about;
	});
}

async function runIn(browser) {
	const engines = await aboutEngines(browser);
	const samples = [];
	for (let round = 0; round < plan.samples; round++) {
		const order = engines.map((_, at) => engines[(at + round) % engines.length]);
		for (const engine of order) {
			for (const level of Object.keys(engine.levels)) {
				const wanted = stepsOf(engine, level, plan, workloads);
				if (wanted.length === 0) continue;
				const results = [];
				await steps.step(`${browser}, sample ${round + 1} of ${plan.samples}: ${engine.name} ${level}`, (detail) =>
					withHost(browser, site.origin, (host) =>
						runSample(host, engine, level, plan, wanted, ({ workload }, result) => {
							results.push(result);
							detail(workload.id);
						}),
					),
				);
				samples.push({ round, engine: engine.id, level, results });
			}
		}
	}
	return { browser, plan, engines, samples };
}

function print(run) {
	console.log(`\n${run.browser}`);
	for (const row of rowsOf(run)) {
		console.log(`\n${titleOf(row)}`);
		for (const cell of row.cells) {
			const { name } = run.engines.find(({ id }) => id === cell.engine);
			const text = cell.without
				? `without: ${cell.without.split("\n")[0]}`
				: spreadText(cell, row.unit).padEnd(36) + ratioText(cell);
			console.log(`  ${name.padEnd(24)}${text}`);
		}
	}
}

let faults = [];
for (const browser of given.browser.split(",")) {
	const run = await runIn(browser);
	print(run);
	faults = [...faults, ...faultsOf(run)];
}
await site.stop();
for (const fault of faults) console.error(`\nfault: ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);
