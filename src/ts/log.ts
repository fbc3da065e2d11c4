/**
 * The op log as text, and as changes. Loaded with the first call that needs it.
 *
 * Owns which frames of the stored segments count (FORMAT.md, journey open, rule 2), and how an op is shown on a line:
 *
 *     17 set "user:1" {"name":"Ada"} expires 2027-01-15T08:00:00.000Z
 *     18 delete "user:2"
 *     19 clear prefix "user:"
 *     20 clear from "a" to "b"
 *
 * Deliberately absent: the bytes (`stored.ts`).
 */

import { valueText } from "./export.js";
import { BEYOND_UTF8 } from "./numbers.js";
import { checkAll, integer } from "./options.js";
import type { Inside } from "./store.js";
import { type Frame, framesOf, type Op, type Segment, segmentOf } from "./stored.js";
import type { LogRange } from "./types.js";

const READ_BYTES = 120 << 10;
/** A value is cut behind so many characters. */
export const SHOWN_MAX = 200;
/** What a Date holds. */
const DATE_MS_MAX = 8.64e15;

const LOG_RANGE = { from: integer(1, 1), to: integer(1, Number.MAX_SAFE_INTEGER) };

/** The lines of a part of the log. */
export async function* logOf<T>(inside: Inside<T>, range: LogRange = {}): AsyncGenerator<string, void> {
	const { from, to } = checkAll("range", range, LOG_RANGE);
	await inside.flush();
	for await (const { seq, ops } of storedFrames(inside)) if (seq >= from && seq <= to) yield* linesOfFrame(seq, ops);
}

/** A line for each op; of a value so many characters. */
export function* linesOfFrame(seq: number, ops: readonly Op[], charsMax = SHOWN_MAX): Generator<string, void> {
	for (const op of ops) yield `${seq} ${lineOf(op, charsMax)}`;
}

function lineOf({ key, value, expiresAt, end }: Op, charsMax: number): string {
	if (end) return `clear ${shownRange(key, end)}`;
	if (!value) return `delete ${shown(key)}`;
	return `set ${shown(key)} ${shownValue(value, charsMax)}${shownExpiry(expiresAt)}`;
}

function shownExpiry(ms?: number): string {
	if (!ms) return "";
	return ` expires ${ms > DATE_MS_MAX ? "never" : new Date(ms).toISOString()}`;
}

/** The range that was asked for: its bounds are made of the greatest byte, which is in no key (`range.ts`). */
function shownRange(start: Uint8Array, end: Uint8Array): string {
	const from = start.slice(0, start.at(-1) === 0 ? -1 : undefined);
	const before = from.at(-2);
	const first = from.at(-1) === BEYOND_UTF8 && before !== undefined ? from.with(-2, before + 1).subarray(0, -1) : from;
	const isOpen = end.at(-1) === BEYOND_UTF8;
	const last = isOpen ? end.subarray(0, -1) : end;
	if (isOpen && String(first) === String(last)) return last.length > 0 ? `prefix ${shown(last)}` : "everything";
	return `from ${shown(first)} to ${isOpen ? "the end of " : ""}${shown(last)}`;
}

const decoder = new TextDecoder();

/** A key, or a bound of keys, which need not be text. */
function shown(key: Uint8Array): string {
	return JSON.stringify(decoder.decode(key));
}

function shownValue(value: Uint8Array<ArrayBuffer>, charsMax: number): string {
	let text: string;
	try {
		text = valueText(
			{ bytes: value, view: new DataView(value.buffer, value.byteOffset, value.length) },
			0,
			value.length,
		);
		text = text.replace(/^"\w+":/, "");
	} catch {
		text = "(damaged)";
	}
	return text.length > charsMax ? `${text.slice(0, charsMax)}... (${value.length} bytes)` : text;
}

/** The frames that are stored and count, in order; what is removed meanwhile is passed over. */
export async function* storedFrames<T>({ storage }: Inside<T>): AsyncGenerator<Frame, void> {
	if (!storage) return;
	const request = { name: "", offset: 0, bytesMax: 0, bytes: new Uint8Array(), synced: false };
	const listed = (await storage.ask({ ...request, call: 0 })) as [name: string, bytes: number][];
	const generations = listed.flatMap(([name]) => /^log-(\d+)$/.exec(name)?.[1] ?? []).sort((a, b) => +a - +b);
	const read = async (name: string, offset: number) => {
		const bytes = new Uint8Array();
		return (await storage.ask({ ...request, bytes, call: 1, name, offset, bytesMax: READ_BYTES })) as Uint8Array;
	};
	const segments: { name: string; segment: Segment }[] = [];
	for (const generation of generations) {
		const name = `log-${generation}`;
		const segment = segmentOf(await read(name, 0));
		if (segment) segments.push({ name, segment });
	}
	for (const [i, { name, segment }] of segments.entries()) {
		const supersededFrom = Math.min(...segments.slice(i + 1).map((later) => later.segment.firstSeq));
		const pieces: Uint8Array[] = [];
		for (let offset = 0; ; ) {
			const piece = await read(name, offset);
			if (piece.length === 0) break;
			pieces.push(piece.slice());
			offset += piece.length;
		}
		const bytes = new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
		for (const frame of framesOf(bytes, segment)) if (frame.seq < supersededFrom) yield frame;
	}
}
