/**
 * What the tabs of one store say to each other, and over what.
 *
 * Owns the channels and the shape of every message; what does not have the shape is ignored. A tab hears the channel of the store
 * and one of its own; what is meant for the leader goes to the one of its term, so that nothing said to an earlier leader reaches a
 * later one. Deliberately absent: what a message does (`leading.ts`, `following.ts`).
 */

import { Batch } from "./engine.js";
import { HoldfastError } from "./error.js";
import { channelName } from "./platform.js";
import type { Backend } from "./types.js";

/** Raised when tabs of two versions could misunderstand each other. */
export const PROTOCOL = 1;

/** Frames as they were appended to one segment. */
export interface Frames {
	readonly kind: "frames";
	readonly from: string;
	/** Of the first and the last frame. */
	readonly first: number;
	readonly last: number;
	/** The segment's header. */
	readonly header: Uint8Array;
	readonly bytes: Uint8Array;
	/** Everything up to this seq is synced. */
	readonly disk: number;
	/** Seqs whose removals had to make room. */
	readonly evicted: readonly number[];
}

/** How far the leader is. */
export interface Progress {
	readonly kind: "progress" | "lead";
	readonly from: string;
	readonly protocol: number;
	readonly backend: Backend;
	/** Everything up to these is with the system, and synced. */
	readonly os: number;
	readonly disk: number;
	/** Generation, seq and bytes of the newest snapshot; zeros for none. */
	readonly newest: readonly number[];
}

/** A newcomer, or somebody who has lost the leader, asks who leads. */
export interface Hello {
	readonly kind: "hello";
	readonly from: string;
	readonly protocol: number;
}

/** A write that a follower wants. */
export interface Request {
	readonly number: number;
	/** Ops and conditions as a batch has them. */
	readonly ops: Uint8Array;
	readonly conditions: Uint8Array;
	readonly level: number;
}

export interface Writes {
	readonly kind: "writes";
	readonly from: string;
	/** The lowest number that is not answered. */
	readonly low: number;
	readonly requests: readonly Request[];
}

/** The answer to a write of which no frame tells. */
export interface Written {
	readonly kind: "written";
	readonly from: string;
	readonly number: number;
	/** The leader's newest: everything up to it is to be seen before the answer. */
	readonly seq: number;
	readonly removed: number;
	readonly error?: unknown;
}

/** What became of a write that waited in the queue. */
export interface Outcome {
	readonly number: number;
	readonly seq: number;
	readonly removed: number;
	readonly error?: unknown;
}

/** Asks for the writes from a number on: one in front of them is missing. */
export interface Again {
	readonly kind: "again";
	readonly from: string;
	readonly next: number;
}

/** A question, and its answer. */
export interface Call {
	readonly kind: "call";
	readonly from: string;
	readonly id: number;
	readonly call: keyof Calls;
	readonly argument: never;
}

export interface Answer {
	readonly kind: "answer";
	readonly id: number;
	readonly value?: unknown;
	readonly error?: unknown;
}

/** What the leader can be asked: the argument, and the value. */
export interface Calls {
	/** The blobs, to load them. */
	list(argument: undefined): Promise<unknown>;
	read(argument: { name: string; offset: number; bytesMax: number }): Promise<Uint8Array>;
	/** Everything that was asked for is read. */
	loaded(argument: undefined): Promise<void>;
	/** The frames behind a seq; nothing if they are gone. */
	since(argument: number): Promise<Frames[] | undefined>;
	/** Resolves when everything so far is synced, to the newest seq. */
	flush(argument: undefined): Promise<number>;
	/** Resolves to the figures of the report. */
	checkpoint(argument: undefined): Promise<number[]>;
	/** Resolves when the queue is empty, to what became of these writes of whoever asks. */
	queue(numbers: number[]): Promise<Outcome[]>;
	/** Begins, goes on with and ends an import: a piece resolves to how far it is, the end to its report. */
	import(argument: ImportStep): Promise<unknown>;
}

export interface ImportStep {
	readonly step: "begin" | "piece" | "end" | "cancel";
	readonly maxBytes?: number;
	readonly bytes?: Uint8Array;
}

export type Message = Frames | Progress | Hello | Writes | Written | Again | Call | Answer;

/** A channel as tabs use it. */
export interface Channel {
	onmessage: ((event: { data: Message }) => void) | null;
	/** A message without a kind wakes a tab that was alone; everybody else ignores it. */
	postMessage(message: Message | Record<string, never>): void;
	close(): void;
}

export type ChannelOf = (name: string) => Channel;

/** The channels of a tab: those that it hears, and those that it has spoken to. */
export class Channels {
	readonly name: string;
	readonly #channelOf: ChannelOf;
	readonly #open = new Map<string, Channel>();

	constructor(name: string, channelOf: ChannelOf) {
		this.name = name;
		this.#channelOf = channelOf;
	}

	/** The channel of a tab, of a term, or of all. */
	to(who = ""): Channel {
		let channel = this.#open.get(who);
		if (!channel) {
			channel = this.#channelOf(channelName(this.name) + who);
			this.#open.set(who, channel);
		}
		return channel;
	}

	hear(who: string, told: (message: Message) => void): void {
		this.to(who).onmessage = ({ data }) => {
			if (typeof data === "object" && data !== null && typeof data.kind === "string") told(data);
		};
	}

	close(who: string): void {
		this.#open.get(who)?.close();
		this.#open.delete(who);
	}

	closeAll(): void {
		for (const who of [...this.#open.keys()]) this.close(who);
	}
}

/** An error on its way to another tab: a class is lost there. */
export function plainError(thrown: unknown): unknown {
	const { code, message, cause, path, bytesNeeded, estimate, seq } = (thrown ?? {}) as Record<string, unknown>;
	if (typeof code !== "string") return { code: "UNAVAILABLE", message: String(message ?? thrown) };
	const plain = { code, message, cause: cause && String(cause), path, bytesNeeded, estimate, seq };
	return Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
}

/** Asks who leads. */
export const hello = (from: string): Hello => ({ kind: "hello", from, protocol: PROTOCOL });

/** What rejects a call whose leader will not answer it any more. */
export function changed(): HoldfastError {
	return new HoldfastError("UNAVAILABLE", "The tab that wrote the store has changed; try again.");
}

/** A batch of ops, or of conditions, as it came from somewhere. */
export function batchOf(...parts: Uint8Array[]): Batch {
	const batch = new Batch();
	for (const bytes of parts) {
		batch.need(bytes.length);
		batch.bytes.set(bytes, batch.at);
		batch.at += bytes.length;
	}
	return batch;
}
