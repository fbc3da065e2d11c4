/**
 * An open store: the public calls over the engine.
 *
 * Owns the order of things in a call (check, encode, one call into wasm, wait), the events and the status. Uses the
 * scratch area and the acknowledgements of `engine.ts`, the codecs, and the frozen values. The map is in wasm, in this
 * thread: reads never wait, and no view of wasm memory is kept over a call. Deliberately absent: how it is opened (`open.ts`).
 */

import { Acknowledgements, Batch, type Instance, type Notify, type RawEngine, Scratch } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { coreOf, reportOf } from "./figures.js";
import { FrozenValues, freeze } from "./frozen.js";
import {
	BLOCK_ENTRIES,
	COUNT_ENTRIES,
	ENTRY,
	KEY,
	NOTHING,
	PERSIST_MS_MAX,
	SLICE_MS,
	SMALL_BYTES,
	SMALL_ENTRIES,
	STALLED_MS,
	VALUE,
} from "./numbers.js";
import { checkSetOptions, expect, LEVEL_OF, LEVELS, type Settings } from "./options.js";
import { atMost, pause, powerCut, storage, withEstimate } from "./platform.js";
import { type Bounds, boundsOf, compareWith } from "./range.js";
import { readText } from "./text.js";
import type {
	Backend,
	Entries,
	Level,
	Listing,
	Range,
	SetOptions,
	Status,
	Store,
	StoreEvents,
	Written,
} from "./types.js";
import { decodeValue } from "./value.js";

/** What opening hands over. */
export interface Opened {
	readonly raw: RawEngine;
	readonly instance: Instance;
	readonly settings: Settings;
	readonly backend: Backend;
	readonly role: Status["role"];
	readonly fallback: string | undefined;
	/** The store was here, and nothing is left of it. */
	readonly gone: boolean;
	/** Gives back everything that opening took, the engine excepted. */
	readonly release: () => void;
}

/** The store over an engine, and what the engine is to tell its events to. */
export function storeOver<T>(opened: Opened): { store: Store<T>; notify: Notify } {
	const { raw, instance, settings, backend, role, fallback, gone, release } = opened;
	const { durability, onStatus } = settings;
	const scratch = new Scratch(raw, instance);
	/** Where the length of a value, and the count of removed entries, are left. */
	const outAt = raw.out();
	const frozen = settings.values === "frozen" ? new FrozenValues() : undefined;
	/** The highest level there is, and at which writes resolve: without anything below memory, in the map. */
	const levelMax = backend === "memory" ? 0 : 2;
	const level = Math.min(LEVEL_OF[durability], levelMax);
	const listeners: { [E in keyof StoreEvents]: Set<(detail: StoreEvents[E]) => void> } = {
		status: new Set(onStatus && [onStatus]),
		dataloss: new Set(),
		error: new Set(),
	};
	let core = coreOf(raw.figures(), gone);
	const acknowledgements = new Acknowledgements(core.stats.osSeq, core.stats.diskSeq);
	/** Told once, to whoever listens first. */
	let { dataLoss } = core.recovered;
	let cause: unknown;
	let persisted: boolean | undefined;
	let ended: HoldfastError | undefined;
	let closing: Promise<void> | undefined;

	// ------------------------------------------------------------------------------------------------ reads

	function peek(key: string): T | undefined {
		live();
		const shared = frozen?.get(key);
		if (shared !== undefined) return shared as T;
		try {
			const address = raw.get(scratch.key(key));
			if (address === 0) return undefined;
			const bytes = out();
			const value = decodeValue(instance, address, address + bytes) as T;
			frozen?.add(key, value, bytes);
			return value;
		} catch (error) {
			throw instance.error(error);
		}
	}

	/** What is made of each key and the place of its value, which is 0 where there is none; all at one moment. */
	function lookUp<R>(keys: string[], row: (key: string, address: number, bytes: number) => R): R[] {
		return read(() => {
			const word = table(raw.get_many(scratch.batch((batch) => batch.keys(keys))));
			return keys.map((key, i) => row(key, word(2 * i), word(2 * i + 1)));
		});
	}

	/** A part of the entries in a range, in blocks of one call into wasm each. */
	function* blocks<R>(range: Range = {}, part: number, entriesMax = BLOCK_ENTRIES): Generator<R[], void, undefined> {
		const bounds = boundsOf(range);
		const { limit } = bounds;
		if (!bounds.isReverse) {
			yield* forwards<R>(bounds, limit, part, entriesMax);
			return;
		}
		// The engine walks forwards only: so first all keys, then from the last one on.
		const keys = [...forwards<string>(bounds, Number.MAX_VALUE, KEY, COUNT_ENTRIES)].flat().reverse().slice(0, limit);
		while (keys.length > 0)
			yield lookUp(keys.splice(0, entriesMax), (key, address, bytes) =>
				address > 0 ? [rowOf<R>(part, key, address, bytes)] : [],
			).flat(1) as R[];
	}

	function* forwards<R>(
		bounds: Bounds,
		limit: number,
		part: number,
		entriesMax: number,
	): Generator<R[], void, undefined> {
		let after: Uint8Array | undefined = bounds.after;
		for (let left = limit; after && left > 0; ) {
			const rows: R[] = [];
			read(() => {
				const count = Math.min(left, entriesMax);
				const word = table(raw.scan(scratch.copy(after as Uint8Array), count));
				const { bytes } = instance;
				after = undefined;
				for (let i = 0; i < word(0); i++) {
					const keyAt = word(4 * i + 1);
					const keyEnd = keyAt + word(4 * i + 2);
					if (compareWith(bytes, keyAt, keyEnd, bounds.end) >= 0) return;
					rows.push(rowOf(part, part & KEY ? readText(bytes, keyAt, keyEnd) : "", word(4 * i + 3), word(4 * i + 4)));
					if (i === count - 1) after = bytes.slice(keyAt, keyEnd);
				}
			});
			left -= rows.length;
			yield rows;
		}
	}

	function rowOf<R>(part: number, key: string, address: number, bytes: number): R {
		const value = part & VALUE ? valueAt(address, bytes) : undefined;
		return (part === ENTRY ? [key, value] : part === VALUE ? value : key) as R;
	}

	function valueAt(address: number, bytes: number): T {
		const value = decodeValue(instance, address, address + bytes) as T;
		if (frozen) freeze(value);
		return value;
	}

	// ------------------------------------------------------------------------------------------------ writes

	/** One frame, of what `fill` puts into the batch; `answer` is asked when the engine has it, and given at the level. */
	function write<A>(
		options: SetOptions | undefined,
		fill: (batch: Batch) => void,
		answer: (seq: number, level: number) => A,
		begun?: Batch,
	): Promise<A> {
		try {
			live();
			const level = levelFor(options);
			const seq = raw.write(scratch.batch(fill, begun), level);
			return acknowledgements.wait(seq, level, answer(seq, level));
		} catch (error) {
			return fail(error);
		}
	}

	/** Removes keys, and makes an answer of how many were there. */
	function remove<A>(
		keysOf: () => string[],
		options: SetOptions | undefined,
		answer: (removed: number) => A,
	): Promise<A> {
		let keys: string[];
		return write(
			options,
			(batch) => {
				keys = keysOf();
				batch.remove(keys);
			},
			() => {
				if (frozen) keys.forEach(frozen.forget, frozen);
				return answer(out());
			},
		);
	}

	async function setMany(entries: Entries<T>, options?: SetOptions): Promise<Written> {
		live();
		levelFor(options);
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
		return write(
			options,
			() => {},
			(seq, level) => {
				for (const key of keys) frozen?.forget(key);
				return written(seq, level);
			},
			batch,
		);
	}

	// ------------------------------------------------------------------------------------------------ the store

	function status(): Status {
		if (!ended) look();
		const { broken } = instance;
		const { unsynced, recovered, fresh } = core;
		const status: Status = {
			state: ended
				? "closed"
				: broken || core.writingMs > STALLED_MS
					? "degraded"
					: cause === undefined
						? "open"
						: "readonly",
			role,
			backend,
			durability,
			promise: { level: LEVELS[level] as Level, powerCut: powerCut(level, backend, fresh) },
			unsynced,
			recovered,
			fresh,
		};
		if (persisted !== undefined) status.persisted = persisted;
		if (fallback !== undefined) status.fallback = fallback;
		const why = broken ?? fromWasm(cause);
		if (why !== undefined) status.cause = why as HoldfastError;
		return status;
	}

	/** Asks the engine how it is, if it can be asked. When it breaks here, what it said last stays. */
	function look(): void {
		if (instance.broken) return;
		try {
			core = coreOf(raw.figures(), gone);
			cause = raw.cause();
		} catch (error) {
			instance.error(error);
		}
	}

	async function end(): Promise<void> {
		ended = new HoldfastError("CLOSED", "The store was closed; open it again.");
		try {
			if (!instance.broken) await raw.close();
		} catch (error) {
			await fail(error);
		} finally {
			if (!instance.broken) {
				look();
				// Not before calls that ended just now have let go of it.
				setTimeout(() => raw.free());
			}
			acknowledgements.detach()(ended);
			frozen?.clear();
			instance.engines.delete(stopped);
			release();
			tellStatus();
		}
	}

	// ------------------------------------------------------------------------------------------------ events

	/** What the engine tells; it is in the middle of a call, so it is not asked anything here. */
	function notify(event: number, osSeq: number, diskSeq: number, detail: unknown): void {
		acknowledgements.progress(osSeq, diskSeq);
		const error = instance.error(detail) as HoldfastError;
		if (event === 2) {
			if (error instanceof HoldfastError) tell("error", () => error);
		} else if (event) {
			// Seqs that were taken back are given to others, so those who wait for them must go at once.
			frozen?.clear();
			const reject = acknowledgements.detach();
			void withEstimate(error).then((error) => {
				reject(error);
				told(error);
			});
		}
	}

	/** After a trap. */
	function stopped(error: unknown): void {
		acknowledgements.detach()(error);
		told(error);
	}

	function told(error: unknown): void {
		tell("error", () => error as HoldfastError);
		tellStatus();
	}

	function learnPersisted(answer: boolean): boolean {
		const isNews = persisted !== answer;
		persisted = answer;
		if (isNews && !ended) tellStatus();
		return answer;
	}

	function tellStatus(): void {
		if (listeners.status.size > 0) tell("status", status);
	}

	/** Later, because listeners may call the store. */
	function tell<E extends keyof StoreEvents>(event: E, detailOf: () => StoreEvents[E]): void {
		queueMicrotask(() => {
			const detail = detailOf();
			for (const listener of [...listeners[event]]) {
				try {
					listener(detail);
				} catch (error) {
					// As from any other event listener.
					(globalThis.reportError ?? console.error)(error);
				}
			}
		});
	}

	// ------------------------------------------------------------------------------------------------ inside

	/** The engine, if it can be called. */
	function live(): RawEngine {
		const why = ended ?? instance.broken;
		if (why) throw why;
		return raw;
	}

	function levelFor(options: SetOptions | undefined): number {
		return Math.min(checkSetOptions(options, level), levelMax);
	}

	function written(seq: number, level: number): Written {
		return { seq, level: LEVELS[level] as Level };
	}

	function read<R>(ask: (raw: RawEngine) => R): R {
		live();
		try {
			return ask(raw);
		} catch (error) {
			throw instance.error(error);
		}
	}

	async function fail(thrown: unknown): Promise<never> {
		throw await withEstimate(instance.error(thrown));
	}

	/** What the last call into wasm left beside its answer. */
	function out(): number {
		return instance.current().view.getUint32(outAt, true);
	}

	/** Reads the n-th u32 of the table that a call into wasm left at that address. */
	function table(address: number): (n: number) => number {
		const { view } = instance.current();
		return (n) => view.getUint32(address + 4 * n, true);
	}

	const store: Store<T> = {
		peek,
		get: async (key) => peek(key),
		has: async (key) => read(() => raw.get(scratch.key(key)) !== 0),
		getMany: async (keys) =>
			lookUp([...keys], (_, address, bytes) => (address === 0 ? undefined : valueAt(address, bytes))),
		async count(range) {
			if (range === undefined) return read(() => raw.count());
			let count = 0;
			for (const block of blocks(range, NOTHING, COUNT_ENTRIES)) count += block.length;
			return count;
		},
		keys: (range) => listing(() => blocks(range, KEY)),
		values: (range) => listing(() => blocks(range, VALUE)),
		entries: (range) => listing(() => blocks(range, ENTRY)),

		set: (key, value, options) =>
			write(
				options,
				(batch) => batch.set(key, value),
				(seq, level) => {
					frozen?.forget(key);
					return written(seq, level);
				},
			),
		setMany,
		delete: (key, options) =>
			remove(
				() => [key],
				options,
				(removed) => removed > 0,
			),
		deleteMany: (keys, options) =>
			remove(
				() => [...keys],
				options,
				(removed) => removed,
			),
		clear: (range, options) =>
			range
				? remove(
						() => [...blocks<string>(range, KEY, COUNT_ENTRIES)].flat(),
						options,
						(removed) => removed,
					)
				: write(
						options,
						(batch) => batch.clear(),
						() => {
							frozen?.clear();
							return out();
						},
					),
		async flush() {
			try {
				const seq = live().flush();
				return await acknowledgements.wait(seq, levelMax, written(seq, levelMax));
			} catch (error) {
				return fail(error);
			}
		},

		async checkpoint() {
			try {
				return reportOf(await live().checkpoint());
			} catch (error) {
				return fail(error);
			}
		},
		async persist() {
			live();
			const asked = storage()?.persist?.().then(learnPersisted);
			return (await atMost(PERSIST_MS_MAX, asked)) ?? false;
		},
		stats: async () => read(() => coreOf(raw.figures(), gone).stats),
		get status() {
			return status();
		},
		on(event, listener) {
			const told = listeners[event];
			expect(told !== undefined, "event", event, `one of ${Object.keys(listeners).join(", ")}`);
			expect(typeof listener === "function", "listener", listener, "a function");
			// A function of its own for each call, so that the same listener can be there twice.
			const own: typeof listener = (detail) => listener(detail);
			told.add(own);
			if (event === "dataloss" && dataLoss) {
				const loss = dataLoss;
				dataLoss = undefined;
				tell("dataloss", () => loss);
			}
			return () => void told.delete(own);
		},
		close() {
			closing ??= end();
			return closing;
		},
		[Symbol.asyncDispose]: () => store.close(),
	};

	instance.engines.add(stopped);
	storage()
		?.persisted?.()
		.then(learnPersisted, () => {});
	tellStatus();
	return { store, notify };
}

/** A walk over blocks that are read when their turn comes. */
function listing<R>(blocks: () => Iterable<R[]>): Listing<R> {
	return {
		[Symbol.asyncIterator]() {
			const rows = rowsOf(blocks());
			// By hand: an async generator takes several turns of the queue for each row.
			return { next: async () => rows.next() };
		},
		async toArray() {
			const rows: R[] = [];
			let sliceEnd = performance.now() + SLICE_MS;
			for (const block of blocks()) {
				for (const row of block) rows.push(row);
				if (performance.now() < sliceEnd) continue;
				await pause();
				sliceEnd = performance.now() + SLICE_MS;
			}
			return rows;
		},
	};
}

function* rowsOf<R>(blocks: Iterable<R[]>): Generator<R, undefined, undefined> {
	for (const block of blocks) yield* block;
}

/** The pairs to store. */
function* pairsOf<T>(entries: Entries<T>): Generator<readonly [string, T], void, undefined> {
	expect(typeof entries === "object" && entries !== null, "entries", entries, "pairs [key, value], a Map or an object");
	if (!(Symbol.iterator in entries)) {
		yield* Object.entries(entries);
		return;
	}
	for (const pair of entries) {
		expect(typeof pair === "object" && pair !== null, "an entry", pair, "a pair [key, value]");
		yield pair;
	}
}
