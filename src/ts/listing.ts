/**
 * What is given in turn: walks over blocks of rows.
 *
 * Owns the pace: rows are read a block at a time, when they are asked for; a whole walk lets others have the thread between
 * slices.
 */

import { SLICE_MS } from "./numbers.js";
import { pause } from "./platform.js";
import type { Listing } from "./types.js";

/** A walk over blocks that are read when their turn comes. */
export function listing<R>(blocks: () => Iterable<R[]>): Listing<R> {
	return {
		[Symbol.asyncIterator]() {
			const rows = rowsOf(blocks());
			// By hand: an async generator takes several turns of the queue for each row.
			return { next: async () => rows.next(), return: async () => rows.return(undefined) };
		},
		async toArray() {
			const rows: R[] = [];
			let sliceEnd = performance.now() + SLICE_MS;
			for (const block of blocks()) {
				for (const row of block) rows.push(row);
				if (performance.now() < sliceEnd) continue;
				await pause();
				sliceEnd = performance.now() + SLICE_MS;
			}
			return rows;
		},
	};
}

function* rowsOf<R>(blocks: Iterable<R[]>): Generator<R, undefined, undefined> {
	for (const block of blocks) yield* block;
}
