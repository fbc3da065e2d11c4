// A real browser on a profile on disk, which can be killed and started again on that profile.
//
// Owns: the browser's process group, its profile directory and its pages. Both are gone when the
// process that made them ends, however it ends.
// Uses: puppeteer-core (Chromium by CDP, Firefox by WebDriver BiDi) and scripts/toolchain.mjs for where the browsers are.
// Units: every wait is bounded, in milliseconds. Errors: plain `Error`s that carry the page's console; a `BrowserFault` when it
// is the browser that fails, not what runs in it.
// Deliberately absent: incognito contexts beside a profile (they keep storage in memory and prove nothing about durability), and
// closing a browser politely: every browser here ends by SIGKILL. WebKit, whose sessions leave no profile, is in webkit.mjs.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { readToolchain } from "../../scripts/toolchain.mjs";

const START_MS = 60_000;
const RUN_MS = 30_000;
const GONE_MS = 20_000;

// Wide enough for everything the demo shows.
const VIEWPORT = { width: 1280, height: 1000 };

const CHROMIUM_FLAGS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--disable-component-update",
	"--disable-search-engine-choice-screen",
];

/** What can be started, by name. `chromium-sqlite` has Chromium's coming IndexedDB engine. */
const ENGINES = {
	chromium: (profile) => chromium(profile, []),
	"chromium-sqlite": (profile) => chromium(profile, ["--enable-features=IdbSqliteBackingStore"]),
	// With the back/forward cache, which puppeteer turns off.
	"chromium-bfcache": (profile) => chromium(profile, [], { ignoreDefaultArgs: ["--disable-back-forward-cache"] }),
	// What a page's memory is comes at once and to the byte.
	"chromium-measured": (profile) => chromium(profile, ["--enable-blink-features=ForceEagerMeasureMemory"]),
	firefox: (profile) => firefox(profile, {}),
	// Every page that is not opened at the same time as another has a process of its own, so that one can crash alone.
	"firefox-processes": (profile) =>
		firefox(profile, { "dom.ipc.processCount": 32, "dom.ipc.processPrelaunch.enabled": false }),
	// An origin gets a fifth of the limit, which is in KiB.
	"chromium-incognito": (profile) => chromium(profile, ["--incognito"]),
	"firefox-private": (profile) => firefox(profile, { "browser.privatebrowsing.autostart": true }),
	"firefox-small-quota": (profile) => firefox(profile, { "dom.quotaManager.temporaryStorage.fixedLimit": 100 * 1024 }),
};

/** The browser did not start or end, or not load, close or crash a page. It may when it was killed and started again. */
export class BrowserFault extends Error {}

// Errors that carry a page's console already: pages nest.
const explained = new WeakSet();

const alive = new Set();
process.on("exit", () => {
	for (const browser of alive) browser.abandon();
});
// By itself the signal would end the process without the event above.
process.once("SIGTERM", () => process.exit(128 + 15));

/** Starts the browser of that name on a new profile, made in `directory`. */
export async function startBrowser(name, directory = tmpdir()) {
	const browser = new Browser(name, await mkdtemp(join(directory, `holdfast-${name}-`)));
	try {
		await browser.start();
	} catch (error) {
		browser.abandon();
		throw error;
	}
	return browser;
}

class Browser {
	#puppet;
	#group;
	#profile;
	#isKept = false;

	constructor(name, profile) {
		this.name = name;
		this.#profile = profile;
	}

	/** Starts the browser on its profile: the first time, and again after `kill`. */
	async start() {
		alive.add(this);
		this.#group = undefined;
		this.#puppet = await ofBrowser(bounded(ENGINES[this.name](this.#profile), START_MS, `${this.name} to start`));
		this.#group = this.#puppet.process().pid;
	}

	/** SIGKILL for every process of the browser at once; resolves when none runs any more. */
	async kill() {
		if (this.#group) signalGroup(this.#group, "SIGKILL");
		// The group of a browser that did not start is not known: its leader is among those on the profile.
		const areGone = () => {
			const pids = this.processes();
			for (const pid of pids) if (!signalGroup(pid, "SIGKILL")) signal(pid, "SIGKILL");
			return pids.length === 0;
		};
		await ofBrowser(until(areGone, GONE_MS, `${this.name}'s processes to be gone`));
		await ofBrowser(this.#preferencesRestored());
	}

	/** `kill`, then `start`. */
	async restart() {
		await this.kill();
		await this.start();
	}

	/** The ids of the browser's processes, as text. */
	processes() {
		return running(this.#group, this.#profile);
	}

	/**
	 * Crashes the process that runs the content of the page: alone in Chromium; in Firefox that of every page, unless each has its own.
	 */
	async crashRenderer(page) {
		if (!this.name.startsWith("firefox")) return page.crash();
		const pids = this.name === "firefox-processes" ? page.processes : this.#contents();
		if (pids.length === 0) throw new Error("no process runs the content of pages");
		for (const pid of pids) process.kill(pid, "SIGKILL");
	}

	/** Firefox's processes that run the content of pages. */
	#contents() {
		return this.processes().filter((pid) => {
			try {
				// What Linux keeps of "Web Content" and "Isolated Web Content", the names those processes give themselves.
				return /^(Isolated Web Co|Web Content)$/m.test(readFileSync(`/proc/${pid}/comm`, "utf8"));
			} catch {
				// It has ended since it was listed.
				return false;
			}
		});
	}

	/** Has the profile outlive the browser, for what is wrong in it to be looked at; gives its directory. */
	keepProfile() {
		this.#isKept = true;
		return this.#profile;
	}

	/** Kills the browser and removes its profile. */
	async end() {
		await this.kill();
		if (!this.#isKept) await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
		alive.delete(this);
	}

	/** The same when there is no time left to wait: at the end of the process. */
	abandon() {
		alive.delete(this);
		for (const pid of this.processes()) signal(pid, "SIGKILL");
		if (!this.#isKept) rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
	}

	/** Opens a page at `url`, which whoever asked for it closes. */
	async open(url) {
		const before = this.name === "firefox-processes" ? new Set(this.#contents()) : undefined;
		const page = new Page(await ofBrowser(bounded(this.#puppet.newPage(), RUN_MS, "a new page")));
		await page.goto(url).catch((error) => {
			throw page.explained(error);
		});
		page.processes = before && this.#contents().filter((pid) => !before.has(pid));
		return page;
	}

	/** Opens a page at `url`, runs `body(page)`, closes the page. A failure carries the page's console. */
	async page(url, body) {
		const page = await this.open(url);
		try {
			return await body(page);
		} catch (error) {
			throw page.explained(error);
		} finally {
			// If it does not close, nor may the next one open, which then is told.
			await page.close().catch(() => {});
		}
	}

	// puppeteer puts Firefox's preferences back when the process has ended, by renaming files; a browser started in
	// the middle of that would lose them.
	async #preferencesRestored() {
		const pending = async () => (await readdir(this.#profile)).some((file) => file.endsWith(".puppeteer"));
		await until(async () => !(await pending()), GONE_MS, "the profile's preferences");
	}
}

class Page {
	#puppet;
	#console = [];

	constructor(puppet) {
		this.#puppet = puppet;
		puppet.on("console", (line) => this.#console.push(`${line.type()}: ${line.text()}`));
		puppet.on("pageerror", (error) => this.#console.push(`uncaught: ${error?.stack ?? error}`));
		puppet.on("requestfailed", (request) => this.#console.push(`failed: ${request.url()}`));
		puppet.on("response", (response) => {
			if (response.status() >= 400) this.#console.push(`${response.status()}: ${response.url()}`);
		});
	}

	/** Loads `url` and waits for its `load` event. */
	async goto(url) {
		await ofBrowser(bounded(this.#puppet.goto(url, { timeout: 0 }), RUN_MS, `${url} to load`));
	}

	/** Loads the page again and waits for its `load` event. */
	async reload() {
		await this.#puppet.reload({ timeout: RUN_MS });
	}

	/** Runs `body(...args)` in the page and returns what it resolves to. Arguments and result are JSON. */
	run(body, ...args) {
		return this.runFor(RUN_MS, body, ...args);
	}

	/** The same for what takes longer. */
	runFor(limitMs, body, ...args) {
		return bounded(this.#puppet.evaluate(body, ...JSON.parse(JSON.stringify(args))), limitMs, "the page to answer");
	}

	/** The events of these categories while `body()` runs, as `{ value, events }` (Chromium only). */
	async trace(categories, body) {
		await this.#puppet.tracing.start({ categories });
		const value = await body();
		const { traceEvents } = JSON.parse(Buffer.from(await this.#puppet.tracing.stop()).toString());
		return { value, events: traceEvents };
	}

	/** Waits until `condition(...args)` is truthy in the page. */
	async until(condition, ...args) {
		const options = { timeout: RUN_MS, polling: 20 };
		await this.#puppet.waitForFunction(condition, options, ...args).catch((error) => {
			throw new Error(`waited at most ${RUN_MS} ms until ${condition}: ${error.message}`);
		});
	}

	/** Shows the page, as choosing its tab does. */
	async front() {
		await bounded(this.#puppet.bringToFront(), RUN_MS, "the page to be shown");
	}

	/** Clicks the element as a user would. */
	async click(selector) {
		await this.#puppet.locator(selector).setTimeout(RUN_MS).click();
	}

	/** Replaces what the field holds by `text`, key by key. */
	async type(selector, text) {
		await this.#puppet.locator(selector).setTimeout(RUN_MS).fill("");
		await this.#puppet.type(selector, text);
	}

	/** What the page wrote to its console as errors, and what nobody caught. */
	errors() {
		return this.#console.filter((line) => /^(error|uncaught):/.test(line));
	}

	url() {
		return this.#puppet.url();
	}

	/** A CDP session on this page (Chromium only). */
	cdp() {
		return this.#puppet.createCDPSession();
	}

	/** Crashes the page's renderer (Chromium only). */
	async crash() {
		const crashed = new Promise((resolve) => this.#puppet.once("error", resolve));
		const session = await this.cdp();
		// Who is gone does not answer.
		session.send("Page.crash").catch(() => {});
		await ofBrowser(bounded(crashed, RUN_MS, "the renderer to crash"));
	}

	/** The error, with the page's console behind its message. */
	explained(error) {
		if (error instanceof Error && !explained.has(error)) {
			explained.add(error);
			error.message += `\n--- console of ${this.#puppet.url()}\n${this.#console.slice(-40).join("\n")}`;
		}
		return error;
	}

	async close() {
		// Nothing to close when the test killed the browser.
		const closed = this.#puppet.close().catch(() => {});
		await ofBrowser(bounded(closed, RUN_MS, "the page to close"));
	}
}

// A killed browser leaves its temporary files; in the profile they go with it.
function launch(profile, options) {
	const temporary = join(profile, "tmp");
	mkdirSync(temporary, { recursive: true });
	return puppeteer.launch({
		...options,
		userDataDir: profile,
		env: { ...process.env, TMPDIR: temporary },
		defaultViewport: VIEWPORT,
		timeout: START_MS,
	});
}

function chromium(profile, flags, options = {}) {
	const args = [...CHROMIUM_FLAGS, ...flags];
	return launch(profile, { ...options, browser: "chrome", executablePath: installed("chromium"), args });
}

function firefox(profile, extraPrefsFirefox) {
	return launch(profile, { browser: "firefox", executablePath: installed("firefox"), extraPrefsFirefox });
}

function installed(browser) {
	const path = readToolchain()[browser];
	if (!path) throw new Error(`no ${browser} recorded: run \`npm run setup\``);
	return path;
}

/** Sends the signal to a process group. False when no process is left in it. */
export function signalGroup(group, name) {
	return signal(-group, name);
}

/** The same to a process. */
function signal(pid, name) {
	try {
		process.kill(pid, name);
		return true;
	} catch (error) {
		if (error.code === "ESRCH") return false;
		throw error;
	}
}

/**
 * The processes that run in the group or were started on that profile. One that ended and that nobody has waited for yet
 * does not run: it holds no file and no lock.
 */
function running(group, profile) {
	if (!existsSync("/proc/self/stat")) return group && signalGroup(group, 0) ? [-group] : [];
	return readdirSync("/proc").filter((pid) => {
		if (!/^[0-9]+$/.test(pid)) return false;
		try {
			// The name of the program, in parentheses, may itself hold spaces and parentheses.
			const [state, , processGroup] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
			if (state === "Z" || state === "X") return false;
			return Number(processGroup) === group || readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(profile);
		} catch {
			return false;
		}
	});
}

/** Waits for the promise, whose failure is the browser's. */
async function ofBrowser(promise) {
	try {
		return await promise;
	} catch (error) {
		throw new BrowserFault(error.message, { cause: error });
	}
}

/** Rejects when `promise` takes longer than `limit_ms`. */
export async function bounded(promise, limitMs, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms for ${what}`)), limitMs);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

/** Polls until `condition()` is truthy; rejects after `limitMs`. For what the system gives no event for. */
export async function until(condition, limitMs, what) {
	const end = performance.now() + limitMs;
	while (!(await condition())) {
		if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
