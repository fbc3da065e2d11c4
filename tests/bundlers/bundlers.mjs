// Proves that the packed package works in what people build their pages with, without configuration for it.
//
//   npm run test:bundlers -- [--app import-map,esbuild,rollup,webpack,vite,next]
//
// Each folder beside this file is an app as its tool's own guide would have it. It is copied to a temporary directory outside of the
// repository, gets the tarball and its tools by `npm install`, is built, and served: by its tool's own server, or from the
// folder it was built into under a policy that allows nothing from elsewhere. Then Chromium visits it, loads it again, and must find
// what the first visit wrote, on OPFS, which takes the worker as well as the engine; where tools bundle workers, also in a
// worker of the app's own. Everything the page fetched must have come from the app. Nobody fetches the copy of engine and worker in
// JavaScript whose tool puts their files beside the script, and who needs it reports no error but the files that are missing.
//
// Versions are in the apps' package.json, exactly; there are no lockfiles. A tool that the repository itself has in that version is
// not installed again. Ends with 1 if an app failed. `tests/e2e/bundlers.test.mjs` runs the quick ones.
// Deliberately absent: the tools' development modes other than Vite's, which rewrites packages in its own way.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { elapsed, run, Steps } from "../../scripts/progress.mjs";
import { ROOT } from "../../scripts/toolchain.mjs";
import { bounded, signalGroup, startBrowser, until } from "../e2e/browser.mjs";
import { listening, packTarball } from "../e2e/site.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const INSTALL_MS = 300_000;
const BUILD_MS = 300_000;
const START_MS = 60_000;
const VISIT_MS = 30_000;

/**
 * A page that finds engine and worker as files, and one that has both in JavaScript; `missing` is how many files its console
 * misses: the engine, but not the worker's script, which the package hears of.
 */
const files = (path = "/") => ({ path, isEmbedded: false, missing: 0 });
const embedded = (path, missing = 0) => ({ path, isEmbedded: true, missing });

/**
 * The apps. Each way of serving one names the `folder` that is served or the `script` that serves, and where it is not as usual: its
 * `pages`, the `places` that open a store, and what the HTML has to `say` as it comes from the server.
 */
const APPS = {
	"import-map": [{ folder: "." }],
	esbuild: [
		{
			folder: "www",
			// A script that is no module has no address that files could be beside.
			pages: [
				embedded("/", 1),
				embedded("/module.html", 1),
				embedded("/script.html"),
				embedded("/inline.html"),
				files("/files.html"),
			],
		},
	],
	rollup: [{ folder: "www", pages: [embedded("/", 1), embedded("/inline.html"), files("/files.html")] }],
	webpack: [{ folder: "dist", places: ["page", "worker"] }],
	vite: [
		{ folder: "dist", places: ["page", "worker"] },
		{ script: "dev", places: ["page", "worker"] },
	],
	next: [
		{
			script: "start",
			places: ["page", "worker"],
			say: ["Server component: open is a function.", "Client component: open is a function."],
		},
	],
};

/** How the engine begins, as it is in the copy in JavaScript: the first bytes of every wasm file, in base64. */
const EMBEDDED_WASM = "AGFzbQEAAAA";

const POLICY = [
	"default-src 'self'",
	// The pages have scripts in them, and an empty icon.
	"script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
	"img-src data:",
	"worker-src 'self' blob:",
].join("; ");
const TYPES = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".wasm": "application/wasm",
};

/**
 * Installs, builds, serves and visits that app. `step(name, body)` wraps each part, `body(detail)` being given what shows its progress.
 * Throws what went wrong; the app's directory is gone either way.
 */
export async function proveApp(name, tarball, browser, step = (_, body) => body(() => {})) {
	const directory = await mkdtemp(join(tmpdir(), `holdfast-${name}-`));
	const abandon = () => rmSync(directory, { recursive: true, force: true });
	process.on("exit", abandon);
	try {
		await cp(join(HERE, name), directory, { recursive: true });
		await cp(join(HERE, "visits.js"), join(directory, "src", "visits.js"));
		const app = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
		await step(`${name}: install`, (detail) => install(directory, tarball, app, detail));
		if (app.scripts?.build) {
			await step(`${name}: build`, (detail) =>
				run("npm", ["run", "build"], { cwd: directory, env: environment(), detail, timeout_ms: BUILD_MS }),
			);
		}
		for (const way of APPS[name]) {
			await step(`${name}: visits, ${way.script ? `npm run ${way.script}` : "as files"}`, () =>
				proveWay(directory, way, browser),
			);
		}
	} finally {
		process.off("exit", abandon);
		await rm(directory, { recursive: true, force: true, maxRetries: 5 });
	}
}

/** The repository's own tools are found behind the app's. */
function environment() {
	const tools = join(ROOT, "node_modules", ".bin");
	return { PATH: `${process.env.PATH}${delimiter}${tools}`, NO_COLOR: "1", NEXT_TELEMETRY_DISABLED: "1" };
}

async function install(directory, tarball, { devDependencies = {}, ...app }, detail) {
	const isThere = ([name, version]) => {
		const file = join(ROOT, "node_modules", name, "package.json");
		return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version;
	};
	const args = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
	if (app.dependencies === undefined && Object.entries(devDependencies).every(isThere)) {
		// npm asks the registry even about what it is told to omit.
		await writeFile(join(directory, "package.json"), JSON.stringify(app));
		args.push("--offline");
	}
	await run("npm", [...args, tarball], { cwd: directory, detail, timeout_ms: INSTALL_MS });
}

async function proveWay(directory, { folder, script, pages = [files()], places = ["page"], say = [] }, browser) {
	const served = folder === undefined ? await serveBy(script, directory) : await serveFiles(join(directory, folder));
	try {
		for (const [at, { path, isEmbedded, missing }] of pages.entries()) {
			const html = await (await fetch(served.origin + path)).text();
			for (const text of say) assert.ok(html.includes(text), `the server's HTML lacks "${text}"`);
			await browser.page(served.origin + path, async (page) => {
				for (const times of [0, 1]) {
					if (times > 0) await page.reload();
					// All pages of an app have the same store.
					const before = 2 * at + times;
					for (const [place, { fetched, ...outcome }] of await outcomes(page, places)) {
						assert.deepEqual(outcome, { before, backend: "opfs" }, `${path}, ${place}`);
						assert.equal(await haveEngine(fetched), isEmbedded, `${path}, ${place}: engine in what it fetched`);
					}
				}
				assert.deepEqual(await page.run(fetchedElsewhere), []);
				const [notFound, others] = [true, false].map((is) =>
					page.errors().filter((line) => /status of 404/.test(line) === is),
				);
				assert.deepEqual(others, []);
				// Each visit asks anew.
				assert.equal(notFound.length, 2 * missing, `${path}: ${notFound.join("\n")}`);
			});
		}
	} finally {
		await served.stop();
	}
}

/** Whether one of these addresses has the engine in JavaScript. */
async function haveEngine(addresses) {
	const texts = addresses
		.filter((address) => address.startsWith("http"))
		.map(async (address) => (await fetch(address)).text());
	return (await Promise.all(texts)).some((text) => text.includes(EMBEDDED_WASM));
}

/** What the page shows, once every place has an outcome: `[place, outcome]` of each. */
async function outcomes(page, places) {
	let found;
	const areThere = async () => {
		found = await page.run(() => ({ ...document.body.dataset }));
		return places.every((place) => place in found);
	};
	await until(areThere, VISIT_MS, `${places.join(" and ")} to have opened a store`);
	return places.map((place) => [place, JSON.parse(found[place])]);
}

/** In the page: what it fetched that is not of its own origin. */
function fetchedElsewhere() {
	const addresses = performance.getEntriesByType("resource").map(({ name }) => name);
	return addresses.filter((address) => !address.startsWith(`${location.origin}/`) && !/^(blob|data):/.test(address));
}

/** Serves the files of a folder. */
async function serveFiles(folder) {
	const server = createServer(async (request, response) => {
		const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
		const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
		try {
			const body = await readFile(file);
			const type = TYPES[extname(file)] ?? "application/octet-stream";
			response.writeHead(200, { "content-type": type, "content-security-policy": POLICY }).end(body);
		} catch {
			response.writeHead(404).end();
		}
	});
	return listening(server);
}

/** Starts the app's own server by one of its scripts, and waits until it says where it is. */
async function serveBy(script, directory) {
	const server = spawn("npm", ["run", script, "--", "--port", "0"], {
		cwd: directory,
		env: { ...process.env, ...environment() },
		stdio: ["ignore", "pipe", "pipe"],
		// npm starts processes of its own.
		detached: true,
	});
	const kill = () => signalGroup(server.pid, "SIGKILL");
	process.on("exit", kill);
	const ended = new Promise((resolve) => server.once("close", resolve));
	let said = "";
	const origin = new Promise((resolve, reject) => {
		const take = (text) => {
			said += stripVTControlCharacters(String(text));
			const [address] = said.match(/http:\/\/localhost:\d+/) ?? [];
			if (address) resolve(address);
		};
		server.stdout.on("data", take);
		server.stderr.on("data", take);
		server.once("error", reject);
		ended.then(() => reject(new Error(`npm run ${script} ended\n${said}`)));
	});
	const stop = async () => {
		kill();
		await ended;
		process.off("exit", kill);
	};
	try {
		return { origin: await bounded(origin, START_MS, `npm run ${script} to serve`), stop };
	} catch (error) {
		await stop();
		throw error;
	}
}

async function proveAll(names) {
	if (!existsSync(join(ROOT, "dist", "index.js"))) throw new Error("there is no dist/: run `npm run build` first");
	const steps = new Steps();
	const tarball = await packTarball();
	const browser = await startBrowser("chromium");
	const rows = [];
	try {
		for (const name of names) {
			const row = { name, outcome: "passed", times: [] };
			rows.push(row);
			const step = async (title, body) => {
				const started = Date.now();
				await steps.step(title, body);
				row.times.push(`${title.slice(name.length + 2)} ${elapsed(Date.now() - started)}`);
			};
			await proveApp(name, tarball, browser, step).catch(({ message }) => {
				row.outcome = "failed";
				console.error(`\n${name}: ${message}\n`);
			});
		}
	} finally {
		await browser.end();
	}
	console.log("");
	for (const { name, outcome, times } of rows) {
		console.log(`  ${outcome.padEnd(8)}${name.padEnd(12)}${times.join(" | ")}`);
	}
	const count = (outcome) => rows.filter((row) => row.outcome === outcome).length;
	console.log(`\n${count("passed")} passed, ${count("failed")} failed`);
	return count("failed") === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { values } = parseArgs({ options: { app: { type: "string" } } });
	const names = values.app?.split(",") ?? Object.keys(APPS);
	if (!names.every((name) => Object.hasOwn(APPS, name))) {
		console.error(`usage: npm run test:bundlers -- [--app ${Object.keys(APPS).join(",")}]`);
		process.exit(2);
	}
	try {
		process.exit((await proveAll(names)) ? 0 : 1);
	} catch ({ message }) {
		console.error(`\n${message}`);
		process.exit(1);
	}
}
