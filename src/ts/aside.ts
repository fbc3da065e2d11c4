/**
 * A context that can neither lead a store nor find whoever does: a service worker, or a shared worker that cannot start workers, on a
 * store in OPFS while no tab has it open. Loaded with the rest of what tabs need.
 *
 * Owns what it does meanwhile: it reads the files as they are, and its writes go to the queue (`queue.js`), in IndexedDB, where the next
 * leader finds them. A write without conditions counts when it is stored there, and is to be seen in this context's map from then on; one
 * with conditions waits for the leader's word. Deliberately absent: who leads (`tabs.ts`), and how the queue is emptied (`drain.ts`).
 */

import { addWrites, everyWrite, openQueue, QUEUE_FORMAT, type StoredWrite, syncWrites } from "../backend/queue.js";
import type { Batch } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";

import { batchOf, type Outcome } from "./messages.js";
import { ASKED, MORE } from "./numbers.js";
import type { Answer, Inside, Remote } from "./store.js";

/** Greater than the version of any entry. */
const NO_VERSION = Number.MAX_SAFE_INTEGER;

/** A write whose outcome is not known. */
interface Undecided {
	done(seq: number, removed: number): void;
	fail(error: unknown): void;
}

/** A write as a follower has asked for it. */
export interface Asked extends Undecided {
	readonly number: number;
	readonly ops: Uint8Array;
	readonly conditions: Uint8Array;
	readonly level: number;
}

export class Aside<T> implements Remote {
	/** Writes whose outcome the leader decides, by their numbers. */
	readonly undecided = new Map<number, Undecided>();
	readonly #inside: Inside<T>;
	readonly #name: string;
	readonly #me: string;
	readonly #nextNumber: () => number;
	#database: Promise<IDBDatabase> | undefined;
	/** What was stored up to here; versions beyond it are only known here. */
	#stored = 0;
	/** Settles when what is on its way is in the queue, or failed. */
	#last: Promise<unknown> = Promise.resolve();
	#next: { writes: StoredWrite[]; strict: boolean; added: Promise<void> } | undefined;

	constructor(inside: Inside<T>, name: string, me: string, nextNumber: () => number) {
		this.#inside = inside;
		this.#name = name;
		this.#me = me;
		this.#nextNumber = nextNumber;
	}

	/** Begins, with an engine that has what is in the files: has what waits already, of earlier contexts too, in its map. */
	async begin(): Promise<void> {
		this.#stored = this.#inside.raw.seq();
		this.#inside.tab.queue = { queued: 0 };
		const database = await openQueue(this.#name, false);
		if (!database) return;
		this.#database = Promise.resolve(database);
		for (const [format, , , ops, conditions] of await everyWrite(database)) {
			this.#count(1);
			if (format <= QUEUE_FORMAT && conditions.length === 0) this.#apply(ops);
		}
	}

	#count(more: number): void {
		const { queue } = this.#inside.tab;
		if (queue) queue.queued += more;
	}

	/** Takes what a leader did not answer. */
	adopt(asked: Asked[]): void {
		for (const one of asked) void this.#add(one);
	}

	write<A>(ops: Uint8Array, given: Batch | undefined, level: number, answer: Answer<A>): Promise<A> {
		const conditions = given?.bytes.slice(0, given.at) ?? new Uint8Array();
		forgetOwn(conditions, this.#stored);
		return new Promise<[number, number]>((resolve, reject) => {
			const done = (...given: [seq: number, removed: number]) => resolve(given);
			void this.#add({ ...{ number: this.#nextNumber(), ops, conditions, level }, done, fail: reject });
		}).then(([seq, removed]) => answer(seq, Math.max(1, level), removed));
	}

	async #add({ number, ops, conditions, level, done, fail }: Asked): Promise<void> {
		const isUndecided = conditions.length > 0;
		if (isUndecided) this.undecided.set(number, { done, fail });
		try {
			await this.#put([QUEUE_FORMAT, this.#me, number, ops, conditions, level], level === 2);
			this.#count(1);
			// Its seq is the leader's to say.
			if (!isUndecided) done(0, this.#apply(ops));
		} catch (error) {
			this.undecided.delete(number);
			fail(fromWasm(error));
		}
	}

	/** Resolves when the write is in the queue; all that come while others are stored go together. */
	#put(write: StoredWrite, strict: boolean): Promise<void> {
		if (!this.#next) {
			const next = { writes: [] as StoredWrite[], strict: false };
			const add = async () => {
				if (this.#next?.writes === next.writes) this.#next = undefined;
				this.#database ??= openQueue(this.#name, true);
				const database = await this.#database.catch((error) => {
					this.#database = undefined;
					throw error;
				});
				await addWrites(database, this.#name, next.writes, next.strict);
			};
			const added = this.#last.then(add);
			this.#last = added.catch(() => {});
			this.#next = Object.assign(next, { added });
		}
		this.#next.writes.push(write);
		this.#next.strict ||= strict;
		return this.#next.added;
	}

	/** Applies what is in the queue to the map; gives how many entries it removed. */
	#apply(ops: Uint8Array): number {
		const { scratch, read, out, frozen, drain } = this.#inside;
		const count = scratch.ops(batchOf(ops), undefined);
		const removed = read((raw) => {
			raw.write(count, 0, ASKED);
			return out();
		});
		frozen?.clear();
		drain();
		return removed;
	}

	/** Resolves when what was written so far is in the queue, or failed. */
	async settled(): Promise<void> {
		await this.#last;
	}

	async flush(): Promise<number> {
		await this.settled();
		if (this.#database) await syncWrites(await this.#database);
		return this.#stored;
	}

	async checkpoint(): Promise<never> {
		throw new HoldfastError("UNAVAILABLE", "Only a tab can do this, and none has the store open; open it in one.");
	}

	import(): Promise<never> {
		return this.checkpoint();
	}

	/** Answers what the leader has decided. */
	tell(outcomes: Outcome[]): void {
		for (const { number, seq, removed, error } of outcomes) {
			const undecided = this.undecided.get(number);
			this.undecided.delete(number);
			if (error === undefined) undecided?.done(seq, removed);
			else undecided?.fail(fromWasm(error));
		}
	}

	/** Lets go of the queue, once everything is in it. */
	async end(): Promise<void> {
		await this.settled();
		this.#inside.tab.queue = undefined;
		(await this.#database?.catch(() => undefined))?.close();
		this.#database = undefined;
	}

	/** Rejects what is not decided. */
	close(error: unknown): void {
		for (const { fail } of this.undecided.values()) fail(error);
		this.undecided.clear();
	}
}

/**
 * Changes conditions so that what only this context has seen, its own writes in the queue, meets none: the leader gives such writes other
 * versions. Whoever tries again does so with these.
 */
function forgetOwn(conditions: Uint8Array, stored: number): void {
	const view = new DataView(conditions.buffer, conditions.byteOffset, conditions.length);
	for (let at = 0; at < conditions.length; ) {
		const keyBytes = view.getUint32(at, true);
		const isRange = keyBytes >= MORE;
		if (view.getFloat64(at + 4, true) > stored) view.setFloat64(at + 4, isRange ? stored : NO_VERSION, true);
		at += isRange ? 16 + (keyBytes - MORE) + view.getUint32(at + 12, true) : 12 + keyBytes;
	}
}
