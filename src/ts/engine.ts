/**
 * The engine as TypeScript sees it: what wasm exports, its memory, and who waits for an acknowledgement.
 *
 * Owns the cached views over wasm memory, the batches and the scratch area through which they go in, and the waiters of
 * each level. Uses the codecs. Errors: those of the codecs, `TOO_LARGE`; a trap breaks the instance for every store of the
 * thread.
 * Deliberately absent: loading (`wasm.ts`).
 */

import type { JsStorage } from "../backend/opfs.js";
import { fromWasm, HoldfastError } from "./error.js";
import { encodeKey } from "./key.js";
import { BATCH_BYTES_KEPT, BATCH_BYTES_MAX, BATCH_BYTES_MIN, MORE, REMOVE, SCRATCH_BYTES_MIN } from "./numbers.js";
import type { Bounds } from "./range.js";
import type { Sink, Source } from "./text.js";
import { encodeValue } from "./value.js";

// What src/wasm.rs exports; it documents each of these. Addresses and lengths are u32, seqs and counts f64.

export interface RawEngine {
	scratch(bytes: number): number;
	out(): number;
	write(bytes: number, level: number, purpose: number): number;
	get(keyBytes: number): number;
	count(afterBytes: number, bytes: number): number;
	get_many(bytes: number): number;
	scan(number: number, afterBytes: number, bytes: number, entriesMax: number, back: boolean, goesOn: boolean): number;
	live_bytes(): number;
	end_scan(number: number): void;
	seq(): number;
	record_changes(on: boolean): void;
	changes(): number;
	/** 0 a checkpoint, resolves to its figures (`stats.ts`), 1 closing, 2 leading, 3 following: these resolve to whether the map was kept. */
	run(work: number, generation?: number, seq?: number, bytes?: number): Promise<unknown>;
	figures(): number[];
	/** Why it takes no writes. */
	cause(): unknown;
	free(): void;
}

/** `event`: 0 progress, 1 poisoned, 2 a checkpoint ended, 3 there was no room; `detail`: the error, if any. */
export type Notify = (event: number, osSeq: number, diskSeq: number, detail: unknown) => void;

export interface Glue {
	open_engine(storage: JsStorage | undefined, options: Float64Array, notify: Notify): Promise<RawEngine>;
}

/** One wasm instance: its memory, and whether it can still be called. */
export class Instance implements Source {
	/** Views over the whole memory: `current` makes them, again after it has grown. */
	bytes = new Uint8Array();
	view = new DataView(this.bytes.buffer);
	/** Why it cannot be called any more. */
	broken: HoldfastError | undefined;
	/** How often writes were taken back: what was read before the last time may be gone, and no condition can tell. */
	rejections = 0;
	/** Told when it breaks. */
	readonly engines = new Set<(error: HoldfastError) => void>();
	readonly #memory: { readonly buffer: ArrayBuffer };

	constructor(memory: { readonly buffer: ArrayBuffer }) {
		this.#memory = memory;
	}

	/** Itself, with views that are valid until the next call into wasm. */
	current(): this {
		if (this.bytes.length === 0) {
			this.bytes = new Uint8Array(this.#memory.buffer);
			this.view = new DataView(this.#memory.buffer);
		}
		return this;
	}

	/** What was thrown, as an error of the public API. After a trap nothing may call this instance again. */
	error(thrown: unknown): unknown {
		return fromWasm(thrown, (error) => {
			this.broken = error;
			for (const told of this.engines) told(error);
		});
	}
}

/**
 * Entries and keys on their way into wasm. It is JavaScript memory, because while a value is encoded the caller's code may
 * run: accessors that call the store, and anything between the entries of a batch.
 */
export class Batch implements Sink {
	bytes = new Uint8Array(BATCH_BYTES_MIN);
	view = new DataView(this.bytes.buffer);
	at = 0;

	need(count: number): void {
		const bytesNeeded = this.at + count;
		if (bytesNeeded <= this.bytes.length) return;
		if (bytesNeeded > BATCH_BYTES_MAX) {
			const message = `A batch has at most ${BATCH_BYTES_MAX} bytes; split it.`;
			throw new HoldfastError("TOO_LARGE", message, { bytesNeeded });
		}
		const grown = new Uint8Array(Math.min(bytesNeeded * 2, BATCH_BYTES_MAX));
		grown.set(this.bytes.subarray(0, this.at));
		this.bytes = grown;
		this.view = new DataView(grown.buffer);
	}

	/** Adds `[u32 keyBytes][u32 valueBytes][key][value]`, with `[f64 expiry]` in front of the key if it expires. */
	set(key: string, value: unknown, expiresAt?: number): void {
		const head = this.#key(key, expiresAt === undefined ? 8 : 16);
		if (expiresAt !== undefined) {
			this.view.setUint32(head, this.view.getUint32(head, true) + MORE, true);
			this.view.setFloat64(head + 8, expiresAt, true);
		}
		const start = this.at;
		try {
			encodeValue(this, value);
		} catch (error) {
			if (error instanceof HoldfastError) error.message = `Under ${JSON.stringify(key)}: ${error.message}`;
			throw error;
		}
		this.view.setUint32(head + 4, this.at - start, true);
	}

	/** Adds `[u32 keyBytes][u32 REMOVE][key]` for each. */
	remove(keys: Iterable<string>): void {
		for (const key of keys) {
			const head = this.#key(key, 8);
			this.view.setUint32(head + 4, REMOVE, true);
		}
	}

	/** Adds what another batch holds. */
	add(other: Batch): void {
		this.need(other.at);
		this.bytes.set(other.bytes.subarray(0, other.at), this.at);
		this.at += other.at;
	}

	/** Adds the removal of the keys in a range. */
	clear({ after, end }: Bounds): void {
		const head = this.#range(after, end, 12);
		this.view.setUint32(head + 4, REMOVE, true);
		this.view.setUint32(head + 8, end.length, true);
	}

	/** Adds, as a condition, the version of a key's entry, 0 for none: `[u32 keyBytes][f64 version][key]`. */
	version(key: string, version: number): void {
		const head = this.#key(key, 12);
		this.view.setFloat64(head + 4, version, true);
	}

	/** Adds, as a condition, that nothing in a range has changed since. */
	unchanged({ after, end }: Bounds, seq: number): void {
		const head = this.#range(after, end, 16);
		this.view.setFloat64(head + 4, seq, true);
		this.view.setUint32(head + 12, end.length, true);
	}

	/** Adds the first key and the end of a range behind a head of so many bytes. */
	#range(after: Uint8Array, end: Uint8Array, headBytes: number): number {
		const head = this.at;
		this.need(headBytes + after.length + 1 + end.length);
		this.view.setUint32(head, after.length + 1 + MORE, true);
		this.bytes.set(after, head + headBytes);
		// The first key behind another is that and a zero.
		this.at += headBytes + after.length;
		this.bytes[this.at++] = 0;
		this.bytes.set(end, this.at);
		this.at += end.length;
		return head;
	}

	/** Adds `[u32 keyBytes][key]` for each. */
	keys(keys: Iterable<string>): void {
		for (const key of keys) this.#key(key, 4);
	}

	/** Adds a key behind a head of so many bytes that begins with its length; returns the head's index. */
	#key(key: string, headBytes: number): number {
		const head = this.at;
		this.need(headBytes);
		this.at += headBytes;
		const keyBytes = encodeKey(this, key);
		this.view.setUint32(head, keyBytes, true);
		return head;
	}
}

/** The engine's scratch area in wasm memory. */
export class Scratch implements Sink {
	bytes = new Uint8Array(0);
	view = new DataView(this.bytes.buffer);
	at = 0;
	readonly #raw: RawEngine;
	readonly #instance: Instance;
	/** The last batch, for the next one; none while it is filled. */
	#spare: Batch | undefined;

	constructor(raw: RawEngine, instance: Instance) {
		this.#raw = raw;
		this.#instance = instance;
	}

	/** A key has room: `key` saw to that. */
	need(): void {}

	/** Puts a key there; returns its length. */
	key(key: string): number {
		this.#locate(SCRATCH_BYTES_MIN);
		this.at = 0;
		return encodeKey(this, key);
	}

	/** Fills a batch, or what was begun as one. It is to be put there before the next one is filled. */
	fill(fill: (batch: Batch) => void, begun?: Batch): Batch {
		const batch = begun ?? this.#spare ?? new Batch();
		if (!begun) batch.at = 0;
		this.#spare = undefined;
		fill(batch);
		if (batch.bytes.length <= BATCH_BYTES_KEPT) this.#spare = batch;
		return batch;
	}

	/** Puts a batch of ops there behind its conditions and their length; returns the length of all. */
	ops(batch: Batch, conditions?: Batch): number {
		const { at } = conditions ?? { at: 0 };
		const count = this.copy(batch.bytes.subarray(0, batch.at), 4 + at);
		this.view.setUint32(0, at, true);
		if (conditions) this.bytes.set(conditions.bytes.subarray(0, at), 4);
		return count;
	}

	/** Puts the bounds of a scan there. */
	bounds({ after, end }: Pick<Bounds, "after" | "end">): [afterBytes: number, bytes: number] {
		const bytes = this.copy(end, after.length);
		this.bytes.set(after);
		return [after.length, bytes];
	}

	/** Puts bytes there, from an index on; returns where they end. */
	copy(bytes: Uint8Array, at = 0): number {
		const end = at + bytes.length;
		this.#locate(Math.max(SCRATCH_BYTES_MIN, end));
		this.bytes.set(bytes, at);
		return end;
	}

	/** Makes the views again unless they are of that size, and memory did not grow under them. */
	#locate(bytes: number): void {
		if (this.bytes.length === bytes) return;
		const address = this.#raw.scratch(bytes);
		const { buffer } = this.#instance.current().bytes;
		this.bytes = new Uint8Array(buffer, address, bytes);
		this.view = new DataView(buffer, address, bytes);
	}
}

interface Waiter {
	readonly seq: number;
	readonly answer: unknown;
	readonly resolve: (answer: never) => void;
	readonly reject: (error: unknown) => void;
}

/** Calls that wait for a level, answered in the order of their seqs. */
export class Acknowledgements {
	/** The newest seq known to be at each level. */
	reached: readonly number[] = [];
	/** By level; each in the order of seqs. */
	readonly #waiters: readonly Waiter[][] = [[], [], []];

	constructor(osSeq: number, diskSeq: number) {
		this.progress(osSeq, diskSeq);
	}

	/** Resolves to `answer` when everything up to `seq` is at the level. */
	wait<A>(seq: number, level: number, answer: A): Promise<A> {
		if ((this.reached[level] as number) >= seq) return Promise.resolve(answer);
		return new Promise((resolve, reject) => {
			this.#waiters[level]?.push({ seq, answer, resolve, reject });
		});
	}

	progress(osSeq: number, diskSeq: number): void {
		this.reached = [Number.MAX_VALUE, osSeq, diskSeq];
		this.#waiters.forEach((waiters, level) => {
			const later = waiters.findIndex(({ seq }) => seq > (this.reached[level] as number));
			// Most often all are answered at once.
			for (const { answer, resolve } of waiters.splice(0, later < 0 ? waiters.length : later)) resolve(answer as never);
		});
	}

	/** Takes out every call that still waits; what it gives rejects them. */
	detach(): (error: unknown) => void {
		const detached = this.#waiters.flatMap((waiters) => waiters.splice(0));
		return (error) => {
			for (const { reject } of detached) reject(error);
		};
	}
}
