/**
 * Text as UTF-8, into and out of an area of bytes.
 *
 * Owns the areas the codecs work on and the way in which text gets there: a loop for short ASCII, the platform's coders
 * for the rest. Uses nothing. Deliberately absent: lengths and tags, which the formats around the text bring (`value.ts`).
 */

/** Where encoding writes. */
export interface Sink {
	/** The area; replaced when it grows, so it is read again after every `need`. */
	bytes: Uint8Array<ArrayBuffer>;
	/** The same area. */
	view: DataView;
	/** The index of the next byte. */
	at: number;
	/** Makes room for that many bytes from `at` on; what was written stays. Throws `TOO_LARGE`. */
	need(count: number): void;
}

/** Where decoding reads: both are over the same bytes. */
export interface Source {
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly view: DataView;
}

// Below this length a loop over characters beats the native call; measured in Chromium and Firefox.
const ENCODE_LOOP_MAX = 128;
const DECODE_LOOP_MAX = 24;
const SLICE_CHARS = 1 << 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function isWellFormed(text: string): boolean {
	return (text as { isWellFormed?(): boolean }).isWellFormed?.() ?? !/\p{Surrogate}/u.test(text);
}

/** Writes UTF-8 and returns its length in bytes, or -1 and nothing when the text has a lone surrogate. */
export function writeText(sink: Sink, text: string): number {
	const start = sink.at;
	const length = text.length;
	if (length <= ENCODE_LOOP_MAX) {
		sink.need(length * 3);
		const { bytes } = sink;
		let i = 0;
		for (let unit = 0; i < length; i++) {
			unit = text.charCodeAt(i);
			if (unit > 127) break;
			bytes[start + i] = unit;
		}
		if (i === length) {
			sink.at = start + length;
			return length;
		}
	}
	if (!isWellFormed(text)) return -1;
	for (let done = 0; done < length; ) {
		sink.need(Math.min(length - done, SLICE_CHARS) * 3);
		const { read, written } = encoder.encodeInto(done ? text.slice(done) : text, sink.bytes.subarray(sink.at));
		done += read;
		sink.at += written;
	}
	return sink.at - start;
}

/** The text of `[start, end)`. Throws a TypeError when that is not UTF-8. */
export function readText(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): string {
	if (end - start <= DECODE_LOOP_MAX) {
		let text = "";
		let at = start;
		for (let unit = 0; at < end; at++) {
			unit = bytes[at] as number;
			if (unit > 127) break;
			text += String.fromCharCode(unit);
		}
		if (at === end) return text;
	}
	return decoder.decode(bytes.subarray(start, end));
}
