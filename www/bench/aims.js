/**
 * What is aimed at, as ratios to peers of the same run and as bounds of our own figures; and which of it a run reached.
 *
 * An aim is of one row. `against` names a peer, or is "best": all libraries and IndexedDB, of which the fastest counts. `ratioMin` is of the
 * peer's figure to ours; `max` of ours alone, `maxOf` of ours to another figure of ours in the same sample. The end of the spread that is
 * worse for us has to reach it.
 */

import { OURS } from "./ratios.js";
import { figure, ratio, titleOf } from "./table.js";

/** Bytes of a key and a value of the size class S. */
const LOGICAL_BYTES = 116;

const D2 = { level: "D2" };
const D3 = { level: "D3" };
const STEADY = { figure: "steady" };
const MEDIUM = { size: "100k" };
const LARGE = { size: "1m" };

export const AIMS = [
	{ workload: "get-uniform", ...STEADY, against: "indexeddb", ratioMin: 50 },
	{ workload: "get-uniform", ...STEADY, against: "sqlite", ratioMin: 20 },
	{ workload: "get-uniform", ...STEADY, against: "map-json", ratioMin: 0.6 },
	{ workload: "get-shared", ...STEADY, against: "map-async", ratioMin: 0.8 },
	{ workload: "set-seq", ...D2, ...STEADY, against: "idb-keyval", ratioMin: 5 },
	{ workload: "set-seq", ...D2, ...STEADY, against: "sqlite-off", ratioMin: 4 },
	{ workload: "set-seq", ...D3, ...STEADY, against: "best", ratioMin: 2.7 },
	{ workload: "set-seq", ...D3, ...STEADY, against: "opfs-probe", ratioMin: 1 / 1.25 },
	{ workload: "set-par", ...D3, ...STEADY, against: "best", ratioMin: 50 },
	{ workload: "set-par", ...D2, ...STEADY, against: "best", ratioMin: 30 },
	{ workload: "load", ...MEDIUM, ...D3, figure: "perEntry", against: "sqlite", ratioMin: 4 },
	{ workload: "load", ...MEDIUM, ...D2, figure: "perEntry", against: "indexeddb", ratioMin: 20 },
	{ workload: "overwrite", ...MEDIUM, ...D3, figure: "perEntry", against: "sqlite", ratioMin: 4 },
	{ workload: "scan", ...STEADY, against: "sqlite", ratioMin: 2 },
	{ workload: "scan", ...STEADY, against: "indexeddb", ratioMin: 8 },
	{ workload: "reopen", ...MEDIUM, figure: "first", against: "best", ratioMin: 1 },
	{ workload: "reopen", ...MEDIUM, figure: "first", against: "sqlite", ratioMin: 3.5 },
	{ workload: "reopen", ...MEDIUM, figure: "all", against: "best", ratioMin: 1 },
	{ workload: "reopen", ...MEDIUM, figure: "all", against: "sqlite", ratioMin: 2 },
	{ workload: "reopen", ...LARGE, figure: "first", than: "raw", maxOf: 2.5 },
	{ workload: "reopen", ...LARGE, figure: "wasmPerEntry", max: 1.6 * LOGICAL_BYTES },
	{ workload: "cold-open", figure: "open", against: "sqlite", ratioMin: 4 },
	{ workload: "cold-open", figure: "gzip", max: 60 * 1024 },
	{ workload: "load", ...MEDIUM, ...D2, figure: "diskPerEntry", max: 140 },
	{ workload: "load", ...MEDIUM, ...D2, figure: "longest", max: 8 },
	{ workload: "reopen", ...LARGE, figure: "longestOpening", max: 8 },
	{ workload: "checkpoint", figure: "longest", max: 8 },
];

/** Each aim with what the rows of a run say of it: `{ title, aim, measured, verdict }`, texts; verdict "reached", "missed" or "not measured". */
export function verdictsOf(run, rows) {
	return AIMS.map((aim) => {
		const row = rowOf(rows, aim, aim.figure);
		const { title, wanted } = described(aim, row);
		const found = row && (aim.ratioMin ? byRatio(aim, row, run) : byOwn(aim, row, rows));
		if (!found) return { title, aim: wanted, measured: "", verdict: "not measured" };
		return { title, aim: wanted, measured: found.measured, verdict: found.isReached ? "reached" : "missed" };
	});
}

/** The row of an aim; without a size the one that the run has. */
function rowOf(rows, { workload, level, size }, figureId) {
	return rows.find(
		(row) =>
			row.workload === workload &&
			row.figure === figureId &&
			row.level === level &&
			(size === undefined || row.size === size),
	);
}

function described(aim, row) {
	const title = row ? titleOf(row) : [aim.workload, aim.figure, aim.size, aim.level].filter(Boolean).join(", ");
	if (aim.ratioMin) {
		const peer = aim.against === "best" ? "the best peer" : aim.against;
		return { title, wanted: `at least ${ratio(aim.ratioMin)} ${peer}` };
	}
	if (aim.maxOf) return { title, wanted: `at most ${ratio(aim.maxOf)} ${aim.than}` };
	return { title, wanted: `at most ${row ? figure(aim.max, row.unit) : aim.max}` };
}

function byRatio({ against, ratioMin }, row, run) {
	const isPeer = ({ id, memory, stores }) => !id.startsWith(OURS) && !memory && stores !== false;
	const ids = against === "best" ? run.engines.filter(isPeer).map(({ id }) => id) : [against];
	const cells = row.cells.filter(({ engine, ratio }) => ids.includes(engine) && ratio);
	if (cells.length === 0) return undefined;
	const fastest = cells.reduce((a, b) => (b.ratio.median < a.ratio.median ? b : a));
	const low = Math.min(...cells.map(({ ratio }) => ratio.min));
	const name = against === "best" ? ` (${fastest.engine})` : "";
	return { measured: `${ratio(fastest.ratio.median)}, at worst ${ratio(low)}${name}`, isReached: low >= ratioMin };
}

function byOwn({ max, maxOf, than }, row, rows) {
	const own = ownCell(row);
	if (!own) return undefined;
	if (!maxOf) {
		const measured = `${figure(own.median, row.unit)}, at worst ${figure(own.max, row.unit)}`;
		return { measured, isReached: own.max <= max };
	}
	const other = ownCell(rowOf(rows, row, than));
	if (!other) return undefined;
	const worst = Math.max(...own.samples.map((sample, at) => sample / other.samples[at]));
	return { measured: `${ratio(own.median / other.median)}, at worst ${ratio(worst)}`, isReached: worst <= maxOf };
}

function ownCell(row) {
	const cell = row?.cells.find(({ engine }) => engine === OURS);
	return cell?.samples && cell;
}
