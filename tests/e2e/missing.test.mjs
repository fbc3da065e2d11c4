// `holdfast` where its files are missing: the copy of engine and I/O worker in JavaScript takes their place, and only then.
//
// Each case is a site of its own under its name, which answers for some files of the package what servers answer for what they do not
// have. What pages asked for is known, so is whether they asked for the copy.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { listening, packPackage } from "./site.mjs";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };

const missing = (response) => response.writeHead(404).end();
const page = (response) =>
	response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><p>The app</p>");
const pageAsWasm = (response) => response.writeHead(200, { "content-type": TYPES[".wasm"] }).end("<!doctype html>");
const cutOff = (response) => response.socket.destroy();
/** Wasm of a version that no browser has. A file that is cut off is `out of memory` to Firefox now and then. */
const unknown = (response, bytes) => {
	bytes[4] = 9;
	response.writeHead(200, { "content-type": TYPES[".wasm"] }).end(bytes);
};

const ON_OPFS = { backend: "opfs" };
const NO_WASM = "script-src 'self' 'unsafe-inline'";
const NO_BLOB = "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self'";

/**
 * By title: what is answered for which file, `copy` being the one with the copy in JavaScript; the policy; the object and the property of
 * it that the page is without; options of `open`; what comes of it, where a RegExp stands for the text of an error or a fallback; and
 * whether the copy is asked for.
 */
const CASES = {
	"nothing is missing": { outcome: ON_OPFS, asksForCopy: false },
	"both are missing": { files: { wasm: missing, worker: missing }, outcome: ON_OPFS, asksForCopy: true },
	"the wasm is missing": { files: { wasm: missing }, outcome: ON_OPFS, asksForCopy: true },
	"the worker is missing": { files: { worker: missing }, outcome: ON_OPFS, asksForCopy: true },
	"a page is there instead of both": { files: { wasm: page, worker: page }, outcome: ON_OPFS, asksForCopy: true },
	"a page is there that claims to be wasm": { files: { wasm: pageAsWasm }, outcome: ON_OPFS, asksForCopy: true },
	"the server does not answer": { files: { wasm: cutOff, worker: cutOff }, outcome: ON_OPFS, asksForCopy: true },
	"the wasm is there and cannot be compiled": {
		files: { wasm: unknown },
		outcome: { code: "UNAVAILABLE", message: /could not be loaded from http\S+holdfast\.wasm: CompileError/ },
		asksForCopy: false,
	},
	"the copy is missing too: the wasm is what the error names": {
		files: { wasm: missing, copy: missing },
		outcome: { code: "UNAVAILABLE", message: /could not be loaded from http\S+holdfast\.wasm: Error: HTTP 404/ },
		asksForCopy: true,
	},
	"the worker and the copy are missing: IndexedDB": {
		files: { worker: missing, copy: missing },
		outcome: { backend: "idb", fallback: /^opfs: OPFS needs an I\/O worker: its script failed/ },
		asksForCopy: true,
	},
	"the worker is missing, and the policy forbids the copy's: IndexedDB": {
		files: { worker: missing },
		policy: NO_BLOB,
		outcome: { backend: "idb", fallback: /^opfs: OPFS needs an I\/O worker: its script failed/ },
		asksForCopy: true,
	},
	"a page that cannot start workers": {
		without: ["window", "Worker"],
		outcome: { backend: "idb", fallback: /^opfs: OPFS needs an I\/O worker: starting it failed/ },
		asksForCopy: false,
	},
	"a page without locks, as outside of secure contexts": {
		without: ["navigator", "locks"],
		outcome: { backend: "idb", fallback: /^opfs: OPFS needs an I\/O worker: give the worker option/ },
		asksForCopy: false,
	},
	"WASM_BLOCKED: the policy forbids wasm that is there": {
		policy: NO_WASM,
		outcome: { code: "WASM_BLOCKED", message: /'wasm-unsafe-eval'/ },
		asksForCopy: false,
	},
	"WASM_BLOCKED: the policy forbids wasm that is missing": {
		files: { wasm: missing },
		policy: NO_WASM,
		outcome: { code: "WASM_BLOCKED", message: /'wasm-unsafe-eval'/ },
		asksForCopy: true,
	},
	"what the app gave is missing": {
		files: { wasm: missing },
		given: { wasm: "package/dist/holdfast.wasm" },
		outcome: { code: "UNAVAILABLE", message: /HTTP 404/ },
		asksForCopy: false,
	},
	"the worker that the app gave is missing": {
		given: { worker: "package/none.js", backend: "opfs" },
		outcome: { code: "UNAVAILABLE", message: /its script failed/ },
		asksForCopy: false,
	},
};

let directory;
let names;
let server;
/** The files that the page has asked for. */
let asked;

before(async () => {
	directory = await packPackage();
	const isCopy = (file) =>
		file.startsWith("c-") && readFileSync(join(directory, "dist", file), "utf8").includes("AGFzbQEAAAA");
	const copies = readdirSync(join(directory, "dist")).filter(isCopy);
	assert.equal(copies.length, 1, "one chunk has the copy");
	names = { wasm: "holdfast.wasm", worker: "worker.js", copy: copies[0] };
	server = await listening(createServer(answer));
});
after(() => server?.stop());

async function answer(request, response) {
	const [, number, ...rest] = decodeURIComponent(new URL(request.url, "http://site").pathname).split("/");
	const { files = {}, policy = "" } = Object.values(CASES)[number] ?? {};
	const path = rest.join("/");
	if (path === "") {
		const headers = { "content-type": "text/html", "content-security-policy": policy };
		const map = JSON.stringify({ imports: { holdfast: "./package/dist/index.js" } });
		const icon = '<link rel="icon" href="data:,">';
		response.writeHead(200, headers).end(`<!doctype html>${icon}<script type="importmap">${map}</script>`);
		return;
	}
	asked.push(rest.at(-1));
	try {
		const bytes = await readFile(join(directory, path.replace(/^package\//, "")));
		const [name] = Object.entries(names).find(([, file]) => file === rest.at(-1)) ?? [];
		if (files[name]) files[name](response, bytes);
		else response.writeHead(200, { "content-type": TYPES[extname(path)] }).end(bytes);
	} catch {
		missing(response);
	}
}

/** In the page: what comes of opening a store, writing to it and reading. */
async function openStore(name, { wasm, worker, ...options }, [owner, property] = []) {
	if (owner) Object.defineProperty(globalThis[owner], property, { value: undefined });
	const { open } = await import("holdfast");
	const address = (path) => path && new URL(path, location.href);
	try {
		const store = await open(name, { ...options, wasm: address(wasm), worker: address(worker) });
		await store.set("key", "value", { durability: "always" });
		if (store.peek("key") !== "value") throw new Error("the value is not there");
		const { backend, fallback } = store.status;
		await store.close();
		return fallback === undefined ? { backend } : { backend, fallback };
	} catch ({ code, message }) {
		return { code, message };
	}
}

for (const browserName of ["chromium", "firefox"]) {
	describe(`missing files in ${browserName}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(browserName);
		});
		after(() => browser?.end());

		for (const [number, [title, { given = {}, without = [], outcome, asksForCopy }]] of Object.entries(
			CASES,
		).entries()) {
			test(`${browserName}: ${title}`, () =>
				browser.page(`${server.origin}/${number}/`, async (page) => {
					asked = [];
					const found = await page.run(openStore, `store ${number}`, given, without);
					assert.deepEqual(Object.keys(found), Object.keys(outcome), JSON.stringify(found));
					for (const [key, expected] of Object.entries(outcome)) {
						if (expected instanceof RegExp) assert.match(found[key], expected);
						else assert.equal(found[key], expected);
					}
					const times = asked.filter((file) => file === names.copy).length;
					// A browser may ask again for what it did not get.
					assert.equal(times > 0, asksForCopy, `asked for the copy ${times} times: ${asked.join(" ")}`);
				}));
		}
	});
}
