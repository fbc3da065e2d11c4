#!/usr/bin/env node
/**
 * The command `holdfast`, for Node: a stored file as text, one op a line.
 *
 * Owns which file it is (a segment, a snapshot, also behind gzip, or a file of an OPFS pool with one of them in it), what is printed
 * around the lines of `log.ts`, and how the command ends: 0, also for a file that is torn; 1 for one that cannot be read; 2 for
 * wrong usage. Reads a segment whole and a snapshot block by block. Offsets are those of the file, behind gzip of what is unpacked.
 * Deliberately absent: IndexedDB, whose files are the browser's own, and writing of any kind.
 */

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { parseArgs } from "node:util";
import { constants, createGunzip } from "node:zlib";
import { version } from "../../package.json";
import { HoldfastError } from "./error.js";
import { Incoming } from "./incoming.js";
import { linesOfFrame, SHOWN_MAX } from "./log.js";
import {
	framesOf,
	magicOf,
	readBlocks,
	readSnapshotHeader,
	SEGMENT_HEADER_BYTES,
	SEGMENT_MAGIC,
	type Segment,
	SNAPSHOT_HEADER_BYTES,
	SNAPSHOT_MAGIC,
	segmentOf,
	viewOf,
} from "./stored.js";
import { xxh64 } from "./xxh64.js";

const USAGE = `Usage: holdfast log <file> [--from seq] [--to seq] [--full]
       holdfast --help | --version

Prints a stored file, one op a line: a segment of the op log, a snapshot or an export (gzip too), or a file of a store in OPFS.

  --from seq, --to seq   only what was written from that seq on, up to that seq
  --full                 values as they are, however long
`;

const POOL_MAGIC = "HFPF";
const POOL_HEADER_BYTES = 4096;
const POOL_SLOTS_AT = [0, 2048];
const POOL_SLOT_BYTES = 72;
const OUTPUT_CHARS = 1 << 16;

class UsageError extends Error {}
class UnreadableError extends Error {}

interface Shown {
	readonly from: number;
	readonly to: number;
	readonly charsMax: number;
}

/** A file, and the blob in it. */
interface Stored {
	readonly path: string;
	readonly isGzip: boolean;
	/** Where the blob begins. */
	readonly start: number;
	/** What a pool calls it. */
	readonly name?: string;
	readonly head: Uint8Array<ArrayBuffer>;
}

/** Standard output, in pieces that are worth a call. */
class Output {
	#text = "";

	line(line: string): void {
		// What is stored decides nothing about the terminal.
		this.#text += `${line.replace(/\p{Cc}/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
	}

	get isFull(): boolean {
		return this.#text.length >= OUTPUT_CHARS;
	}

	async flush(): Promise<void> {
		const text = this.#text;
		this.#text = "";
		if (text && !process.stdout.write(text)) await once(process.stdout, "drain");
	}
}

/** The bytes of a file from that offset on, unpacked. Throws what zlib says where gzip is damaged, and not all from before it is there. */
async function* piecesOf(path: string, isGzip: boolean, start: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
	const file = createReadStream(path);
	// What is cut gives what there is.
	const unpacking = isGzip ? createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }) : undefined;
	if (unpacking) pipeline(file, unpacking, () => {});
	let skipped = start;
	try {
		for await (const { buffer, byteOffset, length } of unpacking ?? file) {
			const passed = Math.min(skipped, length);
			skipped -= passed;
			if (passed < length) yield new Uint8Array(buffer, byteOffset + passed, length - passed);
		}
	} finally {
		file.destroy();
	}
}

/** Bytes that arrive, in one piece; of a long file only so many and what came with them. */
async function joined(pieces: AsyncIterable<Uint8Array>, bytesMax = Number.POSITIVE_INFINITY) {
	const list: Uint8Array[] = [];
	let bytes = 0;
	for await (const piece of pieces) {
		list.push(piece);
		bytes += piece.length;
		if (bytes >= bytesMax) break;
	}
	const whole = new Uint8Array(bytes);
	let at = 0;
	for (const piece of list) {
		whole.set(piece, at);
		at += piece.length;
	}
	return whole;
}

async function storedAt(path: string): Promise<Stored> {
	const file = await open(path);
	let isGzip: boolean;
	try {
		if (!(await file.stat()).isFile()) throw new UnreadableError(`${path} is no file.`);
		const { buffer } = await file.read(new Uint8Array(2), 0, 2, 0);
		isGzip = buffer[0] === 0x1f && buffer[1] === 0x8b;
	} finally {
		await file.close();
	}
	const head = await joined(piecesOf(path, isGzip, 0), POOL_HEADER_BYTES + SEGMENT_HEADER_BYTES);
	const isPool = POOL_SLOTS_AT.some((at) => magicOf(head.subarray(at)).startsWith(POOL_MAGIC));
	if (!isPool) return { path, isGzip, start: 0, head };
	const name = nameIn(head);
	return { path, isGzip, start: POOL_HEADER_BYTES, head: head.subarray(POOL_HEADER_BYTES), name };
}

/** The name of the blob that a file of a pool has, which is empty where the file is free (FORMAT.md, blobs in OPFS). */
function nameIn(header: Uint8Array<ArrayBuffer>): string {
	const slots = POOL_SLOTS_AT.flatMap((at) => {
		const slot = header.subarray(at, at + POOL_SLOT_BYTES);
		const isGood =
			slot.length === POOL_SLOT_BYTES &&
			magicOf(slot).startsWith(POOL_MAGIC) &&
			viewOf(slot).getBigUint64(64, true) === xxh64(slot, 0, 64, 0n);
		return isGood ? [{ slot, view: viewOf(slot) }] : [];
	});
	for (const { view } of slots) {
		const poolVersion = view.getUint32(4, true);
		if (poolVersion !== 1)
			throw new UnreadableError(`The file of a pool is of version ${poolVersion}; it takes a newer Holdfast.`);
	}
	const [newest] = slots.sort((a, b) => Number(b.view.getBigUint64(8, true) - a.view.getBigUint64(8, true)));
	if (!newest) throw new UnreadableError("It is a file of a store in OPFS, but its header is damaged.");
	return String.fromCharCode(...newest.slot.subarray(17, 17 + (newest.slot[16] as number)));
}

/** What the end of a file is: everything from that offset on was not read. */
async function ending(rest: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, at: number): Promise<string> {
	let bytes = 0;
	let isZeros = true;
	const damaged = () => `# torn or damaged at byte ${at}: ${bytes} bytes left out`;
	try {
		for await (const piece of rest) {
			bytes += piece.length;
			isZeros &&= piece.every((byte) => byte === 0);
		}
	} catch (error) {
		if (!isGzipDamage(error)) throw error;
		return `${damaged()}, and what cannot be unpacked`;
	}
	if (bytes === 0) return "# ends";
	return isZeros ? `# zeros from byte ${at}` : damaged();
}

function isGzipDamage(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code?.startsWith("Z_") === true;
}

/** Whether it is damage, of which the last line tells. */
function isDamage(error: unknown): boolean {
	return isGzipDamage(error) || (error instanceof HoldfastError && error.code === "CORRUPT");
}

async function printSegment(output: Output, stored: Stored, segment: Segment, shown: Shown, blob: string) {
	output.line(`# segment ${segment.generation}, epoch ${segment.epoch}, from seq ${segment.firstSeq}${blob}`);
	const bytes = await joined(piecesOf(stored.path, false, stored.start));
	let at = Math.min(SEGMENT_HEADER_BYTES, bytes.length);
	try {
		for (const { seq, ops, end } of framesOf(bytes, segment)) {
			if (seq >= shown.from && seq <= shown.to)
				for (const line of linesOfFrame(seq, ops, shown.charsMax)) output.line(line);
			at = end;
			if (output.isFull) await output.flush();
		}
	} catch (error) {
		if (!isDamage(error)) throw error;
	}
	output.line(await ending([bytes.subarray(at)], stored.start + at));
}

async function printSnapshot(output: Output, { path, isGzip, start }: Stored, shown: Shown, blob: string) {
	const pieces = piecesOf(path, isGzip, start);
	const stream = new ReadableStream<Uint8Array>({
		async pull(controller) {
			const { done, value } = await pieces.next();
			if (done) controller.close();
			else controller.enqueue(value);
		},
		async cancel() {
			await pieces.return();
		},
	});
	const incoming = new Incoming(stream, (cause) => cause);
	const { salt, seq } = await readSnapshotHeader(incoming);
	output.line(`# snapshot at seq ${seq}${blob}`);
	let at = SNAPSHOT_HEADER_BYTES;
	try {
		for await (const block of readBlocks(incoming, salt, "store")) {
			for (const { version, key, value, expiresAt } of block) {
				if (version < shown.from || version > shown.to) continue;
				for (const line of linesOfFrame(version, [{ key, value, expiresAt }], shown.charsMax)) output.line(line);
			}
			at = incoming.position;
			if (output.isFull) await output.flush();
		}
		at = incoming.position;
	} catch (error) {
		if (!isDamage(error)) throw error;
		output.line("# not whole: a store takes nothing of it");
	} finally {
		await incoming.cancel(undefined);
	}
	output.line(await ending(piecesOf(path, isGzip, start + at), start + at));
}

async function printStored(output: Output, stored: Stored, shown: Shown): Promise<void> {
	const { head, isGzip, name } = stored;
	const blob = name ? `, blob ${name}` : "";
	const magics = [head, head.subarray(64)].map(magicOf);
	const segment = segmentOf(head);
	if (isGzip && magics[0] !== SNAPSHOT_MAGIC)
		throw new UnreadableError("Behind gzip there is no snapshot. Anything else can be read when it is unpacked.");
	if (name === "" || (name && head.length === 0)) output.line("# a free file of a store in OPFS");
	else if (name === "reserve") output.line("# room that a store in OPFS keeps for when the disk is full, blob reserve");
	else if (segment) await printSegment(output, stored, segment, shown, blob);
	else if (magics[0] === SNAPSHOT_MAGIC) await printSnapshot(output, stored, shown, blob);
	else if (magics.includes(SEGMENT_MAGIC))
		throw new UnreadableError(
			"It is a segment of an op log, but its header is damaged: nothing behind it can be checked.",
		);
	else if (magics[0]?.trimStart().startsWith("{"))
		throw new UnreadableError("It is no stored file. If it is an export as NDJSON, it can be read as it is.");
	else throw new UnreadableError("It is no segment of an op log, no snapshot, and no file of a store in OPFS.");
}

function seqOf(option: string, text: string | undefined, otherwise: number): number {
	if (text === undefined) return otherwise;
	const seq = Number(text);
	if (!/^\d+$/.test(text) || seq < 1 || !Number.isSafeInteger(seq))
		throw new UsageError(`--${option} is a seq: an integer from 1 on, not "${text}".`);
	return seq;
}

function parsed(args: string[]) {
	try {
		const option = { type: "string" } as const;
		const flag = { type: "boolean" } as const;
		return parseArgs({
			args,
			allowPositionals: true,
			options: { from: option, to: option, full: flag, help: { ...flag, short: "h" }, version: flag },
		});
	} catch (error) {
		throw new UsageError((error as Error).message);
	}
}

async function run(output: Output, args: string[]): Promise<void> {
	const { values, positionals } = parsed(args);
	if (values.help || values.version) {
		process.stdout.write(values.help ? USAGE : `${version}\n`);
		return;
	}
	const [command, path, ...rest] = positionals;
	if (command !== "log") throw new UsageError(command ? `There is no command "${command}".` : "Which command?");
	if (!path || rest.length > 0) throw new UsageError("One file at a time.");
	const from = seqOf("from", values.from, 1);
	const to = seqOf("to", values.to, Number.MAX_SAFE_INTEGER);
	const charsMax = values.full ? Number.POSITIVE_INFINITY : SHOWN_MAX;
	await printStored(output, await storedAt(path), { from, to, charsMax });
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	// Whoever read has seen enough.
	if (error.code === "EPIPE") process.exit(0);
	throw error;
});
const output = new Output();
try {
	await run(output, process.argv.slice(2));
	await output.flush();
} catch (error) {
	await output.flush();
	const isUsage = error instanceof UsageError;
	const message = `${isGzipDamage(error) ? "It cannot be unpacked: " : ""}${(error as Error).message}`;
	process.stderr.write(`holdfast: ${message}\n${isUsage ? `\n${USAGE}` : ""}`);
	process.exitCode = isUsage ? 2 : 1;
}
