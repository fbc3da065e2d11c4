// The benchmark's engines as files a page can import.
//
// Owns: what of a library besides its code must lie beside the bundle, and the exact versions that are installed.
// Uses: esbuild and the libraries of www/bench/package.json. Errors: esbuild's, and npm's output when it fails.
// Deliberately absent: chunks shared between engines. Each engine is one file, so what its user downloads can be counted.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const BENCH = dirname(fileURLToPath(import.meta.url));
const ENGINES = join(BENCH, "engines");
const PACKAGES = join(BENCH, "node_modules");

/** The worker of an engine, and the files that its library fetches from where its own code is. */
const WORKERS = {
	sqlite: "sqlite-worker",
	"sqlite-wal": "sqlite-worker",
	"sqlite-off": "sqlite-worker",
	pglite: "pglite-worker",
	"opfs-probe": "opfs-probe-worker",
};
const ASSETS = {
	"sqlite-worker": ["@sqlite.org/sqlite-wasm/dist/sqlite3.wasm"],
	"pglite-worker": ["pglite.wasm", "pglite.data", "initdb.wasm"].map((file) => `@electric-sql/pglite/dist/${file}`),
};

/** Runs `npm ci` for the libraries unless what is installed is what the lock file says. */
export function installPeers() {
	if (stampOf(join(PACKAGES, ".package-lock.json")) >= stampOf(join(BENCH, "package-lock.json"))) return;
	const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: BENCH, encoding: "utf8" });
	if (npm.status !== 0) throw new Error(`npm ci in www/bench failed:\n${npm.stderr}`);
}

/** Writes `<id>.js` for each engine into `directory`, with its worker and its assets beside it. */
export async function bundleEngines(directory, ids) {
	mkdirSync(directory, { recursive: true });
	const workers = [...new Set(ids.map((id) => WORKERS[id]).filter(Boolean))];
	await build({
		entryPoints: [...ids, ...workers].map((name) => join(ENGINES, `${name}.js`)),
		outdir: directory,
		bundle: true,
		minify: true,
		format: "esm",
		target: "es2022",
		nodePaths: [PACKAGES],
		// Ours is served as it is published.
		external: ["holdfast"],
		define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
		logLevel: "error",
		plugins: [versions, absent],
	});
	for (const asset of workers.flatMap((worker) => ASSETS[worker] ?? [])) {
		copyFileSync(join(PACKAGES, asset), join(directory, basename(asset)));
	}
}

/** `import { version } from "version:<package>"`: what is installed. */
const versions = {
	name: "versions",
	setup(building) {
		building.onResolve({ filter: /^version:/ }, ({ path }) => ({
			path: path.slice("version:".length),
			namespace: "version",
		}));
		building.onLoad({ filter: /.*/, namespace: "version" }, ({ path }) => {
			const { version } = JSON.parse(readFileSync(join(PACKAGES, path, "package.json"), "utf8"));
			return { contents: `export const version = ${JSON.stringify(version)};` };
		});
	},
};

/**
 * Node's modules, which the libraries use only where there is no browser, are empty. Level's modules do without the shim of
 * `Buffer`, as browser-level's documentation advises.
 */
const absent = {
	name: "absent",
	setup(building) {
		const empty = { path: "empty", namespace: "empty" };
		building.onResolve({ filter: /^(node:.*|fs|fs\/promises|module|path|crypto|url|util|vm)$/ }, () => empty);
		building.onResolve({ filter: /^buffer$/ }, ({ importer }) => (/level/.test(importer) ? empty : undefined));
		building.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "module.exports = {};" }));
	},
};

function stampOf(file) {
	return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
