/**
 * Ranges of keys: the check, and the bounds by which a walk over the engine's order starts and ends.
 *
 * Owns the order of keys, by UTF-8 bytes, which is not that of JavaScript strings. Errors: `OPTION_INVALID`.
 */

import { BEYOND_UTF8 } from "./numbers.js";
import { type Check, checkAll, expect, integer, optional } from "./options.js";
import { isWellFormed } from "./text.js";
import type { Range } from "./types.js";

export interface Bounds {
	/** Keys are greater than this. */
	after: Uint8Array;
	/** Keys are less than this. */
	end: Uint8Array;
	readonly limit: number;
	readonly isReverse: boolean;
	/** How many bytes of each key are in front of what the range says of it. */
	readonly baseBytes: number;
}

const encoder = new TextEncoder();
/** The bytes of `base` and a text behind it. */
const bytesBehind =
	(base: string): Check<Uint8Array<ArrayBuffer> | undefined> =>
	(option, text) => {
		if (text === undefined) return text;
		return encoder.encode(
			base + expect<string>(typeof text === "string" && isWellFormed(text), option, text, "a well-formed string"),
		);
	};
const checksBehind = (base: string) => {
	const bytesOf = bytesBehind(base);
	return {
		prefix: bytesOf,
		start: bytesOf,
		end: bytesOf,
		after: bytesOf,
		limit: integer(0, Number.MAX_SAFE_INTEGER),
		reverse: optional<boolean>((value) => typeof value === "boolean", "true or false"),
	};
};

/** The range that a key, or a range, stands for. */
export const rangeOf = (what: string | Range): Range =>
	typeof what === "string" ? { start: what, end: `${what}\0` } : what;

/** The bounds of a range among the keys that begin with `base`, which is not part of what the range says. */
export function boundsOf(range: Range = {}, base = ""): Bounds {
	const baseKey = encoder.encode(base);
	const { prefix = baseKey, start = [], end, after, limit, reverse } = checkAll("range", range, checksBehind(base));
	const lower = [before(prefix), before(start)];
	// Every key with the prefix is less, and no other key that follows them.
	const upper = [Uint8Array.from([...prefix, BEYOND_UTF8])];
	if (end) upper.push(end);
	if (after) (reverse ? upper : lower).push(after);
	return {
		after: lower.sort(compare).at(-1) as Uint8Array,
		end: upper.sort(compare)[0] as Uint8Array,
		limit,
		isReverse: reverse === true,
		baseBytes: baseKey.length,
	};
}

/** The bytes that every key from `bound` on is greater than, and no key before it. */
function before(bound: Iterable<number>): Uint8Array {
	const bytes = [...bound];
	const last = bytes.pop();
	return Uint8Array.from(last ? [...bytes, last - 1, BEYOND_UTF8] : bytes);
}

function compare(a: Uint8Array, b: Uint8Array): number {
	return compareWith(a, 0, a.length, b);
}

/** Negative, 0 or positive as `[start, end)` of `bytes` is less than, equal to or greater than `other`. */
export function compareWith(bytes: Uint8Array, start: number, end: number, other: Uint8Array): number {
	const count = Math.min(end - start, other.length);
	for (let i = 0; i < count; i++) {
		const difference = (bytes[start + i] as number) - (other[i] as number);
		if (difference !== 0) return difference;
	}
	return end - start - other.length;
}
