// The site the browsers visit: the packed package beside a minimal page that imports it by name.
//
// Owns: one HTTP server on a free port, and the directory in which the tarball of `npm pack` is unpacked.
//   /            page with site/page.mjs, which imports "holdfast" by an import map made from the package's own `exports`
//   /api /hostile /storm /slices /tabs /transfer /workers   the same with site/api/page.mjs, site/hostile/page.mjs, site/storm-page.mjs...
//   /no-wasm     the same page under a Content-Security-Policy without 'wasm-unsafe-eval'
//   /policy /policy-inline   page without scripts under the policy that README asks for, and that for `holdfast/inline`
//   /imports     page with the import map only
//   /blank       page without scripts
//   /package/*   the unpacked tarball;  /site/*  tests/e2e/site
//   POST         JSON to and from the function that the test gave for that path
// Deliberately absent: caching, compression, anything that a user's own server might add.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ROOT } from "../../scripts/toolchain.mjs";

const SITE = join(dirname(fileURLToPath(import.meta.url)), "site");
const TYPES = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8",
	".json": "application/json",
	".wasm": "application/wasm",
};
const POLICIES = {
	"/no-wasm": "script-src 'self' 'unsafe-inline'",
	"/policy": "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
	"/policy-inline": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:",
};
/** The script of each page that runs one. */
const PAGES = {
	"/": "page.mjs",
	"/no-wasm": "page.mjs",
	"/api": "api/page.mjs",
	"/hostile": "hostile/page.mjs",
	"/storm": "storm-page.mjs",
	"/slices": "slices-page.mjs",
	"/transfer": "transfer-page.mjs",
	"/tabs": "tabs/page.mjs",
	"/workers": "workers/page.mjs",
};

const execFileAsync = promisify(execFile);

/** Packs the package as `npm publish` would and returns the path of the tarball, which lives as long as the process. */
export async function packTarball() {
	const directory = mkdtempSync(join(tmpdir(), "holdfast-package-"));
	process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
	const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", directory];
	const { stdout } = await execFileAsync("npm", pack, { cwd: ROOT });
	return join(directory, stdout.trim());
}

/** Unpacks the tarball beside itself and returns the package's directory. */
export async function unpack(tarball) {
	await execFileAsync("tar", ["-xzf", tarball, "-C", dirname(tarball)]);
	return join(dirname(tarball), "package");
}

/** Both. */
export async function packPackage() {
	return unpack(await packTarball());
}

/**
 * Starts the site. `packageDirectory` may be left out by tests of the browsers alone; `posts` has for a path what answers
 * the JSON that pages POST there.
 */
export async function startSite(packageDirectory, posts = {}) {
	const server = createServer(async (request, response) => {
		const path = decodeURIComponent(new URL(request.url, "http://site").pathname);
		try {
			const { type, body, headers } =
				request.method === "POST"
					? { type: TYPES[".json"], body: JSON.stringify(posts[path](await json(request))) }
					: await answer(path, packageDirectory);
			// A page that must not be stored is not kept to be gone back to either.
			response.writeHead(200, { "content-type": type, "cache-control": "no-cache", ...headers });
			response.end(body);
		} catch (error) {
			response.writeHead(404, { "content-type": "text/plain" });
			response.end(String(error));
		}
	});
	return listening(server);
}

/** Has a server listen on a free port; gives where it is, and what stops it. */
export async function listening(server) {
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		origin: `http://127.0.0.1:${server.address().port}`,
		async stop() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

async function answer(path, packageDirectory) {
	const type = TYPES[".html"];
	const headers = path in POLICIES ? { "content-security-policy": POLICIES[path] } : {};
	if (["/blank", "/policy", "/policy-inline"].includes(path)) return { type, body: html(), headers };
	if (path === "/imports") return { type, body: html(await importMap(packageDirectory)) };
	if (path in PAGES) {
		const script = `<script type="module" src="/site/${PAGES[path]}"></script>`;
		return { type, body: html(await importMap(packageDirectory), script), headers };
	}
	const [, area, ...rest] = path.split("/");
	const root = { package: packageDirectory, site: SITE }[area];
	const inside = normalize(rest.join("/"));
	if (root === undefined || inside.startsWith("..")) throw new Error(`nothing at ${path}`);
	return { type: TYPES[extname(inside)] ?? "application/octet-stream", body: await readFile(join(root, inside)) };
}

async function json(request) {
	const parts = [];
	// A page that is killed in the middle of its request ends it.
	for await (const part of request) parts.push(part);
	return JSON.parse(Buffer.concat(parts).toString());
}

function html(...scripts) {
	const head = '<meta charset="utf-8"><title>Holdfast under test</title><link rel="icon" href="data:,">';
	return `<!doctype html><html lang="en"><head>${head}${scripts.join("")}</head><body></body></html>`;
}

async function importMap(packageDirectory) {
	const { name, exports } = JSON.parse(await readFile(join(packageDirectory, "package.json"), "utf8"));
	const imports = {};
	for (const [entry, target] of Object.entries(exports)) {
		imports[entry.replace(".", name)] = (target.default ?? target).replace(".", "/package");
	}
	return `<script type="importmap">${JSON.stringify({ imports })}</script>`;
}
