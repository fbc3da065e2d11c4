// Writes that wait for a leader, and the files of a store for those that cannot have their handles: service workers, and shared workers
// where these start no workers. Loaded in such a context, and where a leader finds that writes wait.
//
// Owns the database `holdfast-queue:<name>` with the one object store `writes`: a write is `[format, client, number, ops, conditions,
// level]`, the format being 1, under keys that count up; and the empty file `queue` in the store's OPFS directory, which says that somebody waits. Who adds
// a write makes that file before the write counts, and who empties the database removes it, both under the Web Lock
// `holdfast-queue:<name>`; so where a write is, the file is. Errors: the platform's, explained.

import {
	answer,
	CREATE,
	explained,
	found,
	NO_BYTES,
	opfsMake,
	opfsName,
	opfsRoot,
	POOL_HEADER_BYTES,
	QUEUE,
	QUEUE_PREFIX,
	timely,
} from "./glue.js";
import { find, peekFile, readPool, rowsOf } from "./opfs.js";

export const QUEUE_FORMAT = 1;
const WRITES = "writes";
/** The most writes that are read at once. */
const PIECE_WRITES = 256;
const CHANGED = { code: "UNAVAILABLE", message: "the store was written while it was read" };

// The files

/** What answers an engine that only reads: the files as they are. What it writes is swallowed. */
export const readOnly = (name) => explained(openReadOnly(name));

async function openReadOnly(storeName) {
	const directory = await directoryOf(storeName);
	let pool = [];
	const answers = [
		async () => {
			pool = directory ? await readPool(directory) : [];
			return rowsOf(pool);
		},
		async ({ name, offset, bytesMax }) => {
			const file = find(pool, name);
			if (!file) return NO_BYTES;
			const from = POOL_HEADER_BYTES + offset;
			const content = await (await directory.getFileHandle(String(file.number))).getFile();
			const part = content.slice(from, Math.min(from + bytesMax, POOL_HEADER_BYTES + file.size));
			const bytes = new Uint8Array(await part.arrayBuffer());
			// It may hold another blob meanwhile.
			const now = await peekFile(directory, String(file.number));
			if (now?.counter !== file.counter || now.name !== name) throw CHANGED;
			return bytes;
		},
	];
	return { ask: (request) => explained(Promise.resolve(answers[request.call]?.(request))) };
}

// The file that says so

/** Runs what must not overlap with the same of others. */
const alone = (name, run) => globalThis.navigator?.locks?.request(QUEUE_PREFIX + name, run) ?? run();

/** Says that somebody waits for a leader. */
export const mark = async (name) => {
	await (await opfsMake(name)).getFileHandle(QUEUE, CREATE);
};

const directoryOf = async (name) => found((await opfsRoot())?.getDirectoryHandle(opfsName(name)));

export const isMarked = async (name) => Boolean(await found((await directoryOf(name))?.getFileHandle(QUEUE)));

const unmark = async (name) => found((await directoryOf(name))?.removeEntry(QUEUE));

// The database

/** Undefined where there is no database and none shall be made. */
export const openQueue = (name, create) => explained(connectQueue(name, create));

async function connectQueue(name, create) {
	const request = indexedDB.open(QUEUE_PREFIX + name, 1);
	let absent = false;
	request.onupgradeneeded = () => {
		absent = !create;
		if (absent) request.transaction.abort();
		else request.result.createObjectStore(WRITES, { autoIncrement: true });
	};
	try {
		const database = await timely(answer(request));
		database.onversionchange = () => database.close();
		return database;
	} catch (error) {
		if (!absent) throw error;
	}
}

/** Resolves when all of them are stored, synced if `strict`, and somebody will find them. */
export const addWrites = (database, name, writes, strict) =>
	explained(
		alone(name, async () => {
			await change(database, strict, (store) => {
				for (const write of writes) store.add(write);
			});
			await mark(name);
		}),
	);

/** Resolves when everything that was added before is synced. */
export const syncWrites = (database) => explained(change(database, true, (store) => store.delete(0)));

/** The first writes: `{ keys, writes }`, in their order. */
export const readWrites = (database, limit = PIECE_WRITES) =>
	explained(
		timely(
			(async () => {
				const store = database.transaction(WRITES).objectStore(WRITES);
				const [keys, writes] = await Promise.all([
					answer(store.getAllKeys(null, limit)),
					answer(store.getAll(null, limit)),
				]);
				return { keys, writes };
			})(),
		),
	);

/** Every write that waits. */
export const everyWrite = (database) => readWrites(database, undefined).then(({ writes }) => writes);

/** Removes the writes up to that key. */
export const removeWrites = (database, keyMax) =>
	explained(change(database, false, (store) => store.delete(IDBKeyRange.upperBound(keyMax))));

/** Says that nobody waits any more, unless a write has come meanwhile: then gives false. */
export const endQueue = (database, name) =>
	explained(
		alone(name, async () => {
			if (database && (await readWrites(database, 1)).keys.length > 0) return false;
			await unmark(name);
			return true;
		}),
	);

function change(database, strict, run) {
	const changed = new Promise((resolve, reject) => {
		const transaction = database.transaction(WRITES, "readwrite", strict ? { durability: "strict" } : {});
		transaction.oncomplete = resolve;
		transaction.onabort = () => reject(transaction.error);
		run(transaction.objectStore(WRITES));
	});
	return timely(changed);
}
