// Whether every engine of the benchmark does the same: `npm run bench:conformity`.
//
//   npm run bench:conformity -- [--browser chromium,firefox] [--engines idb-keyval,dexie,...] [--levels D2,D3]
//
// First the checks (conformity/checks.js) must find every fault of stores that are wrong on purpose. Then each engine, at each
// level it offers, in real browsers with a new profile on disk for each: one page writes and checks, a second one finds everything
// again and removes the database, a third one finds it empty. Ends with 1 if anything failed. Needs the network once, for `npm ci`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startBrowser } from "../../tests/e2e/browser.mjs";
import { bundleEngines, installPeers } from "./bundle.mjs";
import * as checks from "./conformity/checks.js";
import { faulty, right } from "./conformity/faulty.js";
import { startEngineSite } from "./engine-site.mjs";
import { PEERS } from "./engines.js";

const PART_MS = 180_000;
/** Checks that an engine cannot pass by what it is, though no workload needs them. */
const EXCUSED = {
	pglite: { "a text with a NUL": "Postgres has none in JSON that it takes apart" },
	pouchdb: {
		"of sets of one key in flight the last one stays":
			"revisions in flight conflict, and whoever wrote last asks again",
	},
};

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
async function examine(browser, site, id, level, excused) {
	const database = `conformity-${level.toLowerCase()}`;
	const inPage = (body, ...args) =>
		browser.page(`${site.origin}/blank`, (page) => page.runFor(PART_MS, body, id, level, database, ...args));
	const { results, kept, without } = await inPage(async (id, level, database, excused) => {
		const { engine } = await import(`/engines/${id}.js`);
		const { write } = await import("/bench/conformity/checks.js");
		const store = await engine.open(database, level);
		const without = { ...engine.without, ...excused };
		const written = await write(store, without);
		await store.close();
		return { ...written, without };
	}, excused);
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

/** The levels of the engine that were asked for. */
async function levelsOf(browser, site, id) {
	const offered = await browser.page(`${site.origin}/blank`, (page) =>
		page.run(async (id) => Object.keys((await import(`/engines/${id}.js`)).engine.levels), id),
	);
	return offered.filter((level) => given.levels?.split(",").includes(level) ?? true);
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
		const browser = await startBrowser(name);
		for (const level of await levelsOf(browser, site, id)) {
			const began = performance.now();
			let results = [];
			let without = {};
			try {
				({ results, without } = await examine(browser, site, id, level, EXCUSED[id]));
			} catch (error) {
				results = [["all", error.stack]];
			}
			const failed = results.filter(([, failure]) => failure !== null);
			failures += failed.length;
			const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
			const lacks = Object.entries(without).map(([what, reason]) => `\n    without ${what}: ${reason}`);
			const passed = `${results.length - failed.length} of ${results.length} checks`;
			console.log(`${name}  ${id} ${level}: ${passed}, ${took}${lacks.join("")}`);
			for (const [check, failure] of failed) console.log(`    FAILED ${check}: ${failure}`);
		}
		await browser.end();
	}
}
await site.stop();
console.log(failures === 0 ? "\nall the same" : `\n${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
