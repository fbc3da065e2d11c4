// What the store has acknowledged, kept outside of it: the sums that increments of the shared counter gave, each of which only one
// write can have been given.

export function createJournal() {
	const sums = new Set();
	let highest = 0;
	let twice = 0;

	return {
		acknowledged(sum) {
			if (sums.has(sum)) twice++;
			sums.add(sum);
			highest = Math.max(highest, sum);
		},

		count() {
			return sums.size + twice;
		},

		/**
		 * How many of the writes that were acknowledged until now are not in a store whose counter is read afterwards by `read()`:
		 * what they added is not there, or one sum was given twice. Resolves to `{ acknowledged, missing }`.
		 */
		async compare(read) {
			const acknowledged = this.count();
			const lost = twice;
			const newest = highest;
			const counter = await read();
			const beyond = counter >= newest ? 0 : [...sums].filter((sum) => sum > counter && sum <= newest).length;
			return { acknowledged, missing: lost + beyond };
		},
	};
}
