// The site on which engines are tried: bundled engines, Holdfast as it is published, the benchmark's own modules, a blank page.
//
// Owns: one HTTP server on a free port. /blank, /engines/* (what bundle.mjs wrote), /dist/* (the build), /bench/* (this directory).

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../scripts/toolchain.mjs";
import { listening } from "../../tests/e2e/site.mjs";

const BENCH = dirname(fileURLToPath(import.meta.url));
const TYPES = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".json": "application/json",
	".wasm": "application/wasm",
};
const IMPORTS = '<script type="importmap">{ "imports": { "holdfast": "/dist/index.js" } }</script>';
const BLANK = `<!doctype html><meta charset="utf-8"><title>Engines</title><link rel="icon" href="data:,">${IMPORTS}`;

/** Starts the site over the directory of bundled engines; `posts` has for a path what answers the JSON that pages POST there. */
export async function startEngineSite(directory, posts = {}) {
	const roots = { engines: directory, bench: BENCH, dist: join(ROOT, "dist") };
	const server = createServer(async (request, response) => {
		const path = decodeURIComponent(new URL(request.url, "http://site").pathname);
		try {
			const [type, body] = await answer(path, roots, request, posts);
			response.writeHead(200, { "content-type": type, "cache-control": "no-cache" });
			response.end(body);
		} catch (error) {
			response.writeHead(404, { "content-type": "text/plain" });
			response.end(String(error));
		}
	});
	return listening(server);
}

async function answer(path, roots, request, posts) {
	if (request.method === "POST") {
		const parts = [];
		for await (const part of request) parts.push(part);
		return [TYPES[".json"], JSON.stringify((await posts[path](JSON.parse(Buffer.concat(parts).toString()))) ?? null)];
	}
	if (path === "/blank") return [TYPES[".html"], BLANK];
	const [, area, ...rest] = path.split("/");
	const inside = normalize(rest.join("/"));
	if (roots[area] === undefined || inside.startsWith("..")) throw new Error(`nothing at ${path}`);
	return [TYPES[extname(inside)] ?? "application/octet-stream", await readFile(join(roots[area], inside))];
}
