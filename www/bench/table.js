/** Rows as text: numbers with their units, tables of a run, and its Markdown. */

const UNITS = {
	us: (value) => `${number(value)} µs`,
	ms: (value) => (value < 10_000 ? `${number(value)} ms` : `${number(value / 1000)} s`),
	bytes: (value) => `${number(value)} B`,
	size: (value) => (value < 1e6 ? `${number(value / 1000)} kB` : `${number(value / 1e6)} MB`),
	ratio: (value) => `${number(value)}x`,
	count: (value) => number(value),
};

/** Three digits that say something; whole numbers in full. */
function number(value) {
	const options = value < 1000 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 };
	return value.toLocaleString("en", options);
}

export function figure(value, unit) {
	return UNITS[unit](value);
}

export function ratio(value) {
	return `${number(value)}x`;
}

/** What a row is about. */
export function titleOf({ about, title, size, level }) {
	return [title ? `${about}: ${title}` : about, size, level].filter(Boolean).join(", ");
}

/** `median (min..max)`. */
export function spreadText({ median, min, max }, unit) {
	const shortest = figure(min, unit).replace(/ .*/, "");
	return `${figure(median, unit)} (${shortest}..${figure(max, unit)})`;
}

/** `12x (10x..15x)`: how many times as long as ours; nothing for ours. */
export function ratioText({ ratio: spread }) {
	return spread ? `${ratio(spread.median)} (${ratio(spread.min)}..${ratio(spread.max)})` : "";
}

/**
 * Rows of the same workload, size and durability as one table: `{ title, columns, lines }`, a column for each row, `lines`
 * of `{ id, name, cells }` with a cell for each column, or undefined, or of `{ id, name, without }`.
 */
export function tablesOf(run, rows) {
	const tables = new Map();
	for (const row of rows) {
		const key = [row.workload, row.size, row.level].join("/");
		if (!tables.has(key)) tables.set(key, { title: titleOf({ ...row, title: "" }), columns: [] });
		tables.get(key).columns.push(row);
	}
	return [...tables.values()].map((table) => ({ ...table, lines: linesOf(run, table.columns) }));
}

function linesOf(run, columns) {
	return run.engines.flatMap(({ id, name }) => {
		const cells = columns.map(({ cells }) => cells.find(({ engine }) => engine === id));
		if (cells.every((cell) => cell === undefined)) return [];
		if (cells.some((cell) => cell?.samples))
			return [{ id, name, cells: cells.map((cell) => (cell?.samples ? cell : undefined)) }];
		return [{ id, name, without: cells.find((cell) => cell).without }];
	});
}
