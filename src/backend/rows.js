// What a database of IndexedDB holds, by blob. Loaded where a store is in one, or where all stores are asked for.

import { answer, readable } from "./glue.js";

export const storedRows = async (database) => tally(await answer(readable(database, "chunks").getAllKeys()));

/** `[blob, bytes]` of each blob that the keys of `chunks`, in their order, make up; keys of any other shape are passed over. */
export function tally(keys) {
	const sizes = new Map();
	for (const [blob, end] of keys.filter(Array.isArray))
		if (typeof blob === "string" && typeof end === "number") sizes.set(blob, end);
	return [...sizes];
}
