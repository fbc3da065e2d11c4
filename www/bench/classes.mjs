// Proof of the durability classes that the benchmark compares in: `npm run bench:classes`.
//
//   npm run bench:classes -- [--browser chromium,firefox] [--engines dexie,sqlite,...] [--levels D2,D3] [--kills 5] [--seed number] [--merge]
//
// D2, survives a killed browser: a page writes key after key and reports each acknowledgement; as soon as the driver has heard of a
// random one it sends SIGKILL to all of the browser's processes. Another browser on the same profile must find every key the driver
// had heard of; several kills in a row. D3, synced: the syncs (fsync, fdatasync) of the browser on the engine's files are counted by
// strace while acknowledged writes follow each other; there must be one for each (Chromium only).
//
// Writes www/bench/results/classes.json and .md; with --merge, cells of other engines that are there already stay. Ends with 1 when an
// engine does not prove a class it claims. Deliberately absent: power cuts.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildPackage, isStale } from "../../scripts/bench/package.mjs";
import { bounded, startBrowser } from "../../tests/e2e/browser.mjs";
import { randomOf } from "../../tests/e2e/site/storm-ops.mjs";
import { straceMissing, syncsDuring } from "../../tests/e2e/strace.mjs";
import { bundleEngines, installPeers } from "./bundle.mjs";
import { isProven, markdownOf, verdictOf } from "./classes/verdict.mjs";
import { startEngineSite } from "./engine-site.mjs";
import { PEERS } from "./engines.js";

const OURS = ["holdfast", "holdfast-idb", "indexeddb"];
const RESULTS = join(dirname(fileURLToPath(import.meta.url)), "results");
/** Of the engines that keep their files in OPFS. */
const OPFS = ["holdfast", "sqlite", "sqlite-wal", "sqlite-off", "pglite", "tinybase"];
const AREAS = { opfs: "/File System/", idb: "/IndexedDB/" };

const KILLS = 5;
/** The number of the acknowledgement that is answered by a kill, at most. */
const KILLED_AFTER_MAX = 150;
const COUNTED_WRITES = 100;
const OPEN_MS = 300_000;
const WAIT_MS = 180_000;

/** What the driver hears from pages. */
class Journal {
	#round;
	#target;
	#settle;
	count = 0;

	/** Resolves as soon as the acknowledgement `target` of the round has been heard of, or a later one. */
	until(round, target) {
		this.#round = round;
		this.#target = target;
		this.count = 0;
		return new Promise((resolve, reject) => {
			this.#settle = { resolve, reject };
		});
	}

	take({ round, count, failure }) {
		if (failure !== undefined) this.#settle.reject(new Error(`a write failed: ${failure}`));
		if (round !== this.#round) return;
		this.count = Math.max(this.count, count);
		if (this.count >= this.#target) this.#settle.resolve();
	}
}

const inPage = (page, limitMs, name, ...args) =>
	page.runFor(limitMs, async (name, args) => (await import("/bench/classes/page.js"))[name](...args), name, args);

/** Kills the browser `kills` times after an acknowledgement; adds to the cell what was acknowledged and found. */
async function killRounds(browser, site, journal, cell, kills, random) {
	const database = `classes-${cell.level.toLowerCase()}`;
	const acknowledged = [];
	for (let round = 0; round <= kills; round++) {
		await browser.page(`${site.origin}/blank`, async (page) => {
			let found;
			try {
				found = await inPage(page, OPEN_MS, "findAll", cell.engine, cell.level, database, acknowledged);
			} catch (error) {
				if (round > 0) cell.unreadable++;
				throw error;
			}
			if (round > 0) {
				// What a kill loses is lost at once or not at all: only the newest round is counted, older ones must stay as they were.
				cell.acknowledged += acknowledged.at(-1);
				cell.found += found.at(-1);
				cell.lost += acknowledged.at(-1) - found.at(-1);
				for (const [old, count] of acknowledged.slice(0, -1).entries()) {
					if (found[old] < count)
						throw new Error(`round ${old} had ${count} keys and has ${found[old]} after round ${round - 1}`);
				}
				acknowledged[acknowledged.length - 1] = found.at(-1);
			}
			if (round === kills) return;
			const heard = journal.until(round, 1 + Math.floor(random() * KILLED_AFTER_MAX));
			await inPage(page, OPEN_MS, "startStorm", round);
			await bounded(heard, WAIT_MS, "an acknowledgement");
			acknowledged.push(journal.count);
			await browser.restart();
			cell.rounds++;
		});
	}
}

/** Counts the syncs of acknowledged writes into the cell. Its database is new: SQLite writes nothing for a value that is there already. */
async function countSyncs(browser, site, cell) {
	const area = AREAS[OPFS.includes(cell.engine) ? "opfs" : "idb"];
	await browser.page(`${site.origin}/blank`, async (page) => {
		await inPage(page, OPEN_MS, "prepare", cell.engine, cell.level, `syncs-${cell.level.toLowerCase()}`);
		cell.writes = COUNTED_WRITES;
		cell.syncs = await syncsDuring(browser, area, () => inPage(page, OPEN_MS, "writeInTurn", COUNTED_WRITES));
	});
}

async function aboutEngine(browser, site, id) {
	return browser.page(`${site.origin}/blank`, (page) =>
		page.run(async (id) => {
			const { name, version, levels } = (await import(`/engines/${id}.js`)).engine;
			return { name, version, levels };
		}, id),
	);
}

const type = "string";
const { values: given } = parseArgs({
	options: {
		browser: { type },
		engines: { type },
		levels: { type },
		kills: { type },
		seed: { type },
		merge: { type: "boolean", default: false },
	},
});
const browsers = given.browser?.split(",") ?? ["chromium"];
const ids = given.engines?.split(",") ?? [...OURS, ...PEERS];
const kills = Number(given.kills ?? KILLS);
const seed = Number(given.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`${kills} kills for each class of ${ids.length} engines, --seed ${seed}\n`);

if (ids.some((id) => id.startsWith("holdfast")) && isStale()) await buildPackage();
if (ids.some((id) => PEERS.includes(id))) installPeers();
const directory = mkdtempSync(join(tmpdir(), "holdfast-classes-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
await bundleEngines(directory, ids);
const journal = new Journal();
const site = await startEngineSite(directory, { "/acknowledged": (report) => journal.take(report) });

const cells = [];
for (const browserName of browsers) {
	for (const id of ids) {
		let browser = await startBrowser(browserName);
		const { name, version, levels } = await aboutEngine(browser, site, id).catch((error) => {
			const cell = {
				browser: browserName,
				engine: id,
				name: id,
				version: "",
				level: "none",
				settings: "",
				seed,
				rounds: 0,
			};
			cells.push({
				...cell,
				acknowledged: 0,
				found: 0,
				lost: 0,
				unreadable: 0,
				writes: 0,
				syncs: null,
				problem: error.message,
			});
			return { levels: {} };
		});
		for (const level of Object.keys(levels).filter((level) => given.levels?.split(",").includes(level) ?? true)) {
			const cell = { browser: browserName, engine: id, name, version, level, settings: levels[level], seed };
			Object.assign(cell, { rounds: 0, acknowledged: 0, found: 0, lost: 0, unreadable: 0, writes: 0, syncs: null });
			cells.push(cell);
			try {
				await killRounds(browser, site, journal, cell, kills, randomOf(seed, cells.length));
				if (browserName === "chromium" && !straceMissing()) await countSyncs(browser, site, cell);
			} catch (error) {
				cell.problem = error.message.split("\n")[0];
				console.log(error.stack);
				// Whatever state it is in.
				await browser.end();
				browser = await startBrowser(browserName);
			}
			const { acknowledged, found, lost, syncs } = cell;
			const counted = `${acknowledged} acknowledged, ${found} found, ${lost} lost, ${syncs ?? "-"} syncs per ${COUNTED_WRITES}`;
			console.log(`${browserName}  ${id} ${level}: ${counted}: ${verdictOf(cell)}`);
		}
		await browser.end();
		record();
	}
}
await site.stop();
console.log(`\n${markdownOf(cells)}`);
process.exit(cells.every(isProven) ? 0 : 1);

/** Writes what is known so far. */
function record() {
	mkdirSync(RESULTS, { recursive: true });
	const json = join(RESULTS, "classes.json");
	const isNew = (old) => !cells.some(({ browser, engine }) => browser === old.browser && engine === old.engine);
	const kept = given.merge ? JSON.parse(readFileSync(json, "utf8")).filter(isNew) : [];
	const all = [...kept, ...cells];
	writeFileSync(json, `${JSON.stringify(all, null, "\t")}\n`);
	const about =
		"Written by `npm run bench:classes`, which says how each figure is counted. Settings of each class are in classes.json.";
	writeFileSync(join(RESULTS, "classes.md"), `# Durability classes, proven\n\n${about}\n\n${markdownOf(all)}\n`);
}
