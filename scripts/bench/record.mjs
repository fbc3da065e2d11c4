// The files of a run, one directory for each browser: run.json (every sample), README.md (every row), and the charts as SVG.
//
// Uses ECharts, installed with the peers; without it there are no charts.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { markdownOf } from "../../www/bench/markdown.js";
import { rowsOf } from "../../www/bench/ratios.js";
import { tablesOf } from "../../www/bench/table.js";
import { ROOT } from "../toolchain.mjs";

export const RESULTS = join(ROOT, "www", "bench", "results");
const ECHARTS = join(ROOT, "www", "bench", "node_modules", "echarts");
const DIGITS = 5;

/** Writes the files of a run into a directory that is emptied first; gives its path. */
export async function record(run, name) {
	const directory = join(RESULTS, name, run.browser);
	rmSync(directory, { recursive: true, force: true });
	mkdirSync(directory, { recursive: true });
	const charts = existsSync(ECHARTS) ? await writeCharts(run, directory) : new Map();
	writeFileSync(join(directory, "README.md"), markdownOf(run, charts));
	const rounded = (_, value) => (typeof value === "number" ? Number(value.toPrecision(DIGITS)) : value);
	const samples = run.samples.map((sample) => JSON.stringify(sample, rounded)).join(",\n");
	const { samples: _, ...rest } = run;
	writeFileSync(join(directory, "run.json"), `${JSON.stringify(rest).slice(0, -1)},"samples":[\n${samples}\n]}\n`);
	return directory;
}

/** The run that was recorded under that name, or undefined. */
export function recorded(name, browser) {
	const file = join(RESULTS, name, browser, "run.json");
	return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

/** A chart for the first figure of each table; gives Markdown that shows it by the table's title. */
async function writeCharts(run, directory) {
	const { chartOf } = await import("../../www/bench/charts.js");
	const names = new Map(run.engines.map(({ id, name }) => [id, name]));
	const shown = new Map();
	for (const { title, columns } of tablesOf(run, rowsOf(run))) {
		const svg = chartOf(columns[0], names);
		if (!svg) continue;
		const { workload, size, level } = columns[0];
		const file = `${[workload, size, level].filter(Boolean).join("-")}.svg`;
		writeFileSync(join(directory, file), svg);
		shown.set(title, `![${title}](${file})`);
	}
	return shown;
}
