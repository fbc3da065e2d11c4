// Kills real browsers in the middle of writes and judges what is left: `npm run test:kill`.
//
// A cell is a browser, a backend and a durability, with one store. For each of its kills a page opens the store on the
// profile that the last kill left, says what is in it, and writes a storm (site/storm.mjs) until it is killed at a random
// moment. The journal of what was called and what was acknowledged is here, in the driver; an acknowledgement counts once it
// is in the journal. What is found must be the state after the first n ops, whole, for some n from the newest promised op
// to the newest that was called. Promised is what was acknowledged, under durability "no" only what was flushed.
//
//   npm run test:kill -- [--kills 50] [--browser chromium,firefox] [--backend opfs,idb] [--durability always,everysec,no]
//                        [--seed number]     other browsers: chromium-sqlite, webkit (IndexedDB only)
//
// The seed decides the ops, and the kinds and moments of the kills; how far a page gets until then is up to the machine. A
// browser that fails by itself (browser.mjs: it gives no page, or does not start) is killed and started again on its profile
// and has one more kill behind it, which is judged like the others. Ends with 1 if anything was lost, contradicts the journal
// or cannot be read, or a cell was not completed; prints the table so far on errors, SIGTERM and SIGINT too, and says where the
// profile is in which something was wrong. Deliberately absent: power cuts.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Steps } from "../../scripts/progress.mjs";
import { BrowserFault, bounded, startBrowser } from "./browser.mjs";
import { applyOp, randomOf } from "./site/storm-ops.mjs";
import { packPackage, startSite } from "./site.mjs";
import { startWebkit } from "./webkit.mjs";

const BROWSERS = ["chromium", "firefox"];
/** Of a browser that cannot have both. */
const ONLY_BACKEND = { "chromium-sqlite": "idb", webkit: "idb" };
const BACKENDS = ["opfs", "idb"];
const DURABILITIES = ["always", "everysec", "no"];
const KILLS = 50;

/** What kills there are, and how each is done. */
const KINDS = {
	"page closed": (page) => page.close(),
	"worker terminated": (page) => page.run(() => terminateWorker()),
	"renderer crashed": (page, browser) => browser.crashRenderer(page),
	"browser killed": (_, browser) => browser.restart(),
};

/** How far ops may be called ahead of what the driver has heard. */
const GRANTED_AHEAD = 300;
/** A kill comes after that many reports of the page at most, and that much later at most. */
const REPORTS_MAX = 60;
const LATER_MS_MAX = 25;
const REPORTS_WAIT_MS = 20_000;
/** In a cell. */
const BROWSER_RESTARTS_MAX = 5;
/** Small enough for checkpoints to run all the time. */
const REWRITE = { percentage: 100, minBytes: 256 * 1024 };

/** The site for storms. Reports go to the journal that `stormOf` was last asked for. */
export async function startStormSite() {
	let storm = 0;
	let current;
	const site = await startSite(await packPackage(), {
		// From a page that is no more: nothing is granted.
		"/journal": (report) => (report.storm === storm ? current.take(report) : { granted: 0 }),
	});
	return {
		...site,
		/** The number of a new storm, which reports to that journal. */
		stormOf(journal) {
			current = journal;
			return ++storm;
		},
	};
}

/** What the driver knows of one store: the state it was found in, what was called since, and what of that is promised. */
export class Journal {
	/** Key to the op that wrote it, as the store was last found. */
	#model = new Map();
	#seed;
	#tally;
	/** The newest op that may have been called. */
	#granted = 0;
	#promised = 0;
	#reports = 0;
	#failure;
	#waiting = [];
	/** The next op to call. */
	first = 1;

	/** `tally` counts what is acknowledged and the checkpoints. */
	constructor(seed, tally = newTally()) {
		this.#seed = seed;
		this.#tally = tally;
	}

	/** A report of the page; the answer is what it may call. */
	take({ issued, promised, acknowledged, checkpoints, failure }) {
		this.#promised = Math.max(this.#promised, promised);
		this.#granted = Math.max(this.#granted, issued + GRANTED_AHEAD);
		this.#tally.acknowledged += acknowledged;
		this.#tally.checkpoints += checkpoints;
		this.#failure ??= failure;
		this.#reports++;
		for (const wake of this.#waiting.splice(0)) wake();
		return { granted: this.#granted };
	}

	/** Resolves after so many more reports; rejects when a call of the storm failed. */
	async reports(count) {
		const end = this.#reports + count;
		while (this.#reports < end && this.#failure === undefined) await new Promise((wake) => this.#waiting.push(wake));
		if (this.#failure !== undefined) throw new Error(`a call of the storm failed: ${this.#failure}`);
	}

	/**
	 * Judges the `[key, n]` pairs that were found: `{ lost, beyond, wrong }`. `lost`: how many promised ops are not in it;
	 * `beyond`: how many are that were not promised; `wrong`: how it differs from the state after any op that may have been
	 * called, if it does. What was found is what the next storm starts from.
	 */
	judge(image) {
		const found = new Map(image);
		const model = new Map(this.#model);
		const different = new Set();
		const compare = (key) => (model.get(key) === found.get(key) ? different.delete(key) : different.add(key));
		for (const key of [...model.keys(), ...found.keys()]) compare(key);
		let last;
		let nearest = { size: Number.POSITIVE_INFINITY };
		for (let n = this.first - 1; n <= this.#granted; n++) {
			if (n >= this.first) for (const key of applyOp(model, this.#seed, n)) compare(key);
			if (different.size === 0) last = n;
			if (different.size < nearest.size) {
				const some = [...different].slice(0, 3).map((key) => `${key} is of ${found.get(key)}, not ${model.get(key)}`);
				nearest = { size: different.size, n, some };
			}
		}
		const promised = Math.max(this.#promised, this.first - 1);
		this.#model = found;
		this.first = Math.max(this.#granted + 1, this.first);
		// Who survived the death of its worker may have said so.
		this.#failure = undefined;
		if (last !== undefined) return { lost: Math.max(0, promised - last), beyond: Math.max(0, last - promised) };
		const wrong = `${nearest.size} entries differ from the state after op ${nearest.n} (${nearest.some.join("; ")})`;
		return { lost: 0, beyond: 0, wrong: `${wrong}; promised up to ${promised}` };
	}
}

/** A kind for each of so many kills: all there are for that browser, as often as each other, in random order. */
export function kindsOf(browser, kills, seed) {
	const random = randomOf(seed, kills);
	// A WebKit that was crashed or killed keeps nothing (webkit.mjs).
	const names = Object.keys(KINDS).slice(0, browser === "webkit" ? 2 : undefined);
	const shuffled = (list) => list.map((item) => [random(), item]).sort(([a], [b]) => a - b);
	const rounds = Array.from({ length: Math.ceil(kills / names.length) }, () => shuffled(names));
	return rounds
		.flat()
		.map(([, name]) => name)
		.slice(0, kills);
}

/**
 * What a cell counts: `kills` and how many of each kind; `browserRestarts`, after which the browser was killed once more because
 * it failed by itself; `acknowledged` ops, ops found `beyond` the promised ones, `checkpoints`, `lost` ops, `wrong` and
 * `unreadable` states; `openMsMax`, the longest opening after a kill; `problems`, a text for each thing that should not be; and
 * whether it `isComplete`.
 */
export function newTally() {
	const checked = { acknowledged: 0, beyond: 0, checkpoints: 0, lost: 0, wrong: 0, unreadable: 0, openMsMax: 0 };
	return { kills: 0, kinds: {}, browserRestarts: 0, ...checked, problems: [], isComplete: false };
}

/**
 * Resolves to what `body()` does. A fault of the browser is counted and told to `onTrouble`, then `recover()` is called
 * before `body()` is again; rejects when there were too many.
 */
async function despiteFaults(tally, onTrouble, recover, body) {
	let hasFailed = false;
	for (;;) {
		try {
			if (hasFailed) await recover();
			return await body();
		} catch (error) {
			if (!(error instanceof BrowserFault)) throw error;
			if (tally.browserRestarts === BROWSER_RESTARTS_MAX) {
				const restarts = `after ${BROWSER_RESTARTS_MAX} restarts of it in this cell`;
				throw new Error(`the browser failed again ${restarts}: ${error.message}`, { cause: error });
			}
			tally.browserRestarts++;
			hasFailed = true;
			onTrouble(`browser restart ${tally.browserRestarts}, after ${tally.kills} kills: ${error.message}`);
		}
	}
}

/**
 * Runs a cell with a kill of each of `kinds`, counted in `tally`, which it gives back. `onKill(kind)` hears of every kill,
 * `onTrouble(text)` of every problem and every restart of the browser.
 */
export async function runCell(
	site,
	browser,
	cell,
	{ tally = newTally(), onKill = () => {}, onTrouble = () => {} } = {},
) {
	const { backend, durability, kinds, seed } = cell;
	const random = randomOf(seed, 1);
	const options = { backend, durability, rewrite: REWRITE };
	let name;
	let journal;
	const begin = () => {
		name = `storm ${backend} ${durability} ${seed} ${tally.problems.length}`;
		journal = new Journal(seed, tally);
	};
	const problem = (what) => {
		tally.problems.push(`${browser.name}, ${backend}, ${durability}, seed ${seed}, kill ${tally.kills}: ${what}`);
		onTrouble(tally.problems.at(-1));
		// What is wrong once would be so after every further kill.
		begin();
	};
	const open = async (page, place) => {
		const found = await page.run((...given) => openStorm(...given), place, name, options, seed);
		if (tally.kills + tally.browserRestarts > 0) tally.openMsMax = Math.max(tally.openMsMax, found.openMs);
		if (found.recovered.dataLoss) throw new Error(`it reports data loss: ${JSON.stringify(found.recovered)}`);
		return found.image;
	};
	/** Opens what the last kill left and judges it. */
	const judge = async (page, place) => {
		let image;
		try {
			image = await open(page, place);
		} catch (error) {
			tally.unreadable++;
			problem(page.explained(error).message);
			return open(page, place);
		}
		const { lost, beyond, wrong } = journal.judge(image);
		tally.lost += lost;
		tally.beyond += beyond;
		if (wrong) tally.wrong++;
		if (!wrong && lost === 0) return;
		problem(wrong ?? `${lost} promised ops are lost`);
		await open(page, place);
	};

	begin();
	// After the last kill there is one more judgement.
	for (const kind of [...kinds, undefined]) {
		const inWorker = kind === "worker terminated" && random() < 0.5;
		const reports = 1 + random() * REPORTS_MAX;
		const laterMs = random() * LATER_MS_MAX;
		const judgeAndKill = async (page) => {
			await judge(page, inWorker ? "worker" : "page");
			if (kind === undefined) return;
			const storm = site.stormOf(journal);
			await page.run((storm) => startStorm(storm), { storm, seed, first: journal.first });
			try {
				await bounded(journal.reports(reports), REPORTS_WAIT_MS, "the reports of a storm");
			} catch (error) {
				problem(page.explained(error).message);
				return;
			}
			await new Promise((resolve) => setTimeout(resolve, laterMs));
			await KINDS[kind](page, browser);
			tally.kills++;
			tally.kinds[kind] = (tally.kinds[kind] ?? 0) + 1;
			onKill(kind);
		};
		const restart = () => browser.restart();
		await despiteFaults(tally, onTrouble, restart, () => browser.page(`${site.origin}/storm`, judgeAndKill));
	}
	tally.isComplete = true;
	return tally;
}

const COLUMNS = {
	browser: ({ browser }) => browser,
	backend: ({ backend }) => backend,
	durability: ({ durability }) => durability,
	...Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, ({ kinds }) => kinds[kind] ?? 0])),
	kills: ({ kills }) => kills,
	"browser restarts": ({ browserRestarts }) => browserRestarts,
	"acknowledged ops": ({ acknowledged }) => acknowledged,
	"beyond them": ({ beyond }) => beyond,
	checkpoints: ({ checkpoints }) => checkpoints,
	lost: ({ lost }) => lost,
	wrong: ({ wrong }) => wrong,
	unreadable: ({ unreadable }) => unreadable,
	"slowest opening": ({ openMsMax }) => `${Math.round(openMsMax)} ms`,
	complete: ({ isComplete }) => (isComplete ? "yes" : "NO"),
};

function printTable(rows, cellCount, seed) {
	const table = [Object.keys(COLUMNS), ...rows.map((row) => Object.values(COLUMNS).map((of) => String(of(row))))];
	const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
	console.log("");
	for (const row of table) console.log(row.map((text, column) => text.padStart(widths[column])).join("  "));
	const sum = (field) => rows.reduce((total, row) => total + row[field], 0);
	console.log(
		`\n--seed ${seed}: ${sum("isComplete")} of ${cellCount} cells complete, ${sum("kills")} kills and ` +
			`${sum("browserRestarts")} browser restarts, ${sum("acknowledged")} acknowledged ops checked, ` +
			`${sum("lost")} lost, ${sum("wrong")} stores wrong, ${sum("unreadable")} unreadable`,
	);
}

async function main() {
	const type = "string";
	const { values: given } = parseArgs({
		options: { kills: { type }, browser: { type }, backend: { type }, durability: { type }, seed: { type } },
	});
	const seed = Number(given.seed ?? Math.floor(Math.random() * 2 ** 31));
	const kills = Number(given.kills ?? KILLS);
	const chosen = (names, all) => names?.split(",") ?? all;
	const cells = chosen(given.browser, BROWSERS).flatMap((browser) =>
		chosen(given.backend, BACKENDS)
			.filter((backend) => backend === (ONLY_BACKEND[browser] ?? backend))
			.flatMap((backend) =>
				chosen(given.durability, DURABILITIES).map((durability) => ({ browser, backend, durability })),
			),
	);
	console.log(`${kills} kills in each of ${cells.length} cells, --seed ${seed}\n`);
	const rows = [];
	// Signals and errors that nobody caught come by here too.
	process.on("exit", () => printTable(rows, cells.length, seed));
	const site = await startStormSite();
	const steps = new Steps();
	for (const cell of cells) {
		const row = { ...cell, ...newTally() };
		rows.push(row);
		const name = Object.values(cell).join(" ");
		const onTrouble = (text) => steps.note("!! ", `${name}: ${text}`);
		const run = async (detail) => {
			const start = () => (cell.browser === "webkit" ? startWebkit() : startBrowser(cell.browser));
			// One that never started had nothing in its profile, which is gone with it.
			const browser = await despiteFaults(row, onTrouble, () => {}, start);
			const onKill = () => {
				const counts = [`${row.kills} of ${kills} kills`, `${row.browserRestarts} browser restarts`];
				detail([...counts, `${row.acknowledged} acknowledged ops`, `${row.lost} lost`].join(", "));
			};
			try {
				await runCell(
					site,
					browser,
					{ ...cell, kinds: kindsOf(cell.browser, kills, seed), seed },
					{ tally: row, onKill, onTrouble },
				);
			} finally {
				if (row.problems.length > 0 && browser.keepProfile) onTrouble(`the profile is kept: ${browser.keepProfile()}`);
				await browser.end();
			}
		};
		try {
			await steps.step(name, run);
		} catch (error) {
			row.isComplete = false;
			onTrouble(`not complete, --seed ${seed}: ${error.stack}`);
		}
	}
	await site.stop();
	process.exit(rows.every(({ problems, isComplete }) => isComplete && problems.length === 0) ? 0 : 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
