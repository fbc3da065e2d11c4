/** A run as Markdown: how it was made, the aims, every row. */

import { verdictsOf } from "./aims.js";
import { rowsOf } from "./ratios.js";
import { figure, ratio, ratioText, spreadText, tablesOf, titleOf } from "./table.js";

const LEVELS = {
	D1: "in memory, I/O follows",
	D2: "with the operating system: survives a killed browser",
	D3: "synced",
};

/** `charts`: Markdown of the charts by the title of their table. */
export function markdownOf(run, charts = new Map()) {
	const rows = rowsOf(run);
	return [
		`# ${run.userAgent}`,
		`${madeOf(run)} Each sample is a browser with a new profile on disk.`,
		"A cell is the median (least..most) of the samples; a ratio is how many times as long an engine takes as Holdfast in the same run: of the medians (least..most within one round). Above 1x Holdfast is faster or smaller, below it loses.",
		`A write is acknowledged when it is: ${Object.entries(LEVELS)
			.map(([level, meaning]) => `${level} ${meaning}`)
			.join("; ")}. Only engines of the same row are compared.`,
		"## Aims",
		aimsOf(run, rows),
		"## Figures",
		...tablesOf(run, rows).flatMap((one) =>
			[`### ${one.title}`, figuresOf(one), charts.get(one.title)].filter(Boolean),
		),
		"## Engines and their settings",
		table(
			["engine", "version", "runs in the", "durability and settings"],
			run.engines.flatMap(({ name, version, place, levels }) =>
				Object.entries(levels).map(([level, settings]) => [name, version, place, `${level}: ${settings}`]),
			),
		),
		"",
	].join("\n\n");
}

/** The same in short: the aims that the run is about, and one table of all medians. */
export function summaryOf(run) {
	const rows = rowsOf(run);
	const cellOf = ({ cells, unit }, id) => {
		const cell = cells.find(({ engine }) => engine === id);
		if (!cell?.samples) return "";
		return [figure(cell.median, unit), cell.ratio && ratio(cell.ratio.median)].filter(Boolean).join(", ");
	};
	return [
		`${run.userAgent}. ${madeOf(run)}`,
		aimsOf(run, rows, ({ measured }) => measured),
		table(
			["figure", ...run.engines.map(({ name }) => name)],
			rows.map((row) => [titleOf(row), ...run.engines.map(({ id }) => cellOf(row, id))]),
		),
	].join("\n\n");
}

function madeOf({ kind, plan, at, machine }) {
	return `${kind}, ${plan.samples} ${plan.samples === 1 ? "sample" : "samples"}, ${at}, on ${machine}.`;
}

function aimsOf(run, rows, isShown = () => true) {
	const lines = verdictsOf(run, rows).filter(isShown);
	return table(
		["figure", "aim", "measured", ""],
		lines.map(({ title, aim, measured, verdict }) => [title, aim, measured, verdict]),
	);
}

function figuresOf({ columns, lines }) {
	const heads = columns.flatMap(({ title }) => [title || "median", "ratio"]);
	const body = lines.map(({ name, cells, without }) => {
		if (without) return [name, `without: ${without.split("\n")[0]}`, ...heads.slice(1).map(() => "")];
		return [
			name,
			...cells.flatMap((cell, at) => (cell ? [spreadText(cell, columns[at].unit), ratioText(cell)] : ["", ""])),
		];
	});
	return table(["engine", ...heads], body);
}

function table(heads, lines) {
	const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
	return [line(heads), line(heads.map(() => "---")), ...lines.map(line)].join("\n");
}
