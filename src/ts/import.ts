/**
 * Import: a stream of entries takes the place of what the store holds, all of it or nothing. Loaded with its first call.
 *
 * Owns the reading of the formats that `export.ts` writes, with or without gzip, and the limits: what arrives is checked piece by
 * piece before it is used, no length in it is believed, and nothing of the store is touched before its last byte was good. Then the
 * engine stores the new map as a snapshot of a new generation, reads it back and switches to it. Entries go into the part of a
 * namespace as one batch. Errors: `CORRUPT`, `VERSION`, `TOO_LARGE`, `QUOTA`, `LOCKED`, `OPTION_INVALID`.
 */

import { Batch } from "./engine.js";
import { HoldfastError } from "./error.js";
import { Incoming, streamFailed } from "./incoming.js";
import { batchOf } from "./messages.js";
import { BATCH_BYTES_MAX, KEY_BYTES_MAX, MORE, REPLACING, SLICE_MS, STAGING } from "./numbers.js";
import { checkAll, expect, integer, optional } from "./options.js";
import { pause } from "./platform.js";
import { boundsOf } from "./range.js";
import { bytesOf, parsedValue } from "./readable.js";
import { slotOps } from "./slots.js";
import type { Inside, Remote } from "./store.js";
import { corrupt, magicOf, readBlocks, readSnapshotHeader, SNAPSHOT_MAGIC } from "./stored.js";
import { readText } from "./text.js";
import type { ImportOptions, ImportReport, ImportSource, TransferProgress } from "./types.js";
import { decodeValue } from "./value.js";
import { watchersOf } from "./watch.js";

/** Keys and values that may arrive unless the caller says more: a quarter of what wasm memory can ever hold. */
const ENTRY_BYTES_MAX = 2 ** 30;
/** wasm memory ends at 4 GiB, and running into that is fatal. */
const MEMORY_BYTES_MAX = 3 * 2 ** 30;
const RETRY_MS = 20;
/** What goes to the engine at once. */
const PIECE_BYTES = 1 << 20;
/** A line longer than that is no entry. */
const LINE_BYTES_MAX = 2 * BATCH_BYTES_MAX;
/** Real data is packed to a fiftieth at best; gzip ends at 1,032 times. */
const PACKED_RATIO_MAX = 300;
const PACKED_BYTES_MIN = 16 << 20;
/** What is unpacked at once, because all that comes of it waits in memory. */
const PACKED_PIECE_BYTES = 16_384;

const IMPORT_OPTIONS = {
	maxBytes: integer(1, ENTRY_BYTES_MAX),
	signal: optional<AbortSignal>((signal) => signal instanceof AbortSignal, "an AbortSignal"),
	onProgress: optional<NonNullable<ImportOptions["onProgress"]>>((value) => typeof value === "function", "a function"),
};

/** The engines into which something is being imported. */
const busy = new WeakSet<object>();

type Checked = ReturnType<typeof checkOptions>;
const checkOptions = (options: ImportOptions) => checkAll("options", options, IMPORT_OPTIONS);

export async function importFrom<T>(
	inside: Inside<T>,
	base: string,
	source: ImportSource,
	options: ImportOptions = {},
): Promise<ImportReport> {
	const checked = checkOptions(options);
	const stream = streamOf(source);
	const { follows } = inside.tab;
	if (follows && !base) return throughLeader(await follows, stream, checked);
	if (busy.has(inside.raw))
		throw new HoldfastError("LOCKED", "Another import into this store is running; wait for it.");
	busy.add(inside.raw);
	const target = base ? intoNamespace(inside, base) : intoStore(inside);
	const { signal } = checked;
	const incoming = new Incoming(stream);
	const stop = () => incoming.cancel(signal?.reason);
	signal?.addEventListener("abort", stop);
	try {
		signal?.throwIfAborted();
		target.begin();
		const began = performance.now();
		const read = new Reading(incoming, target, checked, base);
		const { format, gzip } = await read.all();
		// A stream that the signal has ended looks like one at its end.
		signal?.throwIfAborted();
		const seq = await target.commit(read.entryBytes);
		const { entries, expired, entryBytes } = read;
		return { format, gzip, entries, expired, bytes: entryBytes, seq, ms: performance.now() - began };
	} catch (thrown) {
		const failed = inside.instance.error(thrown);
		const error = signal?.aborted ? signal.reason : failed;
		// Not waited for: whoever feeds the stream may take his time.
		void incoming.cancel(error);
		target.drop();
		throw error;
	} finally {
		signal?.removeEventListener("abort", stop);
		busy.delete(inside.raw);
	}
}

/** Has the tab that leads import a stream, piece by piece. */
async function throughLeader(
	leader: Remote,
	stream: ReadableStream<Uint8Array>,
	{ maxBytes, signal, onProgress }: Checked,
): Promise<ImportReport> {
	const reader = stream.getReader();
	const stop = () => void reader.cancel(signal?.reason).catch(() => {});
	signal?.addEventListener("abort", stop);
	try {
		signal?.throwIfAborted();
		await leader.import({ step: "begin", maxBytes });
		for (;;) {
			const { done, value } = await reader.read().catch((cause) => {
				throw streamFailed(cause);
			});
			signal?.throwIfAborted();
			if (done) break;
			for (let at = 0; at < value.length; at += PIECE_BYTES) {
				const bytes = value.slice(at, at + PIECE_BYTES);
				const progress = await leader.import({ step: "piece", bytes });
				if (progress) onProgress?.(progress as TransferProgress);
				signal?.throwIfAborted();
			}
		}
		return (await leader.import({ step: "end" })) as ImportReport;
	} catch (error) {
		void leader.import({ step: "cancel" }).catch(() => {});
		void reader.cancel(error).catch(() => {});
		throw error;
	} finally {
		signal?.removeEventListener("abort", stop);
	}
}

function streamOf(source: ImportSource): ReadableStream<Uint8Array> {
	if (source instanceof ReadableStream) {
		expect(!source.locked, "source", source, "a stream that nobody else reads");
		return source;
	}
	const isBytes = source instanceof ArrayBuffer || ArrayBuffer.isView(source);
	expect(isBytes || source instanceof Blob, "source", source, "a ReadableStream of bytes, a Blob or bytes");
	return (isBytes ? new Blob([source as ArrayBuffer]) : (source as Blob)).stream();
}

/** Where entries go. */
interface Target {
	begin(): void;
	/** What the next entries are put into. */
	batch(): Batch;
	/** Takes what was put there, if it is enough. */
	pass(): void;
	commit(entryBytes: number): Promise<number>;
	drop(): void;
}

function intoStore<T>(inside: Inside<T>): Target {
	const { raw, read, scratch, instance, frozen, room } = inside;
	let batch = new Batch();
	const stage = (staged: Batch) => read(() => raw.write(scratch.ops(staged), 0, STAGING));
	const pass = () => {
		if (batch.at === 0) return;
		if (instance.current().bytes.length > MEMORY_BYTES_MAX) throw tooLarge("memory ends", batch.at);
		stage(batch);
		batch = new Batch();
	};
	/** Waits until the new map is on disk, and has it told. */
	const stored = async (seq: number) => {
		const watchers = watchersOf(raw);
		if (watchers) watchers.replacedBy = seq;
		try {
			await inside.flush();
		} catch (error) {
			if (watchers) watchers.replacedBy = undefined;
			throw error;
		}
		watchers?.drain();
		watchers?.tellReplaced();
	};
	return {
		begin: () => stage(new Batch()),
		batch: () => batch,
		pass() {
			if (batch.at >= PIECE_BYTES) pass();
		},
		async commit(entryBytes) {
			pass();
			if (room && entryBytes > room.maxBytes) {
				const message = `The store may hold ${room.maxBytes} bytes; open it with a larger maxBytes.`;
				throw new HoldfastError("QUOTA", message, { bytesNeeded: entryBytes - room.maxBytes });
			}
			// Until the switch reads are of the old map, then of the new one: none may be of both.
			frozen?.rest();
			try {
				for (;;) {
					// What followers are asked for again is known by these.
					const slots = batchOf(...slotOps(inside));
					if (slots.at > 0) stage(slots);
					const seq = read(() => raw.write(0, 0, REPLACING));
					if (seq) {
						await stored(seq);
						return seq;
					}
					// A checkpoint is running.
					await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
				}
			} finally {
				frozen?.resume();
				room?.restart();
			}
		},
		drop() {
			try {
				stage(new Batch());
			} catch {
				// An engine that is closed or has failed has let go of it.
			}
		},
	};
}

function intoNamespace<T>({ write, frozen }: Inside<T>, base: string): Target {
	const batch = new Batch();
	return {
		begin() {
			batch.clear(boundsOf({}, base));
		},
		batch: () => batch,
		pass() {},
		commit: () =>
			write(
				{ level: 2 },
				() => {},
				(seq) => {
					frozen?.clear();
					return seq;
				},
				undefined,
				batch,
			),
		drop() {},
	};
}

function tooLarge(why: string, bytesNeeded: number): HoldfastError {
	return new HoldfastError("TOO_LARGE", `The import has more than the store can take: ${why}.`, { bytesNeeded });
}

/** Adds an entry whose value is encoded already to a batch, as `Batch.set` does. */
function addStored(batch: Batch, key: Uint8Array, value: Uint8Array, expiresAt: number): void {
	const headBytes = expiresAt ? 16 : 8;
	batch.need(headBytes + key.length + value.length);
	const { at, view, bytes } = batch;
	view.setUint32(at, key.length + (expiresAt ? MORE : 0), true);
	view.setUint32(at + 4, value.length, true);
	if (expiresAt) view.setFloat64(at + 8, expiresAt, true);
	bytes.set(key, at + headBytes);
	bytes.set(value, at + headBytes + key.length);
	batch.at += headBytes + key.length + value.length;
}

/** One reading of everything that arrives. */
class Reading {
	entries = 0;
	/** Entries whose time is over, which are left out. */
	expired = 0;
	entryBytes = 0;
	readonly #packed: Incoming;
	readonly #target: Target;
	readonly #options: Checked;
	readonly #base: string;
	readonly #baseBytes: Uint8Array;
	#sliceEnd = performance.now() + SLICE_MS;

	constructor(incoming: Incoming, target: Target, options: Checked, base: string) {
		this.#packed = incoming;
		this.#target = target;
		this.#options = options;
		this.#base = base;
		this.#baseBytes = new TextEncoder().encode(base);
	}

	async all(): Promise<Pick<ImportReport, "format" | "gzip">> {
		const packed = this.#packed;
		const gzip = (await packed.has(2)) && packed.bytes[0] === 0x1f && packed.bytes[1] === 0x8b;
		const incoming = gzip ? unpacked(packed) : packed;
		if (!(await incoming.has(1))) throw corrupt("it is empty");
		const isSnapshot = (await incoming.has(8)) && magicOf(incoming.bytes) === SNAPSHOT_MAGIC;
		await (isSnapshot ? this.#snapshot(incoming) : this.#lines(incoming));
		return { format: isSnapshot ? "snapshot" : "ndjson", gzip };
	}

	async #snapshot(incoming: Incoming): Promise<void> {
		const { salt } = await readSnapshotHeader(incoming);
		const now = Date.now();
		for await (const block of readBlocks(incoming, salt)) {
			for (const { key, value, expiresAt } of block) {
				textOf(key);
				const source = { bytes: value, view: new DataView(value.buffer, value.byteOffset, value.length) };
				// What cannot be read back would be found when it is too late.
				decodeValue(source, 0, value.length);
				this.#count(key.length + value.length);
				if (expiresAt && expiresAt <= now) {
					this.expired++;
					continue;
				}
				const own = new Uint8Array(this.#baseBytes.length + key.length);
				own.set(this.#baseBytes);
				own.set(key, this.#baseBytes.length);
				if (own.length > KEY_BYTES_MAX) throw corrupt("a key is too long behind the prefix of the namespace");
				addStored(this.#target.batch(), own, value, expiresAt);
				this.entries++;
				this.#target.pass();
			}
			await this.#breathe(incoming);
		}
	}

	async #lines(incoming: Incoming): Promise<void> {
		let isWhole = true;
		let ended = false;
		const now = Date.now();
		for await (const { text, number } of linesOf(incoming)) {
			try {
				if (ended) throw new TypeError("something follows the last line");
				const line = JSON.parse(text);
				if (number === 1 && Object.hasOwn(line, "holdfast")) {
					checkHead(line);
					isWhole = false;
				} else if (!isWhole && Object.hasOwn(line, "entries")) {
					if (line.entries !== this.entries + this.expired) throw new TypeError("the number of entries does not fit");
					ended = isWhole = true;
				} else this.#line(line, now);
			} catch (thrown) {
				throw refusal(number, thrown);
			}
			await this.#breathe(incoming);
		}
		if (!isWhole) throw corrupt("its last line, with the number of entries, is missing");
	}

	#line(line: Record<string, unknown>, now: number): void {
		const { key, value, stored, expiresAt, ...rest } = line;
		const isEntry =
			typeof key === "string" &&
			"value" in line !== (typeof stored === "string") &&
			(expiresAt === undefined || (Number.isSafeInteger(expiresAt) && (expiresAt as number) > 0)) &&
			Object.keys(rest).length === 0;
		if (!isEntry) throw new TypeError('it is no {"key":text,"value":any,"expiresAt":ms}');
		const batch = this.#target.batch();
		const before = batch.at;
		const expiry = expiresAt as number | undefined;
		batch.set(this.#base + key, stored === undefined ? parsedValue(value) : storedValue(stored as string), expiry);
		this.#count(batch.at - before - (expiry ? 16 : 8));
		if (expiry && expiry <= now) {
			batch.at = before;
			this.expired++;
			return;
		}
		this.entries++;
		this.#target.pass();
	}

	#count(bytes: number): void {
		this.entryBytes += bytes;
		const { maxBytes } = this.#options;
		if (this.entryBytes > maxBytes) throw tooLarge(`its maxBytes is ${maxBytes}`, this.entryBytes);
	}

	/** Between entries: looks whether to go on, and lets others have the thread. */
	async #breathe(incoming: Incoming): Promise<void> {
		const { signal, onProgress } = this.#options;
		signal?.throwIfAborted();
		if (performance.now() < this.#sliceEnd) return;
		onProgress?.({ entries: this.entries, bytes: incoming.position });
		await pause();
		this.#sliceEnd = performance.now() + SLICE_MS;
	}
}

function checkHead({ holdfast, version }: Record<string, unknown>): void {
	if (holdfast !== "entries" || !Number.isInteger(version)) throw new TypeError("it is no first line of an export");
	if ((version as number) > 1)
		throw new HoldfastError("VERSION", `The file is of version ${version}; it takes a newer Holdfast.`);
	if (version !== 1) throw new TypeError(`there is no version ${version}`);
}

function storedValue(base64: string): unknown {
	const bytes = bytesOf(base64);
	return decodeValue({ bytes, view: new DataView(bytes.buffer) }, 0, bytes.length);
}

/** What is wrong with a line. */
function refusal(number: number, thrown: unknown): unknown {
	const isOurs = thrown instanceof HoldfastError && !["KEY_INVALID", "VALUE_INVALID", "CORRUPT"].includes(thrown.code);
	if (isOurs) return thrown;
	const { message } = thrown as Error;
	return new HoldfastError("CORRUPT", `Line ${number} of the import is no entry: ${message} Nothing was changed.`, {
		cause: thrown,
	});
}

/** What gzip gives, which may be no more than real data is packed to. */
class Unpacked extends Incoming {
	readonly #packed: Incoming;

	constructor(stream: ReadableStream<Uint8Array>, packed: Incoming) {
		super(stream, (cause) => corrupt(`it cannot be unpacked, ${cause}`));
		this.#packed = packed;
	}

	override async more(): Promise<boolean> {
		const isMore = await super.more();
		const arrived = this.position + this.end - this.at;
		if (arrived > PACKED_BYTES_MIN && arrived > PACKED_RATIO_MAX * this.#packed.position)
			throw corrupt("it unpacks to far more than it can be");
		return isMore;
	}
}

/** What gzip gives of what arrives. */
function unpacked(packed: Incoming): Incoming {
	const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
		async pull(controller) {
			try {
				if (await packed.has(1)) {
					const count = Math.min(packed.end - packed.at, PACKED_PIECE_BYTES);
					controller.enqueue(packed.take(count).slice());
				} else controller.close();
			} catch (error) {
				controller.error(error);
			}
		},
	});
	return new Unpacked(bytes.pipeThrough(new DecompressionStream("gzip")), packed);
}

const NEWLINE = 10;
const BRACE = 0x7b;
/** Space, tab, line feed and carriage return. */
const SPACES = [32, 9, NEWLINE, 13];

/** Lines of text, each as soon as it is whole. What is empty is passed over where it stands: it may never end. */
async function* linesOf(incoming: Incoming): AsyncGenerator<{ text: string; number: number }, void> {
	let number = 1;
	/** How much of what is there has been looked at. */
	let seen = 0;
	for (;;) {
		const { bytes, end } = incoming;
		if (seen === 0) {
			for (; incoming.at < end && SPACES.includes(bytes[incoming.at] as number); incoming.at++)
				if (bytes[incoming.at] === NEWLINE) number++;
			// Nor is what begins with no brace read any further.
			if (incoming.at < end && bytes[incoming.at] !== BRACE) throw corrupt(`line ${number} begins with no brace`);
		}
		const found = bytes.subarray(incoming.at + seen, end).indexOf(NEWLINE);
		if (found >= 0) {
			const line = incoming.take(seen + found + 1);
			seen = 0;
			yield { text: textOf(line), number };
			number++;
			continue;
		}
		seen = end - incoming.at;
		if (seen > LINE_BYTES_MAX) throw corrupt("a line is longer than any entry");
		if (await incoming.more()) continue;
		if (seen > 0) yield { text: textOf(incoming.take(seen)), number };
		return;
	}
}

function textOf(line: Uint8Array<ArrayBuffer>): string {
	try {
		return readText(line, 0, line.length);
	} catch {
		throw corrupt("it has text that is not UTF-8");
	}
}
