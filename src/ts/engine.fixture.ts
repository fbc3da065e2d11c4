/**
 * An engine without wasm, for what wasm cannot be made to do on demand: acknowledge late and in parts, fail, trap, and
 * move its memory under every call.
 */

import { Instance, type Notify, type RawEngine } from "./engine.js";
import { FrozenValues } from "./frozen.js";
import { checkOptions } from "./options.js";
import { storeOver } from "./store.js";
import type { OpenOptions, Store } from "./types.js";

const SCRATCH_AT = 1024;
const OUT_AT = 8;

const compare = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b);

interface Entry {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
	readonly version: number;
	/** 0: it stays. */
	readonly expiresAt: number;
}

/** In the length of a key: more follows. */
const MORE = 2 ** 31;
const REMOVE = 2 ** 32 - 1;
const SYNCING = 4;

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
	#entries: Entry[] = [];
	/** The entries as they were when a scan that goes on began. */
	readonly #views = new Map<number, Entry[]>();
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

	#set(key: Uint8Array, value: Uint8Array, expiresAt: number): void {
		const at = this.#find(key);
		if (at >= 0) this.#entries.splice(at, 1);
		const next = this.#entries.findIndex((entry) => compare(entry.key, key) > 0);
		const entry = { key, value, version: this.#seq + 1, expiresAt };
		this.#entries.splice(next < 0 ? this.#entries.length : next, 0, entry);
	}

	/** What a call leaves beside its answer. */
	#leave(...numbers: number[]): void {
		const view = new DataView(this.memory.buffer);
		[0, 1, 2].forEach((place) => {
			view.setFloat64(OUT_AT + 8 * place, numbers[place] ?? 0, true);
		});
	}

	/** Reads numbers and texts in turn. */
	#reader(start: number) {
		let at = start;
		const read = (bytes: number) => {
			at += bytes;
			return this.#scratch(at - bytes, bytes);
		};
		const view = (bytes: number) => new DataView(read(bytes).buffer);
		return { at: () => at, u32: () => view(4).getUint32(0, true), f64: () => view(8).getFloat64(0, true), read };
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

	write(bytes: number, level: number, purpose: number): number {
		if (purpose === SYNCING) {
			this.flushes++;
			this.#call();
			return this.#seq;
		}
		this.levels.push(level);
		this.#call();
		const { at, u32, f64, read } = this.#reader(0);
		const conditionsEnd = 4 + u32();
		while (at() < conditionsEnd) {
			const keyBytes = u32();
			if (keyBytes >= MORE) throw new Error("ranges are conditions of transactions only");
			const version = f64();
			if ((this.#entries[this.#find(read(keyBytes))]?.version ?? 0) !== version)
				throw { code: "CONFLICT", message: "the condition does not hold" };
		}
		let removed = 0;
		let changed = false;
		while (at() < bytes) {
			const [keyBytes, valueBytes] = [u32(), u32()];
			if (keyBytes >= MORE && valueBytes === REMOVE) {
				const endBytes = u32();
				const [start, end] = [read(keyBytes - MORE), read(endBytes)];
				const isOut = ({ key }: Entry) => compare(key, start) < 0 || compare(key, end) >= 0;
				const kept = this.#entries.filter(isOut);
				removed += this.#entries.length - kept.length;
				this.#entries = kept;
				continue;
			}
			const expiresAt = keyBytes >= MORE ? f64() : 0;
			const key = read(keyBytes % MORE);
			const place = this.#find(key);
			if (valueBytes !== REMOVE) {
				this.#set(key, read(valueBytes), expiresAt);
				changed = true;
			} else if (place >= 0) {
				removed += this.#entries.splice(place, 1).length;
			}
		}
		this.#leave(removed);
		return changed || removed > 0 ? ++this.#seq : this.#seq;
	}

	get(keyBytes: number): number {
		this.#call();
		const entry = this.#entries[this.#find(this.#scratch(0, keyBytes))];
		if (!entry) return 0;
		this.#leave(entry.value.length, entry.version, entry.expiresAt);
		return this.#put(entry.value);
	}

	#within(entries: Entry[], afterBytes: number, bytes: number): Entry[] {
		const after = this.#scratch(0, afterBytes);
		const end = this.#scratch(afterBytes, bytes - afterBytes);
		return entries.filter(({ key }) => compare(key, after) > 0 && compare(key, end) < 0);
	}

	count(afterBytes: number, bytes: number): number {
		this.#call();
		return this.#within(this.#entries, afterBytes, bytes).length;
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

	scan(number: number, afterBytes: number, bytes: number, entriesMax: number, back: boolean, goesOn: boolean): number {
		this.#call();
		const view = this.#views.get(number) ?? [...this.#entries];
		const within = this.#within(view, afterBytes, bytes);
		const found = (back ? within.reverse() : within).slice(0, entriesMax);
		const next = goesOn && within.length > found.length ? number || this.#views.size + 1 : 0;
		if (next) this.#views.set(next, view);
		else this.#views.delete(number);
		return this.#table([
			found.length,
			next,
			...found.flatMap(({ key, value, expiresAt }) => [
				...[this.#put(key), key.length, this.#put(value), value.length],
				...[expiresAt % 2 ** 32, Math.floor(expiresAt / 2 ** 32)],
			]),
		]);
	}

	end_scan(number: number): void {
		this.#views.delete(number);
	}

	/** Scans that go on. */
	get scans(): number {
		return this.#views.size;
	}

	live_bytes(): number {
		return this.#entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
	}

	seq(): number {
		this.#call();
		return this.#seq;
	}

	record_changes(): void {}

	changes(): number {
		this.#call();
		this.#leave(0);
		return OUT_AT;
	}

	async run(work: number): Promise<number[]> {
		if (work === 1) await this.close();
		else this.#call();
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
		const rest = [0, this.#entries.length, this.live_bytes(), 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1];
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
	const settings = checkOptions("fake", options);
	const { store, notify } = storeOver({
		raw: engine,
		instance: engine.instance,
		settings,
		backend: options.backend === "memory" ? "memory" : "idb",
		tab: { role: "leader" },
		fallback: undefined,
		gone: false,
		linked: undefined,
		roomFor: undefined,
		frozen: settings.values === "frozen" ? new FrozenValues() : undefined,
		release: () => released.push("released"),
	});
	engine.notify = notify;
	return { store, engine, released };
}
