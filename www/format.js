// Numbers and times as a person reads them. The page is in English, so its numbers are too.

const number = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

export const nothing = "–";

export function formatCount(value) {
	return value === undefined ? nothing : number.format(value);
}

export function formatBytes(bytes) {
	if (bytes === undefined) return nothing;
	if (bytes < 1024) return `${number.format(bytes)} B`;
	if (bytes < 1024 ** 2) return `${compact.format(bytes / 1024)} KiB`;
	return `${compact.format(bytes / 1024 ** 2)} MiB`;
}

export function formatDuration(ms) {
	if (ms === undefined) return nothing;
	if (ms >= 1000) return `${compact.format(ms / 1000)} s`;
	return `${compact.format(ms >= 10 ? Math.round(ms) : ms)} ms`;
}

export function plural(count, one, many = `${one}s`) {
	return `${number.format(count)} ${count === 1 ? one : many}`;
}

/** Short enough for a list: today's time, this week's day, else the date. */
export function formatWhen(date, now = new Date()) {
	const age = now - date;
	if (age < 60_000) return "now";
	if (date.toDateString() === now.toDateString()) return clock.format(date);
	if (age < 6 * 24 * 3_600_000) return weekday.format(date);
	return (date.getFullYear() === now.getFullYear() ? day : dayOfYear).format(date);
}

export function formatMoment(date) {
	return full.format(date);
}
