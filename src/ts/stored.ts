/**
 * The stored bytes of FORMAT.md, read and written without the engine: snapshots as files, and the op log as text.
 *
 * Owns the shapes of snapshot, block, segment, frame and batch on this side; the engine's own are in src/*.rs, and both are held
 * against the same bytes. All lengths are checked against what is there before they are used. Errors: `CORRUPT`, `VERSION`.
 */

import { HoldfastError } from "./error.js";
import type { Incoming } from "./incoming.js";
import { KEY_BYTES_MAX } from "./numbers.js";
import { xxh64 } from "./xxh64.js";

/** An entry as it is stored; the bytes are good until the next one is asked for. */
export interface StoredEntry {
	readonly key: Uint8Array<ArrayBuffer>;
	readonly value: Uint8Array<ArrayBuffer>;
	/** In ms since 1970, or 0. */
	readonly expiresAt: number;
}

/** An entry of a snapshot, with the seq of the frame that wrote it. */
export interface SnapshotEntry extends StoredEntry {
	readonly version: number;
}

export const SNAPSHOT_MAGIC = "HFSNP\r\n\x1a";
export const SEGMENT_MAGIC = "HFLOG\r\n\x1a";
const VERSION = 1;
export const SNAPSHOT_HEADER_BYTES = 64;
const CHUNK_HEADER_BYTES = 24;
const BLOCK_HEADER_BYTES = 32;
const BLOCK_DATA_BYTES = 32_768;
const BLOCK_ENTRIES_MAX = 4096;
/** More than any entry takes: a value has at most 256 MiB. */
const BLOCK_BYTES_MAX = 300_000_000;
export const SEGMENT_HEADER_BYTES = 128;
export const FRAME_HEADER_BYTES = 40;
/** The first byte of keys that are the engine's own. */
const SYSTEM_KEYS_START = 0xff;
const NO_ENTRY = 0xffff;

export function corrupt(what: string): HoldfastError {
	return new HoldfastError("CORRUPT", `The file is not what it should be: ${what}. Nothing was changed.`);
}

function expectGood(holds: boolean, what: string): asserts holds {
	if (!holds) throw corrupt(what);
}

export function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function magicOf(bytes: Uint8Array): string {
	return String.fromCharCode(...bytes.subarray(0, 8));
}

function checkVersion(version: number): void {
	if (version > VERSION)
		throw new HoldfastError("VERSION", `The file is of version ${version}; it takes a newer Holdfast.`);
	expectGood(version === VERSION, `it says that it is of version ${version}`);
}

/** A number of 64 bits; `CORRUPT` above what a number of JavaScript holds. */
function integerAt(view: DataView, at: number): number {
	const value = view.getBigUint64(at, true);
	expectGood(value <= BigInt(Number.MAX_SAFE_INTEGER), "a number is out of range");
	return Number(value);
}

/** Reads the numbers of a batch or an entry. */
class Numbers {
	readonly bytes: Uint8Array<ArrayBuffer>;
	at: number;

	constructor(bytes: Uint8Array<ArrayBuffer>, at = 0) {
		this.bytes = bytes;
		this.at = at;
	}

	byte(): number {
		expectGood(this.at < this.bytes.length, "it ends within an entry");
		return this.bytes[this.at++] as number;
	}

	/** Of 64 bits: above what a number of JavaScript holds, the nearest there is. */
	varint(): number {
		let value = 0;
		for (let factor = 1; ; factor *= 128) {
			const byte = this.byte();
			value += (byte % 128) * factor;
			expectGood(factor < 2 ** 63 || byte < 2, "a number is out of range");
			if (byte < 128) return value;
		}
	}

	/** Whether something that need not be there follows. */
	option(): boolean {
		const byte = this.byte();
		expectGood(byte < 2, `a part that may be missing begins with ${byte}`);
		return byte === 1;
	}

	take(count: number): Uint8Array<ArrayBuffer> {
		expectGood(count <= this.bytes.length - this.at, "a length reaches beyond the end");
		this.at += count;
		return this.bytes.subarray(this.at - count, this.at);
	}
}

// ---------------------------------------------------------------------------------------------------- snapshots

/** The header of a snapshot: its salt, and the seq it is the state after. Takes it from what arrives. */
export async function readSnapshotHeader(incoming: Incoming): Promise<{ salt: bigint; seq: number }> {
	expectGood(await incoming.has(SNAPSHOT_HEADER_BYTES), "it ends within its header");
	const header = incoming.take(SNAPSHOT_HEADER_BYTES);
	const view = viewOf(header);
	expectGood(magicOf(header) === SNAPSHOT_MAGIC, "it is no snapshot");
	checkVersion(view.getUint32(8, true));
	expectGood(view.getBigUint64(56, true) === xxh64(header, 0, 56, 0n), "the checksum of its header does not fit");
	return { salt: view.getBigUint64(32, true), seq: integerAt(view, 40) };
}

/**
 * The entries of a snapshot whose header was read, a block at a time, in the order of their keys, and nothing behind them. Entries of
 * the engine's own are `CORRUPT` unless it is a store's own snapshot, which may have them.
 */
export async function* readBlocks(
	incoming: Incoming,
	salt: bigint,
	origin: "foreign" | "store" = "foreign",
): AsyncGenerator<Iterable<SnapshotEntry>, void> {
	const checksums: bigint[] = [];
	const order = new Order();
	for (let number = 0; ; number++) {
		expectGood(await incoming.has(CHUNK_HEADER_BYTES), "it ends before its last part");
		const header = incoming.take(CHUNK_HEADER_BYTES);
		const view = viewOf(header);
		const blockBytes = view.getUint32(0, true);
		const checksum = view.getBigUint64(8, true);
		expectGood(
			view.getBigUint64(16, true) === xxh64(header, 0, 16, salt),
			`the checksum of part ${number} does not fit`,
		);
		expectGood(view.getUint32(4, true) === number, `part ${number} is missing`);
		if (blockBytes === 0) {
			const all = new Uint8Array(8 * checksums.length);
			checksums.forEach((one, i) => {
				viewOf(all).setBigUint64(8 * i, one, true);
			});
			expectGood(checksum === xxh64(all, 0, all.length, salt), "the checksum of the whole does not fit");
			expectGood(!(await incoming.has(1)), "something follows its end");
			return;
		}
		expectGood(blockBytes <= BLOCK_BYTES_MAX, `part ${number} says that it has ${blockBytes} bytes`);
		expectGood(await incoming.has(blockBytes), `it ends within part ${number}`);
		const block = incoming.take(blockBytes);
		expectGood(checksum === xxh64(block, 0, blockBytes, salt), `the checksum of part ${number} does not fit`);
		checksums.push(checksum);
		yield entriesOf(block, order, origin);
	}
}

/** Whether keys follow each other. */
class Order {
	#last = new Uint8Array();

	next(key: Uint8Array): void {
		const [last, count] = [this.#last, Math.min(this.#last.length, key.length)];
		let at = 0;
		while (at < count && last[at] === key[at]) at++;
		const isGreater = at < count ? (key[at] as number) > (last[at] as number) : key.length > last.length;
		expectGood(isGreater, "its keys are out of order");
		this.#last = key.slice();
	}
}

function* entriesOf(
	block: Uint8Array<ArrayBuffer>,
	order: Order,
	origin: "foreign" | "store",
): Generator<SnapshotEntry, void> {
	expectGood(block.length > BLOCK_HEADER_BYTES, "a part is too short");
	const view = viewOf(block);
	const [count, slots, dataBytes] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(24, true)];
	const newest = integerAt(view, 16);
	const offsetsAt = BLOCK_HEADER_BYTES + 2 * slots;
	const dataAt = offsetsAt + 2 * count;
	expectGood(count > 0 && count <= BLOCK_ENTRIES_MAX, "a part has no or too many entries");
	expectGood(dataAt + dataBytes === block.length, "the lengths of a part do not fit");
	const numbers = new Numbers(block, dataAt);
	for (let i = 0; i < count; i++) {
		const offset = (numbers.at - dataAt) % 65536;
		expectGood(view.getUint16(offsetsAt + 2 * i, true) === offset, "an entry is out of its place");
		const keyBytes = numbers.varint();
		const sizeAndExpiry = numbers.varint();
		const version = newest - numbers.varint();
		const expires = sizeAndExpiry % 2 === 1;
		const expiresAt = expires ? integerAt(viewOf(numbers.take(8)), 0) : 0;
		expectGood(keyBytes > 0 && keyBytes <= KEY_BYTES_MAX, "a key has a length that no key has");
		const key = numbers.take(keyBytes);
		expectGood(origin === "store" || key[0] !== SYSTEM_KEYS_START, "it has an entry of the engine's own");
		order.next(key);
		yield { key, value: numbers.take(Math.floor(sizeAndExpiry / 2)), expiresAt, version };
	}
	expectGood(numbers.at === block.length, "something follows the entries of a part");
}

/** Makes the bytes of a snapshot, entry by entry in the order of their keys. */
export class SnapshotWriter {
	/** What is ready to be taken. */
	ready: Uint8Array<ArrayBuffer>[] = [];
	readonly #salt: bigint;
	readonly #seq: bigint;
	#checksums: bigint[] = [];
	#data = new Uint8Array(BLOCK_DATA_BYTES);
	#dataBytes = 0;
	#offsets: number[] = [];
	#hashes: number[] = [];
	#expires = false;

	constructor(seq: number) {
		const random = crypto.getRandomValues(new Uint8Array(8));
		this.#salt = viewOf(random).getBigUint64(0, true);
		this.#seq = BigInt(seq);
		const header = new Uint8Array(SNAPSHOT_HEADER_BYTES);
		const view = viewOf(header);
		header.set([...SNAPSHOT_MAGIC].map((unit) => unit.charCodeAt(0)));
		view.setUint32(8, VERSION, true);
		// A file has no name that could say of which generation it is.
		view.setBigUint64(16, 1n, true);
		view.setBigUint64(24, 1n, true);
		view.setBigUint64(32, this.#salt, true);
		view.setBigUint64(40, this.#seq, true);
		view.setBigUint64(56, xxh64(header, 0, 56, 0n), true);
		this.ready.push(header);
	}

	add({ key, value, expiresAt }: StoredEntry): void {
		const bytes = key.length + value.length;
		const isFull = this.#dataBytes + bytes > BLOCK_DATA_BYTES || this.#offsets.length === BLOCK_ENTRIES_MAX;
		if (isFull) this.#endBlock();
		this.#need(bytes + 32);
		this.#offsets.push(this.#dataBytes);
		// Slots are the low bits.
		this.#hashes.push(Number(xxh64(key, 0, key.length, this.#salt) & 0xffffn));
		this.#varint(key.length);
		this.#varint(2 * value.length + (expiresAt ? 1 : 0));
		this.#varint(0);
		if (expiresAt) {
			viewOf(this.#data).setBigUint64(this.#dataBytes, BigInt(expiresAt), true);
			this.#dataBytes += 8;
			this.#expires = true;
		}
		for (const part of [key, value]) {
			this.#data.set(part, this.#dataBytes);
			this.#dataBytes += part.length;
		}
	}

	finish(): void {
		this.#endBlock();
		const all = new Uint8Array(8 * this.#checksums.length);
		this.#checksums.forEach((one, i) => {
			viewOf(all).setBigUint64(8 * i, one, true);
		});
		this.#chunk(0, xxh64(all, 0, all.length, this.#salt));
	}

	#need(count: number): void {
		if (this.#dataBytes + count <= this.#data.length) return;
		const grown = new Uint8Array(this.#dataBytes + count);
		grown.set(this.#data.subarray(0, this.#dataBytes));
		this.#data = grown;
	}

	#varint(value: number): void {
		let rest = value;
		for (; rest >= 128; rest = Math.floor(rest / 128)) this.#data[this.#dataBytes++] = 128 + (rest % 128);
		this.#data[this.#dataBytes++] = rest;
	}

	#endBlock(): void {
		const count = this.#offsets.length;
		if (count === 0) return;
		let slots = 2;
		while (slots < count + Math.floor(count / 2) + 1) slots *= 2;
		const offsetsAt = BLOCK_HEADER_BYTES + 2 * slots;
		const dataAt = offsetsAt + 2 * count;
		const block = new Uint8Array(dataAt + this.#dataBytes);
		const view = viewOf(block);
		view.setUint32(0, count, true);
		view.setUint32(4, slots, true);
		view.setBigUint64(8, this.#salt, true);
		view.setBigUint64(16, this.#seq, true);
		view.setUint32(24, this.#dataBytes, true);
		view.setUint32(28, this.#expires ? 0 : 1, true);
		block.fill(0xff, BLOCK_HEADER_BYTES, offsetsAt);
		this.#offsets.forEach((offset, i) => {
			view.setUint16(offsetsAt + 2 * i, offset, true);
			let slot = (this.#hashes[i] as number) % slots;
			while (view.getUint16(BLOCK_HEADER_BYTES + 2 * slot, true) !== NO_ENTRY) slot = (slot + 1) % slots;
			view.setUint16(BLOCK_HEADER_BYTES + 2 * slot, i, true);
		});
		block.set(this.#data.subarray(0, this.#dataBytes), dataAt);
		const checksum = xxh64(block, 0, block.length, this.#salt);
		this.#chunk(block.length, checksum);
		this.#checksums.push(checksum);
		this.ready.push(block);
		[this.#dataBytes, this.#offsets, this.#hashes, this.#expires] = [0, [], [], false];
		if (this.#data.length > 4 * BLOCK_DATA_BYTES) this.#data = new Uint8Array(BLOCK_DATA_BYTES);
	}

	#chunk(blockBytes: number, checksum: bigint): void {
		const header = new Uint8Array(CHUNK_HEADER_BYTES);
		const view = viewOf(header);
		view.setUint32(0, blockBytes, true);
		view.setUint32(4, this.#checksums.length, true);
		view.setBigUint64(8, checksum, true);
		view.setBigUint64(16, xxh64(header, 0, 16, this.#salt), true);
		this.ready.push(header);
	}
}

// ---------------------------------------------------------------------------------------------------- the op log

export interface Segment {
	readonly generation: number;
	readonly epoch: number;
	readonly salt: bigint;
	readonly firstSeq: number;
}

export interface Frame {
	readonly seq: number;
	readonly ops: readonly Op[];
	/** Where in the segment it ends. */
	readonly end: number;
}

/** `value`: a set, `end`: a removal of `key <= ... < end`, neither: a removal of the key. */
export interface Op {
	readonly key: Uint8Array<ArrayBuffer>;
	readonly value?: Uint8Array<ArrayBuffer>;
	readonly expiresAt?: number;
	readonly end?: Uint8Array<ArrayBuffer>;
}

/** The first good copy of a segment's header; undefined where there is none. */
export function segmentOf(bytes: Uint8Array): Segment | undefined {
	for (const at of [0, 64]) {
		if (bytes.length < at + 64) return;
		const copy = bytes.subarray(at, at + 64);
		if (magicOf(copy) !== SEGMENT_MAGIC) continue;
		const view = viewOf(copy);
		checkVersion(view.getUint32(8, true));
		if (view.getBigUint64(56, true) !== xxh64(copy, 0, 56, 0n)) continue;
		const [generation, epoch, firstSeq] = [16, 24, 40].map((place) => integerAt(view, place)) as [
			number,
			number,
			number,
		];
		return { generation, epoch, salt: view.getBigUint64(32, true), firstSeq };
	}
	return undefined;
}

/**
 * The frames of a segment up to the first that is not whole or contradicts (FORMAT.md, journey open, rules 6 and 7), where it returns.
 * Throws `CORRUPT` where one is whole but no batch.
 */
export function* framesOf(bytes: Uint8Array<ArrayBuffer>, { salt, epoch, firstSeq }: Segment): Generator<Frame, void> {
	const view = viewOf(bytes);
	let at = SEGMENT_HEADER_BYTES;
	let seq = firstSeq;
	while (at + FRAME_HEADER_BYTES <= bytes.length) {
		const payloadBytes = view.getUint32(at, true);
		const payloadAt = at + FRAME_HEADER_BYTES;
		const end = payloadAt + payloadBytes;
		const checked = new Uint8Array(36);
		checked.set(bytes.subarray(at, at + 4));
		checked.set(bytes.subarray(at + 8, at + 40), 4);
		const counts =
			payloadBytes > 0 &&
			end <= bytes.length &&
			view.getUint32(at + 4, true) === Number(xxh64(checked, 0, 36, salt) & 0xffffffffn) &&
			view.getBigUint64(at + 8, true) === BigInt(seq) &&
			view.getBigUint64(at + 16, true) === BigInt(epoch) &&
			view.getBigUint64(at + 24, true) < BigInt(seq) &&
			view.getBigUint64(at + 32, true) === xxh64(bytes, payloadAt, end, salt);
		if (!counts) return;
		yield { seq: seq++, ops: opsOf(bytes.subarray(payloadAt, end)), end };
		at = end;
	}
}

function opsOf(payload: Uint8Array<ArrayBuffer>): Op[] {
	const numbers = new Numbers(payload);
	if (numbers.option()) {
		numbers.varint();
		numbers.varint();
	}
	const ops: Op[] = [];
	for (let left = numbers.varint(); left > 0; left--) {
		const kind = numbers.byte();
		const key = numbers.take(numbers.varint());
		if (kind === 0) {
			const value = numbers.take(numbers.varint());
			ops.push(numbers.option() ? { key, value, expiresAt: numbers.varint() } : { key, value });
		} else if (kind === 1) ops.push({ key });
		else {
			expectGood(kind === 2, `it has an op of kind ${kind}`);
			ops.push({ key, end: numbers.take(numbers.varint()) });
		}
	}
	expectGood(numbers.at === payload.length, "something follows the ops of a frame");
	return ops;
}
