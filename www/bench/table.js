/** Rows as text: numbers with their units, and the Markdown of a run. */

const UNITS = {
	us: (value) => number(value, "µs"),
	ms: (value) => (value >= 10_000 ? number(value / 1000, "s") : number(value, "ms")),
	bytes: (value) => number(value, "B"),
	ratio: (value) => number(value, "x"),
	count: (value) => number(value, ""),
};

/** Three digits that say something. */
function number(value, unit) {
	const digits = { maximumSignificantDigits: value < 1000 ? 3 : 15, maximumFractionDigits: value < 1000 ? 3 : 0 };
	const text = value.toLocaleString("en", value < 1000 ? digits : { maximumFractionDigits: 0 });
	return unit ? `${text} ${unit}` : text;
}

export function figure(value, unit) {
	return UNITS[unit](value);
}

/** `1.5x`, of what an engine takes as many times as long as we do. */
export function ratio(value) {
	return `${number(value, "")}x`;
}

/** What a row is about. */
export function titleOf({ title, size, level }) {
	return [title, size, level].filter(Boolean).join(", ");
}

/** `median (min..max)`. */
export function spreadText({ median, min, max }, unit) {
	return `${figure(median, unit)} (${figure(min, unit).replace(/ .*/, "")}..${figure(max, unit)})`;
}

/** `median x (min..max)`, or nothing for us. */
export function ratioText(cell) {
	if (!cell.ratio) return "";
	const { median, min, max } = cell.ratio;
	return `${ratio(median)} (${number(min, "")}..${number(max, "")})`;
}
