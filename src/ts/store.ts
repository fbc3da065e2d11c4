/**
 * An open store: the public calls over the engine.
 *
 * Owns the order of things in a call (check, encode, one call into wasm, wait), the events and the status. Uses the
 * scratch area and the acknowledgements of `engine.ts`, the codecs, and the frozen values. The map is in wasm, in this
 * thread: reads never wait, and no view of wasm memory is kept over a call. Deliberately absent: how it is opened (`open.ts`).
 */

import { sleep } from "../backend/glue.js";
import type { JsStorage } from "../backend/opfs.js";
import { Acknowledgements, Batch, type Instance, type Notify, type RawEngine, Scratch } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { coreOf } from "./figures.js";
import type { FrozenValues } from "./frozen.js";
import type { Parts } from "./listing.js";
import type { ImportStep } from "./messages.js";
import { ASKED, COUNT_ENTRIES, SLICE_MS, SMALL_BYTES, SMALL_ENTRIES, STALLED_MS, SYNCING } from "./numbers.js";
import { checkSetOptions, expect, LEVEL_OF, LEVELS, type Settings, type Wanted } from "./options.js";
import { pause, powerCut, reportThrown, storage } from "./platform.js";
import { type Bounds, boundsOf, rangeOf } from "./range.js";
import type { Room, RoomInside } from "./room.js";
import { isWellFormed, readText } from "./text.js";
import type {
	Backend,
	Change,
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
import type { Watchers } from "./watch.js";

/** Makes a row of an entry: where the key, as its range says it, and the value are, and the expiry or 0. It must not call wasm. */
export type RowOf<R> = (keyAt: number, keyEnd: number, valueAt: number, valueBytes: number, expiresAt: number) => R;

/** What the parts of a store that are loaded when they are needed see of it. */
export interface Inside<T> {
	readonly raw: RawEngine;
	readonly instance: Instance;
	readonly scratch: Scratch;
	/** One of the numbers that the last call into wasm left beside its answer. */
	out(place?: number): number;
	/** Asks the engine, if it can be asked. */
	read<R>(ask: (raw: RawEngine) => R): R;
	valueAt(address: number, bytes: number): T;
	/** Reads the n-th u32 of the table that a call into wasm left at that address. */
	table(address: number): (n: number) => number;
	readonly keyRow: RowOf<string>;
	/** Resolves when everything written so far is synced. */
	flush(): Promise<Written>;
	readonly frozen: FrozenValues | undefined;
	readonly room: Room | undefined;
	/** What asks the storage; undefined for none. */
	readonly storage: JsStorage | undefined;
	readonly tab: Tab;
	readonly acknowledgements: Acknowledgements;
	/** Has listeners told of what was recorded. */
	drain(): void;
	/** Has them told of an error, and of the status. */
	told(error: unknown): void;
	tellStatus(): void;
	/** Has frozen values made anew at the next read. */
	forget(keys: Iterable<string>): void;
	write<A>(
		wanted: Wanted,
		fill: (batch: Batch) => void,
		answer: Answer<A>,
		conditions?: Batch,
		begun?: Batch,
		purpose?: number,
	): Promise<A>;
	set(key: string, value: T, wanted: Wanted): Promise<Written>;
	remove<A>(keys: string[], wanted: Wanted, answer: (removed: number) => A): Promise<A>;
}

/** Makes the answer of a write of its seq, its level and the number of entries it removed. */
export type Answer<A> = (seq: number, level: number, removed: number) => A;

/** The part of a tab in a store that others may have open. */
export interface Tab {
	role: Status["role"];
	/** Writes that wait for a leader, while there is none and this is none; else undefined. */
	queue?: { queued: number } | undefined;
	/** Where writes go while another tab leads, or nobody does. */
	follows?: Remote | Promise<Remote> | undefined;
	/** Lets go of what `tabs.ts` has. */
	end?(error: unknown): void;
	/** The page is put aside. */
	away?(): void;
	/** Somebody else has the lock. */
	lost?(): void;
	/** More is stored, or a checkpoint has ended. */
	progressed?(isCheckpoint: boolean): void;
}

/** The leader, as its followers have it. */
export interface Remote {
	write<A>(ops: Uint8Array, conditions: Batch | undefined, level: number, answer: Answer<A>): Promise<A>;
	/** Resolves to the newest seq, when everything is synced and to be seen here. */
	flush(): Promise<number>;
	checkpoint(): Promise<number[]>;
	/** A step of an import; its end resolves to the report, when that is to be seen here. */
	import(step: ImportStep): Promise<unknown>;
	/** Resolves when the writes of this tab so far are to be seen here. */
	settled(): Promise<void>;
}

/** What opening hands over. */
export interface Opened {
	readonly raw: RawEngine;
	readonly instance: Instance;
	readonly settings: Settings;
	readonly backend: Backend;
	readonly tab: Tab;
	readonly fallback: string | undefined;
	/** The store was here, and nothing is left of it. */
	readonly gone: boolean;
	/** Makes what keeps the store within its bound, if it has one. */
	readonly roomFor: ((inside: RoomInside) => Room) | undefined;
	/** What the engine asks. */
	readonly linked: JsStorage | undefined;
	/** Where reads share values. */
	readonly frozen: FrozenValues | undefined;
	/** Gives back everything that opening took, the engine excepted. */
	readonly release: () => void;
}

/** The store over an engine, and what the engine is to tell its events to. */
export function storeOver<T>(opened: Opened): { store: Store<T>; notify: Notify; inside: Inside<T> } {
	const { raw, instance, settings, backend, tab, fallback, gone, roomFor, linked, frozen, release } = opened;
	const { durability, onStatus } = settings;
	const scratch = new Scratch(raw, instance);
	/** Where the length of a value, and the count of removed entries, are left. */
	const outAt = raw.out();
	/** The highest level there is, and at which writes resolve: without anything below memory, in the map. */
	const levelMax = backend === "memory" ? 0 : 2;
	const level = Math.min(LEVEL_OF[durability], levelMax);
	const listeners: { [E in keyof StoreEvents]: Set<(detail: StoreEvents[E]) => void> } = {
		status: new Set(onStatus && [onStatus]),
		dataloss: new Set(),
		expired: new Set(),
		error: new Set(),
	};
	let core = coreOf(raw.figures(), gone);
	const acknowledgements = new Acknowledgements(core.osSeq, core.diskSeq);
	/** Told once, to whoever listens first. */
	let { dataLoss } = core.recovered;
	let cause: unknown;
	let persisted: boolean | undefined;
	let ended: HoldfastError | undefined;
	let closing: Promise<void> | undefined;
	let watchers: Promise<Watchers<T>> | undefined;
	/** Expired entries are told of. */
	let tellsExpired = false;
	/** Keeps the store within `maxBytes`. */
	const room = roomFor?.({
		raw,
		scratch,
		out,
		forget,
		inside: () => inside,
	});

	// ------------------------------------------------------------------------------------------------ reads

	const keyRow = (at: number, end: number) => readText(instance.bytes, at, end);

	function peek(key: string): T | undefined {
		live();
		room?.touch(key);
		const shared = frozen?.get(key);
		if (shared !== undefined) return shared as T;
		try {
			const address = raw.get(scratch.key(key));
			if (address === 0) return undefined;
			const bytes = out();
			const value = decodeValue(instance, address, address + bytes) as T;
			// What expires is asked for every time.
			if (out(2) === 0) frozen?.add(key, value, bytes);
			return value;
		} catch (error) {
			throw instance.error(error);
		}
	}

	function valueAt(address: number, bytes: number): T {
		const value = decodeValue(instance, address, address + bytes) as T;
		frozen?.freeze(value);
		return value;
	}

	// ------------------------------------------------------------------------------------------------ writes

	/** One frame, of what `fill` puts into the batch; `answer` is asked when the engine has it, and given at the level. */
	function write<A>(
		wanted: Wanted,
		fill: (batch: Batch) => void,
		answer: Answer<A>,
		conditions?: Batch,
		begun?: Batch,
		purpose = ASKED,
	): Promise<A> {
		try {
			live();
			const batch = scratch.fill(fill, begun);
			const wait = Math.min(Math.max(level, wanted.level), levelMax);
			const { follows } = tab;
			// What another tab asked for is not passed on.
			if (follows && purpose === ASKED) {
				const ops = batch.bytes.slice(0, batch.at);
				return Promise.resolve(follows).then((leader) => leader.write(ops, conditions, wait, answer));
			}
			room?.make(batch, conditions);
			const seq = raw.write(scratch.ops(batch, conditions), wait, purpose);
			const answered = answer(seq, wait, out());
			drain();
			return acknowledgements.wait(seq, wait, answered);
		} catch (error) {
			return fail(error);
		}
	}

	/** The condition that a call makes on each of its keys. */
	function conditionsOn(keys: Iterable<string>, { version }: Wanted): Batch | undefined {
		if (version === undefined) return;
		const conditions = new Batch();
		for (const key of keys) conditions.version(key, version);
		return conditions;
	}

	function forget(keys: Iterable<string>): void {
		if (frozen) for (const key of keys) frozen.forget(key);
	}

	function set(key: string, value: T, wanted: Wanted): Promise<Written> {
		return write(
			wanted,
			(batch) => batch.set(key, value, wanted.expiresAt),
			(seq, level) => {
				frozen?.forget(key);
				return written(seq, level);
			},
			conditionsOn([key], wanted),
		);
	}

	/** Removes keys, and makes an answer of how many were there. */
	function remove<A>(keys: string[], wanted: Wanted, answer: (removed: number) => A): Promise<A> {
		return write(
			wanted,
			(batch) => batch.remove(keys),
			(_, __, removed) => {
				forget(keys);
				return answer(removed);
			},
			conditionsOn(keys, wanted),
		);
	}

	async function setMany(entries: Entries<T>, wanted: Wanted, own: (key: string) => string): Promise<Written> {
		live();
		const batch = new Batch();
		const keys: string[] = [];
		let sliceEnd = performance.now() + SLICE_MS;
		for (const pair of pairsOf(entries)) {
			expect(typeof pair === "object" && pair !== null, "an entry", pair, "a pair [key, value]");
			const key = own(pair[0]);
			batch.set(key, pair[1], wanted.expiresAt);
			keys.push(key);
			// A small batch is never late: writes that follow it in the program must not overtake it on a slow day.
			const isSmall = keys.length < SMALL_ENTRIES && batch.at < SMALL_BYTES;
			// The clock is asked now and then: it takes as long as a small value does.
			if (isSmall || keys.length % 16 || performance.now() < sliceEnd) continue;
			await pause();
			sliceEnd = performance.now() + SLICE_MS;
		}
		return write(
			wanted,
			() => {},
			(seq, level) => {
				forget(keys);
				return written(seq, level);
			},
			conditionsOn(keys, wanted),
			batch,
		);
	}

	async function flush(): Promise<Written> {
		try {
			const raw = live();
			const { follows } = tab;
			if (follows) return written(await (await follows).flush(), levelMax);
			const seq = raw.write(0, 0, SYNCING);
			return await acknowledgements.wait(seq, levelMax, written(seq, levelMax));
		} catch (error) {
			return fail(error);
		}
	}

	function clear(bounds: Bounds, wanted: Wanted): Promise<number> {
		if (bounds.limit < Number.MAX_SAFE_INTEGER)
			return run(({ blocksOf }) => {
				const keys = [...blocksOf(inside, { ...bounds, baseBytes: 0 }, keyRow, COUNT_ENTRIES)].flat();
				return remove(keys, wanted, (removed) => removed);
			});
		return write(
			wanted,
			(batch) => batch.clear(bounds),
			(_, __, removed) => {
				frozen?.clear();
				return removed;
			},
		);
	}

	// ------------------------------------------------------------------------------------------------ changes

	/** Begins to record changes, and to load what tells of them; gives the newest seq. */
	function record(): number {
		const since = read(() => raw.seq());
		if (!watchers) {
			raw.record_changes(true);
			watchers = import("./more.js").then(({ Watchers }) => new Watchers(inside));
		}
		return since;
	}

	/** Has a listener told of what changes in a range from now on. */
	function watch(bounds: Bounds, listener: (changes: Change<T>[]) => void): () => void {
		const since = record();
		let stop = () => {};
		let stopped = false;
		void watchers?.then((watchers) => {
			if (!stopped) stop = watchers.add({ bounds, since, listener });
		}, told);
		return () => {
			stopped = true;
			stop();
		};
	}

	/** Later, because the engine may be in the middle of a call. */
	function drain(): void {
		if (watchers) void watchers.then((watchers) => ended || instance.broken || watchers.drain()).catch(told);
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
			role: tab.role,
			backend,
			durability,
			promise: { level: LEVELS[level] as Level, powerCut: powerCut(level, backend, fresh) },
			unsynced,
			recovered,
			fresh,
			...tab.queue,
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
			// What another tab was asked to write; without an answer it may not be there.
			if (tab.follows) await Promise.race([seen(), sleep(STALLED_MS)]);
			if (!instance.broken) await raw.run(1);
		} catch (error) {
			await fail(error);
		} finally {
			// What was acknowledged is told, so the engine is not let go of before.
			await watchers?.then((watchers) => watchers.end()).catch(told);
			if (!instance.broken) {
				look();
				// Not before calls that ended just now have let go of it.
				setTimeout(() => raw.free());
			}
			acknowledgements.detach()(ended);
			tab.end?.(ended);
			frozen?.clear();
			instance.engines.delete(stopped);
			if (!instance.broken) release();
			tellStatus();
		}
	}

	// ------------------------------------------------------------------------------------------------ events

	/** What the engine tells; it is in the middle of a call, so it is not asked anything here. */
	function notify(event: number, osSeq: number, diskSeq: number, detail: unknown): void {
		acknowledgements.progress(osSeq, diskSeq);
		tab.progressed?.(event === 2);
		drain();
		const error = instance.error(detail) as HoldfastError;
		if (event === 2) {
			if (error instanceof HoldfastError) tell("error", () => error);
		} else if (event) {
			// Seqs that were taken back are given to others, so those who wait for them must go at once.
			instance.rejections++;
			frozen?.clear();
			const reject = acknowledgements.detach();
			void estimated(error).then((error) => {
				reject(error);
				told(error);
			});
		}
	}

	/** After a trap. */
	function stopped(error: unknown): void {
		acknowledgements.detach()(error);
		// Another tab may go on.
		tab.end?.(error);
		release();
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
					reportThrown(error);
				}
			}
		});
	}

	// ------------------------------------------------------------------------------------------------ inside

	/** Resolves when this tab's own writes are to be seen: at once, unless another tab leads. */
	async function seen(): Promise<void> {
		await (await tab.follows)?.settled();
	}

	/** The engine, if it can be called. */
	function live(): RawEngine {
		const why = ended ?? instance.broken;
		if (why) throw why;
		return raw;
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

	/** The error; with `QUOTA` it learns how much room the browser says there is. */
	async function estimated(error: unknown): Promise<unknown> {
		if ((error as HoldfastError | undefined)?.code === "QUOTA")
			await import("./more.js").then(({ withEstimate }) => withEstimate(error)).catch(() => {});
		return error;
	}

	async function fail(thrown: unknown): Promise<never> {
		throw await estimated(instance.error(thrown));
	}

	/** What the last call into wasm left beside its answer. */
	function out(place = 0): number {
		return instance.current().view.getFloat64(outAt + 8 * place, true);
	}

	/** A call all of whose errors are rejections. */
	function attempt<A>(call: () => Promise<A>): Promise<A> {
		try {
			return call();
		} catch (error) {
			return fail(error);
		}
	}

	/** A call for which more has to be loaded. */
	async function run<R>(call: (more: typeof import("./more.js")) => R): Promise<Awaited<R>> {
		live();
		return await call(await import("./more.js"));
	}

	/** Reads the n-th u32 of the table that a call into wasm left at that address. */
	function table(address: number): (n: number) => number {
		const { view } = instance.current();
		return (n) => view.getUint32(address + 4 * n, true);
	}

	async function checkpoint(): Promise<number[]> {
		const leader = await tab.follows;
		return leader ? leader.checkpoint() : ((await live().run(0)) as number[]);
	}

	/** The store as its user sees it, or the part of it whose keys begin with `base`, with `defaults` for what it stores. */
	function view(base: string, defaults?: SetOptions): Store<T> {
		// What is not a key stays as it is, and is refused as that.
		const own = (key: string) => (base && key && typeof key === "string" ? base + key : key);
		const within = (range?: Range) => boundsOf(range, base);
		const wantedOf = (options?: SetOptions) => checkSetOptions(defaults ? { ...defaults, ...options } : options);
		const walk = <P extends keyof Parts<T>>(range: Range | undefined, part: P): Listing<Parts<T>[P]> => {
			const bounds = within(range);
			const made = () => run(({ partsOf, listing }) => seen().then(() => listing(() => partsOf(inside, bounds, part))));
			return {
				...iterable(made),
				toArray: async () => (await made()).toArray(),
			};
		};
		const part: Store<T> = {
			peek: (key) => peek(own(key)),
			async get(key) {
				if (tab.follows) await seen();
				return peek(own(key));
			},
			async has(key) {
				if (tab.follows) await seen();
				return read(() => raw.get(scratch.key(own(key))) !== 0);
			},
			async getMany(keys) {
				live();
				const all = Array.from(keys, own);
				return run(({ manyOf }) => seen().then(() => manyOf(inside, all)));
			},
			async count(range) {
				const bounds = within(range);
				if (tab.follows) await seen();
				return Math.min(
					bounds.limit,
					read(() => raw.count(...scratch.bounds(bounds))),
				);
			},
			keys: (range) => walk(range, "keys"),
			values: (range) => walk(range, "values"),
			entries: (range) => walk(range, "entries"),
			entry: (key) => run(({ entryOf }) => seen().then(() => entryOf(inside, own(key)))),

			set: (key, value, options) => attempt(() => set(own(key), value, wantedOf(options))),
			setMany: async (entries, options) => setMany(entries, wantedOf(options), own),
			delete: (key, options) => attempt(() => remove([own(key)], checkSetOptions(options), (removed) => removed > 0)),
			deleteMany: (keys, options) =>
				attempt(() => remove(Array.from(keys, own), checkSetOptions(options), (removed) => removed)),
			clear: (range, options) => attempt(() => clear(within(range), checkSetOptions(options))),
			update: (key, change, options) => run(({ update }) => update(inside, own(key), change, wantedOf(options))),
			increment: (key, by, options) => run(({ increment }) => increment(inside, own(key), by, wantedOf(options))),
			transaction: (body, options) =>
				run(({ transaction }) => transaction({ inside, base, own, wantedOf }, body, checkSetOptions(options))),
			watch: (what, listener) => {
				expect(typeof listener === "function", "listener", listener, "a function");
				return watch(within(rangeOf(what)), listener);
			},
			changes: (what, options) => {
				const bounds = within(rangeOf(what));
				return iterable(() => {
					const since = record();
					return (watchers as Promise<Watchers<T>>).then((watchers) => watchers.changes(bounds, since, options));
				});
			},
			log: (range) => iterable(() => run(({ logOf }) => logOf(inside, range))),
			export(options) {
				const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
				run(({ exportTo }) => exportTo(inside, base, writable, options)).catch((error) => writable.abort(error));
				return readable;
			},
			import: (source, options) => run(({ importFrom }) => importFrom(inside, base, source, options)),
			namespace(prefix, more) {
				const isPrefix = typeof prefix === "string" && prefix !== "" && isWellFormed(prefix);
				expect(isPrefix, "prefix", prefix, "a non-empty well-formed string");
				wantedOf(more);
				return view(base + prefix, { ...defaults, ...more }) as never;
			},

			flush,
			checkpoint: () => run(async ({ reportOf }) => reportOf(await checkpoint().catch(fail))),
			persist: () => run(({ persist }) => persist(learnPersisted)),
			stats: () => run(({ statsOf }) => read(() => statsOf(raw.figures()))),
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
				if (event === "expired" && !tellsExpired) {
					tellsExpired = true;
					watch(boundsOf(), (changes) => {
						for (const { key, cause, old } of changes)
							if (cause === "expire") tell("expired", () => ({ key, value: old }));
					});
				}
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
			[Symbol.asyncDispose]: () => part.close(),
		};
		return part;
	}

	const inside: Inside<T> = {
		...{ raw, instance, scratch, storage: linked, frozen, room, tab, acknowledgements, drain, told, tellStatus },
		...{ out, read, valueAt, table, keyRow, write, set, remove, forget, flush },
	};
	instance.engines.add(stopped);
	storage()
		?.persisted?.()
		.then(learnPersisted, () => {});
	tellStatus();
	return { store: view(""), notify, inside };
}

/** Iterates what is made at the first `next`. */
function iterable<R>(make: () => Promise<AsyncIterable<R>>): AsyncIterable<R> {
	return {
		[Symbol.asyncIterator]() {
			// One, also for those who ask again before it is made.
			let made: Promise<AsyncIterator<R>> | undefined;
			// By hand: an async generator takes several turns of the queue for each row.
			return {
				async next() {
					made ??= make().then((list) => list[Symbol.asyncIterator]());
					return (await made).next();
				},
				return: async () => (await made)?.return?.() ?? { done: true, value: undefined },
			};
		},
	};
}

/** The pairs to store; each is checked when its turn comes. */
function pairsOf<T>(entries: Entries<T>): Iterable<readonly [string, T]> {
	expect(typeof entries === "object" && entries !== null, "entries", entries, "pairs [key, value], a Map or an object");
	return Symbol.iterator in entries ? entries : Object.entries(entries);
}
