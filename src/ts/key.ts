/**
 * Keys: non-empty well-formed strings of at most 1,024 UTF-8 bytes.
 *
 * Owns the check and the encoding; uses `text.ts`. Errors: `KEY_INVALID` with the rule that was
 * broken, and nothing usable behind the sink's position.
 */

import { HoldfastError } from "./error.js";
import { type Sink, writeText } from "./text.js";

/** The longest key, in UTF-8 bytes. */
export const KEY_BYTES_MAX = 1024;

/** Writes a key at the sink's position and returns its length in bytes. */
export function encodeKey(sink: Sink, key: unknown): number {
	if (typeof key !== "string") throw invalid(`A key is a string; this one is ${key === null ? "null" : typeof key}.`);
	if (key === "") throw invalid("A key is not empty; this one is.");
	if (key.length > KEY_BYTES_MAX) throw tooLong(key);
	const bytes = writeText(sink, key);
	if (bytes < 0) throw invalid(`A key is well-formed; ${JSON.stringify(key)} has a lone surrogate.`);
	if (bytes > KEY_BYTES_MAX) throw tooLong(key);
	return bytes;
}

function tooLong(key: string): HoldfastError {
	return invalid(`A key has at most ${KEY_BYTES_MAX} UTF-8 bytes; this one, "${key.slice(0, 40)}…", has more.`);
}

function invalid(message: string): HoldfastError {
	return new HoldfastError("KEY_INVALID", message);
}
