/**
 * What is given in turn: walks over blocks of rows.
 *
 * Loaded with the first walk. Owns the pace: rows are read a block at a time, when they are asked for; a whole walk lets others have the thread between
 * slices.
 */

import { valuesAt } from "./joined.js";
import { BLOCK_ENTRIES, SLICE_MS } from "./numbers.js";
import { pause } from "./platform.js";
import type { Bounds } from "./range.js";
import type { Inside, RowOf } from "./store.js";
import type { Listing } from "./types.js";

/** Words of a row in the table that a scan leaves, and those in front of the first. */
const ROW_WORDS = 6;
const HEAD_WORDS = 2;

/** What the user of a range gets of each of its entries. */
export interface Parts<T> {
	keys: string;
	values: T;
	entries: [string, T];
}

/** That part of the entries within bounds, in blocks as `blocksOf` gives them. */
export function partsOf<T, P extends keyof Parts<T>>(
	inside: Inside<T>,
	bounds: Bounds,
	part: P,
): Generator<Parts<T>[P][], void, undefined> {
	const { keyRow } = inside;
	let values: (T | undefined)[] = [];
	let next = 0;
	const rows: { [Part in keyof Parts<T>]: RowOf<Parts<T>[Part]> } = {
		keys: keyRow,
		values: () => values[next++] as T,
		entries: (...place) => [keyRow(...place), values[next++] as T],
	};
	return blocksOf(inside, bounds, rows[part], BLOCK_ENTRIES, (word) => {
		if (part === "keys") return;
		values = valuesAt(inside, word, word(0), HEAD_WORDS + 2, ROW_WORDS);
		next = 0;
	});
}

/** The value of each of these keys, all at one moment; undefined where there is none. */
export function manyOf<T>(inside: Inside<T>, keys: string[]): (T | undefined)[] {
	const { raw, scratch, read, table, room } = inside;
	if (room) keys.forEach(room.touch);
	return read(() => {
		const { bytes, at } = scratch.fill((batch) => batch.keys(keys));
		return valuesAt(inside, table(raw.get_many(scratch.copy(bytes.subarray(0, at)))), keys.length, 0, 2);
	});
}

/** Rows of the entries within bounds, in blocks of one call into wasm each, as they are when the first one is read; `look` gets the table of each before. */
export function* blocksOf<T, R>(
	{ raw, instance, scratch, read, table }: Inside<T>,
	{ isReverse, limit, baseBytes, ...bounds }: Bounds,
	rowOf: RowOf<R>,
	entriesMax = BLOCK_ENTRIES,
	look?: (word: (n: number) => number) => void,
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
				look?.(word);
				for (let at = HEAD_WORDS; at < ROW_WORDS * word(0); at += ROW_WORDS) {
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
