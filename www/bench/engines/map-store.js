/**
 * The ceilings: what a `Map` of the page costs, without anything stored. A database lives as long as its page.
 *
 * Reads in the order of keys sort when a key was added since the last one: a Map has no order of keys.
 */

const databases = new Map();

/** The Map of that database. */
export function mapOf(database) {
	if (!databases.has(database)) databases.set(database, new Map());
	return databases.get(database);
}

export const removeMap = async (database) => {
	databases.delete(database);
};

/** The calls of a store on a Map, as they are without promises. `encode` and `decode` are what a value goes through. */
export function callsOf(map, encode, decode) {
	return {
		get(key) {
			const stored = map.get(key);
			return stored === undefined ? undefined : decode(stored);
		},
		getMany: (keys) => keys.map((key) => decode(map.get(key))),
		set: (key, value) => {
			map.set(key, encode(value));
		},
		setMany: (entries) => {
			for (const [key, value] of entries) map.set(key, encode(value));
		},
		delete: (key) => map.delete(key),
		deleteMany: (keys) => {
			for (const key of keys) map.delete(key);
		},
		scan: (prefix, limit) => {
			const keys = [...map.keys()].filter((key) => key.startsWith(prefix)).sort();
			return keys.slice(0, limit).map((key) => [key, decode(map.get(key))]);
		},
		count: () => map.size,
		settle: () => {},
		close: () => {},
	};
}

/** The same calls, each with a promise of its result. */
export function promised(calls) {
	return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, async (...given) => call(...given)]));
}
