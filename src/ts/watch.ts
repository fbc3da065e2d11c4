/**
 * Telling listeners what changed. Loaded with the first `watch`.
 *
 * Owns the feed that the engine records (src/store.rs documents its layout) and who is told what of it: each batch once, in
 * order, when it is committed. A listener that throws does not stop the others.
 */

import { NO_VALUE } from "./numbers.js";
import { reportThrown } from "./platform.js";
import { type Bounds, compareWith } from "./range.js";
import type { Inside } from "./store.js";
import { readText } from "./text.js";
import type { Change } from "./types.js";
import { decodeValue } from "./value.js";

export interface Watcher<T> {
	readonly bounds: Bounds;
	/** It is told of what was written after this seq. */
	readonly since: number;
	listener(changes: Change<T>[]): void;
	/** Called when nothing will come any more. */
	readonly ended?: (() => void) | undefined;
}

const CAUSES: readonly Change<unknown>["cause"][] = ["set", "delete", "expire", "evict", "clear"];
const HEAD_BYTES = 21;

export class Watchers<T> {
	readonly #inside: Inside<T>;
	readonly #all = new Set<Watcher<T>>();

	constructor(inside: Inside<T>) {
		this.#inside = inside;
	}

	/** Returns what ends it. */
	add(watcher: Watcher<T>): () => void {
		this.#all.add(watcher);
		return () => void this.#all.delete(watcher);
	}

	/** Tells what was recorded. */
	drain(): void {
		const { raw, instance, out } = this.#inside;
		const address = raw.changes();
		const size = out();
		const bytes = instance.current().bytes.slice(address, address + size);
		const source = { bytes, view: new DataView(bytes.buffer) };
		for (let at = 0; at < size; ) {
			const seq = source.view.getFloat64(at + 1, true);
			const told = new Map<Watcher<T>, Change<T>[]>();
			for (; at < size && source.view.getFloat64(at + 1, true) === seq; ) at = this.#read(source, at, seq, told);
			for (const [watcher, changes] of told) {
				try {
					if (this.#all.has(watcher)) watcher.listener(changes);
				} catch (error) {
					reportThrown(error);
				}
			}
		}
	}

	/** Reads one change for all who are told of its key; returns where the next one is. */
	#read(
		source: { bytes: Uint8Array<ArrayBuffer>; view: DataView },
		at: number,
		version: number,
		told: Map<Watcher<T>, Change<T>[]>,
	): number {
		const { bytes, view } = source;
		const [keyBytes, oldBytes, newBytes] = [9, 13, 17].map((place) => view.getUint32(at + place, true)) as [
			number,
			number,
			number,
		];
		const keyAt = at + HEAD_BYTES;
		const keyEnd = keyAt + keyBytes;
		const oldEnd = keyEnd + (oldBytes === NO_VALUE ? 0 : oldBytes);
		const end = oldEnd + (newBytes === NO_VALUE ? 0 : newBytes);
		for (const watcher of this.#all) {
			const { bounds, since } = watcher;
			const isIn =
				compareWith(bytes, keyAt, keyEnd, bounds.after) > 0 && compareWith(bytes, keyAt, keyEnd, bounds.end) < 0;
			if (!isIn || version <= since) continue;
			const cause = CAUSES[bytes[at] as number] as Change<T>["cause"];
			const change: Change<T> = { key: readText(bytes, keyAt + bounds.baseBytes, keyEnd), cause, version };
			if (oldBytes !== NO_VALUE) change.old = decodeValue(source, keyEnd, oldEnd) as T;
			if (newBytes !== NO_VALUE) change.value = decodeValue(source, oldEnd, end) as T;
			const changes = told.get(watcher);
			if (changes) changes.push(change);
			else told.set(watcher, [change]);
		}
		return end;
	}

	/** Tells what is left, and that nothing will come any more. */
	end(): void {
		if (!this.#inside.instance.broken) this.drain();
		for (const watcher of this.#all) watcher.ended?.();
		this.#all.clear();
	}
}
