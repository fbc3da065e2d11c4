/** IndexedDB with one wrong answer: once, `get` gives the value of another key. */

import { engine as right } from "../../../../www/bench/engines/indexeddb.js";

const WRONG_AT = 700;

export const engine = {
	...right,
	id: "faulty",
	name: "faulty",
	async open(database, level) {
		const store = await right.open(database, level);
		let gets = 0;
		let before;
		return {
			...store,
			async get(key) {
				const asked = ++gets === WRONG_AT ? before : key;
				before = key;
				return store.get(asked);
			},
		};
	},
};
