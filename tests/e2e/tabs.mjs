// One store in many tabs of real browsers: tabs that open at once, a storm of writes from all of them while whoever leads is ended in
// every way there is, and what a takeover, a follower's write and a second tab cost.
//
//   npm run test:tabs -- [--browser chromium,firefox] [--backend opfs,idb] [--openings 30] [--rounds 24] [--seed 123]
//
// Every storm is judged by tabs-history.mjs against what the driver was told, and every tab against a fresh one. The figures are
// compared with what the browser itself needs for the same: the release of a lock, a message, a leader's write, a leader's opening.
// Ends with 1 when an acknowledged write is lost or made twice, when tabs disagree, when something hangs, or when a figure is over
// its limit. A run takes about ten minutes. Units: ms. `--seed` repeats the writes and the order of the ends, not their moments.

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
