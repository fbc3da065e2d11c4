/**
 * Keys: non-empty well-formed strings of at most 1,024 UTF-8 bytes.
 *
 * Owns the check and the encoding; uses `text.ts`. Errors: `KEY_INVALID`, and nothing usable behind the sink's position.
 */

import { KEY_BYTES_MAX } from "./numbers.js";
import { invalid, textOfAtMost } from "./options.js";
import { type Sink, writeText } from "./text.js";

/** Writes a key at the sink's position and returns its length in bytes. */
export function encodeKey(sink: Sink, key: unknown): number {
	// The first limit, of UTF-16 units, keeps a sink small that has room for a key and no more.
	const bytes = typeof key === "string" && key.length <= KEY_BYTES_MAX ? writeText(sink, key) : 0;
	if (bytes <= 0 || bytes > KEY_BYTES_MAX) throw invalid("key", key, textOfAtMost(KEY_BYTES_MAX), "KEY_INVALID");
	return bytes;
}
