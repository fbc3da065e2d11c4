// The page under test: puts on `globalThis` what tests call through `page.run`, before the page's `load` event.

import * as holdfast from "holdfast";
import { failure } from "./check.mjs";
import { runCheck } from "./checks.mjs";
import { hurryTimers, strikeIdb } from "./faulty-idb.mjs";
import { writeForEver, written } from "./writer.mjs";

globalThis.holdfast = holdfast;
globalThis.failure = failure;

// As in a service worker.
if (location.hash === "#without-workers") globalThis.Worker = undefined;

/** One check of checks.mjs, in this page. */
globalThis.checkInPage = (check, name, options) => runCheck(holdfast.open, check, name, options);

/** The same in a dedicated worker. */
globalThis.checkInWorker = (check, name, options) => inWorker({ do: "check", check, name, options });

/** Acknowledged writes of each store that a writer writes to, by name; and what went wrong with writers. */
globalThis.acknowledged = {};
globalThis.writerFailures = [];

/** Opens the store and writes to it until the page dies. Resolves once it writes. */
globalThis.startWriter = async ({ name, options, flushAfter }) => {
	const store = await holdfast.open(name, options);
	writeForEver(store, flushAfter, (count) => {
		acknowledged[name] = count;
	}).catch((error) => writerFailures.push(`${name}: ${error}`));
};

/** The same from a dedicated worker. */
globalThis.startWriterInWorker = ({ name, options, flushAfter }) => {
	const worker = newWorker();
	return new Promise((resolve) => {
		worker.onmessage = ({ data }) => {
			if (data.error) writerFailures.push(`${name}: ${data.error}`);
			else acknowledged[name] = data.acknowledged;
			resolve();
		};
		worker.postMessage({ do: "write", name, options, flushAfter });
	});
};

/** What a writer left in the store: see `written`. */
globalThis.readWritten = async ({ name, options }) => written(await holdfast.open(name, options));

globalThis.readWrittenInWorker = ({ name, options }) => inWorker({ do: "read", name, options });

/** What a store holds and how far it wrote: the same before and after whatever must change nothing. */
globalThis.imageOf = async (store) => ({ entries: await store.entries().toArray(), seq: (await store.stats()).seq });

/** The `worker` option for an I/O worker on a platform with that fault (faults.mjs). */
globalThis.faultyWorker = (fault) => () => new Worker("/site/faulty-worker.mjs", { type: "module", name: fault });

/** Has the fault of a faulty worker begin, and end. */
globalThis.strike = () => tellWorker("strike");
globalThis.relieve = () => tellWorker("relieve");

async function tellWorker(word) {
	const channel = new BroadcastChannel("fault");
	const heeded = new Promise((resolve) => {
		channel.onmessage = resolve;
	});
	channel.postMessage(word);
	await heeded;
	channel.close();
}

/** Has timers of this page run that many times as fast; gives what ends it. */
globalThis.hurryTimers = hurryTimers;

/** Has a fault of IndexedDB begin in this page (faulty-idb.mjs); gives what ends it. */
globalThis.strikeIdb = strikeIdb;

/**
 * Opens a store on a platform with that fault, which is in the I/O worker where there are workers: `{ store, strike, relieve }`, the
 * last two to have it begin and end.
 */
globalThis.openFaulty = async (fault, name, options) => {
	if (globalThis.Worker) {
		const store = await holdfast.open(name, { ...options, worker: faultyWorker(fault) });
		return { store, strike, relieve };
	}
	let end;
	const begin = () => {
		end = strikeIdb(fault);
	};
	return { store: await holdfast.open(name, options), strike: begin, relieve: () => end() };
};

/**
 * Changes what the files of a closed store on OPFS hold, below the package: `change(bytes)` is called for each and edits them
 * in place. Resolves to how many it said it changed.
 */
globalThis.patchOpfs = async (name, change) => {
	const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
	const directory = await root.getDirectoryHandle(encodeURIComponent(name).toLowerCase());
	let changed = 0;
	for await (const file of directory.values()) {
		const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
		if (!change(bytes)) continue;
		const writable = await file.createWritable();
		await writable.write(bytes);
		await writable.close();
		changed++;
	}
	return changed;
};

/**
 * Changes what a closed store on IndexedDB holds, below the package: `change(bytes)` is called for each of its records and
 * edits them in place. Resolves to how many records it said it changed.
 */
globalThis.patchIndexedDb = async (name, change) => {
	const opened = indexedDB.open(`holdfast:${name}`);
	await new Promise((resolve, reject) => Object.assign(opened, { onsuccess: resolve, onerror: reject }));
	const transaction = opened.result.transaction("chunks", "readwrite");
	let changed = 0;
	transaction.objectStore("chunks").openCursor().onsuccess = ({ target: { result: cursor } }) => {
		if (!cursor) return;
		if (change(cursor.value)) {
			cursor.update(cursor.value);
			changed++;
		}
		cursor.continue();
	};
	await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: reject }));
	opened.result.close();
	return changed;
};

/**
 * What a closed store keeps, below the package: `[name, bytes]` of each file of its directory on OPFS, or `[key, value]` of each
 * record of its database, as text that differs if a byte does.
 */
globalThis.bytesOf = async (name, backend) => {
	const kept = backend === "opfs" ? await filesOf(name) : await recordsOf(name);
	return kept.map(([key, value]) => `${key}: ${value instanceof Uint8Array ? value.toString() : value}`).sort();
};

async function filesOf(name) {
	const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
	const directory = await root.getDirectoryHandle(encodeURIComponent(name).toLowerCase());
	const files = [];
	for await (const file of directory.values()) {
		files.push([file.name, new Uint8Array(await (await file.getFile()).arrayBuffer())]);
	}
	return files;
}

async function recordsOf(name) {
	const database = await answerOf(indexedDB.open(`holdfast:${name}`));
	const records = [];
	for (const area of database.objectStoreNames) {
		const store = database.transaction(area).objectStore(area);
		const [keys, values] = await Promise.all([answerOf(store.getAllKeys()), answerOf(store.getAll())]);
		records.push(...keys.map((key, at) => [`${area} ${key}`, values[at]]));
	}
	database.close();
	return records;
}

function answerOf(request) {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

function newWorker() {
	const worker = new Worker("/site/worker.mjs", { type: "module" });
	worker.onerror = (event) => console.error(`worker: ${event.message}`);
	return worker;
}

async function inWorker(request) {
	const worker = newWorker();
	try {
		const { value, error } = await new Promise((resolve, reject) => {
			worker.onmessage = ({ data }) => resolve(data);
			worker.addEventListener("error", (event) => reject(new Error(`worker: ${event.message}`)));
			worker.postMessage(request);
		});
		if (error) throw new Error(error);
		return value;
	} finally {
		worker.terminate();
	}
}

/** The wasm module of these bytes, with a memory that ends at so many MiB. */
globalThis.limitMemory = (bytes, mebibytes) => {
	const MEMORY_SECTION = 5;
	const PAGES_PER_MEBIBYTE = 16;
	let at = 8;
	const number = () => {
		let value = 0;
		for (let shift = 0; ; shift += 7) {
			const byte = bytes[at++];
			value |= (byte & 0x7f) << shift;
			if (byte < 0x80) return value;
		}
	};
	const encoded = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...encoded(value >> 7)]);
	for (;;) {
		const start = at;
		const kind = bytes[at++];
		const end = number() + at;
		if (kind !== MEMORY_SECTION) {
			at = end;
			continue;
		}
		// One memory: how many, whether it has an upper limit, its size at first.
		at += 2;
		const section = [1, 1, ...encoded(number()), ...encoded(mebibytes * PAGES_PER_MEBIBYTE)];
		const limited = [...bytes.subarray(0, start), MEMORY_SECTION, ...encoded(section.length), ...section];
		return Uint8Array.from([...limited, ...bytes.subarray(end)]);
	}
};
