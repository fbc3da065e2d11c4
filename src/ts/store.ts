/**
 * An open store: the public calls over the engine.
 *
 * Owns the order of things in a call (check, encode, one call into wasm, wait), the events and the status. Uses the
 * scratch area and the acknowledgements of `engine.ts`, the codecs, and the frozen values. The map is in wasm, in this
 * thread: reads never wait, and no view of wasm memory is kept over a call. Deliberately absent: how it is opened (`open.ts`).
 */

import { Acknowledgements, Batch, type Instance, type RawEngine, Scratch } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { type Core, coreOf, reportOf } from "./figures.js";
import { FrozenValues, freeze } from "./frozen.js";
import { checkSetOptions, invalid, LEVEL_OF, LEVELS, type Settings } from "./options.js";
import { addEstimate, atMost, pause, powerCut } from "./platform.js";
import { type Bounds, boundsOf, compareWith } from "./range.js";
import { readText } from "./text.js";
import type {
	Backend,
	CheckpointReport,
	Entries,
	Listing,
	Range,
	SetOptions,
	Stats,
	Status,
	Store,
	StoreEvents,
	Written,
} from "./types.js";
import { decodeValue } from "./value.js";

/** How long the thread may be busy before others get their turn. */
const SLICE_MS = 8;
/** A batch of fewer entries and bytes is encoded without a pause. */
const SMALL_ENTRIES = 1000;
const SMALL_BYTES = 256 << 10;
/** Entries decoded at once by a walk, and entries looked at where nothing is decoded. */
const BLOCK_ENTRIES = 128;
const COUNT_ENTRIES = 4096;
const PERSIST_MS_MAX = 10_000;

/** What opening hands over. */
export interface Opened {
	readonly raw: RawEngine;
	readonly instance: Instance;
	readonly settings: Settings;
	readonly backend: Backend;
	readonly role: Status["role"];
	readonly fallback: string | undefined;
	/** Gives back everything that opening took, the engine excepted. */
	readonly release: () => void;
}

/** What a walk reads of each entry. */
type Part = "nothing" | "key" | "value" | "entry";

export class OpenStore<T> implements Store<T> {
	readonly #raw: RawEngine;
	readonly #instance: Instance;
	readonly #scratch: Scratch;
	readonly #acknowledgements: Acknowledgements;
	readonly #frozen: FrozenValues | undefined;
	readonly #opened: Opened;
	/** At which writes resolve, and the highest there is. */
	readonly #level: number;
	readonly #levelMax: number;
	/** Where the length of a value, and the count of removed entries, are left. */
	readonly #outAt: number;
	readonly #listeners: { [E in keyof StoreEvents]: Set<(detail: StoreEvents[E]) => void> };
	#core: Core;
	#cause: unknown;
	#persisted: boolean | undefined;
	#ended: HoldfastError | undefined;
	#closing: Promise<void> | undefined;

	constructor(opened: Opened) {
		const { raw, instance, settings, backend } = opened;
		const { durability } = settings.engine;
		this.#opened = opened;
		this.#raw = raw;
		this.#instance = instance;
		this.#scratch = new Scratch(raw, instance);
		this.#outAt = raw.out();
		this.#core = coreOf(raw.figures());
		const { osSeq, diskSeq } = this.#core.stats;
		this.#acknowledgements = new Acknowledgements(osSeq, diskSeq);
		this.#frozen = settings.values === "frozen" ? new FrozenValues() : undefined;
		// Without anything below memory a write is never further than in the map.
		this.#levelMax = backend === "memory" ? 0 : 2;
		this.#level = Math.min(LEVEL_OF[durability], this.#levelMax);
		this.#listeners = { status: new Set(), dataloss: new Set(), error: new Set() };
		if (settings.onStatus) this.#listeners.status.add(settings.onStatus);
		instance.engines.add(this.#broken);
	}

	// ------------------------------------------------------------------------------------------------ reads

	async get(key: string): Promise<T | undefined> {
		return this.peek(key);
	}

	peek(key: string): T | undefined {
		const raw = this.#live();
		const shared = this.#frozen?.get(key);
		if (shared !== undefined) return shared as T;
		try {
			const address = raw.get(this.#scratch.key(key));
			if (address === 0) return undefined;
			const bytes = this.#out();
			const value = this.#decode(address, address + bytes);
			this.#frozen?.add(key, value, bytes);
			return value;
		} catch (error) {
			throw this.#instance.error(error);
		}
	}

	async has(key: string): Promise<boolean> {
		return this.#read((raw) => raw.get(this.#scratch.key(key)) !== 0);
	}

	async getMany(keys: Iterable<string>): Promise<(T | undefined)[]> {
		const list = [...keys];
		return this.#read((raw) => {
			const word = this.#table(raw.get_many(this.#scratch.batch((batch) => batch.keys(list))));
			return list.map((_, i) => {
				const address = word(2 * i);
				return address === 0 ? undefined : this.#decodeFrozen(address, address + word(2 * i + 1));
			});
		});
	}

	async count(range?: Range): Promise<number> {
		if (range === undefined) return this.#read((raw) => raw.count());
		let count = 0;
		for (const block of this.#blocks(range, "nothing", COUNT_ENTRIES)) count += block.length;
		return count;
	}

	keys(range?: Range): Listing<string> {
		return new Walk(() => this.#blocks(range, "key"));
	}

	values(range?: Range): Listing<T> {
		return new Walk(() => this.#blocks(range, "value"));
	}

	entries(range?: Range): Listing<[key: string, value: T]> {
		return new Walk(() => this.#blocks(range, "entry"));
	}

	// ------------------------------------------------------------------------------------------------ writes

	set(key: string, value: T, options?: SetOptions): Promise<Written> {
		try {
			const raw = this.#live();
			const level = this.#levelFor(options);
			const seq = raw.write(
				this.#scratch.batch((batch) => batch.set(key, value)),
				level,
			);
			this.#frozen?.forget(key);
			return this.#written(seq, level);
		} catch (error) {
			return this.#fail(error);
		}
	}

	delete(key: string, options?: SetOptions): Promise<boolean> {
		try {
			const raw = this.#live();
			const level = this.#levelFor(options);
			const seq = raw.write(
				this.#scratch.batch((batch) => batch.remove([key])),
				level,
			);
			if (seq === 0) return Promise.resolve(false);
			this.#frozen?.forget(key);
			return this.#acknowledgements.wait(seq, level, true);
		} catch (error) {
			return this.#fail(error);
		}
	}

	clear(range?: Range, options?: SetOptions): Promise<number> {
		try {
			const raw = this.#live();
			const level = this.#levelFor(options);
			if (range !== undefined) {
				const keys = [...this.#blocks<string>(range, "key", COUNT_ENTRIES)].flat();
				return this.#remove(raw, keys, level);
			}
			const seq = raw.write(
				this.#scratch.batch((batch) => batch.clear()),
				level,
			);
			this.#frozen?.clear();
			return this.#acknowledgements.wait(seq, level, this.#out());
		} catch (error) {
			return this.#fail(error);
		}
	}

	async setMany(entries: Entries<T>, options?: SetOptions): Promise<Written> {
		try {
			this.#live();
			const level = this.#levelFor(options);
			const batch = new Batch();
			const keys: string[] = [];
			let sliceEnd = performance.now() + SLICE_MS;
			for (const [key, value] of pairsOf(entries)) {
				batch.set(key, value);
				keys.push(key);
				// A small batch is never late: writes that follow it in the program must not overtake it on a slow day.
				const isSmall = keys.length < SMALL_ENTRIES && batch.at < SMALL_BYTES;
				if (isSmall || performance.now() < sliceEnd) continue;
				await pause();
				sliceEnd = performance.now() + SLICE_MS;
			}
			const seq = this.#live().write(this.#scratch.copy(batch.bytes.subarray(0, batch.at)), level);
			for (const key of keys) this.#frozen?.forget(key);
			return await this.#written(seq, level);
		} catch (error) {
			return this.#fail(error);
		}
	}

	async deleteMany(keys: Iterable<string>, options?: SetOptions): Promise<number> {
		try {
			const level = this.#levelFor(options);
			const list = [...keys];
			return await this.#remove(this.#live(), list, level);
		} catch (error) {
			return this.#fail(error);
		}
	}

	flush(): Promise<Written> {
		try {
			const seq = this.#live().flush();
			return this.#written(seq, this.#opened.backend === "memory" ? 0 : 2);
		} catch (error) {
			return this.#fail(error);
		}
	}

	// ------------------------------------------------------------------------------------------------ the store

	async checkpoint(): Promise<CheckpointReport> {
		try {
			return reportOf(await this.#live().checkpoint());
		} catch (error) {
			return this.#fail(error);
		}
	}

	async persist(): Promise<boolean> {
		this.#live();
		const asked = globalThis.navigator?.storage?.persist?.().then(this.#learnPersisted);
		return (await atMost(PERSIST_MS_MAX, asked)) ?? false;
	}

	async stats(): Promise<Stats> {
		return this.#read((raw) => coreOf(raw.figures()).stats);
	}

	get status(): Status {
		const { settings, backend, role, fallback } = this.#opened;
		const { durability } = settings.engine;
		if (!this.#ended && !this.#instance.broken) this.#look();
		const { broken } = this.#instance;
		const { unsynced, recovered, fresh } = this.#core;
		const cause = this.#cause;
		const status: Status = {
			state: this.#ended ? "closed" : broken ? "degraded" : cause === undefined ? "open" : "readonly",
			role,
			backend,
			durability,
			promise: { level: LEVELS[this.#level] ?? "applied", powerCut: powerCut(this.#level, backend, fresh) },
			unsynced,
			recovered,
			fresh,
		};
		if (this.#persisted !== undefined) status.persisted = this.#persisted;
		if (fallback !== undefined) status.fallback = fallback;
		if (broken) status.cause = broken;
		else if (cause !== undefined) status.cause = fromWasm(cause) as HoldfastError;
		return status;
	}

	on<E extends keyof StoreEvents>(event: E, listener: (detail: StoreEvents[E]) => void): () => void {
		const listeners = this.#listeners[event];
		if (!listeners) throw invalid("event", event, `one of ${Object.keys(this.#listeners).join(", ")}`);
		if (typeof listener !== "function") throw invalid("listener", listener, "a function");
		// A function of its own for each call, so that the same listener can be there twice.
		const own = (detail: StoreEvents[E]) => listener(detail);
		listeners.add(own);
		if (event === "dataloss") this.#tellDataLoss();
		return () => void listeners.delete(own);
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	async #close(): Promise<void> {
		const closed = new HoldfastError("CLOSED", "The store was closed; open it again.");
		const { broken } = this.#instance;
		this.#ended = closed;
		try {
			if (!broken) await this.#raw.close();
		} catch (error) {
			return await this.#fail(error);
		} finally {
			if (!this.#instance.broken) {
				this.#look();
				// Not before calls that ended just now have let go of it.
				setTimeout(() => this.#raw.free());
			}
			this.#acknowledgements.fail(closed);
			this.#frozen?.clear();
			this.#instance.engines.delete(this.#broken);
			this.#opened.release();
			this.#tellStatus();
		}
	}

	// ------------------------------------------------------------------------------------------------ events

	/** Begins with what opening found. */
	begin(): void {
		const persisted = globalThis.navigator?.storage?.persisted?.();
		persisted?.then(this.#learnPersisted, () => {});
		if (this.#opened.settings.onStatus) this.#tellStatus();
	}

	/** What the engine tells; it is in the middle of a call, so it is not asked anything here. */
	notify(event: number, osSeq: number, diskSeq: number, detail: unknown): void {
		this.#acknowledgements.progress(osSeq, diskSeq);
		if (event === 1) void this.#poisoned(detail);
		else if (event === 2 && isError(detail)) this.#tell("error", this.#instance.error(detail) as HoldfastError);
	}

	async #poisoned(detail: unknown): Promise<void> {
		const error = this.#instance.error(detail) as HoldfastError;
		await addEstimate(error);
		this.#acknowledgements.fail(error);
		this.#tell("error", error);
		this.#tellStatus();
	}

	/** After a trap. */
	readonly #broken = (error: HoldfastError): void => {
		this.#acknowledgements.fail(error);
		this.#tell("error", error);
		this.#tellStatus();
	};

	readonly #learnPersisted = (persisted: boolean): boolean => {
		const isNews = this.#persisted !== persisted;
		this.#persisted = persisted;
		if (isNews && !this.#ended) this.#tellStatus();
		return persisted;
	};

	#tellStatus(): void {
		if (this.#listeners.status.size > 0) queueMicrotask(() => this.#call("status", this.status));
	}

	/** Once, to whoever listens first. */
	#tellDataLoss(): void {
		const { dataLoss } = this.#core.recovered;
		if (dataLoss && !this.#dataLossTold) this.#tell("dataloss", dataLoss);
		this.#dataLossTold = true;
	}
	#dataLossTold = false;

	/** Later, because listeners may call the store. */
	#tell<E extends keyof StoreEvents>(event: E, detail: StoreEvents[E]): void {
		queueMicrotask(() => this.#call(event, detail));
	}

	#call<E extends keyof StoreEvents>(event: E, detail: StoreEvents[E]): void {
		for (const listener of [...this.#listeners[event]]) {
			try {
				listener(detail);
			} catch (error) {
				// As from any other event listener.
				(globalThis.reportError ?? console.error)(error);
			}
		}
	}

	// ------------------------------------------------------------------------------------------------ inside

	/** The engine, if it can be called. */
	#live(): RawEngine {
		const ended = this.#ended ?? this.#instance.broken;
		if (ended) throw ended;
		return this.#raw;
	}

	#levelFor(options: SetOptions | undefined): number {
		return options === undefined ? this.#level : Math.min(checkSetOptions(options, this.#level), this.#levelMax);
	}

	#written(seq: number, level: number): Promise<Written> {
		return this.#acknowledgements.wait(seq, level, { seq, level: LEVELS[level] ?? "applied" });
	}

	#remove(raw: RawEngine, keys: string[], level: number): Promise<number> {
		const seq = raw.write(
			this.#scratch.batch((batch) => batch.remove(keys)),
			level,
		);
		const removed = this.#out();
		for (const key of keys) this.#frozen?.forget(key);
		return this.#acknowledgements.wait(seq, level, removed);
	}

	#read<R>(read: (raw: RawEngine) => R): R {
		const raw = this.#live();
		try {
			return read(raw);
		} catch (error) {
			throw this.#instance.error(error);
		}
	}

	async #fail(thrown: unknown): Promise<never> {
		const error = this.#instance.error(thrown);
		await addEstimate(error);
		throw error;
	}

	#decode(start: number, end: number): T {
		return decodeValue(this.#instance, start, end) as T;
	}

	#decodeFrozen(start: number, end: number): T {
		const value = this.#decode(start, end);
		if (this.#frozen) freeze(value);
		return value;
	}

	/** Asks the engine how it is. When it breaks here, what it said last stays. */
	#look(): void {
		try {
			this.#core = coreOf(this.#raw.figures());
			this.#cause = this.#raw.cause();
		} catch (error) {
			this.#instance.error(error);
		}
	}

	/** What the last call into wasm left beside its answer. */
	#out(): number {
		return this.#instance.current().view.getUint32(this.#outAt, true);
	}

	/** Reads the n-th u32 of the table that a call into wasm left at that address. */
	#table(address: number): (n: number) => number {
		const { view } = this.#instance.current();
		return (n) => view.getUint32(address + 4 * n, true);
	}

	/** A part of the entries in a range, in blocks of one call into wasm each. */
	*#blocks<R>(range: Range | undefined, part: Part, entriesMax = BLOCK_ENTRIES): Generator<R[], void, undefined> {
		const bounds = boundsOf(range ?? {});
		if (!bounds.isReverse) {
			yield* this.#forwards<R>(bounds, bounds.limit, part, entriesMax);
			return;
		}
		// The engine walks forwards only: so first all keys, then from the last one on.
		const keys = [...this.#forwards<string>(bounds, Number.POSITIVE_INFINITY, "key", COUNT_ENTRIES)].flat().reverse();
		const count = Math.min(keys.length, bounds.limit);
		for (let at = 0; at < count; at += entriesMax) {
			const block = keys.slice(at, Math.min(at + entriesMax, count));
			yield this.#read((raw) => this.#entriesOf<R>(raw, block, part));
		}
	}

	*#forwards<R>(bounds: Bounds, limit: number, part: Part, entriesMax: number): Generator<R[], void, undefined> {
		let after: Uint8Array | undefined = bounds.after;
		for (let left = limit; after && left > 0; ) {
			const rows: R[] = [];
			after = this.#read((raw) =>
				this.#scan(raw, after as Uint8Array, bounds.end, Math.min(left, entriesMax), part, rows),
			);
			left -= rows.length;
			yield rows;
		}
	}

	/** Adds the next entries behind `after` to `rows`; returns the last key, or undefined when there are no more. */
	#scan<R>(
		raw: RawEngine,
		after: Uint8Array,
		end: Uint8Array | undefined,
		entriesMax: number,
		part: Part,
		rows: R[],
	): Uint8Array | undefined {
		const word = this.#table(raw.scan(this.#scratch.copy(after), entriesMax));
		const { bytes } = this.#instance;
		const count = word(0);
		for (let i = 1; i <= 4 * count; i += 4) {
			const keyAt = word(i);
			const keyEnd = keyAt + word(i + 1);
			if (end && compareWith(bytes, keyAt, keyEnd, end) >= 0) return undefined;
			const key = part === "key" || part === "entry" ? readText(bytes, keyAt, keyEnd) : "";
			rows.push(this.#row(part, key, word(i + 2), word(i + 3)));
		}
		if (count < entriesMax) return undefined;
		const lastAt = word(4 * count - 3);
		return bytes.slice(lastAt, lastAt + word(4 * count - 2));
	}

	/** The entries of these keys that are still there. */
	#entriesOf<R>(raw: RawEngine, keys: string[], part: Part): R[] {
		const word = this.#table(raw.get_many(this.#scratch.batch((batch) => batch.keys(keys))));
		const rows: R[] = [];
		for (const [i, key] of keys.entries()) {
			const address = word(2 * i);
			if (address > 0) rows.push(this.#row(part, key, address, word(2 * i + 1)));
		}
		return rows;
	}

	#row<R>(part: Part, key: string, valueAt: number, valueBytes: number): R {
		if (part === "nothing" || part === "key") return key as R;
		const value = this.#decodeFrozen(valueAt, valueAt + valueBytes);
		return (part === "value" ? value : [key, value]) as R;
	}
}

/** A walk over blocks that are read when their turn comes. */
class Walk<R> implements Listing<R> {
	readonly #blocks: () => Iterable<R[]>;

	constructor(blocks: () => Iterable<R[]>) {
		this.#blocks = blocks;
	}

	/** By hand: an async generator takes several turns of the queue for each row. */
	[Symbol.asyncIterator](): AsyncIterator<R> {
		const blocks = this.#blocks()[Symbol.iterator]();
		let rows: Iterator<R> = [][Symbol.iterator]();
		const next = async (): Promise<IteratorResult<R>> => {
			for (;;) {
				const row = rows.next();
				if (!row.done) return row;
				const block = blocks.next();
				if (block.done) return { done: true, value: undefined };
				rows = block.value[Symbol.iterator]();
			}
		};
		return { next };
	}

	async toArray(): Promise<R[]> {
		const rows: R[] = [];
		let sliceEnd = performance.now() + SLICE_MS;
		for (const block of this.#blocks()) {
			for (const row of block) rows.push(row);
			if (performance.now() < sliceEnd) continue;
			await pause();
			sliceEnd = performance.now() + SLICE_MS;
		}
		return rows;
	}
}

/** The pairs to store. */
function* pairsOf<T>(entries: Entries<T>): Generator<readonly [string, T], void, undefined> {
	const what = "pairs [key, value], a Map or an object";
	if (typeof entries !== "object" || entries === null) throw invalid("entries", entries, what);
	if (!(Symbol.iterator in entries)) {
		yield* Object.entries(entries);
		return;
	}
	for (const pair of entries) {
		if (typeof pair !== "object" || pair === null) throw invalid("an entry", pair, "a pair [key, value]");
		yield pair;
	}
}

function isError(detail: unknown): boolean {
	return typeof (detail as { code?: unknown } | undefined)?.code === "string";
}
