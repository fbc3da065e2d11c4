/**
 * Whether a run is slower than a recorded one, beyond noise.
 *
 * Machines differ and so does their load, so ratios to peers are compared, not times; of rows that have no peer, our own figures where they
 * count something: bytes and syncs. A row is worse when the best that the run saw is worse than the worst that the record has, by more than
 * `SLACK`: then the spreads do not touch, and no one sample can be to blame. One that has fewer than `SAMPLES_MIN` samples says nothing.
 */

import { OURS } from "./ratios.js";
import { titleOf } from "./table.js";

const SLACK = 0.1;
const SAMPLES_MIN = 3;
const COUNTED = ["bytes", "size", "count", "ratio"];

/** What became worse: `{ title, peer, recorded, now }`, the spreads of what was compared; `peer` missing for our own figures. */
export function regressionsOf(recordedRows, rows) {
	return rows.flatMap((row) => {
		const before = recordedRows.find((other) => keyOf(other) === keyOf(row));
		if (!before) return [];
		return [...ratiosWorse(before, row), ...ownWorse(before, row)].map((found) => ({ title: titleOf(row), ...found }));
	});
}

/** How many comparisons there are between the two: none means that nothing was guarded. */
export function comparisonsOf(recordedRows, rows) {
	return rows.reduce((sum, row) => {
		const before = recordedRows.find((other) => keyOf(other) === keyOf(row));
		return sum + (before ? pairs(before, row).length + (ownPair(before, row) ? 1 : 0) : 0);
	}, 0);
}

const keyOf = ({ workload, size, level, figure }) => [workload, size, level, figure].join("/");

/** Cells of the same peer with a ratio and samples enough. */
function pairs(before, row) {
	if (COUNTED.includes(row.unit)) return [];
	return row.cells.flatMap((cell) => {
		const other = before.cells.find(({ engine }) => engine === cell.engine);
		const isUsable = ({ ratio, samples } = {}) => ratio && samples.length >= SAMPLES_MIN;
		return isUsable(cell) && isUsable(other) ? [{ peer: cell.engine, recorded: other.ratio, now: cell.ratio }] : [];
	});
}

/** Larger ratios are better for us. */
function ratiosWorse(before, row) {
	return pairs(before, row).filter(({ recorded, now }) => now.max < recorded.min * (1 - SLACK));
}

function ownPair(before, row) {
	if (!COUNTED.includes(row.unit)) return undefined;
	const ownIn = ({ cells }) => cells.find(({ engine, samples }) => engine === OURS && samples?.length >= SAMPLES_MIN);
	const [recorded, now] = [ownIn(before), ownIn(row)];
	return recorded && now && { recorded: spreadOf(recorded), now: spreadOf(now) };
}

/** Smaller figures are better. */
function ownWorse(before, row) {
	const pair = ownPair(before, row);
	return pair && pair.now.min > pair.recorded.max * (1 + SLACK) ? [pair] : [];
}

const spreadOf = ({ median, min, max }) => ({ median, min, max });
