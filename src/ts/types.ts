/**
 * The public types of the package: what `open` takes and what a store gives.
 *
 * Owns shapes, units and the errors each call can end with. Uses the error class. All numbers are JavaScript numbers;
 * durations are milliseconds, sizes bytes, a seq counts committed frames from 1. Every asynchronous call rejects with a
 * `HoldfastError`; besides the codes named at a call, any can be `CLOSED` after `close` and `UNAVAILABLE` after an
 * internal failure.
 */

/// <reference lib="esnext.disposable" preserve="true" />

import type { HoldfastError } from "./error.js";

/**
 * When a write's promise resolves and when the log is synced: `"always"` at `disk`, concurrent calls sharing one sync;
 * `"everysec"` at `os`, synced at most a second later; `"no"` at `applied`, synced when a checkpoint ends.
 * @example await store.set("order:1", { paid: true }, { durability: "always" });
 */
export type Durability = "always" | "everysec" | "no";

/**
 * How far a write got: `"applied"` in the map, `"os"` with the operating system (survives a killed tab or browser),
 * `"disk"` synced (survives a crash of the system; `Status.promise` says what is known about power cuts).
 * @example const { level } = await store.set("theme", "dark"); // "os" under "everysec"
 */
export type Level = "applied" | "os" | "disk";

/**
 * What is written: `"hybrid"` op log and snapshots; `"log"` the op log, with snapshots only to rewrite it; `"snapshot"` snapshots by
 * the `save` rules, so that a write resolves at `applied` and what came after the last snapshot goes with the page; `"memory"`
 * nothing.
 * @example const thumbnails = await open("thumbnails", { mode: "snapshot" });
 */
export type Mode = "hybrid" | "log" | "snapshot" | "memory";

/**
 * Options by what a store is for; what is given besides counts more.
 *
 * - `"cache"`: may be lost, must not grow. Snapshots only, least recently used entries make room above 64 MiB.
 * - `"session"`: the defaults: writes survive a killed browser, and but for the last second a power cut.
 * - `"financial"`: nothing that was acknowledged may be lost, not even to a power cut, and damage is not passed over:
 *   `durability: "always"`, `recovery: "strict"`.
 * - `"analytics"`: many writes that may be lost one by one: snapshots only, at least every minute.
 * @example const cache = await open("cache", { preset: "cache", maxBytes: 16 << 20 });
 */
export type Preset = "cache" | "session" | "financial" | "analytics";

/**
 * @example if (store.status.backend === "memory") console.warn("Nothing is kept here:", store.status.fallback);
 */
export type Backend = "opfs" | "idb" | "memory";

/**
 * Where the compiled engine comes from. A `Response` is used up.
 * @example const store = await open("app", { wasm: new URL("https://cdn.example/holdfast.wasm") });
 */
export type WasmSource = URL | Response | BufferSource | WebAssembly.Module;

/**
 * @example
 * const options: OpenOptions = { durability: "always", backend: "opfs" };
 * const store = await open("orders", options);
 */
export interface OpenOptions {
	/** Fills in what is not given below. */
	preset?: Preset | undefined;
	/** Default `"everysec"`. Not with the mode `"snapshot"`. */
	durability?: Durability | undefined;
	/** Default `"hybrid"`. */
	mode?: Mode | undefined;
	/**
	 * Default `"auto"`: where the store is, else OPFS, else IndexedDB, else memory; `Status.fallback` says why it is not the
	 * first. A named backend never falls back.
	 */
	backend?: Backend | "auto" | undefined;
	/**
	 * A snapshot is taken when, for one of at most 16 rules, so many seconds have passed and so many changes were made
	 * since the last one. Both are integers of at least 1. Default `[[900, 1], [300, 10], [60, 10000]]`.
	 */
	save?: readonly (readonly [seconds: number, changes: number])[] | undefined;
	/**
	 * A snapshot is also taken when the log is larger than `minBytes` (at least 4096) and larger than the last snapshot by
	 * `percentage` (at least 1). Default `{ percentage: 100, minBytes: 1048576 }`.
	 */
	rewrite?: { percentage: number; minBytes: number } | undefined;
	/**
	 * What opening does when something that was acknowledged is missing: `"pointInTime"` (default) serves the state before
	 * the damage and reports `dataLoss`, `"strict"` refuses with `CORRUPT`.
	 */
	recovery?: "pointInTime" | "strict" | undefined;
	/**
	 * `"copy"` (default): every read gives a fresh value. `"frozen"`: plain objects and arrays are frozen all the way down
	 * and shared between reads, which is faster; values with anything that cannot be frozen (Map, Date, buffers) stay copies.
	 */
	values?: "copy" | "frozen" | undefined;
	/** The most bytes of keys and values that the store may hold. Default: no bound but the browser's. */
	maxBytes?: number | undefined;
	/**
	 * What makes room above `maxBytes`: nothing, the write is `QUOTA` (`"reject"`, default), or the entries least recently used, by
	 * `get`, `peek`, `getMany` or a write.
	 */
	eviction?: "reject" | "lru" | undefined;
	/** The longest that `open` may take, in ms, 1 to 2147483647. Default 30000. */
	openTimeoutMs?: number | undefined;
	/**
	 * Whether other tabs and workers may open the store at the same time; default true. With false they get `LOCKED`, as they do in the mode
	 * "snapshot", which has no log that they could follow.
	 */
	multiTab?: boolean | undefined;
	/** The engine. Loaded once per thread: the first one opened with serves all. */
	wasm?: WasmSource | undefined;
	/** The I/O worker, which in a page OPFS needs and IndexedDB uses: the URL of `holdfast/worker`, or a function that starts it. */
	worker?: URL | (() => Worker) | undefined;
	/** Called with the status once it is open and at every change of its state. */
	onStatus?: ((status: Status) => void) | undefined;
}

/**
 * @example await store.set("session", { user: 1 }, { ttl: 30 * 60_000 });
 */
export interface SetOptions {
	/** Resolve at this durability's level instead, when it is higher than the store's. */
	durability?: Durability | undefined;
	/** The entry ends after so many ms. Without this and `expiresAt` it stays; `update` and `increment` keep the expiry it has. */
	ttl?: number | undefined;
	/** The entry ends at that time, in ms since 1970 or as a Date. Counts more than `ttl`. */
	expiresAt?: number | Date | undefined;
	/** Only if the key has no entry, else `CONFLICT`. */
	ifAbsent?: boolean | undefined;
	/** Only if the entry is of that version, else `CONFLICT`; 0: only if there is none. */
	ifVersion?: number | undefined;
}

/**
 * An entry as `entry` gives it.
 * @example
 * const entry = await store.entry("draft");
 * if (entry) await store.set("draft", "text", { ifVersion: entry.version });
 */
export interface Entry<T> {
	value: T;
	/** The seq of the write that stored it. */
	version: number;
	/** When it ends, in ms since 1970; missing if it stays. */
	expiresAt?: number;
}

/**
 * What happened to one key.
 * @example
 * store.watch({ prefix: "user:" }, (changes: Change<unknown>[]) => {
 * 	for (const { key, cause, old, value } of changes) console.log(key, cause, old, value);
 * });
 */
export interface Change<T> {
	key: string;
	/**
	 * `"expire"`: its time was over; `"evict"`: it made room; `"clear"`: removed with a range, but without a limit; `"reread"`:
	 * anything may have changed, so the range has to be read again. Then the key is empty.
	 */
	cause: "set" | "delete" | "expire" | "evict" | "clear" | "reread";
	/** What it has now; missing where it is removed. */
	value?: T;
	/** What it had before; missing where it had nothing, and in what comes from the log. */
	old?: T;
	/** The seq of the write. */
	version: number;
}

/**
 * @example
 * const since = Number(localStorage.getItem("indexed") ?? 0);
 * for await (const { key, cause, version } of store.changes({ prefix: "doc:" }, { since })) {
 * 	if (cause === "reread") console.log("index everything again");
 * 	else console.log("index", key);
 * 	localStorage.setItem("indexed", String(version));
 * }
 */
export interface ChangesOptions {
	/**
	 * Begin behind that seq, with what the log still has: sets and deletes without `old`; removals by expiry and eviction are deletes.
	 * Where it does not have everything, or a range was cleared, a `"reread"` comes instead. Default: from now on.
	 */
	since?: number | undefined;
}

/**
 * Which frames of the log, both included.
 * @example for await (const line of store.log({ from: 100 })) console.log(line);
 */
export interface LogRange {
	from?: number | undefined;
	to?: number | undefined;
}

/**
 * @example
 * const { readable, writable } = new TransformStream();
 * const all: ExportOptions = { format: "ndjson", gzip: true, range: { prefix: "user:" } };
 * void store.export(all).pipeTo(writable);
 * const bytes = await new Response(readable).arrayBuffer();
 */
export interface ExportOptions {
	/** `"snapshot"` (default): compact and checked by checksums; `"ndjson"`: one entry a line, for people and other programs. */
	format?: "snapshot" | "ndjson" | undefined;
	/** Packed by gzip. Default false. */
	gzip?: boolean | undefined;
	/** Default: everything. */
	range?: Range | undefined;
	/** Told now and then how far it is, in entries and in bytes before packing. */
	onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/**
 * @example await store.export({ onProgress: ({ entries }: TransferProgress) => console.log(entries) }).pipeTo(new WritableStream());
 */
export interface TransferProgress {
	entries: number;
	bytes: number;
}

/**
 * @example
 * const { body } = await fetch("/backup.hfsnap");
 * const source: ImportSource | null = body;
 * if (source) await store.import(source);
 */
export type ImportSource = ReadableStream<Uint8Array> | Blob | BufferSource;

/**
 * @example await store.import(new Blob(['{"key":"theme","value":"dark"}']), { signal: AbortSignal.timeout(60_000) });
 */
export interface ImportOptions {
	/** The most bytes of keys and values that may arrive, else `TOO_LARGE`. Default 1 GiB. */
	maxBytes?: number | undefined;
	/** Ends it, with the signal's reason; nothing is changed then. */
	signal?: AbortSignal | undefined;
	/** Told now and then how far it is, in entries and in unpacked bytes. */
	onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/**
 * @example const { entries, format }: ImportReport = await store.import(new Blob(['{"key":"theme","value":"dark"}']));
 */
export interface ImportReport {
	format: "snapshot" | "ndjson";
	gzip: boolean;
	/** How many came and were taken: what the store, or the namespace, has now, unless a line came twice for a key. */
	entries: number;
	/** How many were left out because their time was over. */
	expired: number;
	/** Of the keys and values that arrived. */
	bytes: number;
	/** The seq of the change; everything is on disk. */
	seq: number;
	ms: number;
}

/**
 * What a transaction's body sees: the store as it is, with what the transaction has written. Keys, values and ranges as in
 * `Store`. Every call is `CLOSED` once the body has ended.
 * @example
 * await store.transaction(async (tx) => {
 * 	const stock = (await tx.get("stock:7")) ?? 0;
 * 	if (stock === 0) throw new Error("sold out");
 * 	tx.set("stock:7", stock - 1);
 * 	tx.set("order:1", { item: 7 });
 * });
 */
export interface Transaction<T> {
	get(key: string): Promise<T | undefined>;
	has(key: string): Promise<boolean>;
	getMany(keys: Iterable<string>): Promise<(T | undefined)[]>;
	/** Of the options, `ttl` and `expiresAt`. Throws what `Store.set` rejects with. */
	set(key: string, value: T, options?: SetOptions): void;
	delete(key: string): void;
	keys(range?: Range): Listing<string>;
	values(range?: Range): Listing<T>;
	entries(range?: Range): Listing<[key: string, value: T]>;
	count(range?: Range): Promise<number>;
}

/**
 * Keys in the order of their UTF-8 bytes. What is given must all hold.
 * @example
 * const range: Range = { prefix: "log:", reverse: true, limit: 10 };
 * const newest = await store.values(range).toArray();
 */
export interface Range {
	/** Keys that begin with this, itself included. */
	prefix?: string | undefined;
	/** The first key, itself included. */
	start?: string | undefined;
	/** The end, itself not included. */
	end?: string | undefined;
	/** Goes on behind this key, in the direction of the walk. */
	after?: string | undefined;
	/** At most so many. */
	limit?: number | undefined;
	/** From the last to the first. */
	reverse?: boolean | undefined;
}

/**
 * How far a write got: everything up to `seq` is at `level` (or higher).
 * @example const { seq, level }: Written = await store.set("theme", "dark");
 */
export interface Written {
	seq: number;
	level: Level;
}

/**
 * A walk over a range as it was when the first entry was asked for, whatever is written meanwhile. It reads in blocks while it
 * goes; what expires meanwhile is left out. Leaving a `for await` early ends it.
 * @example for await (const key of store.keys({ prefix: "user:" })) console.log(key);
 */
export interface Listing<R> extends AsyncIterable<R> {
	/** The whole walk. */
	toArray(): Promise<R[]>;
}

/**
 * Entries to store: pairs (as of an array or a Map), or an object's own enumerable properties.
 * @example
 * const entries: Entries<number> = new Map([["a", 1], ["b", 2]]);
 * await store.setMany(entries);
 */
export type Entries<T> = Iterable<readonly [key: string, value: T]> | Readonly<Record<string, T>>;

/**
 * Seqs of acknowledged frames that opening could not bring back, both included.
 * @example store.on("dataloss", ({ from, to, reason }) => console.error(`Frames ${from} to ${to} are ${reason}.`));
 */
export interface DataLoss {
	from: number;
	to: number;
	reason: "corrupt" | "missing";
}

/**
 * @example const { state, backend, promise } = store.status;
 */
export interface Status {
	/**
	 * `"readonly"`: the storage failed for good, `cause` says why; reads work. `"degraded"`: the storage has not answered a write
	 * for five seconds, or, with a `cause`, the engine failed: open it again.
	 */
	state: "open" | "degraded" | "readonly" | "closed";
	/**
	 * `"leader"`: this context holds the store's Web Lock and writes to the storage. `"follower"`: another one does; calls are the same.
	 * `"single"`: nothing keeps other tabs out.
	 */
	role: "leader" | "follower" | "single";
	backend: Backend;
	durability: Durability;
	/**
	 * What an acknowledged write survives. `powerCut` `"yes"`: a power cut, as far as the drive is honest; `"best-effort"`: all
	 * but the last second or so, or the platform does not say; `"no"`: nothing is promised.
	 */
	promise: { level: Level; powerCut: "yes" | "best-effort" | "no" };
	/** What is not synced yet, and for how many ms the oldest of it has waited. */
	unsynced: { ops: number; bytes: number; ms: number };
	/** What opening found: up to which seq, in how many ms, and the bytes of a half-written end it left out. */
	recovered: {
		source: "fresh" | "primary-missing" | "log" | "snapshot" | "snapshot+log";
		seq: number;
		tornBytes: number;
		ms: number;
		dataLoss?: DataLoss;
	};
	/** Whether the browser promised not to evict the origin's storage; missing where it does not say. */
	persisted?: boolean;
	/** Whether there was nothing when it was opened. */
	fresh: boolean;
	/**
	 * In a service worker, or a shared worker that cannot start workers, on a store in OPFS that no tab has open: how many writes wait in
	 * IndexedDB for the next tab. Missing everywhere else.
	 */
	queued?: number;
	/** Why a better backend was not taken. */
	fallback?: string;
	/** Why it is not open. */
	cause?: HoldfastError;
}

/**
 * @example const { entries, bytes, ms } = await store.checkpoint();
 */
export interface CheckpointReport {
	/** The snapshot is the state at this seq. */
	seq: number;
	generation: number;
	entries: number;
	/** Of the snapshot. */
	bytes: number;
	/** Of what the snapshot replaced. */
	removedBytes: number;
	ms: number;
}

/**
 * @example const { entries, liveBytes, log } = await store.stats();
 */
export interface Stats {
	entries: number;
	/** Of all keys and values; of what was there at opening with a few bytes more an entry. */
	liveBytes: number;
	/** The newest seq, and how far it is known to have got. */
	seq: number;
	osSeq: number;
	diskSeq: number;
	log: { bytes: number; segments: number; generation: number };
	snapshot?: { bytes: number; seq: number; generation: number };
	/** Bytes of the engine's memory; entries and bytes changed since the last snapshot; bytes of the snapshot's image. */
	memory: { wasmBytes: number; deltaEntries: number; deltaBytes: number; baseBytes: number };
	/** Calls to the backend since opening. */
	calls: { appends: number; syncs: number; bytesWritten: number };
	/** Checkpoints since opening, and how long the last one took. */
	checkpoints: { count: number; running: boolean; lastMs?: number };
}

/**
 * What `on` tells, by event.
 * @example store.on("error", ({ code, message }: StoreEvents["error"]) => console.error(code, message));
 */
export interface StoreEvents {
	/** The status changed in its state, or in `persisted`. */
	status: Status;
	/** Opening could not bring back what was acknowledged. Kept for the first listener. */
	dataloss: DataLoss;
	/** The time of an entry was over. It has been hidden since then; this comes when it is removed. */
	expired: { key: string; value: unknown };
	/** Something failed in the background: a write, a sync, a checkpoint. */
	error: HoldfastError;
}

/**
 * A row of `stores`.
 * @example const all: StoreInfo[] = await stores();
 */
export interface StoreInfo {
	name: string;
	backend: string;
	bytes: number;
}

/**
 * An open store: a map in memory that survives. Keys are non-empty well-formed strings of at most 1,024 UTF-8 bytes
 * (`KEY_INVALID`); values are what structured clone takes except platform objects (`VALUE_INVALID` with the `path` of what
 * cannot be stored, before anything is written).
 *
 * A write is seen by every read that follows the call. Its promise resolves when it reached the level of the store's
 * durability, or the higher one asked for, and rejects with `OPTION_INVALID`, `CONFLICT`, `TOO_LARGE` (over 256 MiB), `QUOTA`,
 * `UNAVAILABLE`, `FENCED`, or `POISONED` when an earlier write had failed.
 * @example
 * const users: Store<{ name: string }> = await open("users");
 * await users.set("1", { name: "Ada" });
 */
export interface Store<T = unknown> extends AsyncDisposable {
	/**
	 * The value, a fresh copy (see `OpenOptions.values`), or undefined. `CORRUPT` when its bytes make no sense.
	 * @example const user = await store.get("user:1");
	 */
	get(key: string): Promise<T | undefined>;
	/**
	 * The same at once; throws what `get` rejects with.
	 * @example const user = store.peek("user:1");
	 */
	peek(key: string): T | undefined;
	/**
	 * Whether the key has a value, which may be undefined.
	 * @example if (!(await store.has("user:1"))) console.log("no such user");
	 */
	has(key: string): Promise<boolean>;
	/**
	 * The number of keys.
	 * @example const users = await store.count({ prefix: "user:" });
	 */
	count(range?: Range): Promise<number>;
	/**
	 * Stores a value under a key.
	 * @example await store.set("user:1", { name: "Ada" });
	 */
	set(key: string, value: T, options?: SetOptions): Promise<Written>;
	/**
	 * Removes a key; says whether it was there.
	 * @example const wasThere = await store.delete("user:1");
	 */
	delete(key: string, options?: SetOptions): Promise<boolean>;
	/**
	 * Removes all keys, all or none; says how many. A `limit` or direction takes part in choosing them. Of the options, `durability`.
	 * @example const removed = await store.clear({ prefix: "session:" });
	 */
	clear(range?: Range, options?: SetOptions): Promise<number>;
	/**
	 * The values of these keys at one moment, in this order; undefined for a key without.
	 * @example const [theme, language] = await store.getMany(["theme", "language"]);
	 */
	getMany(keys: Iterable<string>): Promise<(T | undefined)[]>;
	/**
	 * Stores all of these or none. From 1,000 entries or 256 KiB on they are read in slices of a few ms, so that the thread
	 * stays responsive, and stored when all are read: leave them alone until it resolves. The last of several values for one
	 * key counts.
	 * @example await store.setMany({ theme: "dark", language: "en" });
	 */
	setMany(entries: Entries<T>, options?: SetOptions): Promise<Written>;
	/**
	 * Removes these keys, all or none; says how many were there.
	 * @example const removed = await store.deleteMany(["theme", "language"]);
	 */
	deleteMany(keys: Iterable<string>, options?: SetOptions): Promise<number>;
	/**
	 * The value with its version and expiry, or undefined.
	 * @example const { value, version, expiresAt } = (await store.entry("draft")) ?? {};
	 */
	entry(key: string): Promise<Entry<T> | undefined>;
	/**
	 * Stores what `change` makes of the value, or removes the key where that is undefined; gives what was stored. `change` runs again
	 * when the entry was changed while it waited, at most eight times, then `CONFLICT`; with a condition it does not. The expiry stays
	 * unless another is given.
	 * @example await store.update("cart", (items = []) => [...items, "apple"]);
	 */
	update(
		key: string,
		change: (old: T | undefined) => T | undefined | Promise<T | undefined>,
		options?: SetOptions,
	): Promise<T | undefined>;
	/**
	 * Adds to an integer, 0 where there is none; gives the sum. `VALUE_INVALID` where either or the sum is not a safe integer.
	 * @example const visits = await store.increment("visits");
	 */
	increment(key: string, by?: number, options?: SetOptions): Promise<number>;
	/**
	 * Runs `body` and then writes what it wrote as one batch, provided that nothing it has read was changed meanwhile, single keys and
	 * ranges alike; else it runs again, at most eight times, then `CONFLICT`. It may wait for anything. An error of its own ends it
	 * and nothing is written. Resolves to what it returned, at the durability's level. Of the options, `durability`.
	 * @example
	 * const sum = await store.transaction(async (tx) => {
	 * 	const [from = 0, to = 0] = await tx.getMany(["from", "to"]);
	 * 	tx.set("from", from - 10);
	 * 	tx.set("to", to + 10);
	 * 	return from + to;
	 * });
	 */
	transaction<R>(body: (tx: Transaction<T>) => R | Promise<R>, options?: SetOptions): Promise<R>;
	/**
	 * Has `listener` told what is written from now on to a key, or to the keys of a range: each batch once, in order, when it is with
	 * the system (`durability: "no"`: at once). Returns what ends that.
	 * @example
	 * const stop = store.watch({ prefix: "user:" }, (changes) => console.log(changes.length));
	 * stop();
	 */
	watch(what: string | Range, listener: (changes: Change<T>[]) => void): () => void;
	/**
	 * The same one by one, from the first `next` on, or from a seq that was seen before. It ends when the store is closed.
	 * @example for await (const { key, value } of store.changes("theme")) console.log(key, value);
	 */
	changes(what: string | Range, options?: ChangesOptions): AsyncIterable<Change<T>>;
	/**
	 * The op log as it is stored, one op a line: what came after the snapshot before the last one. For people; its form may change.
	 * Nothing in the modes `"snapshot"` and `"memory"`.
	 * @example for await (const line of store.log()) console.log(line); // 17 set "theme" "dark"
	 */
	log(range?: LogRange): AsyncIterable<string>;
	/**
	 * Everything as it is when the first byte is read, as a stream that is made while it is read, whatever is written meanwhile.
	 * @example
	 * const response = new Response(store.export({ format: "ndjson" }));
	 * console.log(await response.text());
	 */
	export(options?: ExportOptions): ReadableStream<Uint8Array<ArrayBuffer>>;
	/**
	 * Replaces everything by what `export` gave, in either format, packed or not: all of it when its last byte was good and it is on
	 * disk, or nothing. Versions are not kept. Writes made before that are replaced too, those of the last moments wait. Rejects with
	 * `CORRUPT`, `VERSION`, `TOO_LARGE`, `QUOTA`, `LOCKED` while another import runs, `UNAVAILABLE` when the stream fails.
	 * In a namespace it replaces that, as one batch of at most 256 MiB.
	 * @example
	 * const { entries } = await store.import(new Blob(['{"key":"theme","value":"dark"}']));
	 */
	import(source: ImportSource, options?: ImportOptions): Promise<ImportReport>;
	/**
	 * The part of the store whose keys begin with `prefix`, without it. `defaults` are for everything it stores. It shares map, log,
	 * events and `close` with the store.
	 * @example
	 * const users = store.namespace<{ name: string }>("user:");
	 * await users.set("1", { name: "Ada" }); // the key is "user:1"
	 */
	namespace<U = T>(prefix: string, defaults?: SetOptions): Store<U>;
	/**
	 * @example const keys = await store.keys({ prefix: "user:" }).toArray();
	 */
	keys(range?: Range): Listing<string>;
	/**
	 * @example for await (const user of store.values({ prefix: "user:", limit: 100 })) console.log(user);
	 */
	values(range?: Range): Listing<T>;
	/**
	 * @example for await (const [key, user] of store.entries({ start: "user:1", end: "user:5" })) console.log(key, user);
	 */
	entries(range?: Range): Listing<[key: string, value: T]>;
	/**
	 * Resolves when everything written so far is synced, whatever the durability.
	 * @example await store.flush();
	 */
	flush(): Promise<Written>;
	/**
	 * Writes a snapshot and drops the log it replaces.
	 * @example const { bytes, ms } = await store.checkpoint();
	 */
	checkpoint(): Promise<CheckpointReport>;
	/**
	 * Asks the browser not to evict this origin's storage; says whether it agreed. False where it cannot be asked, or where a
	 * prompt is not answered for 10 s (a later answer arrives as a status event).
	 * @example if (!(await store.persist())) console.warn("The browser may evict this store.");
	 */
	persist(): Promise<boolean>;
	/**
	 * A fresh object each time.
	 * @example if (store.status.state !== "open") console.warn(store.status.cause?.message);
	 */
	readonly status: Status;
	/**
	 * @example const { entries, memory } = await store.stats();
	 */
	stats(): Promise<Stats>;
	/**
	 * Has a listener called at every event; returns what ends that. A listener that throws does not stop the others.
	 * @example const stop = store.on("status", ({ state }) => console.log(state));
	 */
	on<E extends keyof StoreEvents>(event: E, listener: (detail: StoreEvents[E]) => void): () => void;
	/**
	 * Syncs what is not synced, unless nothing was written since opening, then gives back lock, worker and storage, also when
	 * syncing fails, which it then rejects with. Every later call ends with `CLOSED`; closing again gives the same promise.
	 * @example await store.close();
	 */
	close(): Promise<void>;
}
