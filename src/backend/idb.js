// Blobs in IndexedDB: what `idb.rs` documents, in JavaScript, because each step is a call to the browser. Loaded where a store is in
// IndexedDB.
//
// Owns the transactions, and what becomes of a lost connection. Errors as there.

import {
	answer,
	buffers,
	CLOSED,
	connect,
	explain,
	explained,
	FENCED,
	FULL,
	held,
	isLost,
	NO_BYTES,
	opfsBirth,
	readable,
	STORES,
	sleep,
	storedTerm,
	timely,
} from "./glue.js";
import { storedRows, tally } from "./rows.js";

const FOREIGN = { code: "CORRUPT", message: "the database holds foreign records" };
/** What the transaction after one that found no room may do in Firefox; the next one may do everything again. */
const DELETES_ONLY = { ...FULL, cause: "only deletes were admitted" };
/**
 * The most bytes in one record; and what one transaction removes, four records, for 2 ms, or twice what was appended since the one
 * before: who appends ever faster would else never be caught up with.
 */
const RECORD_BYTES_MAX = 60 * 1024;
const REMOVE_BYTES = 4 * RECORD_BYTES_MAX;
const fullRecord = new Uint8Array(RECORD_BYTES_MAX);

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
	return { name, database, term, leads: false, sizes: undefined, listed: undefined };
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

/** The rows of `tally`, from the storage unless we know them; the first write is made only if the first ones still hold. */
const idbList = again(async (connection) => {
	// To list 100 MB takes Chromium 0.4 s.
	if (connection.leads && connection.sizes) return [...connection.sizes];
	const rows = await timely(storedRows(connection.database));
	// Of the state that was read, which a later list says nothing of.
	connection.listed ??= String(rows);
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

/** Opens a store, as something that answers the engine's requests (remote.rs): one transaction at a time, in the order in which they came. */
export const open = (name) => explained(askIdb(name));

/** The same of a database that is there, for who only reads it. */
export const openStored = (name) => explained(askIdb(name, false));

async function askIdb(name, create) {
	const connection = await idbOpen(name, create);
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
