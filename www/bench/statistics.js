/** Of samples: numbers of one kind, in any order. */

/** The middle one, or the mean of the middle two. */
export function median(numbers) {
	return quantile(numbers, 0.5);
}

/** Between the two nearest where it falls between them. */
export function quantile(numbers, q) {
	const sorted = [...numbers].sort((a, b) => a - b);
	const at = (sorted.length - 1) * q;
	const below = Math.floor(at);
	const above = Math.ceil(at);
	return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** `{ median, min, max }` */
export function spread(numbers) {
	return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) };
}
