/**
 * Export: a view of the store as a stream of bytes. Loaded with its first call.
 *
 * Owns the pace, which is the reader's: a block is read from the view when the one before it was taken, so memory does not grow with
 * the store. Two formats: the snapshot of FORMAT.md, and NDJSON, one entry a line:
 *
 *     {"holdfast":"entries","version":1,"seq":42}
 *     {"key":"user:1","value":{"name":"Ada"},"expiresAt":1800000000000}
 *     {"entries":1}
 *
 * A value that `readable.ts` has no form for is `"stored"` instead: its bytes (FORMAT.md, values) in base64. Errors end the stream.
 */

import { blocksOf } from "./listing.js";
import { SLICE_MS } from "./numbers.js";
import { type Check, checkAll, expect, optional } from "./options.js";
import { pause } from "./platform.js";
import { boundsOf } from "./range.js";
import { base64Of, readableOf } from "./readable.js";
import type { Inside, RowOf } from "./store.js";
import { SnapshotWriter } from "./stored.js";
import { JSON_TEXT } from "./tags.js";
import { readText } from "./text.js";
import type { ExportOptions, Range } from "./types.js";
import { decodeValue } from "./value.js";

/** Bytes that are handed over at once. */
const PIECE_BYTES = 65_536;
/** Few, because their values may be large. */
const ENTRIES_AT_ONCE = 16;

const EXPORT_OPTIONS = {
	format: ((option, value = "snapshot") =>
		expect(["snapshot", "ndjson"].includes(value as string), option, value, '"snapshot" or "ndjson"')) as Check<
		"snapshot" | "ndjson"
	>,
	gzip: optional<boolean>((value) => typeof value === "boolean", "true or false"),
	range: ((_, value) => value) as Check<Range | undefined>,
	onProgress: optional<NonNullable<ExportOptions["onProgress"]>>((value) => typeof value === "function", "a function"),
};

const encoder = new TextEncoder();

/** Turns the rows of a view into bytes. */
interface Form<T> {
	readonly rowOf: RowOf<void>;
	/** Takes what is ready. */
	take(): Uint8Array<ArrayBuffer>[];
	finish(): void;
	readonly kind?: T;
}

/** Writes what is in a range behind `base` into a stream, and ends it, with an error if there was one. */
export async function exportTo<T>(
	inside: Inside<T>,
	base: string,
	writable: WritableStream<Uint8Array<ArrayBuffer>>,
	options: ExportOptions = {},
): Promise<void> {
	const { format, gzip, range, onProgress } = checkAll("options", options, EXPORT_OPTIONS);
	const bounds = boundsOf(range, base);
	let sink = writable;
	let passed: Promise<void> | undefined;
	if (gzip) {
		const packing = new CompressionStream("gzip");
		passed = packing.readable.pipeTo(writable);
		passed.catch(() => {});
		sink = packing.writable as typeof writable;
	}
	const writer = sink.getWriter();
	const progress = { entries: 0, bytes: 0 };
	let sliceEnd = performance.now() + SLICE_MS;
	try {
		const seq = inside.instance.broken ? 0 : inside.raw.seq();
		const form = format === "snapshot" ? asSnapshot(inside, seq) : asLines(inside, seq);
		// Nothing was waited for since the seq was asked for, so the first block is of the same moment, and the others of its view.
		for (const rows of blocksOf(inside, bounds, form.rowOf, ENTRIES_AT_ONCE)) {
			progress.entries += rows.length;
			await pass(form.take());
		}
		form.finish();
		await pass(form.take());
		await writer.close();
		await passed;
	} catch (error) {
		await writer.abort(error).catch(() => {});
	}

	async function pass(pieces: Uint8Array<ArrayBuffer>[]): Promise<void> {
		for (const piece of pieces) {
			await writer.ready;
			progress.bytes += piece.length;
			await writer.write(piece);
			onProgress?.({ ...progress });
			// A reader that is always ready gives nobody else a turn.
			if (performance.now() < sliceEnd) continue;
			await pause();
			sliceEnd = performance.now() + SLICE_MS;
		}
	}
}

function asSnapshot<T>({ instance }: Inside<T>, seq: number): Form<T> {
	const writer = new SnapshotWriter(seq);
	return {
		rowOf(keyAt, keyEnd, valueAt, valueBytes, expiresAt) {
			const { bytes } = instance;
			const value = bytes.subarray(valueAt, valueAt + valueBytes);
			writer.add({ key: bytes.subarray(keyAt, keyEnd), value, expiresAt });
		},
		take: () => writer.ready.splice(0),
		finish: () => writer.finish(),
	};
}

function asLines<T>({ instance }: Inside<T>, seq: number): Form<T> {
	let text = `${JSON.stringify({ holdfast: "entries", version: 1, seq })}\n`;
	let entries = 0;
	let ready: Uint8Array<ArrayBuffer>[] = [];
	const flush = () => {
		if (text) ready.push(encoder.encode(text));
		text = "";
	};
	return {
		rowOf(keyAt, keyEnd, valueAt, valueBytes, expiresAt) {
			const key = JSON.stringify(readText(instance.bytes, keyAt, keyEnd));
			const expiry = expiresAt ? `,"expiresAt":${expiresAt}` : "";
			text += `{"key":${key},${valueText(instance, valueAt, valueAt + valueBytes)}${expiry}}\n`;
			entries++;
			if (text.length >= PIECE_BYTES) flush();
		},
		take: () => {
			const pieces = ready;
			ready = [];
			return pieces;
		},
		finish() {
			text += `${JSON.stringify({ entries })}\n`;
			flush();
		},
	};
}

/** `"value":...` in a form that a person can read, or `"stored":"..."`. */
export function valueText(
	source: { readonly bytes: Uint8Array<ArrayBuffer>; readonly view: DataView },
	start: number,
	end: number,
): string {
	if (source.bytes[start] === JSON_TEXT) {
		const json = readText(source.bytes, start + 1, end);
		// What looks like a form of `readable.ts` has to be told from one.
		if (!/"\$|\\u0024|\n/.test(json)) return `"value":${json}`;
	}
	const form = readableOf(decodeValue(source, start, end));
	if (form) return `"value":${JSON.stringify(form.json)}`;
	return `"stored":"${base64Of(source.bytes.subarray(start, end))}"`;
}
