/**
 * A bound on the live data of a store. Loaded by opening with `maxBytes`.
 *
 * Owns the order in which keys were used: first those that this opening has not seen used, in key order, then the one whose last
 * use is longest ago. Bytes are those of keys and values. Errors: `QUOTA` with the bytes that found no room.
 */

import { Batch, type RawEngine, type Scratch } from "./engine.js";
import { HoldfastError } from "./error.js";
import { blocksOf } from "./listing.js";
import { ASKED, BEYOND_UTF8, BLOCK_ENTRIES, EVICTING, MORE, REMOVE } from "./numbers.js";
import { boundsOf } from "./range.js";
import type { Inside } from "./store.js";
import { readText } from "./text.js";

/** What it sees of a store. */
export interface RoomInside {
	readonly raw: RawEngine;
	readonly scratch: Scratch;
	out(place?: number): number;
	forget(keys: Iterable<string>): void;
	/** Itself, once it is open. */
	inside(): Inside<unknown>;
}

export interface Room {
	/** A key is used, if it is one and has an entry. */
	touch(key: string): void;
	/** Makes room for a batch that is about to be written, if its conditions hold. */
	make(batch: Batch, conditions?: Batch): void;
	/** Seqs of the newest removals that made room. */
	readonly evicted: number[];
	/** The most that everything may take. */
	readonly maxBytes: number;
	/** Every entry may be another one. */
	restart(): void;
}

/** So many groups of writes are not told of at once. */
const EVICTED_MAX = 4096;
/** Fewer used keys are kept as they are. */
const USED_MIN = 1024;

export function roomFor(maxBytes: number, eviction: "reject" | "lru"): (inside: RoomInside) => Room {
	return ({ raw, scratch, out, forget, inside }) => {
		/** In the order of their last use. What is gone may be among them. */
		const used = new Set<string>();
		/** With so many, those that are gone are looked for. */
		let usedMax = USED_MIN;
		/** Goes on behind the key it gave last. */
		let walk = used.values();
		const nothing = new Batch();
		const made: number[] = [];
		/** Behind which unused keys are looked for; null when all were seen. */
		let unusedAfter: string | undefined | null;
		const has = (key: string) => raw.get(scratch.key(key)) !== 0;
		/** The bytes of a key's entry, 0 without. */
		const sizeOf = (key: string, keyBytes: number) => (has(key) ? out() + keyBytes : 0);

		function use(key: string): void {
			used.delete(key);
			if (eviction !== "lru") return;
			used.add(key);
			if (used.size < usedMax) return;
			for (const key of used) if (!has(key)) used.delete(key);
			usedMax = Math.max(USED_MIN, 2 * used.size);
		}

		function touch(key: string): void {
			if (eviction === "lru" && has(key)) use(key);
		}

		function* leastUsed(): Generator<string, void, undefined> {
			while (unusedAfter !== null) {
				const range = unusedAfter === undefined ? {} : { after: unusedAfter };
				const bounds = boundsOf({ ...range, limit: BLOCK_ENTRIES });
				const keys = [...blocksOf(inside(), bounds, inside().keyRow)].flat();
				for (const key of keys) {
					unusedAfter = key;
					if (!used.has(key)) yield key;
				}
				if (keys.length < BLOCK_ENTRIES) unusedAfter = null;
			}
			for (let left = used.size; left > 0; left--) {
				let next = walk.next();
				if (next.done) {
					walk = used.values();
					next = walk.next();
				}
				if (next.done) return;
				used.delete(next.value);
				yield next.value;
			}
		}

		function make(batch: Batch, conditions?: Batch): void {
			const { bytes, view } = batch;
			const written = new Set<string>();
			let needed = raw.live_bytes() - maxBytes;
			let stored = 0;
			for (let at = 0; at < batch.at; ) {
				const keyBytes = view.getUint32(at, true);
				const valueBytes = view.getUint32(at + 4, true);
				if (valueBytes === REMOVE && keyBytes >= MORE) {
					at += 12 + keyBytes - MORE + view.getUint32(at + 8, true);
					continue;
				}
				const keyAt = at + (keyBytes >= MORE ? 16 : 8);
				const keyEnd = keyAt + (keyBytes % MORE);
				if (bytes[keyAt] === BEYOND_UTF8) {
					// The engine's own: little, and not to be evicted.
					at = keyEnd + (valueBytes === REMOVE ? 0 : valueBytes);
					continue;
				}
				const key = readText(bytes, keyAt, keyEnd);
				if (!written.has(key)) needed -= sizeOf(key, keyEnd - keyAt);
				written.add(key);
				at = keyEnd;
				if (valueBytes === REMOVE) {
					used.delete(key);
					continue;
				}
				stored += keyEnd - keyAt + valueBytes;
				at += valueBytes;
				use(key);
			}
			needed += stored;
			if (stored === 0 || needed <= 0) return;
			if (eviction === "reject" || stored > maxBytes) {
				const message = `The store may hold ${maxBytes} bytes; remove something, or open it with a larger maxBytes.`;
				throw new HoldfastError("QUOTA", message, { bytesNeeded: needed });
			}
			// What is refused by a condition evicts nothing.
			if (conditions) raw.write(scratch.ops(nothing, conditions), 0, ASKED);
			const evicted: string[] = [];
			for (const key of leastUsed()) {
				if (written.has(key)) {
					use(key);
					continue;
				}
				evicted.push(key);
				needed -= sizeOf(key, new TextEncoder().encode(key).length);
				if (needed <= 0) break;
			}
			const removal = new Batch();
			removal.remove(evicted);
			made.push(raw.write(scratch.ops(removal), 0, EVICTING));
			if (made.length > EVICTED_MAX) made.shift();
			forget(evicted);
		}
		function restart(): void {
			used.clear();
			walk = used.values();
			unusedAfter = undefined;
		}

		return { touch, make, maxBytes, restart, evicted: made };
	};
}
