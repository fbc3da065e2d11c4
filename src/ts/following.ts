/**
 * The follower's side: the map is loaded through the leader, its frames are applied in their order, and writes go to it. Loaded in a
 * tab that finds the store open elsewhere.
 *
 * Owns which frames are missing, and the writes that are not answered: each is answered by the frame that holds it, whoever is
 * the leader then, or by the word of the leader where there is none. What is not answered is asked for again; a leader made by a
 * fail-over finds in the map which writes were made. Deliberately absent: who leads (`tabs.ts`).
 */

import type { JsStorage } from "../backend/opfs.js";
import type { Batch } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { frameSeqs, request } from "./leading.js";
import {
	type Call,
	type Calls,
	type Channels,
	changed,
	type Frames,
	hello,
	type ImportStep,
	type Message,
	type Progress,
	type Request,
	type Written,
} from "./messages.js";
import { FOLLOWING, MORE } from "./numbers.js";
import { asked, SLOT_MS, SLOTS, seqOf } from "./slots.js";
import { statsOf } from "./stats.js";
import type { Answer, Inside, Remote } from "./store.js";
import { FRAME_HEADER_BYTES } from "./stored.js";
import type { ImportReport } from "./types.js";
import { watchersOf } from "./watch.js";

/** How often what is not answered is asked for again, and how often a follower that hears nothing asks how far the leader is. */
export const ASK_AGAIN_MS = 500;
export const POLL_MS = 2000;
/** A leader that says nothing for so long while somebody waits for it is stuck. */
export const SILENT_MS = 3000;
/** So many reads are under way beyond the one that is waited for. */
const READS_AHEAD = 4;
/** What is read at once where the storage itself is read, and how many of these beyond the one that is waited for. */
const DIRECT_BYTES = 4 << 20;
const DIRECT_AHEAD = 2;
/** Frames that came too early are kept up to so many messages. */
const EARLY_MAX = 256;

/** A write that is not answered. */
interface Pending extends Request {
	readonly at: number;
	/** The leader has said that no frame tells of it. */
	written?: Written;
	done(seq: number, removed: number): void;
	fail(error: unknown): void;
}

/** What a tab answers itself when it leads. */
export interface Own {
	write(asked: Pick<Request, "ops" | "conditions" | "level">): Promise<[seq: number, removed: number]>;
	flush(): Promise<number>;
	checkpoint(): Promise<number[]>;
}

interface Waiting {
	readonly message: Call;
	/** It may be asked of another leader too. */
	readonly isRepeatable: boolean;
	resolve(value: never): void;
	reject(error: unknown): void;
}

export class Following<T> implements Remote {
	/** The term that is followed; undefined while nobody leads. */
	leader: string | undefined;
	/** When the leader last said something, and since when somebody has waited for it. */
	heardAt = performance.now();
	/** The newest snapshot that the leader knows to be whole. */
	newest: readonly number[] = [];
	readonly #me: string;
	readonly #channels: Channels;
	#inside: Inside<T> | undefined;
	#applied = 0;
	#disk = 0;
	/** Of the newest write. */
	number: number;
	readonly #pending = new Map<number, Pending>();
	/** Numbers that wait for a slot. */
	readonly #later: Pending[] = [];
	#toSend: Pending[] = [];
	#early: Frames[] = [];
	#calls = 0;
	readonly #waiting = new Map<number, Waiting>();
	#reading: Promise<void> | undefined;
	/** What the storage itself is read by, until everything is loaded. */
	#direct: Promise<JsStorage> | undefined;
	/** Frames wait until what is missing was read. */
	#isPaused = true;
	#timer: ReturnType<typeof setInterval> | undefined;
	readonly #stuck: () => void;
	/** Who answers since this tab has led. */
	#own: Own | undefined;
	/** Since when the leader has owed an answer; 0 if it does not. */
	#askedAt = 0;
	#tickedAt = 0;

	/** Writes are numbered behind `number`: slots know the earlier ones. `stuck` is told when the leader does not answer. */
	constructor(me: string, channels: Channels, number: number, stuck: () => void) {
		this.number = number;
		this.#me = me;
		this.#channels = channels;
		this.#stuck = stuck;
	}

	// ------------------------------------------------------------------------------------------------ loading

	/**
	 * What the engine loads from: the leader's blobs, as long as it leads. Snapshots, which do not change, are read from the storage itself where
	 * that can be had, because each message is copied several times; `begun` says that the newest is wanted before anybody has said what there is.
	 */
	storage(direct?: Promise<JsStorage>, begun?: "begun"): JsStorage {
		direct?.catch(() => {});
		this.#shut();
		this.#direct = direct;
		let sizes = new Map<string, number>();
		/** What `direct` has; it is asked for large pieces. */
		let stored: Promise<Map<string, number>> | undefined;
		/** Blobs are read from front to back, and most of the time that a read takes is spent waiting. */
		const ahead = new Map<string, Promise<Uint8Array>>();
		const read = (name: string, offset: number, bytesMax: number, ask: Calls["read"]) => {
			const place = `${name} ${offset} ${bytesMax}`;
			const begun = ahead.get(place) ?? ask({ name, offset, bytesMax });
			// Whoever never asks for it is not told why it failed.
			begun.catch(() => {});
			ahead.set(place, begun);
			return { place, begun };
		};
		const askDirect: Calls["read"] = async (part) =>
			(await (await direct)?.ask({ ...request(1), ...part })) as Uint8Array;
		/** A piece, and those behind it. */
		const readFrom = (name: string, from: number, size: number): Promise<Uint8Array> => {
			const { begun } = read(name, from, DIRECT_BYTES, askDirect);
			const end = Math.min(size, from + (DIRECT_AHEAD + 1) * DIRECT_BYTES);
			for (let next = from + DIRECT_BYTES; next < end; next += DIRECT_BYTES) read(name, next, DIRECT_BYTES, askDirect);
			return begun;
		};
		const look = async () =>
			new Map(await direct?.then((direct) => direct.ask(request(0)) as Promise<[string, number][]>).catch(() => []));
		if (begun) {
			stored = look();
			void stored.then((sizes) => {
				const generations = [...sizes.keys()].filter(isSnapshot).map((name) => Number(name.slice(SNAPSHOT.length)));
				const newest = `${SNAPSHOT}${Math.max(...generations)}`;
				if (sizes.has(newest)) readFrom(newest, 0, sizes.get(newest) as number);
			});
		}
		const readDirect = async (name: string, offset: number, bytesMax: number): Promise<Uint8Array | undefined> => {
			const size = (await stored)?.get(name);
			if (size === undefined || size !== sizes.get(name)) return;
			const isLast = offset + bytesMax >= size;
			const from = offset - (offset % DIRECT_BYTES);
			const begun = readFrom(name, from, size);
			ahead.delete(`${name} ${from - DIRECT_BYTES} ${DIRECT_BYTES}`);
			const bytes = (await begun).subarray(offset - from, offset - from + bytesMax);
			if (isLast) ahead.clear();
			const isWhole = bytes.length === Math.min(bytesMax, size - offset);
			return isWhole ? bytes : undefined;
		};
		const ask = async (given: object): Promise<unknown> => {
			const { call, name, offset, bytesMax } = given as { call: number } & Parameters<Calls["read"]>[0];
			if (call === 0) {
				if (!begun) {
					ahead.clear();
					stored = look();
				}
				begun = undefined;
				const rows = await this.call("list", undefined);
				sizes = new Map(rows as [string, number][]);
				return rows;
			}
			if (call === 1) {
				const found = isSnapshot(name) && (await readDirect(name, offset, bytesMax).catch(() => undefined));
				if (found) return found;
				const askLeader: Calls["read"] = (part) => this.call("read", part);
				const { place, begun } = read(name, offset, bytesMax, askLeader);
				ahead.delete(place);
				const end = Math.min(sizes.get(name) ?? 0, offset + (READS_AHEAD + 1) * bytesMax);
				for (let next = offset + bytesMax; next < end; next += bytesMax) read(name, next, bytesMax, askLeader);
				return begun;
			}
			if (call === 5) return;
			throw { code: "UNAVAILABLE", message: "another tab writes the store" };
		};
		return { ask };
	}

	/** Closes what was read directly: a database that is held open could not be deleted. */
	#shut(): void {
		this.#direct?.then((direct) => direct.ask(request(5))).catch(() => {});
		this.#direct = undefined;
	}

	/** Applies what the leader writes, to an engine that was loaded. */
	begin(inside: Inside<T>): void {
		this.#shut();
		this.#inside = inside;
		asked(inside, (raw) => raw.write(0, 0, FOLLOWING));
		void this.call("loaded", undefined).catch(() => {});
		this.#goOn();
		this.#watch();
	}

	/** The engine holds what it held, or more: goes on from there. */
	#goOn(): void {
		const inside = this.#inside as Inside<T>;
		this.#applied = asked(inside, (raw) => raw.seq());
		this.#isPaused = false;
		const early = this.#early;
		this.#early = [];
		for (const frames of early.sort((one, other) => one.first - other.first)) this.#take(frames);
		this.#settle();
	}

	/** Stops applying and asking; what is not answered stays. */
	pause(): void {
		this.#shut();
		this.#isPaused = true;
		this.leader = undefined;
		clearInterval(this.#timer);
		this.#timer = undefined;
		this.#loseLeader();
	}

	/** This tab leads: what is not answered, and whoever asks later, gets its own answer. */
	lead(own: Own): void {
		const pending = this.#unanswered();
		this.#own = own;
		for (const asked of pending) own.write(asked).then(([seq, removed]) => asked.done(seq, removed), asked.fail);
		for (const { message, resolve, reject } of this.#waiting.values()) this.#askOwn(message).then(resolve, reject);
		this.#waiting.clear();
	}

	/**
	 * Refuses the writes that rest on what this tab had applied behind a seq, and which was never stored: the seqs were given to others.
	 * Nobody has been asked for any of them yet.
	 */
	refuse(behind: number): void {
		const waits = [...this.#pending.values(), ...this.#later.splice(0)];
		this.#pending.clear();
		this.#toSend = [];
		this.number -= waits.length;
		for (const pending of waits) {
			if (newestIn(pending.conditions) > behind)
				pending.fail(new HoldfastError("CONFLICT", "What was read was never stored; another tab took the store over."));
			else this.#later.push({ ...pending, number: ++this.number });
		}
		this.#admit();
	}

	async #askOwn({ call }: Call): Promise<never> {
		if (call === "flush" || call === "checkpoint") return (await this.#own?.[call]()) as never;
		throw changed();
	}

	/** Everything that is not answered, in its order, when this tab leads or is closed. What is stored here is on disk then. */
	#unanswered(): Pending[] {
		this.#disk = Number.MAX_VALUE;
		return this.leave();
	}

	/** Everything that is not answered, in its order, when what is stored is in the map. */
	leave(): Pending[] {
		if (this.#inside && !this.#inside.instance.broken) this.#applied = this.#inside.raw.seq();
		this.#settle();
		const pending = [...this.#pending.values(), ...this.#later.splice(0)];
		this.#pending.clear();
		this.#toSend = [];
		return pending;
	}

	/** Rejects everything that waits. */
	end(error: unknown): void {
		this.pause();
		for (const { fail } of this.#unanswered()) fail(error);
		for (const { reject } of this.#waiting.values()) reject(error);
		this.#waiting.clear();
	}

	// ------------------------------------------------------------------------------------------------ what the leader says

	hear(message: Message): void {
		if (message.kind === "frames") {
			// What another leader says tells nothing of the one that is asked.
			if (message.from === this.leader) this.heardAt = performance.now();
			this.#take(message);
		} else if (message.kind === "written" && message.from === this.leader) this.#written(message);
		else if (message.kind === "again" && message.from === this.leader) this.#sendFrom(message.next);
		else if (message.kind === "answer") {
			this.heardAt = performance.now();
			const waiting = this.#waiting.get(message.id);
			this.#waiting.delete(message.id);
			if (message.error !== undefined) waiting?.reject(fromWasm(message.error));
			else waiting?.resolve(message.value as never);
		}
	}

	/** How far the leader is; another one gets what the one before did not answer. */
	progressed({ from, os, disk, newest, kind }: Progress): void {
		// What an earlier leader says late leads nowhere.
		if (from !== this.leader && kind !== "lead") return;
		this.heardAt = performance.now();
		if (from !== this.leader) {
			this.leader = from;
			this.#loseLeader();
			this.#sendFrom(0);
			for (const { message } of this.#waiting.values()) this.#ask(message);
		}
		this.newest = newest;
		this.#disk = Math.max(this.#disk, Math.min(disk, os));
		if (os > this.#applied && !this.#isPaused) this.#read();
		else this.#settle();
	}

	#loseLeader(): void {
		// It may have said so because of what it could not store any more.
		for (const pending of this.#pending.values()) delete pending.written;
		for (const [id, { isRepeatable, reject }] of this.#waiting) {
			if (isRepeatable) continue;
			this.#waiting.delete(id);
			reject(changed());
		}
	}

	#take(frames: Frames): void {
		const { first, last, disk } = frames;
		if (this.#isPaused || first > this.#applied + 1) {
			if (last > this.#applied && this.#early.length < EARLY_MAX) this.#early.push(frames);
			if (!this.#isPaused) this.#read();
			return;
		}
		if (last > this.#applied) {
			const removed = this.#apply(frames);
			this.#disk = Math.max(this.#disk, disk);
			this.#settle(removed);
			const next = this.#early.findIndex(({ first }) => first <= this.#applied + 1);
			if (next >= 0) this.#take(this.#early.splice(next, 1)[0] as Frames);
		}
	}

	/** Applies what is new of some frames; gives how many entries each removed, by its seq. */
	#apply({ header, bytes, evicted }: Frames): Map<number, number> {
		const removed = new Map<number, number>();
		const inside = this.#inside as Inside<T>;
		const { scratch, out } = inside;
		let at = 0;
		try {
			const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
			for (const seq of frameSeqs(bytes)) {
				const end = at + FRAME_HEADER_BYTES + view.getUint32(at, true);
				if (seq > this.#applied) {
					const count = scratch.copy(bytes.subarray(at, end), header.length);
					scratch.bytes.set(header);
					this.#applied = asked(inside, (raw) => raw.write(count, +evicted.includes(seq), FOLLOWING));
					removed.set(seq, out());
				}
				at = end;
			}
		} catch (error) {
			if (inside.instance.broken) throw error;
			// They are not what the leader sent.
			this.#read();
		}
		inside.frozen?.clear();
		inside.drain();
		return removed;
	}

	/** Reads what is missing: from the leader's memory, else from the storage. One at a time. */
	#read(): void {
		this.#reading ??= this.#catchUp()
			.catch(() => {})
			.finally(() => {
				this.#reading = undefined;
			});
	}

	async #catchUp(): Promise<void> {
		const frames = await this.call("since", this.#applied);
		if (this.#isPaused) return;
		if (frames) for (const each of frames) this.#take(each);
		else await this.#reload();
	}

	/** Has the engine read what it lacks through the leader. */
	async #reload(): Promise<void> {
		const inside = this.#inside as Inside<T>;
		this.#isPaused = true;
		const { leader } = this;
		try {
			await recoverAgain(inside, 3, this.newest);
			if (this.leader === leader) void this.call("loaded", undefined).catch(() => {});
		} finally {
			if (this.leader) this.#goOn();
		}
	}

	// ------------------------------------------------------------------------------------------------ writes

	/** Resolves when the write is to be seen here, at its level. */
	write<A>(ops: Uint8Array, given: Batch | undefined, level: number, answer: Answer<A>): Promise<A> {
		const conditions = given?.bytes.slice(0, given.at) ?? new Uint8Array();
		const own = this.#own?.write({ ops, conditions, level });
		if (own) return own.then(([seq, removed]) => answer(seq, level, removed));
		return new Promise<[number, number]>((resolve, reject) => {
			const number = ++this.number;
			const pending: Pending = {
				...{ number, ops, conditions, level, at: Date.now() },
				done: (seq, removed) => resolve([seq, removed]),
				fail: reject,
			};
			this.#later.push(pending);
			this.#admit();
		}).then(async ([seq, removed]) => {
			// A flush is about later writes too, of which one may find no room.
			if (level === 2 && this.#disk < seq)
				await this.call("flush", undefined).catch(() => this.call("flush", undefined));
			return answer(seq, level, removed);
		});
	}

	/** Gives those that wait a slot, as long as there are some. */
	#admit(): void {
		while (this.#later.length > 0) {
			const next = this.#later[0] as Pending;
			if (next.number - this.#low() >= SLOTS) return;
			this.#later.shift();
			this.#pending.set(next.number, next);
			if (this.#toSend.push(next) === 1) queueMicrotask(() => this.#send(this.#toSend.splice(0)));
		}
	}

	/** The lowest number that is not answered. */
	#low(): number {
		return this.#pending.keys().next().value ?? this.#later[0]?.number ?? this.number + 1;
	}

	#send(pending: Pending[]): void {
		if (!this.leader || this.#isPaused || pending.length === 0) return;
		const requests = pending.map(({ number, ops, conditions, level }) => ({ number, ops, conditions, level }));
		this.#askedAt ||= performance.now();
		this.#channels.to(this.leader).postMessage({ kind: "writes", from: this.#me, low: this.#low(), requests });
	}

	#sendFrom(number: number): void {
		this.#toSend = [];
		this.#send([...this.#pending.values()].filter((pending) => pending.number >= number));
	}

	#written(written: Written): void {
		const pending = this.#pending.get(written.number);
		this.heardAt = performance.now();
		if (!pending) return;
		pending.written = written;
		if (written.seq > this.#applied) this.#read();
		else this.#settle();
	}

	/** Answers the writes that are to be seen in the map, and those that the leader has answered. */
	#settle(removed?: Map<number, number>): void {
		const inside = this.#inside;
		if (!inside) return;
		for (const [number, pending] of this.#pending) {
			const { written } = pending;
			if (written) {
				if (written.seq > this.#applied) continue;
				this.#pending.delete(number);
				if (written.error !== undefined) pending.fail(fromWasm(written.error));
				else pending.done(written.seq, written.removed);
				continue;
			}
			const seq = seqOf(inside, this.#me, number);
			if (!seq) continue;
			this.#pending.delete(number);
			// Of a frame that was read with others, only that it removed something is known.
			pending.done(seq, removed?.get(seq) ?? 1);
		}
		if (this.#pending.size === 0) this.#askedAt = 0;
		this.#admit();
	}

	/** Resolves when this tab's own writes so far are to be seen here. */
	async settled(): Promise<void> {
		const last = this.number;
		const waits = [...this.#pending.values(), ...this.#later].filter(({ number }) => number <= last);
		await Promise.all(
			waits.map(
				(pending) =>
					new Promise<void>((resolve) => {
						const { done, fail } = pending;
						pending.done = (...given) => {
							done(...given);
							resolve();
						};
						pending.fail = (error) => {
							fail(error);
							resolve();
						};
					}),
			),
		);
	}

	async flush(): Promise<number> {
		await this.settled();
		const seq = await this.call("flush", undefined);
		await this.seen(seq);
		return seq;
	}

	checkpoint(): Promise<number[]> {
		return this.call("checkpoint", undefined);
	}

	async import(step: ImportStep): Promise<unknown> {
		const answer = await this.call("import", step);
		if (step.step === "end") await this.seen((answer as ImportReport).seq);
		return answer;
	}

	/** Resolves when everything up to a seq is to be seen here. */
	async seen(seq: number): Promise<void> {
		while (this.#applied < seq && !this.#isPaused) {
			this.#read();
			await this.#reading;
		}
	}

	// ------------------------------------------------------------------------------------------------ questions

	/** Asks the leader. */
	call<C extends keyof Calls>(call: C, argument: Parameters<Calls[C]>[0]): Promise<Awaited<ReturnType<Calls[C]>>> {
		return new Promise((resolve, reject) => {
			const message = { kind: "call", from: this.#me, id: ++this.#calls, call, argument } as Call;
			if (this.#own) return void this.#askOwn(message).then(resolve, reject);
			const isRepeatable = call === "flush" || call === "checkpoint" || call === "since";
			this.#waiting.set(message.id, { message, isRepeatable, resolve, reject });
			this.#askedAt ||= performance.now();
			this.#ask(message);
			this.#watch();
		});
	}

	/** Looks now and then, from the first question on. */
	#watch(): void {
		this.#timer ??= setInterval(() => this.#tick(), ASK_AGAIN_MS);
	}

	#ask(message: Call): void {
		if (this.leader) this.#channels.to(this.leader).postMessage(message);
	}

	/** Asks again for what is not answered; finds out whether the leader is stuck. */
	#tick(): void {
		const now = performance.now();
		// A tab that slept itself has not waited; timers of a hidden one come once a second.
		if (now - this.#tickedAt > SILENT_MS) this.#askedAt = 0;
		this.#tickedAt = now;
		const isWaitedFor = this.#pending.size > 0 || this.#waiting.size > 0;
		for (const pending of [...this.#pending.values(), ...this.#later])
			if (Date.now() - pending.at > SLOT_MS / 2) {
				this.#pending.delete(pending.number);
				pending.fail(
					new HoldfastError("UNAVAILABLE", "Nobody answered for half a day; whether it was written is not known."),
				);
			}
		if (!isWaitedFor) {
			this.#askedAt = 0;
			if (now - this.heardAt < POLL_MS) return;
			// Nothing may have happened, or what happened got lost.
			if (this.leader) this.#channels.to(this.leader).postMessage(hello(this.#me));
			return;
		}
		this.#askedAt ||= now;
		const silentMs = now - Math.max(this.heardAt, this.#askedAt);
		if (this.leader && silentMs > SILENT_MS) this.#stuck();
		// Another one may lead, whose word was lost.
		if (!this.leader || silentMs > ASK_AGAIN_MS) this.#channels.to().postMessage(hello(this.#me));
		this.#sendFrom(0);
		for (const { message } of this.#waiting.values()) if (message.call !== "import") this.#ask(message);
	}
}

/** The newest seq that conditions name. */
function newestIn(conditions: Uint8Array): number {
	const view = new DataView(conditions.buffer, conditions.byteOffset, conditions.length);
	let newest = 0;
	for (let at = 0; at < conditions.length; ) {
		const keyBytes = view.getUint32(at, true);
		newest = Math.max(newest, view.getFloat64(at + 4, true));
		at += keyBytes < MORE ? 12 + keyBytes : 16 + keyBytes - MORE + view.getUint32(at + 12, true);
	}
	return newest;
}

/** What the name of a snapshot begins with, in front of its generation. */
const SNAPSHOT = "snap-";
const isSnapshot = (name: string) => name.startsWith(SNAPSHOT);

/** Has an engine that follows read what it lacks, to lead (2) or to go on following (3). */
export async function recoverAgain<T>(inside: Inside<T>, work: 2 | 3, newest: readonly number[]): Promise<void> {
	const { raw, frozen, room, acknowledgements, drain } = inside;
	const isKept = await raw.run(work, ...newest).catch((error) => {
		throw inside.instance.error(error);
	});
	frozen?.clear();
	const { osSeq, diskSeq } = statsOf(asked(inside, (raw) => raw.figures()));
	acknowledgements.progress(osSeq, diskSeq);
	drain();
	if (isKept) return;
	room?.restart();
	// Everything may be another.
	const watchers = watchersOf(raw);
	if (!watchers) return;
	watchers.replacedBy = raw.seq();
	watchers.tellReplaced();
}
