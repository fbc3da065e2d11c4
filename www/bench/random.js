/** Seeded choices: the same seed gives the same keys and values to every engine, in every browser. */

/** Numbers of [0, 1), by the generator mulberry32. */
export function randomOf(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** `count` numbers below `n`, all as likely. */
export function uniform(seed, count, n) {
	const random = randomOf(seed);
	return Array.from({ length: count }, () => Math.floor(random() * n));
}

const ZIPF_EXPONENT = 0.99;

/** `count` numbers below `n` with the frequencies of Zipf's law (exponent 0.99, as in YCSB); which ones are frequent is up to the seed. */
export function zipf(seed, count, n) {
	const random = randomOf(seed);
	const sums = new Float64Array(n);
	let sum = 0;
	for (let rank = 0; rank < n; rank++) {
		sum += 1 / (rank + 1) ** ZIPF_EXPONENT;
		sums[rank] = sum;
	}
	const places = shuffled(seed, n);
	return Array.from({ length: count }, () => places[firstAbove(sums, random() * sum)]);
}

/** The numbers below `n` in an order of the seed's. */
export function shuffled(seed, n) {
	const random = randomOf(seed ^ 0x5eed);
	const places = Uint32Array.from({ length: n }, (_, at) => at);
	for (let at = n - 1; at > 0; at--) {
		const other = Math.floor(random() * (at + 1));
		[places[at], places[other]] = [places[other], places[at]];
	}
	return places;
}

/** The index of the first that is larger. */
function firstAbove(sorted, number) {
	let low = 0;
	let high = sorted.length - 1;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (sorted[middle] > number) high = middle;
		else low = middle + 1;
	}
	return low;
}
