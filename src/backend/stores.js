// The stores of an origin, whichever of the browser's storages they are in: listing and removing them without opening. Loaded when one
// of these is asked for.
//
// Uses the names that `glue.js` knows them by. Errors: `LOCKED`, and the platform's, explained.

import {
	answer,
	BIRTH_PREFIX,
	DATABASE_PREFIX,
	explained,
	factory,
	found,
	held,
	idbNames,
	idbPeek,
	LOCK,
	LOCKED,
	opfsName,
	opfsRoot,
	POOL_HEADER_BYTES,
	poolNumbers,
	QUEUE_PREFIX,
} from "./glue.js";
import { storedRows } from "./rows.js";

/** How long others may take to close their connections once they are asked to. */
const RELEASE_WAIT_MS = 1000;

/** `{ name, backend, bytes }` of every store that was ever written: 0 bytes where they cannot be read. */
export const stores = () => explained(everyStore());

async function everyStore() {
	return [...(await opfsStores()), ...(await idbStores())];
}

export const destroyStore = (name) => explained(destroyAll(name));

async function destroyAll(name) {
	for (const prefix of [BIRTH_PREFIX, QUEUE_PREFIX]) {
		const other = factory()?.deleteDatabase(prefix + name);
		if (other) await answer(other);
	}
	await opfsDestroy(name);
	await idbDestroy(name);
}

// IndexedDB

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

// Origin private file system

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

/** The inverse of `opfsName`; undefined for what it cannot have made. */
function decode(entry) {
	try {
		const name = entry === "%" ? "" : decodeURIComponent(entry);
		if (opfsName(name) === entry) return name;
	} catch {}
}

export async function opfsDestroy(name) {
	const root = await opfsRoot();
	const directory = await found(root?.getDirectoryHandle(opfsName(name)));
	if (!directory) return;
	await found(directory.removeEntry(LOCK));
	await found(root.removeEntry(opfsName(name), { recursive: true }));
}
