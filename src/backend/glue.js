// The browser's side of the backends: promises, events and messages.
//
// Owns the names that IndexedDB and OPFS know a store by, where a store is, both ends of a port, and the meaning of the
// platform's exceptions. Functions that wait return promises, which reject with whatever the platform threw; what this module finds
// wrong itself is `{ code, message }`, as errors are that cross a port. Bytes that Rust passes are a view of wasm memory: good until
// the function returns, so what has to last is copied first. Exports are grouped in objects where wasm-bindgen would else import
// the module's namespace, which bundlers cannot minify.
// Deliberately absent: what is stored (idb.js, opfs.js), and all stores at once (stores.js).

export const LOCKED = { code: "LOCKED", message: "another tab or worker holds the store: close it there first" };

export const FENCED = { code: "FENCED", message: "another writer took over: open the store again" };

/** Resolves after at least that long. */
export const sleep = (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs));

export const FULL = { code: "QUOTA", message: "the origin's quota or the disk is full" };
const MEANINGS = {
	QuotaExceededError: FULL,
	NS_ERROR_FILE_NO_DEVICE_SPACE: FULL,
	NoModificationAllowedError: LOCKED,
	VersionError: { code: "VERSION", message: "the storage was written by a newer version of Holdfast" },
};

/** The property of any value; undefined where there is none. */
export const property = (target, name) => target?.[name];

/** Whatever was thrown, as `{ code, message, cause?, bytesNeeded? }`; what means nothing else is `UNAVAILABLE`. */
export function explain(thrown) {
	if (typeof thrown?.code === "string") return thrown;
	const { name, message: text } = thrown ?? {};
	const meaning =
		MEANINGS[name] ??
		// Chromium says so of a full disk in the text only.
		(/NO_SPACE/.test(text) ? FULL : { code: "UNAVAILABLE", message: "the storage cannot be reached" });
	return { ...meaning, cause: name && `${name}: ${text}` };
}

/** An error of the engine; numbers that are not there are negative. */
export function failure(code, message, cause, bytesNeeded, seq) {
	const error = { code, message };
	if (cause) error.cause = cause;
	if (bytesNeeded >= 0) error.bytesNeeded = bytesNeeded;
	if (seq >= 0) error.seq = seq;
	return error;
}

export const NO_BYTES = new Uint8Array();
export const CLOSED = { code: "CLOSED", message: "the storage is closed" };

// IndexedDB

export const DATABASE_PREFIX = "holdfast:";
/** Of the empty database that says that a store was born in OPFS. */
export const BIRTH_PREFIX = "holdfast-opfs:";
export const STORES = ["chunks", "meta"];

/** The databases that this thread holds open. */
export const held = new Set();

export const answer = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

/** How long a connection may take over a request: on a full disk Chromium has been seen to leave one without any answer. */
const ANSWER_WAIT_MS = 10_000;
const SILENT = { code: "TIMEOUT", message: "the browser's storage does not answer" };

/** What a promise gives, if it comes in time. */
export function timely(promise) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(reject, ANSWER_WAIT_MS, SILENT);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const readable = (database, store) => database.transaction(store).objectStore(store);
export const storedTerm = (database) => answer(readable(database, "meta").get("term"));
/** How often to try to open a database, and how long to wait in between: browsers fail at it now and then. */
const OPEN_TRIES = 3;
const OPEN_WAIT_MS = 100;

/** Opens a connection; undefined where there is no database and none shall be made. */
export async function connect(name, create) {
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

/** Whether a new connection may help: what was thrown says nothing of the data. */
export const isLost = (error) => ["UNAVAILABLE", "TIMEOUT"].includes(explain(error).code);

/** Undefined also where the user's settings forbid it. */
export function factory() {
	try {
		return globalThis.indexedDB;
	} catch {}
}

/** The names of all databases; undefined where the browser cannot list them. */
export async function idbNames() {
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
export async function idbPeek(name, read) {
	const database = await connect(name, false);
	if (!database) return;
	try {
		if ((await storedTerm(database)) !== undefined) return await read(database);
	} finally {
		database.close();
	}
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

// Origin private file system

const ROOT = "holdfast";
export const LOCK = "lock";
/** The empty file that says that a store was born in IndexedDB. */
const BIRTH = "idb";
/** The empty file that says that writes wait for a leader, and the database that has them (queue.js). */
export const QUEUE = "queue";
export const QUEUE_PREFIX = "holdfast-queue:";
export const CREATE = { create: true };

/** What a pool file has in front of its blob (opfs.js). */
export const POOL_HEADER_BYTES = 4096;

/** A store's name as the name of a directory: unambiguous also where upper and lower case are not told apart. */
export const opfsName = (name) =>
	encodeURIComponent(name).replace(/%..|[^a-z0-9_-]/g, (part) =>
		part.length > 1 ? part.toLowerCase() : `%${part.charCodeAt().toString(16)}`,
	) || "%";

/** What a promise gives; undefined where a file or directory is not there. */
export const found = async (promise) => {
	try {
		return await promise;
	} catch (error) {
		if (error.name !== "NotFoundError") throw error;
	}
};

/** The directory of all stores; undefined where the browser has no such file system. */
export async function opfsRoot() {
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
export const opfsBirth = async (name) => (await opfsMake(name)).getFileHandle(BIRTH, CREATE);

/** The names of the pool files in a store's directory; `isQueued` of them says whether writes wait for a leader (queue.js). */
export async function poolNumbers(directory) {
	const numbers = [];
	for await (const name of directory.keys())
		if (String(name >>> 0) === name) numbers.push(name);
		else if (name === QUEUE) numbers.isQueued = true;
	return numbers;
}

// Both

/** `[backend, gone, queued]`: where a store is or, if all that is left is the word of the other storage, was; whether writes wait there. */
export const homeOf = (name) => explained(findHome(name));

async function findHome(name) {
	const directory = await found((await opfsRoot())?.getDirectoryHandle(opfsName(name)));
	const { isQueued, length } = directory ? await poolNumbers(directory) : NO_BYTES;
	if (length > 0 || isQueued) return ["opfs", false, isQueued];
	const names = await idbNames();
	if (await idbExists(name, names)) return ["idb", false];
	if (names?.includes(BIRTH_PREFIX + name)) return ["opfs", true];
	return (await found(directory?.getFileHandle(BIRTH))) ? ["idb", true] : [];
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
const KEPT_BYTES_MIN = 64 * 1024;
const isKept = (size) => size >= KEPT_BYTES_MIN && size <= 6 * KEPT_BYTES_MIN;

/** One large buffer, for a request at a time: `copy` takes it, `keep` gives it back, or another one. */
export function buffers() {
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

/**
 * Takes everything and keeps nothing: the last fallback of a page without storage, whose data is in the map and would be gone with
 * the thread wherever else in memory it were.
 */
export const NOWHERE = { ask: async ({ call }) => (call ? NO_BYTES : []), copy: () => NO_BYTES };

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
	const send = async (request) => {
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
	/** A read that is under way before it is asked for: blobs are read from front to back, and the worker reads while this thread looks at what it has. */
	let ahead;
	const ask = async (request) => {
		const { call, name, offset, bytesMax } = request;
		const begun = ahead;
		// What is written since is not what was read.
		if (call === 1 || begun?.name === name) ahead = undefined;
		if (call !== 1) return send(request);
		const isBegun = begun?.name === name && begun.offset === offset && begun.bytesMax === bytesMax;
		if (isBegun) keep(request.bytes);
		const value = await (isBegun ? begun.value : send(request));
		if (value.length === bytesMax) {
			const next = { ...request, offset: offset + bytesMax, bytes: copy(NO_BYTES, bytesMax) };
			ahead = { ...next, value: send(next) };
			ahead.value.catch(() => {});
		}
		return value;
	};
	return { ask, copy, keep };
}

const MALFORMED = { code: "UNAVAILABLE", message: "page and storage worker do not understand each other" };

/** Whether a request that came over a port has what its call uses. */
function isWellFormed({ call, name, offset, bytesMax, bytes, names }) {
	const isNamed = typeof name === "string";
	return [
		() => true,
		() => isNamed && typeof offset === "number" && typeof bytesMax === "number",
		() => isNamed && bytes instanceof Uint8Array,
		() => isNamed,
		() => Array.isArray(names) && names.every((name) => typeof name === "string"),
		() => true,
	][call]?.();
}

/** Answers requests that arrive at a port, for good: takes its `onmessage`. In a worker the port is its global scope. */
export function serve(storage, port) {
	port.onmessage = async ({ data }) => {
		if (typeof data?.id !== "number" || typeof data.call !== "number") return;
		const { id } = data;
		try {
			if (!isWellFormed(data)) throw MALFORMED;
			const value = await storage.ask(data);
			const kept = data.bytes?.buffer.byteLength >= KEPT_BYTES_MIN ? data.bytes : undefined;
			if (value instanceof Uint8Array) port.postMessage({ id, value }, [value.buffer]);
			else port.postMessage({ id, value, kept }, kept ? [kept.buffer] : []);
		} catch (error) {
			port.postMessage({ id, error: explain(error) });
		}
	};
}

/** Closes a storage whose engine will not. */
export const closeStorage = ({ ask }) => void ask({ call: 5 });

/** `name`: where several blobs are removed, each name with a line's end behind it. */
export const ask = (storage, call, name, offset, bytesMax, view, synced) =>
	storage.ask({
		...{ call, name, offset, bytesMax, synced },
		bytes: storage.copy?.(view, bytesMax) ?? view.slice(),
		names: name.split("\n").slice(0, -1),
	});

/** What `ask` gave was copied. */
export const done = ({ keep }, bytes) => keep?.(bytes);

// This thread (task.rs)

/** What the wasm instance exports, by its own names; nothing after it failed. */
let wasm;

/** What the last call gave, or was given. */
let given;

/** What settles the promises that the instance owes, by their numbers: resolves, rejects. */
const owed = new Map();

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
		for (const [, reject] of owed.values()) reject(error);
		owed.clear();
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
	/** Tells the engine when and how the promise has settled, and gives what with. */
	wait(promise, number) {
		const own = wasm;
		const settle = (fulfilled) => (value) =>
			enter(own, () => {
				given = value;
				wasm.resume(number, fulfilled);
			});
		promise.then(settle(1), settle(0));
	},
	/** A promise, which `settle` settles. */
	owe: (number) => new Promise((...settle) => owed.set(number, settle)),
	settle(number, fulfilled, outcome) {
		owed.get(number)[+!fulfilled](outcome);
		owed.delete(number);
	},
	/** Tells a listener, which has its own page to tell of what it throws. */
	tell(notify, event, osSeq, diskSeq, detail) {
		try {
			notify(event, osSeq, diskSeq, detail);
		} catch {}
	},
	/** The numbers in so many f64 of its memory. */
	list: (address, count) => [...new Float64Array(wasm.memory.buffer, address, count)],
	/** Keeps what a call gives that cannot return it. */
	answer(value) {
		given = value;
	},
	/** Takes that; undefined without it. */
	answered() {
		const value = given;
		given = undefined;
		return value;
	},
};
