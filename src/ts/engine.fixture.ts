/**
 * An engine without wasm, for what wasm cannot be made to do on demand: acknowledge late and in parts, fail, trap, and
 * move its memory under every call.
 */

import { Instance, type Notify, type RawEngine } from "./engine.js";
import { checkOptions } from "./options.js";
import { storeOver } from "./store.js";
import type { OpenOptions, Store } from "./types.js";

const SCRATCH_AT = 1024;
const OUT_AT = 8;

const compare = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b);

export class FakeEngine implements RawEngine {
	readonly memory = new WebAssembly.Memory({ initial: 8 });
	readonly instance = new Instance(this.memory);
	notify: Notify = () => {};
	/** Thrown by the next call. */
	thrown: unknown;
	/** What `figures` reports. */
	dataLoss: { from: number; to: number; reason: "corrupt" } | undefined;
	isClosed = false;
	isFreed = false;
	flushes = 0;
	levels: number[] = [];
	#entries: { key: Uint8Array; value: Uint8Array }[] = [];
	#seq = 0;
	#scratchBytes = 0;
	#answersAt = 0;

	/** Memory moves, as it does when it grows. */
	move(): void {
		this.memory.grow(1);
	}

	/** Everything up to these seqs is at these levels. */
	reach(osSeq: number, diskSeq: number): void {
		this.notify(0, osSeq, diskSeq, undefined);
	}

	#call(): void {
		this.move();
		if (this.thrown !== undefined) {
			const { thrown } = this;
			this.thrown = undefined;
			throw thrown;
		}
		this.#answersAt = 2 << 20;
	}

	#area(at: number, bytes: number): Uint8Array {
		const end = at + bytes;
		if (end > this.memory.buffer.byteLength)
			this.memory.grow(Math.ceil((end - this.memory.buffer.byteLength) / 65_536));
		return new Uint8Array(this.memory.buffer, at, bytes);
	}

	#put(bytes: Uint8Array): number {
		const at = this.#answersAt;
		this.#area(at, bytes.length).set(bytes);
		this.#answersAt += (bytes.length + 3) & ~3;
		return at;
	}

	#table(words: number[]): number {
		return this.#put(new Uint8Array(Uint32Array.from(words).buffer));
	}

	#scratch(at: number, bytes: number): Uint8Array {
		if (at + bytes > this.#scratchBytes) throw new Error("a length does not fit the scratch area");
		return this.#area(SCRATCH_AT + at, bytes).slice();
	}

	#find(key: Uint8Array): number {
		return this.#entries.findIndex((entry) => compare(entry.key, key) === 0);
	}

	#set(key: Uint8Array, value: Uint8Array): void {
		const at = this.#find(key);
		if (at >= 0) this.#entries.splice(at, 1);
		const next = this.#entries.findIndex((entry) => compare(entry.key, key) > 0);
		this.#entries.splice(next < 0 ? this.#entries.length : next, 0, { key, value });
	}

	*#rows(bytes: number, lengths: number): Generator<Uint8Array[]> {
		for (let at = 0; at < bytes; ) {
			const view = new DataView(this.#scratch(at, 4 * lengths).buffer);
			at += 4 * lengths;
			const row: Uint8Array[] = [];
			for (let i = 0; i < lengths; i++) {
				row.push(this.#scratch(at, view.getUint32(4 * i, true)));
				at += view.getUint32(4 * i, true);
			}
			yield row;
		}
	}

	scratch(bytes: number): number {
		// A larger area is a new one.
		if (bytes > this.#scratchBytes) {
			this.#area(SCRATCH_AT, bytes).fill(0xdd);
			this.#scratchBytes = bytes;
		}
		return SCRATCH_AT;
	}

	out(): number {
		return OUT_AT;
	}

	write(bytes: number, level: number): number {
		this.levels.push(level);
		this.#call();
		let removed = 0;
		let changed = false;
		for (let at = 0; at < bytes; ) {
			const view = new DataView(this.#scratch(at, 8).buffer);
			const [keyBytes, valueBytes] = [view.getUint32(0, true), view.getUint32(4, true)];
			const key = this.#scratch(at + 8, keyBytes);
			at += 8 + keyBytes;
			const place = this.#find(key);
			if (valueBytes !== 0xffffffff) {
				this.#set(key, this.#scratch(at, valueBytes));
				at += valueBytes;
				changed = true;
			} else if (keyBytes === 0) {
				removed += this.#entries.splice(0).length;
			} else if (place >= 0) {
				removed += this.#entries.splice(place, 1).length;
			}
		}
		new DataView(this.memory.buffer).setUint32(OUT_AT, removed, true);
		return changed || removed > 0 ? ++this.#seq : 0;
	}

	get(keyBytes: number): number {
		this.#call();
		const entry = this.#entries[this.#find(this.#scratch(0, keyBytes))];
		if (!entry) return 0;
		new DataView(this.memory.buffer).setUint32(OUT_AT, entry.value.length, true);
		return this.#put(entry.value);
	}

	count(): number {
		this.#call();
		return this.#entries.length;
	}

	get_many(bytes: number): number {
		this.#call();
		const words: number[] = [];
		for (const [key] of this.#rows(bytes, 1)) {
			const entry = this.#entries[this.#find(key as Uint8Array)];
			words.push(entry ? this.#put(entry.value) : 0, entry?.value.length ?? 0);
		}
		return this.#table(words);
	}

	scan(afterBytes: number, entriesMax: number): number {
		this.#call();
		const after = this.#scratch(0, afterBytes);
		const found = this.#entries.filter(({ key }) => compare(key, after) > 0).slice(0, entriesMax);
		return this.#table([
			found.length,
			...found.flatMap(({ key, value }) => [this.#put(key), key.length, this.#put(value), value.length]),
		]);
	}

	flush(): number {
		this.#call();
		this.flushes++;
		return this.#seq;
	}

	async checkpoint(): Promise<number[]> {
		this.#call();
		return [this.#seq, 1, this.#entries.length, 0, 0, 0];
	}

	async close(): Promise<void> {
		this.isClosed = true;
		this.#call();
		this.reach(this.#seq, this.#seq);
	}

	figures(): number[] {
		this.#call();
		const loss = this.dataLoss ? [4, this.dataLoss.from, this.dataLoss.to] : [1, -1, 0];
		const recovered = [loss[0] as number, 0, -1, 0, 0, 1, loss[1] as number, loss[2] as number];
		const rest = [this.#entries.length, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1];
		return [this.#seq, 0, 0, 0, 0, 0, ...recovered, ...rest];
	}

	cause(): unknown {
		return undefined;
	}

	free(): void {
		this.isFreed = true;
	}
}

/** A store over such an engine. `released` is filled in when the store gives back what opening took. */
export function openFake(
	options: OpenOptions = {},
	engine = new FakeEngine(),
): { store: Store; engine: FakeEngine; released: string[] } {
	const released: string[] = [];
	const { store, notify } = storeOver({
		raw: engine,
		instance: engine.instance,
		settings: checkOptions("fake", options),
		backend: options.backend === "memory" ? "memory" : "idb",
		role: "leader",
		fallback: undefined,
		gone: false,
		release: () => released.push("released"),
	});
	engine.notify = notify;
	return { store, engine, released };
}
