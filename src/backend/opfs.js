// Blobs in the origin private file system, for dedicated workers: only they have synchronous handles. JavaScript, because all it does
// is call the browser: the I/O worker that runs it needs no wasm.
//
// Owns the directory `holdfast/<store>/` of the origin's root. The store's name is percent-encoded: `a-z 0-9 - _`
// stand for themselves, every other byte of its UTF-8 is `%` and two lowercase hexadecimal digits, and the empty
// name is `%`. In the directory:
//
// - `lock`: empty. Whoever has its exclusive handle has the store; nothing is read before.
// - `0`, `1`, `2`...: the pool. Its files are made at the first write, six of them and one more whenever none is
//   free. They are never renamed or deleted, because the browser may keep file names in a database that is not
//   synced: what a file is, is written inside it.
//
// A pool file is a header of 4,096 bytes and then the bytes of one blob. The header is written as zeros before a
// file is first claimed, so that it can be overwritten on a full disk. It has two slots, at 0 and at 2,048:
//
// | offset | bytes | what |
// |---|---|---|
// | 0 | 4 | magic `HFPF` |
// | 4 | 4 | format version, u32 little-endian: 1 |
// | 8 | 8 | counter, u64 little-endian |
// | 16 | 1 | length of the blob's name; 0: the file is free |
// | 17 | 47 | the name, then zeros |
// | 64 | 8 | XXH64 with seed 0 of the 64 bytes before, u64 little-endian |
// | 72 | 1,976 | zeros |
//
// The valid slot with the greatest counter rules; an update goes to the other one, with a counter greater than
// every counter in the pool. Of two files with the same name the one with the greater counter rules, until both
// are freed together. A file without a valid slot is free if its header is all zeros (it was never claimed, or its
// first claim was lost), else it is damaged: set aside, never written again. A claimed file without data is as
// good as free: its first append was lost.
//
// Claiming: truncate to the header, write the slot, write the data; nothing is synced until the blob is. Freeing:
// write the slot, flush, truncate in steps. A write counts only if it returns the full length and the file is as long as it
// has to be: on a full disk Firefox returns 0 or a number without meaning. A file whose flush failed is never
// written or trusted again until the store is opened anew.
//
// What is thrown is the platform's exception or `{ code, message, cause?, bytesNeeded? }`: `LOCKED` while someone else has a file
// open, `QUOTA` with the bytes needed, `VERSION`, `CLOSED`, and `UNAVAILABLE` for the rest. Deliberately absent: finding and
// removing stores (`glue.js`, `stores.js`), shrinking the pool, `createWritable` (it loses both contents in a power cut) and the
// non-exclusive handle modes (one engine only).

import {
	CLOSED,
	CREATE,
	explain,
	explained,
	FULL,
	found,
	POOL_HEADER_BYTES as HEADER_BYTES,
	idbBirth,
	LOCK,
	opfsMake,
	poolNumbers,
	sleep,
} from "./glue.js";

const POOL_FILES = 6;
const SLOT_OFFSETS = [0, 2048];
const SLOT_BYTES = 72;
const HASHED_BYTES = 64;
const NAME_BYTES_MAX = 47;
/** `HFPF`, read as an integer. */
const MAGIC = 0x4650_4648;
const FORMAT_VERSION = 1;
const COUNTER_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * What a free file gives back in one call, which takes 1 ms: 100 MB at once take 30 ms; or twice what was appended since the call
 * before, to keep up with whoever appends ever faster.
 */
const SHRINK_BYTES = 1 << 20;

/** How long to wait for a handle that a dying worker still holds (measured at up to 2 s in Chromium), and how often to ask. */
const HANDLE_WAIT_MS = 5000;
const HANDLE_POLL_MS = 40;

/** How often to read a file whose content changes while it is read. */
const PEEK_TRIES = 3;

/** The calls of the seam, by the number under which they cross a port. */
const CALLS = ["list", "read", "append", "sync", "remove", "close"];

/**
 * Opens a store. Takes its lock, waiting up to 5 s for it, and then reads the headers of its pool. Writes nothing but, the
 * first time, the store's directory and its empty `lock`. What it gives answers requests `{ call, name, offset, bytesMax,
 * bytes, synced, names }`, of which each call uses its own.
 */
export const open = (storeName) => explained(openPool(storeName));

async function openPool(storeName) {
	const directory = await opfsMake(storeName);
	/** Every handle there is; none once the store is closed. */
	let handles = [await exclusive(await directory.getFileHandle(LOCK, CREATE))];
	const opening = new Map();
	let appended;
	let pool;
	try {
		pool = await readPool(directory);
	} catch (error) {
		close();
		throw error;
	}

	function close() {
		for (const handle of handles ?? []) handle.close();
		handles = undefined;
	}

	/** A request changes nothing before it has all it needs, so requests that overlap cannot disturb each other. */
	const answers = {
		list: () => rowsOf(pool),
		async read({ name, offset, bytesMax, bytes: room }) {
			const file = find(pool, name);
			if (!file) return new Uint8Array();
			if (!file.handle) await opened(file);
			const count = Math.max(0, Math.min(file.size - offset, bytesMax)) || 0;
			const bytes = room?.length >= count ? room.subarray(0, count) : new Uint8Array(count);
			let filled = 0;
			for (let count = 1; count && filled < bytes.length; filled += count) {
				const rest = bytes.subarray(filled);
				count = credible(file.handle.read(rest, { at: HEADER_BYTES + offset + filled }), rest);
			}
			return bytes.subarray(0, filled);
		},
		async append({ name, bytes, synced }) {
			if (!/^[!-~]{1,47}$/.test(name)) throw { code: "OPTION_INVALID", message: "no name for a blob" };
			let file = find(pool, name);
			if (!file && bytes.length === 0) return;
			try {
				for (; !file?.handle; file = find(pool, name) ?? free()) {
					if (file) await opened(file);
					else if (!free()) await (pool.length > 0 ? make(1) : begin());
				}
			} catch (error) {
				// That is what Firefox calls a full disk here.
				throw { ...explain(error), ...(error.name === "UnknownError" && FULL) };
			}
			if (!holds(file, name)) claim(file, name, nextCounter());
			append(file, bytes);
			appended += bytes.length;
			if (synced) flush(file);
		},
		async sync({ name }) {
			const file = find(pool, name);
			if (!file) return;
			if (!file.handle) await opened(file);
			trusted(file);
			flush(file);
		},
		async remove({ names }) {
			const removed = () => pool.filter(({ name }) => name && names.includes(name));
			for (const file of removed()) if (!file.handle) await opened(file);
			for (const file of removed()) release(file, nextCounter());
			for (appended = 0; shrink(); ) await sleep(0);
		},
		close,
	};

	/** Has a file's handle open, the same for all who ask. */
	async function opened(file) {
		const { number } = file;
		if (!opening.has(number)) {
			const open = async () => {
				const handle = await exclusive(await directory.getFileHandle(String(number)));
				if (!handles) {
					handle.close();
					throw CLOSED;
				}
				handles.push(handle);
				file.size = sizeOf(handle);
				file.handle = handle;
			};
			opening.set(number, open());
		}
		await opening.get(number).catch((error) => {
			opening.delete(number);
			throw error;
		});
		if (!handles) throw CLOSED;
	}

	/** Makes the pool. */
	async function begin() {
		await make(POOL_FILES);
		await idbBirth(storeName);
	}

	/** Makes so many more files. */
	async function make(count) {
		for (let number = 0; count > 0; number++) {
			if (pool.some((file) => file.number === number)) continue;
			await directory.getFileHandle(String(number), CREATE);
			// Another request may have made it meanwhile.
			if (pool.every((file) => file.number !== number)) pool.push(poolFile(number, 0));
			count--;
		}
	}

	/** A file that holds nothing, rather one whose handle is open already. */
	function free() {
		const files = pool.filter(({ distrusted, name, size }) => !distrusted && (name === "" || size === 0));
		return files.find(({ handle }) => handle) ?? files[0];
	}

	function nextCounter() {
		const newest = pool.reduce((newest, { counter }) => (counter > newest ? counter : newest), 0n);
		return newest < COUNTER_MAX ? newest + 1n : newest;
	}

	/** Gives back some of the room that free files take, if the browser can; false when there is none left. In steps, so that others get their turn. */
	function shrink() {
		const file = handles && pool.find(({ spare, name }) => spare > 0 && name === "");
		if (!file) return false;
		file.spare = Math.max(0, file.spare - Math.max(SHRINK_BYTES, 2 * appended));
		appended = 0;
		try {
			file.handle.truncate(HEADER_BYTES + file.spare);
		} catch {}
		return true;
	}

	return {
		async ask(request) {
			const call = CALLS[request.call];
			if (!handles && call !== "close") throw CLOSED;
			return answers[call](request);
		},
	};
}

/** The exclusive handle of a file. There is no queue to wait in. */
async function exclusive(file) {
	const giveUpMs = performance.now() + HANDLE_WAIT_MS;
	for (;;) {
		try {
			return await file.createSyncAccessHandle();
		} catch (error) {
			if (error.name !== "NoModificationAllowedError" || performance.now() > giveUpMs) throw error;
		}
		await sleep(HANDLE_POLL_MS);
	}
}

// Pool files

/**
 * `slot`: the one that rules; before the first claim, which takes slot 0, the other one. `name`: the blob's, empty when the file is
 * free. `size`, in bytes, without the header; `spare`: what a free file still takes besides. `distrusted`: a flush failed, so the
 * system may have dropped what it would now report as safe; or the header says nothing, so what the file holds is unknown.
 */
const poolFile = (number, size) => ({
	number,
	size,
	slot: 1,
	counter: 0n,
	name: "",
	spare: 0,
	distrusted: false,
	handle: undefined,
});

/** The pool as its headers tell. Opens no handle. */
export async function readPool(directory) {
	const files = (await poolNumbers(directory)).map((number) => peekFile(directory, number));
	return (await Promise.all(files)).filter(Boolean);
}

/** A file of the pool as its header tells; undefined where it is not there. */
export async function peekFile(directory, number) {
	const handle = await found(directory.getFileHandle(number));
	for (let tries = 1; handle; tries++)
		try {
			// A file that has changed since cannot be read any more, so every try takes a fresh one.
			const content = await handle.getFile();
			const header = new Uint8Array(HEADER_BYTES);
			header.set(new Uint8Array(await content.slice(0, HEADER_BYTES).arrayBuffer()));
			return fileWith(header, poolFile(Number(number), Math.max(0, content.size - HEADER_BYTES)));
		} catch (error) {
			if (error.code === "VERSION" || tries === PEEK_TRIES) throw error;
		}
}

/** The file that holds a blob. */
export function find(pool, name) {
	const files = pool.filter((file) => holds(file, name));
	return files.reduce((newest, file) => (newest?.counter >= file.counter ? newest : file), undefined);
}

/** `[blob, bytes]` of each blob. */
export const rowsOf = (pool) =>
	pool.filter((file) => find(pool, file.name) === file).map((file) => [file.name, file.size]);

function fileWith(header, file) {
	// Nothing but zeros: never claimed, or the first claim was lost.
	file.distrusted = header.some((byte) => byte);
	SLOT_OFFSETS.forEach((offset, slot) => {
		const view = new DataView(header.buffer, offset, SLOT_BYTES);
		if (view.getUint32(0, true) !== MAGIC || xxh64(view) !== view.getBigUint64(HASHED_BYTES, true)) return;
		if (view.getUint32(4, true) !== FORMAT_VERSION) {
			const message = "a newer version of Holdfast wrote this store; use that version to open it";
			throw { code: "VERSION", message };
		}
		const name = String.fromCharCode(...header.subarray(offset + 17, offset + 17 + view.getUint8(16)));
		const counter = view.getBigUint64(8, true);
		if (name.length > NAME_BYTES_MAX || !(file.distrusted || file.counter < counter)) return;
		Object.assign(file, { slot, counter, name, distrusted: false });
	});
	return file;
}

const holds = (file, name) => file.size > 0 && name !== "" && file.name === name;

const sizeOf = (handle) => Math.max(0, handle.getSize() - HEADER_BYTES);

function trusted({ distrusted }) {
	if (distrusted) throw { code: "UNAVAILABLE", message: "an earlier flush failed" };
}

function claim(file, name, counter) {
	if (file.handle.getSize() < HEADER_BYTES) write(file.handle, new Uint8Array(HEADER_BYTES), 0);
	file.handle.truncate(HEADER_BYTES);
	file.size = file.spare = 0;
	rewrite(file, name, counter);
}

/** Makes the file free. */
function release(file, counter) {
	rewrite(file, "", counter);
	flush(file);
	file.spare = file.size;
	file.size = 0;
}

/** Writes the slot that does not rule, which then does. */
function rewrite(file, name, counter) {
	const slot = 1 - file.slot;
	const bytes = new Uint8Array(SLOT_BYTES);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, MAGIC, true);
	view.setUint32(4, FORMAT_VERSION, true);
	view.setBigUint64(8, counter, true);
	bytes[16] = name.length;
	for (let i = 0; i < name.length; i++) bytes[17 + i] = name.charCodeAt(i);
	view.setBigUint64(HASHED_BYTES, xxh64(view), true);
	write(file.handle, bytes, SLOT_OFFSETS[slot]);
	Object.assign(file, { slot, counter, name });
}

/** All of it or, if the browser can take the rest back, nothing. */
function append(file, bytes) {
	trusted(file);
	const { handle, size } = file;
	const start = HEADER_BYTES + size;
	try {
		write(handle, bytes, start);
		if (handle.getSize() !== start + bytes.length) throw noRoom(bytes);
		file.size += bytes.length;
	} catch (error) {
		try {
			handle.truncate(start);
		} catch {}
		file.size = sizeOf(handle);
		throw error;
	}
}

function flush(file) {
	try {
		file.handle.flush();
	} catch (error) {
		file.distrusted = true;
		throw { ...explain(error), code: "UNAVAILABLE", message: "written data was not brought to the disk" };
	}
}

/** Writes all of it or fails. Less than all is continued once from where it stopped. */
function write(handle, bytes, at) {
	let rest = bytes;
	for (let tries = 0; tries < 2 && rest.length > 0; tries++)
		try {
			rest = rest.subarray(credible(handle.write(rest, { at: at + bytes.length - rest.length }), rest));
		} catch (error) {
			const { code, ...more } = explain(error);
			throw { code, ...more, ...(code === "QUOTA" && { bytesNeeded: bytes.length }) };
		}
	if (rest.length > 0) throw noRoom(bytes);
}

/** A count of transferred bytes, 0 if it cannot be true. */
const credible = (count, { length }) => (Number.isInteger(count) && count > 0 && count <= length ? count : 0);

const noRoom = ({ length }) => ({
	...FULL,
	cause: "the write stopped short",
	bytesNeeded: length,
});

/** XXH64 with seed 0 of the first 64 bytes: two stripes and no rest. */
function xxh64(view) {
	const [p1, p2, p3, p4] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n];
	const u64 = (value) => BigInt.asUintN(64, value);
	const rotate = (value, by) => u64(value << by) | (value >> (64n - by));
	const round = (lane, word) => u64(rotate(u64(lane + word * p2), 31n) * p1);
	const lanes = [u64(p1 + p2), p2, 0n, u64(-p1)];
	for (let at = 0; at < HASHED_BYTES; at += 8)
		lanes[(at / 8) % 4] = round(lanes[(at / 8) % 4], view.getBigUint64(at, true));
	let hash = u64(lanes.reduce((sum, lane, i) => sum + rotate(lane, [1n, 7n, 12n, 18n][i]), 0n));
	for (const lane of lanes) hash = u64((hash ^ round(0n, lane)) * p1 + p4);
	hash = u64(hash + BigInt(HASHED_BYTES));
	hash = u64((hash ^ (hash >> 33n)) * p2);
	hash = u64((hash ^ (hash >> 29n)) * p3);
	return hash ^ (hash >> 32n);
}
