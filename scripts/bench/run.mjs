// One run: every sample that a plan wants of the engines, in one browser.
//
// Each sample is an engine at one durability in a browser with a new profile on disk.
// What comes out is what www/bench/ratios.js makes rows of.

import { cpus, totalmem, type } from "node:os";
import { join } from "node:path";
import { turnsOf } from "../../www/bench/rounds.js";
import { runSample } from "../../www/bench/session.js";
import { serve } from "../serve.mjs";
import { ROOT } from "../toolchain.mjs";
import { Downloads } from "./downloads.mjs";
import { withHost } from "./host.mjs";
import { BUILT } from "./site.mjs";

/** Serves the benchmark's pages; counts what they download. */
export async function startBench() {
	const downloads = new Downloads([BUILT, join(ROOT, "dist")]);
	const { origin, stop } = await serve({ served: (file) => downloads.add(file) });
	return { origin, stop, downloads };
}

/** Runs `plan` for the engines of these ids. `kind` says in words what run it is; `steps` shows what runs. */
export async function runIn({ browser, ids, plan, kind, workloads, levels, bench, steps }) {
	const { userAgent, engines } = await aboutEngines(browser, bench, ids);
	const known = new Map();
	const samples = [];
	for (const { round, engine, level, steps: wanted } of turnsOf({ engines, levels, plan, workloads })) {
		const title = `${browser}, sample ${round + 1} of ${plan.samples}: ${engine.name} ${level}`;
		const results = await steps.step(title, (detail) =>
			withHost(browser, bench.origin, (pages) => {
				const host = { ...pages, downloaded: () => bench.downloads.sizes() };
				const report = ({ workload, size }) => {
					bench.downloads.begin();
					detail([workload.id, size].filter(Boolean).join(" "));
				};
				return runSample({ host, engine, level, plan, steps: wanted, known, report });
			}),
		);
		samples.push({ round, engine: engine.id, level, results });
	}
	const at = new Date().toISOString().slice(0, 16);
	return { browser, userAgent, kind, at, machine: machine(), plan, engines, samples };
}

/** What the browser and the engines say of themselves; each in a page of its own, since some libraries do not bear one another. */
function aboutEngines(browser, bench, ids) {
	return withHost(browser, bench.origin, async (host) => {
		const engines = [];
		let userAgent;
		for (const engine of ids) {
			const page = await host.page();
			userAgent = await page.userAgent();
			engines.push(await page.phase("about", { engine }));
			await page.close();
		}
		return { userAgent, engines };
	});
}

/** What the run is made on, in words. */
function machine() {
	const all = cpus();
	return `${all.length} x ${all[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()}`;
}
