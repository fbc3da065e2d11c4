/**
 * The leader's side: what it stores it tells, and what followers want it writes. Loaded when another tab first shows up.
 *
 * Owns the copy of what is appended to the log, which is the stream that followers apply: it is told when the storage has it, so
 * no follower ever has what a dead leader lost. A follower's writes are made in the order of their numbers, each once. Blobs are not
 * removed while somebody loads them. Errors reach the follower that asked.
 */

import { sleep } from "../backend/glue.js";
import type { JsStorage } from "../backend/opfs.js";
import { drainQueue } from "./drain.js";
import { fromWasm, HoldfastError } from "./error.js";
import { importFrom } from "./import.js";
import {
	type Answer,
	batchOf,
	type Call,
	type Calls,
	type Channels,
	changed,
	type Frames,
	type ImportStep,
	type Message,
	PROTOCOL,
	type Progress,
	plainError,
	type Request,
	type Writes,
	type Written,
} from "./messages.js";
import { FOR_CLIENT } from "./numbers.js";
import { pause } from "./platform.js";
import { asked, oldSlotOps, SLOTS, seqOf, slotOp, writeFor } from "./slots.js";
import { statsOf } from "./stats.js";
import type { Inside } from "./store.js";
import { FRAME_HEADER_BYTES, magicOf, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC } from "./stored.js";
import type { Backend, TransferProgress } from "./types.js";

/** Frames that are kept for whoever missed them, in bytes. */
const KEPT_BYTES_MAX = 4 << 20;
/** A load that asks for nothing for so long has ended. */
const LOAD_MS_MAX = 5000;
/** How often to look whether a load has ended. */
const LOADS_POLL_MS = 50;

/** A leader that is no more one says nothing of a write. */
const UNANSWERED: readonly unknown[] = ["CLOSED", "FENCED", "POISONED"];

/** What is known of the writes of a follower. */
interface Client {
	/** The number of the next write. */
	next: number;
	/** What was said of writes that no frame tells of. */
	readonly answers: Map<number, Written>;
}

/** What a follower imports. */
interface Import {
	readonly from: string;
	readonly writer: WritableStreamDefaultWriter<Uint8Array>;
	report: Promise<unknown>;
	progress: TransferProgress | undefined;
}

type Ask = JsStorage["ask"];

/** What a storage is asked (src/backend/remote.rs). */
interface StorageRequest {
	call: number;
	name: string;
	offset: number;
	bytesMax: number;
	bytes: Uint8Array;
	synced: boolean;
	names?: string[];
}

const NO_BYTES = new Uint8Array();

export class Leading<T> {
	/** The name of the term: what is sent to it reaches no other leader. */
	readonly term: string;
	readonly #inside: Inside<T>;
	readonly #channels: Channels;
	readonly #backend: Backend;
	readonly #storage: JsStorage;
	/** What the storage was before it was listened to. */
	readonly #ask: Ask;
	readonly #clients = new Map<string, Client>();
	/** The headers of segments, by the name of their blob. */
	readonly #headers = new Map<string, Uint8Array>();
	readonly #kept: Frames[] = [];
	#keptBytes = 0;
	/** The newest seq that was told, and the newest that is synced. */
	#told: number;
	#disk: number;
	/** When each tab that loads last asked for something. */
	readonly #loading = new Map<string, number>();
	#import: Import | undefined;
	#ended = false;

	constructor(inside: Inside<T>, storage: JsStorage, channels: Channels, backend: Backend, term: string) {
		this.#inside = inside;
		this.#channels = channels;
		this.#backend = backend;
		this.#storage = storage;
		this.term = term;
		this.#ask = storage.ask;
		[, this.#told = 0, this.#disk = 0] = inside.acknowledgements.reached;
		storage.ask = (request) => this.#asked(request as StorageRequest);
		channels.hear(term, (message) => this.#hear(message));
		this.welcome();
		this.#removeOld();
	}

	/** Tells who leads, and how far it is: whoever has just come, or everybody. */
	welcome(who = ""): void {
		this.#post(who, this.#progress("lead"));
	}

	/** Lets go of the storage; what is on its way to it is not told any more. */
	end(): void {
		this.#ended = true;
		this.#storage.ask = this.#ask;
		this.#channels.close(this.term);
		void this.#import?.writer.abort(changed()).catch(() => {});
	}

	/** The engine has told how far it is. */
	progressed(isCheckpoint: boolean): void {
		const [, os = 0, disk = 0] = this.#inside.acknowledgements.reached;
		if (this.#ended || (os === this.#told && disk === this.#disk && !isCheckpoint)) return;
		// What is stored without having been appended to the log, nobody was told of: it has to be read.
		[this.#told, this.#disk] = [Math.max(os, this.#told), disk];
		// The engine is in the middle of a call.
		queueMicrotask(() => this.#post("", this.#progress("progress")));
	}

	#progress(kind: Progress["kind"]): Progress {
		return {
			kind,
			from: this.term,
			protocol: PROTOCOL,
			backend: this.#backend,
			os: this.#told,
			disk: this.#disk,
			newest: newestSnapshot(this.#inside),
		};
	}

	#post(to: string, message: Message): void {
		if (!this.#ended) this.#channels.to(to).postMessage(message);
	}

	// ------------------------------------------------------------------------------------------------ the log

	async #asked(request: StorageRequest): Promise<unknown> {
		const { call, name, bytes, synced, names } = request;
		if (call === 4 && names?.some((name) => /^(log|snap)-/.test(name))) await this.#loaded();
		// The buffer goes to the I/O worker and is gone here.
		const copy = call === 2 && name.startsWith("log-") ? bytes.slice() : undefined;
		const told = this.#told;
		const value = await this.#ask.call(this.#storage, request);
		if (copy) this.#appended(name, copy, synced);
		if (call === 3 && name.startsWith("log-")) this.#disk = Math.max(this.#disk, told);
		return value;
	}

	#appended(name: string, appended: Uint8Array, synced: boolean): void {
		let bytes = appended;
		if (magicOf(bytes) === SEGMENT_MAGIC) {
			this.#headers.set(name, bytes.slice(0, SEGMENT_HEADER_BYTES));
			bytes = bytes.subarray(SEGMENT_HEADER_BYTES);
		}
		const header = this.#headers.get(name);
		if (bytes.length === 0) return;
		const seqs = [...frameSeqs(bytes)];
		const [first, last] = [seqs[0] as number, seqs.at(-1) as number];
		this.#told = Math.max(this.#told, last);
		if (synced) this.#disk = Math.max(this.#disk, last);
		// The segment was begun before anybody listened: who needs this asks for it, and gets it from the storage.
		if (!header) {
			this.#post("", this.#progress("progress"));
			return;
		}
		const evicted = (this.#inside.room?.evicted ?? []).filter((seq) => seq >= first && seq <= last);
		const frames: Frames = {
			...{ kind: "frames", from: this.term, first, last, header, bytes, evicted },
			disk: this.#disk,
		};
		this.#kept.push(frames);
		this.#keptBytes += bytes.length;
		while (this.#keptBytes > KEPT_BYTES_MAX && this.#kept.length > 1)
			this.#keptBytes -= this.#kept.shift()?.bytes.length ?? 0;
		this.#post("", frames);
	}

	/** What is kept of the frames behind a seq; undefined if something of them is missing. */
	#since(seq: number): Frames[] | undefined {
		const frames = this.#kept.filter(({ last }) => last > seq);
		let next = seq + 1;
		for (const { first, last } of frames) {
			if (first > next) return;
			next = last + 1;
		}
		return next > this.#told ? frames : undefined;
	}

	/** Resolves when nobody loads. */
	async #loaded(): Promise<void> {
		for (;;) {
			const since = Date.now() - LOAD_MS_MAX;
			for (const [who, at] of this.#loading) if (at < since) this.#loading.delete(who);
			if (this.#loading.size === 0 || this.#ended) return;
			await sleep(LOADS_POLL_MS);
		}
	}

	// ------------------------------------------------------------------------------------------------ what followers want

	#hear(message: Message): void {
		if (this.#ended) return;
		if (message.kind === "writes") this.#writes(message);
		else if (message.kind === "call") void this.#answer(message);
		else if (message.kind === "hello") this.welcome(message.from);
	}

	#writes({ from, low, requests }: Writes): void {
		if (typeof from !== "string" || !Number.isSafeInteger(low) || !Array.isArray(requests)) return;
		let client = this.#clients.get(from);
		if (!client) {
			client = { next: low, answers: new Map() };
			this.#clients.set(from, client);
		}
		// Below that a leader before this one may have answered.
		client.next = Math.max(client.next, low);
		for (const number of client.answers.keys()) if (number < low) client.answers.delete(number);
		for (const request of requests) {
			const { number } = request;
			if (number < client.next) {
				const answer = client.answers.get(number);
				// Without one its frame tells, or will.
				if (answer) this.#post(from, answer);
				else if (number >= low) this.#post(from, this.#progress("progress"));
			} else if (number > client.next || number >= low + SLOTS) {
				this.#post(from, { kind: "again", from: this.term, next: client.next });
				return;
			} else {
				client.next++;
				// A leader before this one has made it: the frame was read with the others.
				if (seqOf(this.#inside, from, number)) this.#post(from, this.#progress("progress"));
				else void this.#write(from, client, request);
			}
		}
	}

	async #write(from: string, client: Client, { number, ops, conditions, level }: Request): Promise<void> {
		const inside = this.#inside;
		let answer: Omit<Written, "kind" | "from" | "number"> | undefined;
		try {
			const before = inside.raw.seq();
			answer = await writeFor(
				inside,
				// Its frame is what tells of it, so it has to be stored.
				{ ops, conditions, level: Math.max(1, level) },
				(seq, removed) => (seq > before ? undefined : { seq, removed }),
				slotOp(from, number),
			);
		} catch (error) {
			const { acknowledgements, instance } = inside;
			const { code } = error as HoldfastError;
			// Its storage has failed: another tab, or this one with a new worker, may do better.
			if (code === "POISONED") inside.tab.lost?.();
			// The next leader is asked again.
			if (instance.broken || UNANSWERED.includes(code)) return;
			// What it was refused for may be on its way to the storage, or be taken back.
			await acknowledgements.wait(inside.raw.seq(), 1, undefined).catch(() => {});
			answer = { seq: acknowledgements.reached[1] as number, removed: 0, error: plainError(error) };
		}
		if (!answer) return;
		const written: Written = { kind: "written", from: this.term, number, ...answer };
		client.answers.set(number, written);
		this.#post(from, written);
	}

	async #answer({ from, id, call, argument }: Call): Promise<void> {
		const calls: Calls = {
			list: () => this.#list(from),
			read: (argument) => this.#read(from, argument),
			loaded: async () => void this.#loading.delete(from),
			since: async (seq) => this.#since(seq),
			flush: async () => (await this.#inside.flush()).seq,
			checkpoint: async () => (await this.#inside.raw.run(0)) as number[],
			queue: (numbers) => drainQueue(this.#inside, this.#channels.name, from, numbers),
			import: (argument) => this.#importStep(from, argument),
		};
		let answer: Omit<Answer, "kind" | "id">;
		try {
			if (!Object.hasOwn(calls, call)) throw new HoldfastError("VERSION", "No such call; reload the page.");
			answer = { value: await calls[call](argument) };
		} catch (error) {
			answer = { error: plainError(fromWasm(error)) };
		}
		this.#post(from, { kind: "answer", id, ...answer });
	}

	/** The blobs that a store can be read from: a snapshot that is being written is none of them. */
	async #list(from: string): Promise<unknown> {
		this.#loading.set(from, Date.now());
		const rows = (await this.#ask.call(this.#storage, request(0))) as [name: string, bytes: number][];
		const [newest = 0] = newestSnapshot(this.#inside);
		return rows.filter(([name]) => !name.startsWith("snap-") || Number(name.slice(5)) <= newest);
	}

	async #read(from: string, { name, offset, bytesMax }: Parameters<Calls["read"]>[0]): Promise<Uint8Array> {
		this.#loading.set(from, Date.now());
		return (await this.#ask.call(this.#storage, { ...request(1), name, offset, bytesMax })) as Uint8Array;
	}

	async #importStep(from: string, { step, maxBytes, bytes }: ImportStep): Promise<unknown> {
		if (step === "begin") {
			const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
			const begun: Import = { from, writer: writable.getWriter(), report: Promise.resolve(), progress: undefined };
			const onProgress = (progress: TransferProgress) => {
				begun.progress = progress;
			};
			begun.report = importFrom(this.#inside, "", readable, { maxBytes, onProgress });
			begun.report.catch(() => {});
			this.#import = begun;
			return;
		}
		const running = this.#import;
		if (running?.from !== from) throw changed();
		const { writer, report } = running;
		if (step === "piece") {
			// When it has failed, that is the answer.
			await Promise.race([writer.write(bytes ?? NO_BYTES).catch(() => report), report]);
			return running.progress;
		}
		this.#import = undefined;
		if (step === "cancel") await writer.abort(changed()).catch(() => {});
		else await writer.close().catch(() => {});
		return report;
	}

	/** Has what is remembered of tabs that are gone removed. */
	async #removeOld(): Promise<void> {
		try {
			await pause();
			const ops = oldSlotOps(this.#inside);
			if (this.#ended || ops.length === 0) return;
			const removals = () => {};
			await this.#inside.write({ level: 0 }, removals, () => {}, undefined, batchOf(...ops), FOR_CLIENT);
		} catch {
			// The next leader tries again.
		}
	}
}

/** A request to a storage without what most of them do not need. */
export function request(call: number): StorageRequest {
	return { call, name: "", offset: 0, bytesMax: 0, bytes: new Uint8Array(), synced: false };
}

/** Generation, seq and bytes of the newest snapshot; zeros for none. */
function newestSnapshot<T>(inside: Inside<T>): number[] {
	const { snapshot } = statsOf(asked(inside, (raw) => raw.figures()));
	return snapshot ? [snapshot.generation, snapshot.seq, snapshot.bytes] : [0, 0, 0];
}

/** The seqs of whole frames, back to back. */
export function* frameSeqs(bytes: Uint8Array): Generator<number, void> {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	for (let at = 0; at < bytes.length; at += FRAME_HEADER_BYTES + view.getUint32(at, true))
		yield Number(view.getBigUint64(at + 8, true));
}
