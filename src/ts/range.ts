/**
 * Ranges of keys: the check, and the bounds by which a walk over the engine's order starts and ends.
 *
 * Owns the order of keys, by UTF-8 bytes, which is not that of JavaScript strings. Errors: `OPTION_INVALID`.
 */

import { checkInteger, checkNoOthers, checkObject, invalid } from "./options.js";
import { isWellFormed } from "./text.js";
import type { Range } from "./types.js";

export interface Bounds {
	/** Keys are greater than this; no bytes: all are. */
	readonly after: Uint8Array;
	/** Keys are less than this; undefined: all are. */
	readonly end: Uint8Array | undefined;
	readonly limit: number;
	readonly isReverse: boolean;
}

const encoder = new TextEncoder();
/** Greater than any byte of UTF-8. */
const BEYOND_UTF8 = 0xff;

export function boundsOf(range: Range): Bounds {
	const { prefix, start, end, after, limit, reverse, ...others } = checkObject("range", range);
	checkNoOthers("a range", others);
	if (reverse !== undefined && typeof reverse !== "boolean") throw invalid("reverse", reverse, "true or false");
	const isReverse = reverse === true;
	const prefixBytes = bytesOf("prefix", prefix);
	const startBytes = bytesOf("start", start);
	const endBytes = bytesOf("end", end);
	const afterBytes = bytesOf("after", after);

	const lower = [
		prefixBytes && before(prefixBytes),
		startBytes && before(startBytes),
		isReverse ? undefined : afterBytes,
	];
	const upper = [prefixBytes && behindPrefix(prefixBytes), endBytes, isReverse ? afterBytes : undefined];
	return {
		after: lower.reduce<Uint8Array>((a, b) => (b && compare(a, b) < 0 ? b : a), new Uint8Array()),
		end: upper.reduce((a, b) => (b && (!a || compare(b, a) < 0) ? b : a)),
		limit: limit === undefined ? Number.POSITIVE_INFINITY : checkInteger("limit", limit, 0, Number.MAX_SAFE_INTEGER),
		isReverse,
	};
}

function bytesOf(option: string, text: string | undefined): Uint8Array | undefined {
	if (text === undefined) return undefined;
	if (typeof text !== "string" || !isWellFormed(text)) throw invalid(option, text, "a well-formed string");
	return encoder.encode(text);
}

/** The bytes that every key from `bound` on is greater than, and no key before it. */
function before(bound: Uint8Array): Uint8Array {
	const last = bound.length - 1;
	if (last < 0 || bound[last] === 0) return bound.slice(0, Math.max(0, last));
	const bytes = new Uint8Array(bound.length + 1).fill(BEYOND_UTF8);
	bytes.set(bound);
	bytes[last] = (bound[last] as number) - 1;
	return bytes;
}

/** The bytes that every key with the prefix is less than, and no other key that follows them. */
function behindPrefix(prefix: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(prefix.length + 1).fill(BEYOND_UTF8);
	bytes.set(prefix);
	return bytes;
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
