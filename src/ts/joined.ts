/**
 * The values of many entries, decoded together.
 *
 * Owns the text in which the JSON of many values is put, one array of all: a call of the browser's decoders takes longer than a small value
 * does. What is not JSON, or is long, is decoded by itself, and so is everything where the array is not what it should be, so that the value
 * that is damaged is told. Errors: `CORRUPT`.
 */

import { JOINED_BYTES_MAX, JOINED_VALUES_MAX } from "./numbers.js";
import type { Inside } from "./store.js";
import { JSON_TEXT } from "./tags.js";
import { readText } from "./text.js";

const [OPENED, CLOSED, COMMA, NOTHING] = [0x5b, 0x5d, 0x2c, 0x30];

/** Each value has a comma in place of its tag. */
const area = new Uint8Array(1 + JOINED_VALUES_MAX * JOINED_BYTES_MAX);

/**
 * The values of so many rows of a table, of which each has so many words, the first row its words of the value, address and bytes, from
 * `first` on. Undefined where the address is 0. It must not call wasm.
 */
export function valuesAt<T>(
	{ instance, valueAt, frozen }: Inside<T>,
	word: (n: number) => number,
	rows: number,
	first: number,
	words: number,
): (T | undefined)[] {
	const { bytes } = instance;
	const isJoined = (at: number, count: number) => count <= JOINED_BYTES_MAX && bytes[at] === JSON_TEXT;
	const values: (T | undefined)[] = [];
	while (values.length < rows) {
		const from = values.length;
		const to = Math.min(rows, from + JOINED_VALUES_MAX);
		let end = 0;
		area[end++] = OPENED;
		for (let n = first + from * words; n < first + to * words; n += words) {
			const at = word(n);
			const count = word(n + 1);
			if (isJoined(at, count)) {
				area.set(bytes.subarray(at + 1, at + count), end);
				end += count;
			} else {
				area[end] = NOTHING;
				end += 2;
			}
			area[end - 1] = COMMA;
		}
		area[end - 1] = CLOSED;
		const joined = parsed<T>(area, end);
		const isWhole = joined.length === to - from;
		for (let i = from; i < to; i++) {
			const at = word(first + i * words);
			const count = word(first + i * words + 1);
			const isOne = isWhole && isJoined(at, count);
			const value = isOne ? (joined[i - from] as T) : at ? valueAt(at, count) : undefined;
			if (isOne) frozen?.freeze(value);
			values.push(value);
		}
	}
	return values;
}

/** Nothing where it cannot be parsed. */
function parsed<T>(bytes: Uint8Array<ArrayBuffer>, end: number): T[] {
	try {
		return JSON.parse(readText(bytes, 0, end));
	} catch {
		return [];
	}
}
