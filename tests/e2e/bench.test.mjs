// The benchmark's page, run in itself with as little as there is to run: every row is there, and one wrong answer fails it.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build } from "esbuild";
import { BUILT, buildSite } from "../../scripts/bench/site.mjs";
import { serve } from "../../scripts/serve.mjs";
import { PLANS } from "../../www/bench/plan.js";
import { workloadsOf } from "../../www/bench/workloads.js";
import { startBrowser } from "./browser.mjs";

const RUN_MS = 300_000;
/** Engines that need nothing to be installed. */
const ENGINES = ["holdfast", "indexeddb", "map-json", "opfs-probe"];
const FAULTY = join(BUILT, "faulty.js");

for (const name of ["chromium", "firefox"]) {
	describe(`the benchmark's page in ${name}`, () => {
		let server;
		let browser;
		before(async () => {
			await buildSite(ENGINES);
			await build({
				entryPoints: [join(import.meta.dirname, "site", "bench", "faulty.js")],
				outfile: FAULTY,
				bundle: true,
				format: "esm",
				logLevel: "error",
			});
			server = await serve();
			browser = await startBrowser(name);
		});
		after(async () => {
			await browser?.end();
			await server.stop();
			rmSync(FAULTY, { force: true });
		});

		/** Runs what is chosen in the address by the button; gives how it ended and what the page then shows. */
		const runPage = (choice) =>
			browser.page(`${server.origin}/bench/?plan=smoke&${choice}`, async (page) => {
				await page.until(() => document.querySelector("button[name=run]")?.disabled === false);
				await page.click("button[name=run]");
				const shown = await page.runFor(RUN_MS, async () => {
					while (!document.body.dataset.run) await new Promise((resolve) => setTimeout(resolve, 50));
					return {
						outcome: document.body.dataset.run,
						state: document.querySelector("#now").textContent,
						faults: [...document.querySelectorAll(".fault")].map((line) => line.textContent),
						titles: [...document.querySelectorAll("#report h3")].map((title) => title.textContent),
						lines: [...document.querySelectorAll("#report tr[data-engine]")].map((line) => ({
							engine: line.dataset.engine,
							text: line.textContent,
						})),
						isIsolated: crossOriginIsolated,
					};
				});
				return { ...shown, errors: page.errors() };
			});

		test("every workload of a smoke run has a table, every engine a line or a reason in each", async () => {
			const { outcome, state, faults, titles, lines, errors, isIsolated } = await runPage(
				`engines=${ENGINES}&levels=D1,D2`,
			);
			assert.deepEqual(
				{ faults, state, outcome, errors },
				{ faults: [], state: "Done.", outcome: "passed", errors: [] },
			);
			assert.ok(isIsolated, "the clock is as fine as it can be");
			for (const { id, title, data } of workloadsOf(PLANS.smoke, "")) {
				if (data === "none") continue;
				assert.ok(
					titles.some((shown) => shown.startsWith(title)),
					`no table of ${id}`,
				);
			}
			for (const engine of ENGINES) assert.ok(lines.some((line) => line.engine === engine && /µs|ms/.test(line.text)));
			assert.ok(lines.some(({ engine, text }) => engine === "map-json" && text.endsWith("without: nothing is stored")));
		});

		test("one wrong answer of an engine fails the run", async () => {
			const { outcome, faults } = await runPage("engines=holdfast,faulty&workloads=get-hot");
			assert.equal(outcome, "failed");
			assert.equal(faults.length, 1);
			assert.match(faults[0], /^Fault: faulty D2: get-hot 10k: the check failed/);
		});
	});
}
