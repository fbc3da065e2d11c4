/**
 * Values that reads share: frozen, and kept for the next read. Loaded by opening with `values: "frozen"`.
 *
 * Owns a bounded number of decoded values by key; whoever changes a key forgets it here. Deliberately absent: values that
 * cannot be frozen all the way down, of which every read gets its own.
 */

import { DEPTH_MAX, FROZEN_BYTES_MAX, FROZEN_VALUES_MAX } from "./numbers.js";

export class FrozenValues {
	readonly freeze = freeze;

	/** Values read since the older ones were set aside; what is in neither is decoded again. */
	#newer = new Map<string, unknown>();
	#older = new Map<string, unknown>();
	#newerBytes = 0;
	#rests = false;

	/** Keeps nothing for a while. */
	rest(): void {
		this.clear();
		this.#rests = true;
	}

	resume(): void {
		this.#rests = false;
	}

	get(key: string): unknown {
		const value = this.#newer.get(key);
		if (value !== undefined || this.#older.size === 0) return value;
		const older = this.#older.get(key);
		if (older !== undefined) this.#newer.set(key, older);
		return older;
	}

	/** Freezes a value that took so many bytes, and keeps it if it could be frozen. */
	add(key: string, value: unknown, bytes: number): void {
		if (value === undefined || !freeze(value) || this.#rests) return;
		if (this.#newer.size >= FROZEN_VALUES_MAX / 2 || this.#newerBytes >= FROZEN_BYTES_MAX / 2) {
			this.#older = this.#newer;
			this.#newer = new Map();
			this.#newerBytes = 0;
		}
		this.#newer.set(key, value);
		this.#newerBytes += bytes;
	}

	forget(key: string): void {
		this.#newer.delete(key);
		this.#older.delete(key);
	}

	clear(): void {
		this.#newer.clear();
		this.#older.clear();
		this.#newerBytes = 0;
	}
}

/** Freezes arrays and plain objects all the way down; says whether there was nothing else that could change. */
function freeze(value: unknown, depth = 0): boolean {
	if (typeof value !== "object" || value === null || Object.isFrozen(value)) return true;
	const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
	if (!isPlain || depth > DEPTH_MAX) return false;
	Object.freeze(value);
	let isAll = true;
	for (const key of Object.keys(value)) isAll = freeze((value as Record<string, unknown>)[key], depth + 1) && isAll;
	return isAll;
}
