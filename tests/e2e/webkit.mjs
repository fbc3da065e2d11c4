// WebKitGTK through its own driver, by the few W3C WebDriver commands that the tests need.
//
// Owns: the process group of xvfb-run, WebKitWebDriver and the MiniBrowser it starts.
// Offers: the `page` of browser.mjs with `goto reload run until close`; nothing else of it.
// Deliberately absent: kill and restart, and crashes of a renderer. An automation session of WebKitGTK is ephemeral, a new one
// finds nothing, and a crash ends it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readToolchain } from "../../scripts/toolchain.mjs";
import { bounded, signalGroup, until } from "./browser.mjs";

const START_MS = 30_000;
const RUN_MS = 60_000;

/** Why WebKit cannot be driven here, for a skipped test; undefined when it can. */
export function webkitMissing() {
	const { webkitDriver, miniBrowser, xvfbRun } = readToolchain();
	if (webkitDriver && miniBrowser && xvfbRun) return undefined;
	return "WebKitWebDriver, its MiniBrowser or xvfb-run is not installed";
}

const temporary = mkdtempSync(join(tmpdir(), "holdfast-webkit-"));
const groups = new Set();
process.on("exit", () => {
	// Not SIGKILL, on which Xvfb would leave its lock file behind.
	for (const group of groups) signalGroup(group, "SIGTERM");
	rmSync(temporary, { recursive: true, force: true });
});

/** Starts a driver and one ephemeral session. */
export async function startWebkit() {
	const { webkitDriver, miniBrowser, xvfbRun } = readToolchain();
	const port = await freePort();
	const driver = spawn(xvfbRun, ["--auto-servernum", webkitDriver, `--port=${port}`], {
		detached: true,
		stdio: "ignore",
		env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", TMPDIR: temporary },
	});
	groups.add(driver.pid);
	const root = `http://127.0.0.1:${port}`;
	await until(() => command("GET", `${root}/status`).catch(() => undefined), START_MS, "WebKitWebDriver to listen");
	const { sessionId } = await command("POST", `${root}/session`, {
		capabilities: {
			alwaysMatch: { "webkitgtk:browserOptions": { binary: miniBrowser, args: ["--automation"] } },
		},
	});
	const session = `${root}/session/${sessionId}`;
	await command("POST", `${session}/timeouts`, { script: RUN_MS, pageLoad: RUN_MS });
	return new Webkit(driver.pid, session);
}

class Webkit {
	#group;
	#session;

	constructor(group, session) {
		this.name = "webkit";
		this.#group = group;
		this.#session = session;
	}

	/** Loads `url` and runs `body(page)`. */
	async page(url, body) {
		const page = new WebkitPage(this.#session);
		await page.goto(url);
		return body(page);
	}

	async end() {
		signalGroup(this.#group, "SIGTERM");
		groups.delete(this.#group);
		await until(() => !signalGroup(this.#group, 0), START_MS, "WebKit's processes to be gone");
	}
}

class WebkitPage {
	#session;

	constructor(session) {
		this.#session = session;
	}

	async goto(url) {
		await command("POST", `${this.#session}/url`, { url });
		await this.#loaded();
	}

	async reload() {
		await command("POST", `${this.#session}/refresh`, {});
		await this.#loaded();
	}

	// The driver may answer before the page's modules have run.
	#loaded() {
		return this.until(() => document.readyState === "complete");
	}

	/** Closes the tab, behind a new one: with its last the session would end. */
	async close() {
		const { handle } = await command("POST", `${this.#session}/window/new`, { type: "tab" });
		await command("DELETE", `${this.#session}/window`);
		await command("POST", `${this.#session}/window`, { handle });
	}

	/** The error as it is: the console is not to be had. */
	explained(error) {
		return error;
	}

	async run(body, ...args) {
		const script = `
			const [source, args, done] = [arguments[0], arguments[1], arguments[2]];
			Promise.resolve().then(() => eval("(" + source + ")")(...args)).then(
				(value) => done({ value }),
				(error) => done({ error: String(error) + "\\n" + (error && error.stack) }));`;
		const answer = await command("POST", `${this.#session}/execute/async`, { script, args: [String(body), args] });
		if (answer.error !== undefined) throw new Error(answer.error);
		return answer.value;
	}

	async until(condition, ...args) {
		await until(() => this.run(condition, ...args), RUN_MS, "the page's condition");
	}
}

async function command(method, url, body) {
	const answer = await bounded(
		fetch(url, { method, body: body && JSON.stringify(body), headers: { connection: "close" } }),
		RUN_MS,
		`WebDriver ${method} ${url}`,
	);
	const { value } = await answer.json();
	if (!answer.ok) throw new Error(`WebDriver ${method} ${url}: ${value.error}: ${value.message}`);
	return value;
}

async function freePort() {
	const server = createServer();
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	return port;
}
