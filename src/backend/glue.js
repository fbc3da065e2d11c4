// The browser's side of the backends: promises, events and messages.
//
// Owns the names that IndexedDB and OPFS know a store by, the transactions of IndexedDB and what becomes of a lost connection, and
// the meaning of the platform's exceptions. Functions that wait
// return promises, which reject with whatever the platform threw; what this module finds wrong itself is `{ code, message }`,
// as errors are that cross a port. Bytes that Rust passes are a view of wasm memory: good until the function returns, so what
// has to last is copied first. Exports are grouped in objects where wasm-bindgen would else import the module's namespace, which
// bundlers cannot minify.
// Deliberately absent: the layout of what is stored (idb.rs, opfs.js) and the answering end of a port (opfs.js).

const FENCED = { code: "FENCED", message: "another writer took over: open the store again" };
const FOREIGN = { code: "CORRUPT", message: "the database holds foreign records" };
/** What the transaction after one that found no room may do in Firefox; the next one may do everything again. */
const DELETES_ONLY = {
	code: "QUOTA",
	message: "the origin's quota or the disk is full",
	cause: "only deletes were admitted",
};
const LOCKED = { code: "LOCKED", message: "another tab or worker holds the store: close it there first" };

/** Resolves after at least that long. */
export const sleep = (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs));

const QUOTA = ["QUOTA", "the origin's quota or the disk is full"];
const MEANINGS = {
	QuotaExceededError: QUOTA,
	NS_ERROR_FILE_NO_DEVICE_SPACE: QUOTA,
	NoModificationAllowedError: [LOCKED.code, LOCKED.message],
	VersionError: ["VERSION", "the storage was written by a newer version of Holdfast"],
};

/** Whatever was thrown, as `{ code, message, cause?, bytesNeeded? }`; what means nothing else is `UNAVAILABLE`. */
export function explain(thrown) {
	if (typeof thrown?.code === "string") return thrown;
	const { name, message: text } = thrown ?? {};
	// Chromium says so of a full disk in the text only.
	const [code, message] =
		MEANINGS[name] ?? (/NO_SPACE/.test(text) ? QUOTA : ["UNAVAILABLE", "the storage cannot be reached"]);
	return { code, message, cause: name && `${name}: ${text}` };
}

const NO_BYTES = new Uint8Array();
export const CLOSED = { code: "CLOSED", message: "the storage is closed" };

// IndexedDB

const DATABASE_PREFIX = "holdfast:";
/** Of the empty database that says that a store was born in OPFS. */
const BIRTH_PREFIX = "holdfast-opfs:";
const STORES = ["chunks", "meta"];

/** How long others may take to close their connections once they are asked to. */
const RELEASE_WAIT_MS = 1000;

/** The databases that this thread holds open. */
const held = new Set();

const answer = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

/** How long a connection may take over a request: on a full disk Chromium has been seen to leave one without any answer. */
const ANSWER_WAIT_MS = 10_000;
const SILENT = { code: "TIMEOUT", message: "the browser's storage does not answer" };

/** What a promise gives, if it comes in time. */
function timely(promise) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(reject, ANSWER_WAIT_MS, SILENT);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const readable = (database, store) => database.transaction(store).objectStore(store);
const storedTerm = (database) => answer(readable(database, "meta").get("term"));
const storedRows = async (database) => tally(await answer(readable(database, "chunks").getAllKeys()));

/** `[blob, bytes]` of each blob that the keys of `chunks`, in their order, make up; keys of any other shape are passed over. */
function tally(keys) {
	const sizes = new Map();
	for (const [blob, end] of keys.filter(Array.isArray))
		if (typeof blob === "string" && typeof end === "number") sizes.set(blob, end);
	return [...sizes];
}

/** How often to try to open a database, and how long to wait in between: browsers fail at it now and then. */
const OPEN_TRIES = 3;
const OPEN_WAIT_MS = 100;

/** Opens a connection; undefined where there is no database and none shall be made. */
async function connect(name, create) {
	let absent = false;
	for (let tries = 1; ; tries++) {
		const request = indexedDB.open(DATABASE_PREFIX + name, 1);
		request.onupgradeneeded = () => {
			absent = !create;
			if (absent) request.transaction.abort();
			else for (const store of STORES) request.result.createObjectStore(store);
		};
		try {
			return await answer(request);
		} catch (error) {
			if (absent) return;
			if (tries === OPEN_TRIES || !isLost(error)) throw error;
		}
		await sleep(OPEN_WAIT_MS);
	}
}

/**
 * A connection that yields to whoever deletes the database; writes nothing but an empty database where it may `create` one.
 * `term` is what the storage must have for us to write, and our own if `leads`. `sizes`, by blob, are as last listed and then as
 * our own writes left them; unknown after a write of which we do not know whether it was carried out.
 */
async function idbOpen(name, create = true) {
	const database = await connect(name, create);
	if (!database) throw FENCED;
	database.onversionchange = () => database.close();
	const term = (await storedTerm(database)) ?? 0;
	if (!(term >= 0)) throw FOREIGN;
	held.add(database);
	return { name, database, term, leads: false, sizes: undefined, listed: "" };
}

/** Puts a new connection in the place of one that failed; gives the term that is stored now. */
async function idbReopen(connection) {
	idbClose(connection);
	const { database, term } = await timely(idbOpen(connection.name, false));
	connection.database = database;
	return term;
}

function idbClose({ database }) {
	held.delete(database);
	database.close();
}

/** Whether a new connection may help: what was thrown says nothing of the data. */
const isLost = (error) => ["UNAVAILABLE", "TIMEOUT"].includes(explain(error).code);

/** The same call, carried out once more when its connection fails. */
const again =
	(call) =>
	async (connection, ...args) => {
		try {
			return await call(connection, ...args);
		} catch (error) {
			if (!isLost(error)) throw error;
			await idbReopen(connection);
			return call(connection, ...args);
		}
	};

/** The rows of `tally`, from the storage unless we know them; the next first write is made only if they still hold. */
const idbList = again(async (connection) => {
	// To list 100 MB takes Chromium 0.4 s.
	if (connection.leads && connection.sizes) return [...connection.sizes];
	const rows = await timely(storedRows(connection.database));
	connection.listed = String(rows);
	connection.sizes = new Map(rows);
	return rows;
});

/**
 * The bytes that a blob has from `offset` on, at most `bytesMax`. None where more than that is
 * missing: its removal has begun.
 */
const idbRead = again(async ({ database }, blob, offset, bytesMax, room) => {
	const range = IDBKeyRange.bound([blob, offset], [blob, offset + bytesMax - 1 + RECORD_BYTES_MAX], true);
	const chunks = readable(database, "chunks");
	const [key, values] = await timely(Promise.all([answer(chunks.getKey(range)), answer(chunks.getAll(range))]));
	const skipped = key ? values[0].length - (key[1] - offset) : -Infinity;
	if (skipped <= -RECORD_BYTES_MAX) return new Uint8Array();
	if (skipped < 0 || !values.every((value) => value instanceof Uint8Array)) throw FOREIGN;
	const count = values.reduce((sum, { length }) => sum + length, 0);
	const bytes = room.length >= count ? room : new Uint8Array(count);
	let end = 0;
	for (const value of values) {
		bytes.set(value, end);
		end += value.length;
	}
	return bytes.subarray(skipped, Math.min(count, skipped + bytesMax));
});

/**
 * Removes at most so many bytes of a blob, whose removal has come to `from`, and says how far it has come, 0 at its end. In steps, because
 * everyone else waits, and from the front, because a search in LevelDB passes over all that was removed behind where it ends.
 */
async function idbRemove(connection, blob, from, bytesMax) {
	if (!connection.sizes) await idbList(connection);
	const to = from + bytesMax;
	const more = to < connection.sizes.get(blob);
	await idbWrite(connection, !more, "", NO_BYTES, IDBKeyRange.bound([blob, from], [blob, to], true));
	if (more) return to;
	connection.sizes.delete(blob);
	return 0;
}

/**
 * Removes the records of the keys `removed`, or adds bytes to `blob`, or, given neither, is just a barrier. Where the connection fails, the
 * stored term and size tell whether it was carried out; else it is, once more.
 */
async function idbWrite(connection, strict, blob, bytes, removed) {
	const added = bytes.length;
	if (!connection.sizes) await idbList(connection);
	const { term, leads, sizes, listed } = connection;
	const end = sizes.get(blob) ?? 0;
	const taken = leads ? term : term + 1;
	// Whoever does not lead yet changes nothing by failing, and takes over only from the state it has listed.
	if (leads) connection.sizes = undefined;
	const write = () => transact(connection, strict, blob, end, bytes, removed);
	try {
		await write().catch((error) => {
			if (error !== DELETES_ONLY) throw error;
			return write();
		});
	} catch (thrown) {
		const error = explain(thrown);
		if (!isLost(error)) throw error.code === "QUOTA" ? { ...error, bytesNeeded: added } : error;
		const stored = await idbReopen(connection);
		const size = new Map(await timely(storedRows(connection.database))).get(blob) ?? 0;
		connection.listed = listed;
		if (stored === term && size === end) await write();
		else if (stored !== taken || size !== end + added) throw FENCED;
	}
	if (!leads && taken === 1) await timely(opfsBirth(connection.name)).catch(() => {});
	if (added) sizes.set(blob, end + added);
	Object.assign(connection, { term: taken, leads: true, sizes });
}

/** One transaction, which completes only if the term is still ours. A first write also needs the blobs to be as listed, and takes the next term. */
function transact({ database, term, leads, listed }, strict, blob, end, bytes, removed) {
	const written = new Promise((resolve, reject) => {
		// Never `relaxed`: it can corrupt a database in Firefox.
		const transaction = database.transaction(STORES, "readwrite", strict ? { durability: "strict" } : {});
		const [chunks, meta] = STORES.map((store) => transaction.objectStore(store));
		let cause;
		const abort = (error) => {
			cause = error;
			transaction.abort();
		};
		const demand = (request, holds) => {
			request.onsuccess = () => holds(request.result) || abort(FENCED);
		};
		// Only now is it written: a full disk shows at the commit, after every request has succeeded.
		transaction.oncomplete = resolve;
		transaction.onabort = () => reject(cause ?? transaction.error);

		demand(meta.get("term"), (stored = 0) => stored === term);
		try {
			if (!leads) {
				demand(chunks.getAllKeys(), (keys) => String(tally(keys)) === listed);
				meta.put(term + 1, "term");
			}
			if (removed) chunks.delete(removed);
			else if (bytes.length === 0) meta.put(0, "barrier");
			for (let start = 0; start < bytes.length; start += RECORD_BYTES_MAX) {
				const part = bytes.subarray(start, start + RECORD_BYTES_MAX);
				const isWhole = part.length === RECORD_BYTES_MAX;
				if (isWhole) fullRecord.set(part);
				// It is cloned at once, and of a part of a buffer all of that.
				chunks.add(isWhole ? fullRecord : part.slice(), [blob, end + start + part.length]);
			}
		} catch (error) {
			// It can mean nothing else in an open transaction.
			abort(error.name === "InvalidStateError" ? DELETES_ONLY : error);
		}
	});
	return timely(written);
}

/** Undefined also where the user's settings forbid it. */
function factory() {
	try {
		return globalThis.indexedDB;
	} catch {}
}

/** The names of all databases; undefined where the browser cannot list them. */
async function idbNames() {
	try {
		return (await factory().databases()).map(({ name }) => name);
	} catch {}
}

/** Says that a store was born in OPFS, if it can. */
export async function idbBirth(name) {
	try {
		(await timely(answer(indexedDB.open(BIRTH_PREFIX + name)))).close();
	} catch {}
}

/** What `read` finds in a database; undefined where the store was never written. */
async function idbPeek(name, read) {
	const database = await connect(name, false);
	if (!database) return;
	try {
		if ((await storedTerm(database)) !== undefined) return await read(database);
	} finally {
		database.close();
	}
}

/** Every store that was ever written. */
async function idbStores() {
	const stores = [];
	const sum = async (database) => (await storedRows(database)).reduce((sum, [, bytes]) => sum + bytes, 0);
	for (const database of (await idbNames()) ?? []) {
		if (!database.startsWith(DATABASE_PREFIX)) continue;
		const name = database.slice(DATABASE_PREFIX.length);
		const bytes = await idbPeek(name, sum).catch(() => 0);
		if (bytes !== undefined) stores.push({ name, backend: "idb", bytes });
	}
	return stores;
}

/** Whether the store was ever written; `names` are those of all databases, because opening leaves an empty one behind in WebKit. */
async function idbExists(name, names) {
	if (!factory() || names?.includes(DATABASE_PREFIX + name) === false) return false;
	try {
		return await idbPeek(name, () => true);
	} catch (error) {
		// Where it is forbidden, there is nothing.
		if (error.name !== "SecurityError") throw error;
	}
}

export async function idbDestroy(name) {
	const database = DATABASE_PREFIX + name;
	if ([...held].some((other) => other.name === database)) throw LOCKED;
	const request = factory()?.deleteDatabase(database);
	if (!request) return;
	const blocked = new Promise((_, reject) => {
		request.onblocked = () => setTimeout(reject, RELEASE_WAIT_MS, LOCKED);
	});
	await Promise.race([answer(request), blocked]);
}

/**
 * The most bytes in one record; and what one transaction removes, four records, for 2 ms, or twice what was appended since the one
 * before: who appends ever faster would else never be caught up with.
 */
const RECORD_BYTES_MAX = 60 * 1024;
const REMOVE_BYTES = 4 * RECORD_BYTES_MAX;
const fullRecord = new Uint8Array(RECORD_BYTES_MAX);

/** Opens a store, as something that answers the engine's requests (remote.rs): one transaction at a time, in the order in which they came. */
export const openIdb = (name) => explained(askIdb(name));

async function askIdb(name) {
	const connection = await idbOpen(name);
	const { copy, keep } = buffers();
	let appended;
	let isClosed = false;
	let last = Promise.resolve();
	const inTurn = (run) => {
		const turn = last.then(() => {
			if (isClosed) throw CLOSED;
			return run();
		});
		last = turn.catch(() => {});
		return turn;
	};
	const write = (strict, blob, bytes) => idbWrite(connection, strict, blob, bytes);
	const answers = [
		() => inTurn(() => idbList(connection)),
		({ name, offset, bytesMax, bytes }) => inTurn(() => idbRead(connection, name, offset, bytesMax, bytes)),
		({ name, bytes, synced }) => {
			appended += bytes.length;
			return inTurn(() => write(synced, name, bytes)).finally(() => keep(bytes));
		},
		() => inTurn(() => write(true, "", NO_BYTES)),
		async ({ names }) => {
			// With nothing to remove, to be sure of the term.
			if (names.length === 0) await inTurn(() => write(true, "", NO_BYTES));
			appended = 0;
			for (const name of names)
				for (let from = 0; ; await sleep(0)) {
					const begin = from;
					const bytesMax = Math.max(REMOVE_BYTES, 2 * appended);
					appended = 0;
					from = await inTurn(() => idbRemove(connection, name, begin, bytesMax));
					if (from === 0) break;
				}
		},
		async () => {
			if (!isClosed) await inTurn(() => idbClose(connection));
			isClosed = true;
		},
	];
	return { ask: async (request) => answers[request.call](request), copy, keep };
}

// Origin private file system

const ROOT = "holdfast";
export const LOCK = "lock";
/** The empty file that says that a store was born in IndexedDB. */
const BIRTH = "idb";
export const CREATE = { create: true };

/** What a pool file has in front of its blob (opfs.js). */
export const POOL_HEADER_BYTES = 4096;

/** A store's name as the name of a directory: unambiguous also where upper and lower case are not told apart. */
const opfsName = (name) =>
	encodeURIComponent(name).replace(/%..|[^a-z0-9_-]/g, (part) =>
		part.length > 1 ? part.toLowerCase() : `%${part.charCodeAt().toString(16)}`,
	) || "%";

/** The inverse of `opfsName`; undefined for what it cannot have made. */
function decode(entry) {
	try {
		const name = entry === "%" ? "" : decodeURIComponent(entry);
		if (opfsName(name) === entry) return name;
	} catch {}
}

/** What a promise gives; undefined where a file or directory is not there. */
export const found = async (promise) => {
	try {
		return await promise;
	} catch (error) {
		if (error.name !== "NotFoundError") throw error;
	}
};

/** The directory of all stores; undefined where the browser has no such file system. */
async function opfsRoot() {
	try {
		return await found((await navigator.storage.getDirectory()).getDirectoryHandle(ROOT));
	} catch {}
}

/** A store's directory, made where there is none. */
export async function opfsMake(name) {
	const origin = await navigator.storage.getDirectory();
	return (await origin.getDirectoryHandle(ROOT, CREATE)).getDirectoryHandle(opfsName(name), CREATE);
}

/** Says that a store was born in IndexedDB. */
const opfsBirth = async (name) => (await opfsMake(name)).getFileHandle(BIRTH, CREATE);

/** The names of the pool files in a store's directory. */
export async function poolNumbers(directory) {
	const numbers = [];
	for await (const name of directory.keys()) if (String(name >>> 0) === name) numbers.push(name);
	return numbers;
}

/** Every store that was ever written, with the bytes in its pool. */
async function opfsStores() {
	const stores = [];
	for await (const [entry, directory] of (await opfsRoot())?.entries() ?? []) {
		const name = directory.kind === "directory" ? decode(entry) : undefined;
		if (name === undefined) continue;
		// It may be removed meanwhile.
		const numbers = (await found(poolNumbers(directory))) ?? [];
		let bytes = 0;
		for (const number of numbers) {
			const file = await found(directory.getFileHandle(number).then((handle) => handle.getFile()));
			bytes += Math.max(0, (file?.size ?? 0) - POOL_HEADER_BYTES);
		}
		if (numbers.length > 0) stores.push({ name, backend: "opfs", bytes });
	}
	return stores;
}

export async function opfsDestroy(name) {
	const root = await opfsRoot();
	const directory = await found(root?.getDirectoryHandle(opfsName(name)));
	if (!directory) return;
	await found(directory.removeEntry(LOCK));
	await found(root.removeEntry(opfsName(name), { recursive: true }));
}

// Both

/** `{ name, backend, bytes }` of every store that was ever written: 0 bytes where they cannot be read. */
export const stores = async () => [...(await opfsStores()), ...(await idbStores())];

/** `[backend, gone]`: where a store is or, if all that is left is the word of the other storage, was. */
export const homeOf = (name) => explained(findHome(name));

async function findHome(name) {
	const directory = await found((await opfsRoot())?.getDirectoryHandle(opfsName(name)));
	if (directory && (await poolNumbers(directory)).length > 0) return ["opfs", false];
	const names = await idbNames();
	if (await idbExists(name, names)) return ["idb", false];
	if (names?.includes(BIRTH_PREFIX + name)) return ["opfs", true];
	return (await found(directory?.getFileHandle(BIRTH))) ? ["idb", true] : [];
}

export const destroyStore = (name) => explained(destroyAll(name));

async function destroyAll(name) {
	const birth = factory()?.deleteDatabase(BIRTH_PREFIX + name);
	if (birth) await answer(birth);
	await opfsDestroy(name);
	await idbDestroy(name);
}

/** The same, rejecting with what `explain` makes of it. */
export const explained = (promise) =>
	promise.catch((error) => {
		throw explain(error);
	});

/**
 * Buffers of this size are used again, because browsers collect what they know to be large in tasks of several ms; up to six times
 * it, for the largest read of the engine, 256 KiB, and the parts of two records that IndexedDB gives beside it.
 */
export const KEPT_BYTES_MIN = 64 * 1024;
const isKept = (size) => size >= KEPT_BYTES_MIN && size <= 6 * KEPT_BYTES_MIN;

/** One large buffer, for a request at a time: `copy` takes it, `keep` gives it back, or another one. */
function buffers() {
	let kept = NO_BYTES;
	return {
		/** A copy of what is appended, or room for what is read: at least `bytesMax`. */
		copy(view, bytesMax) {
			const size = Math.max(view.length, bytesMax);
			if (!isKept(size)) return view.slice();
			const bytes = kept.length < size ? new Uint8Array(size) : kept.subarray(0, view.length || undefined);
			kept = NO_BYTES;
			bytes.set(view);
			return bytes;
		},
		keep(bytes) {
			if (isKept(bytes?.buffer?.byteLength)) kept = new Uint8Array(bytes.buffer);
		},
	};
}

// Another thread

/**
 * What asks at a port, for good: takes its `onmessage`, `onmessageerror` and `onerror`. What can be asked already, because it is in
 * this thread, stays as it is.
 */
export function link(port) {
	if (port.ask) return port;
	let asked = 0;
	const waiting = new Map();
	let broken;
	const { copy, keep } = buffers();
	port.onmessage = ({ data }) => {
		keep(data?.kept);
		const resolve = waiting.get(data?.id);
		waiting.delete(data?.id);
		resolve?.(data);
	};
	port.onmessageerror = port.onerror = ({ message }) => {
		const error = { code: "UNAVAILABLE", message: "the storage worker failed: open the store again", cause: message };
		broken = { error };
		for (const resolve of waiting.values()) resolve(broken);
		waiting.clear();
	};
	/** The value of the answer to a request. */
	const ask = async (request) => {
		const { bytes } = request;
		const answer =
			broken ??
			(await new Promise((resolve) => {
				const id = asked++;
				port.postMessage({ id, ...request }, bytes.length > 0 ? [bytes.buffer] : []);
				waiting.set(id, resolve);
			}));
		if (answer.error !== undefined) throw answer.error;
		return answer.value;
	};
	return { ask, copy, keep };
}

/** Closes a storage whose engine will not. */
export const closeStorage = ({ ask }) => void ask({ call: 5 });

export const ask = (storage, call, name, offset, bytesMax, view, synced, names) =>
	storage.ask({ call, name, offset, bytesMax, bytes: storage.copy?.(view, bytesMax) ?? view.slice(), synced, names });

/** What `ask` gave was copied. */
export const done = ({ keep }, bytes) => keep?.(bytes);

// This thread (task.rs)

/** What the wasm instance exports, by its own names; nothing after it failed. */
let wasm;

/** Promises that the instance owes. */
const owed = new Set();

/** Runs tasks of an instance that has not failed meanwhile. */
function enter(own, run) {
	if (own !== wasm) return;
	try {
		run();
	} catch (error) {
		thread.failed(error);
	}
}

export const thread = {
	/** Told of a trap in the background. */
	failed: (error) => reportError(error),
	/** Ends an instance that trapped: nothing calls it any more, what it owes is rejected, what it holds is given back. */
	halt(error) {
		wasm = undefined;
		for (const { settle } of owed) settle(false, error);
		for (const one of held) one.close();
		held.clear();
	},
	attach(exports) {
		wasm = exports;
	},
	schedule() {
		const own = wasm;
		queueMicrotask(() => enter(own, () => wasm.run_tasks()));
	},
	/** Tells the engine when the promise has settled; `outcome` then gives or throws what with. */
	wait(promise, number) {
		const own = wasm;
		const wait = {};
		const settle = (fulfilled) => (value) => {
			wait.fulfilled = fulfilled;
			wait.value = value;
			enter(own, () => wasm.resume(number));
		};
		promise.then(settle(true), settle(false));
		return wait;
	},
	outcome({ fulfilled, value }) {
		if (fulfilled) return value;
		throw value;
	},
	defer() {
		const deferred = {};
		deferred.promise = new Promise((resolve, reject) => {
			deferred.settle = (fulfilled, outcome) => {
				owed.delete(deferred);
				(fulfilled ? resolve : reject)(outcome);
			};
		});
		owed.add(deferred);
		return deferred;
	},
	promised: ({ promise }) => promise,
	settle: (deferred, fulfilled, outcome) => deferred.settle(fulfilled, outcome),
};
