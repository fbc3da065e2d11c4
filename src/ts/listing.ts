/**
 * What is given in turn: walks over blocks of rows.
 *
 * Loaded with the first walk. Owns the pace: rows are read a block at a time, when they are asked for; a whole walk lets others have the thread between
 * slices.
 */

import { BLOCK_ENTRIES, SLICE_MS } from "./numbers.js";
import { pause } from "./platform.js";
import type { Bounds } from "./range.js";
import type { Inside, RowOf } from "./store.js";
import type { Listing } from "./types.js";

/** Rows of the entries within bounds, in blocks of one call into wasm each, as they are when the first one is read. */
export function* blocksOf<T, R>(
	{ raw, instance, scratch, read, table }: Inside<T>,
	{ isReverse, limit, baseBytes, ...bounds }: Bounds,
	rowOf: RowOf<R>,
	entriesMax = BLOCK_ENTRIES,
): Generator<R[], void, undefined> {
	let number = 0;
	try {
		for (let left = limit; left > 0; ) {
			const rows: R[] = [];
			read(() => {
				const count = Math.min(left, entriesMax);
				const [afterBytes, bytesBoth] = scratch.bounds(bounds);
				const word = table(raw.scan(number, afterBytes, bytesBoth, count, isReverse, left > count));
				number = word(1);
				for (let at = 2; at < 6 * word(0); at += 6) {
					const keyAt = word(at);
					const keyEnd = keyAt + word(at + 1);
					const expiresAt = word(at + 4) + word(at + 5) * 2 ** 32;
					rows.push(rowOf(keyAt + baseBytes, keyEnd, word(at + 2), word(at + 3), expiresAt));
					if (number && rows.length === count)
						bounds[isReverse ? "end" : "after"] = instance.bytes.slice(keyAt, keyEnd);
				}
			});
			left -= rows.length;
			yield rows;
			if (number === 0) return;
		}
	} finally {
		if (number)
			try {
				read((raw) => raw.end_scan(number));
			} catch {
				// A store that is closed or has failed has let go of it.
			}
	}
}

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
