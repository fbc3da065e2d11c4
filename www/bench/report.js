/** A run as part of the page: the aims, and a table and a chart for each workload. */

import { verdictsOf } from "./aims.js";
import { faultsOf, rowsOf } from "./ratios.js";
import { figure, ratio, tablesOf } from "./table.js";

/** Shows `run` in `place`; `chartOf` of charts.js, if there is one, draws. */
export function show(place, run, chartOf) {
	const rows = rowsOf(run);
	place.replaceChildren(
		...faultsOf(run).map((fault) => element("p", { className: "fault" }, `Fault: ${fault.split("\n")[0]}`)),
		aimsOf(run, rows),
		...tablesOf(run, rows).map((table) => sectionOf(table, run, chartOf)),
	);
}

function sectionOf({ title, columns, lines }, run, chartOf) {
	const heads = columns.map(({ title }) => element("th", { scope: "col" }, title || "median"));
	const table = element(
		"table",
		{},
		element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "engine"), ...heads)),
		element("tbody", {}, ...lines.map((line) => lineOf(line, columns))),
	);
	const section = element("section", {}, element("h3", {}, title), element("div", { className: "scroll" }, table));
	const svg = chartOf?.(columns[0], new Map(run.engines.map(({ id, name }) => [id, name])));
	if (svg) section.append(element("div", { className: "chart", innerHTML: svg }));
	return section;
}

function lineOf({ id, name, cells, without }, columns) {
	const line = element(
		"tr",
		{ className: id.startsWith("holdfast") ? "ours" : "" },
		element("th", { scope: "row" }, name),
	);
	line.dataset.engine = id;
	if (without) line.append(element("td", { colSpan: columns.length, className: "without" }, `without: ${without}`));
	else line.append(...cells.map((cell, at) => cellOf(cell, columns[at].unit)));
	return line;
}

function cellOf(cell, unit) {
	if (!cell) return element("td", {});
	const spread = `${figure(cell.min, unit)} to ${figure(cell.max, unit)}`;
	const parts = [element("strong", {}, figure(cell.median, unit)), element("small", {}, spread)];
	if (cell.ratio) {
		const { median, min, max } = cell.ratio;
		const title = `${ratio(min)} to ${ratio(max)} as long as Holdfast`;
		parts.push(element("span", { className: median >= 1 ? "ratio ahead" : "ratio behind", title }, ratio(median)));
	}
	return element("td", {}, ...parts);
}

function aimsOf(run, rows) {
	const measured = verdictsOf(run, rows).filter(({ verdict }) => verdict !== "not measured");
	if (measured.length === 0) return element("p", {}, "No aim is about what was run.");
	const lines = measured.map(({ title, aim, measured, verdict }) =>
		element("tr", {}, ...[title, aim, measured].map((text) => element("td", {}, text)), verdictOf(verdict)),
	);
	return element(
		"section",
		{},
		element("h3", {}, "Aims"),
		element("div", { className: "scroll" }, element("table", { className: "aims" }, element("tbody", {}, ...lines))),
	);
}

const verdictOf = (verdict) => element("td", { className: verdict }, verdict);

export function element(name, properties, ...children) {
	const made = Object.assign(document.createElement(name), properties);
	made.append(...children);
	return made;
}
