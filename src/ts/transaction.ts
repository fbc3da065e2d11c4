/**
 * Transactions, updates and counters: reads, then a write that is made only if what was read still holds. Loaded with the
 * first of them.
 *
 * Owns what a transaction has read and is going to write. It is optimistic: nothing is locked, its body may wait for anything,
 * and it runs again when somebody else was faster. Points are validated by their versions, ranges by whether anything in them
 * has changed, so there are no phantoms; the seqs of the frames are the order in which transactions took place. Errors:
 * `CONFLICT` after the last try, `VALUE_INVALID`, `KEY_INVALID`, `CLOSED` for a transaction that is over.
 */

import { Batch } from "./engine.js";
import { entryOf } from "./entry.js";
import { HoldfastError } from "./error.js";
import { listing, type Parts, partsOf } from "./listing.js";
import { MORE, REMOVE, TRIES } from "./numbers.js";
import type { Wanted } from "./options.js";
import { type Bounds, boundsOf, compareWith } from "./range.js";
import type { Inside } from "./store.js";
import type { Range, SetOptions, Transaction } from "./types.js";
import { decodeValue } from "./value.js";

const isConflict = (error: unknown) => error instanceof HoldfastError && error.code === "CONFLICT";

/** Throws `CONFLICT` if writes were taken back since: what was read may be gone, with its version or seq given to another write. */
function unbrokenSince<T>({ instance }: Inside<T>): () => void {
	const { rejections } = instance;
	return () => {
		if (instance.rejections !== rejections)
			throw new HoldfastError("CONFLICT", "What was read was taken back, because there was no room for it.");
	};
}

export async function update<T>(
	inside: Inside<T>,
	key: string,
	change: (old: T | undefined) => T | undefined | Promise<T | undefined>,
	wanted: Wanted,
): Promise<T | undefined> {
	for (let tries = 1; ; tries++) {
		const unbroken = unbrokenSince(inside);
		const entry = entryOf(inside, key);
		const changed = change(entry?.value);
		// What is not waited for cannot be overtaken.
		const value = changed instanceof Promise ? await changed : changed;
		const version = wanted.version ?? entry?.version ?? 0;
		try {
			unbroken();
			if (value === undefined) await inside.remove([key], { ...wanted, version }, () => {});
			else await inside.set(key, value, { ...wanted, version, expiresAt: wanted.expiresAt ?? entry?.expiresAt });
			return value;
		} catch (error) {
			if (!isConflict(error) || tries === TRIES || wanted.version !== undefined) throw error;
		}
	}
}

export async function increment<T>(inside: Inside<T>, key: string, by = 1, wanted: Wanted): Promise<number> {
	const add = (old: unknown = 0) => {
		const sum = [old, by].every(Number.isSafeInteger) ? (old as number) + by : Number.NaN;
		if (!Number.isSafeInteger(sum))
			throw new HoldfastError(
				"VALUE_INVALID",
				`Adding ${by} to ${JSON.stringify(key)} has to give an integer up to 2^53 - 1 from another.`,
			);
		return sum as T;
	};
	return (await update(inside, key, add as (old: T | undefined) => T, wanted)) as number;
}

/** The part of a store that a transaction is about. */
interface Part<T> {
	readonly inside: Inside<T>;
	/** What its keys begin with in the store. */
	readonly base: string;
	/** A key as it is in the store. */
	own(key: string): string;
	/** What an option of `set` asks for. */
	wantedOf(options?: SetOptions): Wanted;
}

export async function transaction<T, R>(
	part: Part<T>,
	body: (tx: Transaction<T>) => R | Promise<R>,
	wanted: Wanted,
): Promise<R> {
	for (let tries = 1; ; tries++) {
		const attempt = new Attempt(part);
		try {
			const result = await body(attempt.transaction());
			await attempt.commit(wanted);
			return result;
		} catch (error) {
			if (!isConflict(error) || tries === TRIES) throw error;
		} finally {
			attempt.isOver = true;
		}
	}
}

/** The version of nothing. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** One run of a transaction's body. */
class Attempt<T> {
	isOver = false;
	readonly #part: Part<T>;
	readonly #inside: Inside<T>;
	/** The version of each key that was read. */
	readonly #versions = new Map<string, number>();
	readonly #ranges: { bounds: Bounds; seq: number }[] = [];
	readonly #unbroken: () => void;
	/** The ops to write by key, in the order of the keys' first. */
	readonly #writes = new Map<string, Batch>();

	constructor(part: Part<T>) {
		this.#part = part;
		this.#inside = part.inside;
		this.#unbroken = unbrokenSince(part.inside);
	}

	transaction(): Transaction<T> {
		const { own, wantedOf } = this.#part;
		const get = (given: string) => {
			this.#live();
			const key = own(given);
			const written = this.#writes.get(key);
			if (written) return stored<T>(written);
			const entry = entryOf(this.#inside, key);
			const version = entry?.version ?? 0;
			const known = this.#versions.get(key) ?? version;
			// A key that was absent may be so again: then its version alone does not tell of what was read in between.
			this.#versions.set(key, known === version ? version : NEVER);
			return entry && { value: entry.value };
		};
		// Of keys alone no value is decoded.
		const keysOf = (range: Range | undefined) => this.#rows(range, "keys", (key) => [key, undefined as T]);
		const entriesOf = (range: Range | undefined) => this.#rows(range, "entries", (entry) => entry);
		return {
			get: async (key) => get(key)?.value,
			has: async (key) => get(key) !== undefined,
			getMany: async (keys) => [...keys].map((key) => get(key)?.value),
			set: (key, value, options) =>
				this.#write(own(key), (batch, key) => batch.set(key, value, wantedOf(options).expiresAt)),
			delete: (key) => this.#write(own(key), (batch, key) => batch.remove([key])),
			keys: (range) => listing(() => [keysOf(range).map(([key]) => key)]),
			values: (range) => listing(() => [entriesOf(range).map(([, value]) => value)]),
			entries: (range) => listing(() => [entriesOf(range)]),
			count: async (range) => keysOf(range).length,
		};
	}

	commit(wanted: Wanted): Promise<unknown> {
		this.#unbroken();
		const conditions = new Batch();
		for (const [key, version] of this.#versions) conditions.version(key, version);
		for (const { bounds, seq } of this.#ranges) conditions.unchanged(bounds, seq);
		const keys = [...this.#writes.keys()];
		return this.#inside.write(
			wanted,
			(batch) => {
				for (const written of this.#writes.values()) batch.add(written);
			},
			() => this.#inside.forget(keys),
			conditions,
		);
	}

	#live(): void {
		if (this.isOver) throw new HoldfastError("CLOSED", "The transaction is over; begin another one.");
	}

	#write(key: string, fill: (batch: Batch, key: string) => void): void {
		this.#live();
		const batch = new Batch();
		fill(batch, key);
		this.#writes.set(key, batch);
	}

	/** The entries of a range with what this transaction has written. */
	#rows<P extends keyof Parts<T>>(
		range: Range = {},
		part: P,
		entryOf: (row: Parts<T>[P]) => [string, T],
	): [string, T][] {
		this.#live();
		const { base } = this.#part;
		const bounds = boundsOf(range, base);
		this.#ranges.push({ bounds, seq: this.#inside.raw.seq() });
		const written = [...this.#writes].filter(([key]) => isIn(key, bounds));
		// Without writes of its own, no more is read than asked for.
		const limit = written.length > 0 ? Number.MAX_SAFE_INTEGER : bounds.limit;
		const rows = new Map([...partsOf(this.#inside, { ...bounds, limit }, part)].flat().map(entryOf));
		for (const [key, op] of written) {
			const found = stored<T>(op);
			const outer = key.slice(base.length);
			if (found) rows.set(outer, found.value);
			else rows.delete(outer);
		}
		const sorted = [...rows];
		if (written.length > 0) {
			sorted.sort(([one], [other]) => compareKeys(one, other));
			if (bounds.isReverse) sorted.reverse();
		}
		return sorted.slice(0, bounds.limit);
	}
}

const encoder = new TextEncoder();

function compareKeys(one: string, other: string): number {
	const bytes = encoder.encode(one);
	return compareWith(bytes, 0, bytes.length, encoder.encode(other));
}

function isIn(key: string, { after, end }: Bounds): boolean {
	const bytes = encoder.encode(key);
	return compareWith(bytes, 0, bytes.length, after) > 0 && compareWith(bytes, 0, bytes.length, end) < 0;
}

/** The value that an op of one key stores, unless it removes it. */
function stored<T>(op: Batch): { value: T } | undefined {
	const keyBytes = op.view.getUint32(0, true);
	const isRemoved = op.view.getUint32(4, true) === REMOVE;
	const start = keyBytes >= MORE ? 16 + keyBytes - MORE : 8 + keyBytes;
	return isRemoved ? undefined : { value: decodeValue(op, start, op.at) as T };
}
