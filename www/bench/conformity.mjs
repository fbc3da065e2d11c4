// Whether every engine of the benchmark does the same: `npm run bench:conformity`.
//
//   npm run bench:conformity -- [--browser chromium,firefox] [--engines idb-keyval,dexie,...] [--levels D2,D3]
//
// First the checks (conformity/checks.js) must find every fault of stores that are wrong on purpose. Then each engine, at each
// level it offers, in real browsers with a new profile on disk each: one page writes and checks, a second one finds everything
// again and removes the database, a third one finds it empty. Ends with 1 if anything failed. Needs the network once, for `npm ci`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startBrowser } from "../../tests/e2e/browser.mjs";
import { bundleEngines, installPeers, PEERS } from "./bundle.mjs";
import * as checks from "./conformity/checks.js";
import { faulty, right } from "./conformity/faulty.js";
import { startEngineSite } from "./engine-site.mjs";

const PART_MS = 180_000;

/** The faults that the checks do not find, and those they find in a right store. */
async function blindSpots() {
	const failed = async (store) => (await checks.write(store, {})).results.filter(([, failure]) => failure !== null);
	const spots = (await failed(right())).map(([check, failure]) => `a right store fails "${check}": ${failure}`);
	for (const [fault, make] of Object.entries(faulty)) {
		if ((await failed(make())).length === 0) spots.push(`nothing finds "${fault}"`);
	}
	const data = new Map();
	const { kept } = await checks.write(right(data), {});
	const reopened = async (change) => {
		const copy = new Map(data);
		change(copy);
		return (await checks.read(right(copy), kept)).filter(([, failure]) => failure !== null).map(([check]) => check);
	};
	const complaints = await reopened(() => {});
	if (complaints.length > 0) spots.push(`a right store fails after reopening: ${complaints}`);
	if ((await reopened((copy) => copy.delete("last"))).length === 0) spots.push("nothing finds a key lost by closing");
	if ((await reopened((copy) => copy.set("last", "{}"))).length === 0)
		spots.push("nothing finds a value changed by closing");
	return spots;
}

/** Runs the parts of one engine at one level in pages of their own; gives all results. */
async function examine(browser, site, id, level) {
	const database = `conformity-${level.toLowerCase()}`;
	const inPage = (body, ...args) =>
		browser.page(`${site.origin}/blank`, (page) => page.runFor(PART_MS, body, id, level, database, ...args));
	const { results, kept, without } = await inPage(async (id, level, database) => {
		const { engine } = await import(`/engines/${id}.js`);
		const { write } = await import("/bench/conformity/checks.js");
		const store = await engine.open(database, level);
		const written = await write(store, engine.without ?? {});
		await store.close();
		return { ...written, without: engine.without ?? {} };
	});
	const again = await inPage(async (id, level, database, kept) => {
		const { engine } = await import(`/engines/${id}.js`);
		const { read } = await import("/bench/conformity/checks.js");
		const store = await engine.open(database, level);
		const results = await read(store, kept);
		await store.close();
		await engine.remove(database);
		return results;
	}, kept);
	const removed = await inPage(async (id, level, database) => {
		const { engine } = await import(`/engines/${id}.js`);
		const { empty } = await import("/bench/conformity/checks.js");
		const store = await engine.open(database, level);
		const results = await empty(store);
		await store.close();
		await engine.remove(database);
		return results;
	});
	return { results: [...results, ...again, ...removed], without };
}

const type = "string";
const { values: given } = parseArgs({ options: { browser: { type }, engines: { type }, levels: { type } } });
const browsers = given.browser?.split(",") ?? ["chromium", "firefox"];
const ids = given.engines?.split(",") ?? PEERS;

const spots = await blindSpots();
for (const spot of spots) console.log(`the checks themselves: ${spot}`);
console.log(
	`the checks find ${Object.keys(faulty).length - spots.length} of ${Object.keys(faulty).length} faults of stores that are wrong on purpose\n`,
);
if (spots.length > 0) process.exit(1);

installPeers();
const directory = mkdtempSync(join(tmpdir(), "holdfast-conformity-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
await bundleEngines(directory, ids);
const site = await startEngineSite(directory);
let failures = 0;
for (const name of browsers) {
	for (const id of ids) {
		const levels = Object.keys((await site.engine(id)).levels).filter((level) => given.levels?.includes(level) ?? true);
		for (const level of levels) {
			const browser = await startBrowser(name);
			const began = performance.now();
			let results = [];
			let without = {};
			try {
				({ results, without } = await examine(browser, site, id, level));
			} catch (error) {
				results = [["all", error.stack]];
			} finally {
				await browser.end();
			}
			const failed = results.filter(([, failure]) => failure !== null);
			failures += failed.length;
			const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
			const lacks = Object.keys(without)
				.map((workload) => `, without ${workload}`)
				.join("");
			console.log(
				`${name}  ${id} ${level}: ${results.length - failed.length} of ${results.length} checks${lacks}, ${took}`,
			);
			for (const [check, failure] of failed) console.log(`    ${check}: ${failure}`);
		}
	}
}
await site.stop();
console.log(failures === 0 ? "\nall the same" : `\n${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
