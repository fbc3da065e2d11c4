// What the benchmark's page loads: the engines and, where its library is installed, the charts, bundled into www/bench/built/.
//
// Run as a program it bundles every engine that it can without installing anything.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleEngines } from "../../www/bench/bundle.mjs";
import { ENGINES, PEERS } from "../../www/bench/engines.js";
import { ROOT } from "../toolchain.mjs";

const BENCH = join(ROOT, "www", "bench");
/** Where they are. `engines.json` says which: `{ ids, hasCharts }`. */
export const BUILT = join(BENCH, "built");

const isInstalled = (library) => existsSync(join(BENCH, "node_modules", library));

/** Bundles the engines of these ids. */
export async function buildSite(ids) {
	mkdirSync(BUILT, { recursive: true });
	await bundleEngines(BUILT, ids);
	const hasCharts = isInstalled("echarts");
	if (hasCharts) await bundleCharts();
	writeFileSync(join(BUILT, "engines.json"), JSON.stringify({ ids, hasCharts }));
}

function bundleCharts() {
	return build({
		entryPoints: [join(BENCH, "charts.js")],
		outdir: BUILT,
		bundle: true,
		minify: true,
		format: "esm",
		target: "es2022",
		legalComments: "none",
		logLevel: "error",
	});
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const hasPeers = isInstalled(".package-lock.json");
	await buildSite(ENGINES.filter((id) => hasPeers || !PEERS.includes(id)));
}
