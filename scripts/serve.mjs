// Owns the demo's web server: www/ at /, the built package at /dist/, on localhost alone.
//
// Every answer says `no-cache` and carries no validator, so a reload always shows what is on disk; what works offline is up to the
// demo's service worker. Run as a program it takes PORT (default 8080), or the next free one of PORTS_TRIED.
// The benchmark's pages are isolated from other origins, which makes the browser's clock finer; what they load says that it may be.
// Deliberately absent: compression, ranges, directory listings, any address but the loopback's, isolation of the demo, which
// Holdfast must not need.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./toolchain.mjs";

const HOST = "localhost";
const PORT_DEFAULT = 8080;
const PORTS_TRIED = 20;
const TYPES = {
	".css": "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".ico": "image/x-icon",
	".js": "text/javascript; charset=utf-8",
	".json": "application/json",
	".mjs": "text/javascript; charset=utf-8",
	".png": "image/png",
	".svg": "image/svg+xml",
	".wasm": "application/wasm",
	".webmanifest": "application/manifest+json",
};

const ISOLATION = {
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-embedder-policy": "require-corp",
};

/** The file behind a request's path, or null: outside the two folders, or not a file. */
function fileFor(url) {
	let path;
	try {
		path = decodeURIComponent(new URL(url, "http://localhost").pathname);
	} catch {
		return null;
	}
	if (path.endsWith("/")) path += "index.html";
	const [folder, rest] = path.startsWith("/dist/") ? ["dist", path.slice("/dist".length)] : ["www", path];
	const root = join(ROOT, folder);
	const file = normalize(join(root, rest));
	if (!file.startsWith(root + sep) || file.includes("\0")) return null;
	const stats = statSync(file, { throwIfNoEntry: false });
	return stats?.isFile() ? { file, bytes: stats.size } : null;
}

function answer(request, response, served) {
	if (request.method !== "GET" && request.method !== "HEAD") {
		response.writeHead(405, { allow: "GET, HEAD" }).end();
		return;
	}
	const found = fileFor(request.url);
	if (!found) {
		response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
		return;
	}
	response.writeHead(200, {
		"content-type": TYPES[extname(found.file)] ?? "application/octet-stream",
		"content-length": found.bytes,
		"cache-control": "no-cache",
		...(/^\/(bench|dist)\//.test(request.url) ? ISOLATION : {}),
	});
	served(found.file);
	if (request.method === "HEAD") response.end();
	else
		createReadStream(found.file)
			.on("error", () => response.destroy())
			.pipe(response);
}

/**
 * Serves on `port`, 0 for any free one; `served` is told the path of every file that is asked for. Resolves to `{ origin, stop() }`;
 * rejects with the listening error, such as EADDRINUSE.
 */
export async function serve({ port = 0, served = () => {} } = {}) {
	const server = createServer((request, response) => answer(request, response, served));
	await new Promise((resolve, reject) => {
		server.once("error", reject).listen(port, HOST, resolve);
	});
	return {
		origin: `http://${HOST}:${server.address().port}`,
		stop() {
			server.closeAllConnections();
			return new Promise((resolve) => {
				server.close(resolve);
			});
		},
	};
}

async function serveOnFreePort(first) {
	for (let port = first; port < first + PORTS_TRIED; port++) {
		try {
			return await serve({ port });
		} catch (error) {
			if (error.code !== "EADDRINUSE") throw error;
		}
	}
	return serve();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { origin } = await serveOnFreePort(Number(process.env.PORT) || PORT_DEFAULT);
	console.log(`\nHoldfast's demo is at ${origin}/  (Ctrl-C stops it)`);
}
