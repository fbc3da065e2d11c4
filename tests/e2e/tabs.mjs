// One store in many tabs of real browsers: tabs that open at once, a storm of writes from all of them while whoever leads is ended in
// every way there is, and what a takeover, a follower's write and a second tab cost.
//
//   npm run test:tabs -- [--browser chromium,firefox] [--backend opfs,idb] [--openings 30] [--rounds 24] [--seed 123]
//
// Every storm is judged by tabs-history.mjs against what the driver was told, and every tab against a fresh one. The figures are
// compared with what the browser itself needs for the same: the release of a lock, a message, a leader's write, a leader's opening.
// Ends with 1 when an acknowledged write is lost or made twice, when tabs disagree, when something hangs, or when a figure is over
// its limit. Units: ms. `--seed` repeats the writes and the order of the ends, not their moments.

import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Steps } from "../../scripts/progress.mjs";
import { bounded, startBrowser } from "./browser.mjs";
import { randomOf } from "./site/storm-ops.mjs";
import { packPackage, startSite } from "./site.mjs";
import { History } from "./tabs-history.mjs";

export const BROWSERS = ["chromium", "firefox"];
export const BACKENDS = ["opfs", "idb"];
/** The browser's name for `startBrowser`: one in which a tab can crash alone, and be kept to be gone back to. */
export const ENGINE_OF = { chromium: "chromium-bfcache", firefox: "firefox-processes" };

const WAIT_MS = 30_000;
const STORM_TABS = 4;
/** Acknowledged writes between two ends. */
const ACKS_BETWEEN = 40;

/** The site for tabs. Reports go to the history that `stormOf` was last asked for. */
export async function startTabsSite() {
	let storm = 0;
	let current;
	const site = await startSite(await packPackage(), {
		// Of a storm that is over.
		"/tabs": (report) => (report.storm === storm ? current.take(report) : {}),
	});
	return {
		...site,
		url: `${site.origin}/tabs`,
		/** The number of a new storm, which reports to that history. */
		stormOf(history) {
			current = history;
			return ++storm;
		},
	};
}

/** Opens the store in a new page; the page has what it said of its opening as `opened`. */
export async function openTab(browser, url, name, options) {
	const page = await browser.open(url);
	page.opened = await page.run((...given) => openTab(...given), name, options);
	return page;
}

/** Closes pages, also those that are gone. */
export const closeAll = (pages) => Promise.all(pages.map((page) => page.close()));

export const roleOf = (page) => page.run(() => store.status.role);

/** What each of those pages holds once it is as far as the furthest; all the same, or a list of how they differ. */
export async function agreement(pages) {
	const seqs = await Promise.all(pages.map((page) => page.run(async () => (await store.stats()).seq)));
	const seq = Math.max(...seqs);
	const images = await Promise.all(
		pages.map(async (page) => {
			await page.run((seq) => reached(seq), seq);
			return page.run(() => image());
		}),
	);
	const [first, ...others] = images.map(({ entries, seq }) => ({
		seq,
		entries: new Map(entries.map(([key, ...rest]) => [key, JSON.stringify(rest)])),
	}));
	const problems = others.flatMap((other, at) => {
		const keys = [...new Set([...first.entries.keys(), ...other.entries.keys()])];
		const different = keys.filter((key) => first.entries.get(key) !== other.entries.get(key));
		const some = different.slice(0, 3).map((key) => `${key}: ${first.entries.get(key)} and ${other.entries.get(key)}`);
		if (other.seq !== first.seq) some.push(`seq ${first.seq} and ${other.seq}`);
		return some.length > 0
			? [`tab ${at + 1} differs from tab 0 in ${different.length} entries: ${some.join("; ")}`]
			: [];
	});
	return { image: images[0], problems };
}

// ------------------------------------------------------------------------------------------------ opening at once

/** So many tabs open a store that is new at the same moment, and each writes: who leads, and what is wrong. */
export async function openAtOnce(browser, site, { name, options, tabs = 8, pages: given }) {
	const pages = given ?? (await inTurn(tabs, () => browser.open(site.url)));
	const problems = [];
	const opened = await Promise.all(
		pages.map((page, at) =>
			page.run(
				async (name, options, at) => {
					const opened = await openTab(name, options);
					await store.set(`tab:${at}`, { op: `${at}` });
					return opened;
				},
				name,
				options,
				at,
			),
		),
	);
	const roles = await Promise.all(pages.map(roleOf));
	const leaders = roles.filter((role) => role === "leader").length;
	const followers = roles.filter((role) => role === "follower").length;
	if (leaders !== 1 || followers !== tabs - 1) problems.push(`roles are ${roles}`);
	const { image, problems: different } = await agreement(pages);
	problems.push(...different);
	if (image.entries.length !== tabs || image.seq !== tabs)
		problems.push(`${image.entries.length} entries at seq ${image.seq}`);
	// Who leads last, lets go last: nobody has to take over only to close.
	await Promise.all(pages.filter((_, at) => roles[at] !== "leader").map((page) => page.run(() => store.close())));
	await Promise.all(pages.filter((_, at) => roles[at] === "leader").map((page) => page.run(() => store.close())));
	if (!given) await closeAll(pages);
	return { problems, msMax: Math.max(...opened.map(({ ms }) => ms)) };
}

async function inTurn(count, make) {
	const made = [];
	for (let at = 0; at < count; at++) made.push(await make(at));
	return made;
}

// ------------------------------------------------------------------------------------------------ ends of leaders

const close = async (page) => {
	await page.run(() => store.close());
	await page.close();
};

const steal = (page, name) =>
	page.run((name) => navigator.locks.request(`holdfast:${name}`, { steal: true }, () => {}), name);

/** What becomes of a tab that leads; `isOver` for those after which it is not one of the store's any more. */
export const ENDS = {
	"store closed": { isOver: true, end: close },
	"tab closed": { isOver: true, end: (page) => page.close() },
	reloaded: { isOver: true, end: (page) => page.reload(), stays: true },
	crashed: { isOver: true, end: (page, { browser }) => browser.crashRenderer(page) },
	// Somebody else has it for a moment.
	"lock stolen": { end: (_, { other, name }) => steal(other, name) },
	frozen: { end: freeze, only: "chromium" },
	"put aside": { end: putAside },
};

/** Chromium freezes the page until it hears of so many more writes, or of none. */
async function freeze(page, { meanwhile }) {
	const session = await page.cdp();
	await session.send("Page.setWebLifecycleState", { state: "frozen" });
	await meanwhile();
	await session.send("Page.setWebLifecycleState", { state: "active" });
	await session.detach();
}

/** The page is told what one hears that goes to the back/forward cache, and comes back from it. */
async function putAside(page, { meanwhile }) {
	const tell = (type) => dispatchEvent(new PageTransitionEvent(type, { persisted: true }));
	await page.run(tell, "pagehide");
	await meanwhile();
	await page.run(tell, "pageshow");
}

/** The ends that a browser knows, in an order that a seed decides, until there are so many. */
export function endsOf(browserName, count, seed) {
	const random = randomOf(seed, count);
	const names = Object.keys(ENDS).filter((name) => (ENDS[name].only ?? browserName) === browserName);
	const shuffled = () => names.map((name) => [random(), name]).sort(([a], [b]) => a - b);
	return Array.from({ length: Math.ceil(count / names.length) }, shuffled)
		.flat()
		.map(([, name]) => name)
		.slice(0, count);
}

// ------------------------------------------------------------------------------------------------ the storm

/**
 * Several tabs write while whoever leads is ended in each of `ends`, then all of them and a fresh one are judged: `{ problems, figures,
 * takeoversMs }`. With `killed`, the browser is killed and started again after that many ends.
 */
export async function runStorm(
	site,
	browser,
	{ name, options, ends, seed, lanes, killAfter = [], progress = () => {} },
) {
	const history = new History();
	const storm = site.stormOf(history);
	const problems = [];
	const takeoversMs = [];
	let tabs = [];
	let writers = 0;
	const begin = async (page) => {
		const writer = `w${++writers}`;
		await page.run((given) => startStorm(given), { storm, writer, seed, lanes });
		return { page, writer };
	};
	const add = async () => tabs.push(await begin(await openTab(browser, site.url, name, options)));
	const more = (count = ACKS_BETWEEN, among = tabs) =>
		bounded(
			history.more(
				among.map(({ writer }) => writer),
				count,
			),
			WAIT_MS,
			"writes to be acknowledged",
		);
	const leading = async (among) => {
		const roles = await Promise.all(among.map(({ page }) => roleOf(page)));
		const leaders = among.filter((_, at) => roles[at] === "leader");
		return leaders.length === 1 ? leaders[0] : undefined;
	};

	for (let at = 0; at < STORM_TABS; at++) await add();
	// Opens the store for nobody's writes: it steals locks.
	let other = await browser.open(`${site.origin}/blank`);
	for (const [at, name_] of ends.entries()) {
		await more();
		const leader = await patiently(() => leading(tabs), "one tab to lead");
		const rest = tabs.filter((tab) => tab !== leader);
		const { isOver, stays, end } = ENDS[name_];
		const asked = Date.now();
		const taken = Promise.race(rest.map(({ page }) => page.run((asked) => leadsSince(asked), asked)));
		taken.catch(() => {});
		await bounded(
			end(leader.page, { browser, other, name, meanwhile: () => more(ACKS_BETWEEN, rest) }),
			WAIT_MS,
			`a tab to be ended (${name_})`,
		);
		if (isOver) {
			tabs = rest;
			takeoversMs.push([name_, (await bounded(taken, WAIT_MS, "a takeover")) - asked]);
		}
		await more(ACKS_BETWEEN, rest);
		if (stays) {
			await leader.page.run((...given) => openTab(...given), name, options);
			tabs.push(await begin(leader.page));
		} else if (isOver) {
			await leader.page.close();
			await add();
		}
		progress(name_);
		if (!killAfter.includes(at)) continue;
		await browser.restart();
		tabs = [];
		other = await browser.open(`${site.origin}/blank`);
		for (let again = 0; again < STORM_TABS; again++) await add();
		progress("browser killed");
	}
	await more();
	const stopped = await Promise.all(tabs.map(({ page }) => page.run(() => stopStorm())));
	const pages = tabs.map(({ page }) => page);
	const fresh = await openTab(browser, site.url, name, options);
	if (fresh.opened.recovered.dataLoss) problems.push(`data loss: ${JSON.stringify(fresh.opened.recovered)}`);
	const { image, problems: different } = await agreement([fresh, ...pages]);
	problems.push(...different);
	const log = await fresh.run(() => wholeLog("judged"));
	const judged = history.judge({ image, log });
	problems.push(...judged.problems, ...stopped.map((each) => history.counted(each.writer, each)).filter(Boolean));
	await closeAll([other, fresh, ...pages]);
	return { problems, figures: judged.figures, takeoversMs, errors: history.errors };
}

/** Asks again until there is an answer. */
async function patiently(ask, what) {
	const end = performance.now() + WAIT_MS;
	for (;;) {
		const answer = await ask();
		if (answer !== undefined) return answer;
		if (performance.now() > end) throw new Error(`waited ${WAIT_MS} ms for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

// ------------------------------------------------------------------------------------------------ figures

const TAKEOVERS = 9;
const ANSWERS = 15;
const ENTRIES = 100_000;
const OPENINGS_MEASURED = 5;

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

/** Ways to end a leader whose takeover is measured. */
const MEASURED_ENDS = {
	closed: (page) => page.close(),
	crashed: (page, browser) => browser.crashRenderer(page),
	reloaded: (page) => page.reload(),
};

/** ms from the end of a leader until another tab leads, and until a write that waited for it is acknowledged; beside them a lock's. */
async function measureTakeovers(browser, site, options, way) {
	const end = MEASURED_ENDS[way];
	const figures = { leads: [], written: [], lock: [] };
	for (let times = 0; times < TAKEOVERS; times++) {
		const name = `takeover ${way} ${times}`;
		const leader = await openTab(browser, site.url, name, options);
		const follower = await openTab(browser, site.url, name, options);
		const holder = await browser.open(site.url);
		await leader.run(() => store.set("k", 1));
		await holder.run((name) => holdLock(name), name);
		let asked = Date.now();
		const leads = follower.run((asked) => leadsSince(asked), asked);
		await end(leader, browser);
		const written = await follower.run(() => store.set("l", 1).then(() => Date.now()));
		figures.leads.push((await leads) - asked);
		figures.written.push(written - asked);
		asked = Date.now();
		const granted = follower.run((name) => lockGranted(name), name);
		await end(holder, browser);
		figures.lock.push((await granted) - asked);
		await closeAll([leader, holder]);
		await follower.run(() => store.close());
		await follower.close();
	}
	return figures;
}

/** Medians in ms of messages and writes between a leader and a follower; `seen` less the way back. */
async function measureWrites(browser, site, options) {
	const name = "answers";
	const tabs = [await openTab(browser, site.url, name, options), await openTab(browser, site.url, name, options)];
	const [leader, follower] = tabs;
	const measure = async (from, to) => {
		await to.run((name) => startAnswering(name), name);
		const figures = await from.run((name) => measureAnswers(name), name);
		await to.run(() => stopAnswering());
		return figures;
	};
	const figures = { message: [], leaderWrite: [], followerWrite: [], leaderSeen: [], followerSeen: [], ratio: [] };
	for (let times = 0; times < ANSWERS; times++) {
		// In turn, because what else the machine does is not the same for long.
		const [fromLeader, fromFollower] = [await measure(leader, follower), await measure(follower, leader)];
		const message = (fromLeader.message + fromFollower.message) / 2;
		figures.message.push(message);
		figures.leaderWrite.push(fromLeader.write);
		figures.followerWrite.push(fromFollower.write);
		figures.leaderSeen.push(fromLeader.seen - message / 2);
		figures.followerSeen.push(fromFollower.seen - message / 2);
		figures.ratio.push(fromFollower.write / (message + fromLeader.write));
	}
	await closeAll(tabs);
	return Object.fromEntries(Object.entries(figures).map(([figure, list]) => [figure, median(list)]));
}

/** ms until the first get of a store of many entries: of the only tab, and of a second one. */
async function measureOpenings(browser, site, options) {
	const name = "openings";
	const figures = { leader: [], second: [] };
	const first = await openTab(browser, site.url, name, options);
	await first.runFor(
		120_000,
		async (entries) => {
			const rows = Array.from({ length: entries }, (_, at) => [
				`key:${at}`,
				{ name: `entry ${at}`, at, text: "x".repeat(60) },
			]);
			for (let at = 0; at < entries; at += 10_000) await store.setMany(rows.slice(at, at + 10_000));
			await store.checkpoint();
			await store.close();
		},
		ENTRIES,
	);
	await first.close();
	const timed = async (page) => page.run((...given) => openAndGet(...given), name, options, `key:${ENTRIES / 2}`);
	for (let times = 0; times < OPENINGS_MEASURED; times++) {
		const leader = await browser.open(site.url);
		figures.leader.push(await timed(leader));
		const second = await browser.open(site.url);
		figures.second.push(await timed(second));
		await second.run(() => store.close());
		await leader.run(() => store.close());
		await closeAll([second, leader]);
	}
	return figures;
}

// ------------------------------------------------------------------------------------------------ the run

/** ms; the first two of an idle machine. */
const LIMITS = { takeover: 1000, seen: 5, write: 1.5, opening: 1.3 };
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** All of a browser on a backend: problems, and lines of figures. */
async function runAll(site, browser, { name, backend, openings, rounds, seed }, detail) {
	const options = { backend };
	const problems = [];
	const lines = [];
	const limit = (isWithin, line) => {
		lines.push(line);
		if (!isWithin) problems.push(`over the limit: ${line}`);
	};
	const slowest = [];
	const pages = await inTurn(8, () => browser.open(site.url));
	for (let round = 1; round <= openings; round++) {
		detail(`opening ${round}`);
		const opened = await openAtOnce(browser, site, { name: `once ${round}`, options, pages });
		problems.push(...opened.problems.map((problem) => `opening ${round}: ${problem}`));
		slowest.push(opened.msMax);
	}
	await closeAll(pages);
	lines.push(
		`${openings} times 8 tabs at once: the slowest opening ${ms(median(slowest))} in the median, ${ms(Math.max(...slowest))} at most`,
	);
	let count = 0;
	const ends = endsOf(name, rounds, seed);
	// The longest storms are killed with the browser a few times.
	const killAfter = ends.map((_, at) => at).filter((at) => at % 6 === 4);
	const progress = (what) => detail(`storm: ${++count} ends, ${what}`);
	const storm = await runStorm(site, browser, { name: "storm", options, ends, seed, killAfter, progress });
	problems.push(...storm.problems);
	lines.push(
		`storm of ${STORM_TABS} tabs, ${ends.length} ends of leaders and ${killAfter.length} kills of the browser: ${JSON.stringify(storm.figures)}`,
	);
	lines.push(`  takeovers in it: ${storm.takeoversMs.map(([what, took]) => `${what} ${took}`).join(", ")}`);
	for (const way of Object.keys(MEASURED_ENDS)) {
		detail(`takeovers, ${way}`);
		const { leads, written, lock } = await measureTakeovers(browser, site, options, way);
		const line = `leader ${way}: another leads after ${ms(median(leads))} and has written after ${ms(median(written))} (medians of ${leads.length}; the browser's lock ${ms(median(lock))})`;
		limit(median(leads) < LIMITS.takeover, line);
	}
	detail("writes");
	const { message, leaderWrite, followerWrite, leaderSeen, followerSeen, ratio } = await measureWrites(
		browser,
		site,
		options,
	);
	const seen = `a write is seen in the other tab after ${ms(leaderSeen)} (of the leader) and ${ms(followerSeen)} (of a follower)`;
	limit(Math.max(leaderSeen, followerSeen) < LIMITS.seen, seen);
	const sum = `a message and back ${ms(message)} + a leader's set ${ms(leaderWrite)}`;
	limit(ratio < LIMITS.write, `a follower's set takes ${ms(followerWrite)}, ${ratio.toFixed(2)} times ${sum}`);
	detail("openings");
	const { leader, second } = await measureOpenings(browser, site, options);
	const slower = median(second) / median(leader);
	const text = `first get of ${ENTRIES} entries: ${ms(median(second))} in a second tab, ${slower.toFixed(2)} times the ${ms(median(leader))} of the first`;
	limit(slower < LIMITS.opening, text);
	return { problems, lines };
}

async function main() {
	const type = "string";
	const { values: given } = parseArgs({
		options: { browser: { type }, backend: { type }, openings: { type }, rounds: { type }, seed: { type } },
	});
	const seed = Number(given.seed ?? Math.floor(Math.random() * 2 ** 31));
	const [openings, rounds] = [Number(given.openings ?? 30), Number(given.rounds ?? 24)];
	console.log(`--seed ${seed}`);
	const site = await startTabsSite();
	const steps = new Steps();
	let failed = 0;
	for (const name of given.browser?.split(",") ?? BROWSERS)
		for (const backend of given.backend?.split(",") ?? BACKENDS) {
			const browser = await startBrowser(ENGINE_OF[name]);
			try {
				const { problems, lines } = await steps.step(`${name} ${backend}`, (detail) =>
					runAll(site, browser, { name, backend, openings, rounds, seed }, detail),
				);
				failed += problems.length;
				for (const line of lines) console.log(`  ${line} [load ${loadavg()[0].toFixed(1)}]`);
				for (const problem of problems) console.error(`  ${problem}`);
			} catch (error) {
				failed++;
				console.error(error);
			} finally {
				await browser.end();
			}
		}
	await site.stop();
	console.log(failed > 0 ? `${failed} problems` : "0 lost, 0 made twice, 0 disagreements");
	process.exit(failed > 0 ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
