/**
 * Telling listeners what changed. Loaded with the first `watch`.
 *
 * Owns the feed that the engine records (src/store.rs documents its layout) and who is told what of it: each batch once, in
 * order, when it is committed. A listener that throws does not stop the others.
 */

import type { RawEngine } from "./engine.js";
import { storedFrames } from "./log.js";
import { NO_VALUE } from "./numbers.js";
import { checkAll, integer } from "./options.js";
import { reportThrown } from "./platform.js";
import { type Bounds, compareWith } from "./range.js";
import type { Inside } from "./store.js";
import { viewOf } from "./stored.js";
import { readText } from "./text.js";
import type { Change, ChangesOptions } from "./types.js";
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

/** What a loop over changes is still to be given. */
interface Told<T> {
	readonly waiting: Change<T>[];
	isOver: boolean;
	wake(): void;
}

type Replaced = Pick<Watchers<unknown>, "drain" | "replacedBy" | "tellReplaced">;

/** Those of each engine. */
const known = new WeakMap<RawEngine, Replaced>();

/** Who is to be told of what happens in an engine, if anybody is. */
export function watchersOf(raw: RawEngine): Replaced | undefined {
	return known.get(raw);
}

export class Watchers<T> {
	/** The seq of what has replaced everything, while it is still to be told. */
	replacedBy: number | undefined;
	readonly #inside: Inside<T>;
	readonly #all = new Set<Watcher<T>>();

	constructor(inside: Inside<T>) {
		this.#inside = inside;
		known.set(inside.raw, this);
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
			if (seq > (this.replacedBy ?? seq)) this.tellReplaced();
			const told = new Map<Watcher<T>, Change<T>[]>();
			for (; at < size && source.view.getFloat64(at + 1, true) === seq; ) at = this.#read(source, at, seq, told);
			for (const [watcher, changes] of told) this.#tell(watcher, changes);
		}
	}

	/** Tells everybody to read again, if that is still to be done. */
	tellReplaced(): void {
		const version = this.replacedBy;
		this.replacedBy = undefined;
		if (version === undefined) return;
		for (const watcher of this.#all)
			if (watcher.since < version) this.#tell(watcher, [{ key: "", cause: "reread", version }]);
	}

	#tell(watcher: Watcher<T>, changes: Change<T>[]): void {
		try {
			if (this.#all.has(watcher)) watcher.listener(changes);
		} catch (error) {
			reportThrown(error);
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
			if (!isWithin(bytes, keyAt, keyEnd, bounds) || version <= since) continue;
			const cause = CAUSES[bytes[at] as number] as Change<T>["cause"];
			const change: Change<T> = {
				key: keyBytes ? readText(bytes, keyAt + bounds.baseBytes, keyEnd) : "",
				cause,
				version,
			};
			if (oldBytes !== NO_VALUE) change.old = decodeValue(source, keyEnd, oldEnd) as T;
			if (newBytes !== NO_VALUE) change.value = decodeValue(source, oldEnd, end) as T;
			const changes = told.get(watcher);
			if (changes) changes.push(change);
			else told.set(watcher, [change]);
		}
		return end;
	}

	/**
	 * Everything that a listener is told from now on, and before that what the log has since a seq. `now` is the seq of the call: what
	 * is drained after this was called is not missed.
	 */
	changes(bounds: Bounds, now: number, options: ChangesOptions = {}): AsyncGenerator<Change<T>, void, undefined> {
		const { since } = checkAll("options", options, { since: integer(0, now) });
		const told: Told<T> = { waiting: [], isOver: false, wake() {} };
		const stop = this.add({
			bounds,
			since: now,
			listener(changes) {
				told.waiting.push(...changes);
				told.wake();
			},
			ended() {
				told.isOver = true;
				told.wake();
			},
		});
		return this.#follow(told, stop, () => this.#missed(bounds, since, now));
	}

	async *#follow(
		told: Told<T>,
		stop: () => void,
		missed: () => Promise<Change<T>[]>,
	): AsyncGenerator<Change<T>, void, undefined> {
		try {
			yield* await missed();
			for (;;) {
				yield* told.waiting.splice(0);
				if (told.waiting.length > 0) continue;
				if (told.isOver) return;
				await new Promise<void>((resolve) => {
					told.wake = resolve;
				});
			}
		} finally {
			stop();
		}
	}

	/** What the log has of the changes after `since`, up to `now`; where it does not have all of them, that everything is to be read again. */
	async #missed(bounds: Bounds, since: number, now: number): Promise<Change<T>[]> {
		if (since === now) return [];
		const reread: Change<T>[] = [{ key: "", cause: "reread", version: now }];
		// Of a store that has lost its end, or was made anew.
		if (since > now) return reread;
		await this.#inside.flush();
		const missed: Change<T>[] = [];
		let seq = since;
		for await (const frame of storedFrames(this.#inside)) {
			if (frame.seq <= seq || frame.seq > now) continue;
			if (frame.seq !== seq + 1) return reread;
			seq = frame.seq;
			for (const { key, value, end } of frame.ops) {
				// Which keys it removed the log does not say.
				if (end && overlap(key, end, bounds)) return reread;
				if (end || !isWithin(key, 0, key.length, bounds)) continue;
				const change: Change<T> = {
					key: readText(key, bounds.baseBytes, key.length),
					cause: value ? "set" : "delete",
					version: seq,
				};
				if (value) change.value = decodeValue({ bytes: value, view: viewOf(value) }, 0, value.length) as T;
				missed.push(change);
			}
		}
		return seq === now ? missed : reread;
	}

	/** Tells what is left, and that nothing will come any more. */
	end(): void {
		if (!this.#inside.instance.broken) this.drain();
		for (const watcher of this.#all) watcher.ended?.();
		this.#all.clear();
	}
}

/** Whether a key is within bounds. */
function isWithin(bytes: Uint8Array, start: number, end: number, bounds: Bounds): boolean {
	return compareWith(bytes, start, end, bounds.after) > 0 && compareWith(bytes, start, end, bounds.end) < 0;
}

/** Whether keys with `start <= key < end` may be within bounds. */
function overlap(start: Uint8Array, end: Uint8Array, bounds: Bounds): boolean {
	return compareWith(end, 0, end.length, bounds.after) > 0 && compareWith(start, 0, start.length, bounds.end) < 0;
}
