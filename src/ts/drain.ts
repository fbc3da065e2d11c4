/**
 * The leader's side of the queue (`queue.js`): what contexts wrote that could neither lead nor find a leader is written to the store. Loaded
 * where a store is found with a queue, and with the rest of what tabs need.
 *
 * Each write is made once: it has a slot (`slots.ts`) as a follower's has, those of a client are made in the order of their numbers, and they
 * leave the queue only when their frames are with the system. So what a crash leaves in the queue has been made if any slot of its client
 * has its number or a later one. What a condition refuses is told to the context that wrote it; if that does not ask, in an `error` event.
 * Writes of a newer version of Holdfast stay where they are.
 */

import {
	endQueue,
	isMarked,
	openQueue,
	QUEUE_FORMAT,
	readWrites,
	removeWrites,
	type StoredWrite,
} from "../backend/queue.js";
import { HoldfastError } from "./error.js";

import { type Outcome, plainError } from "./messages.js";
import { newestOf, seqOf, slotOp, writeFor } from "./slots.js";
import type { Inside } from "./store.js";

/** How long whoever wrote may take to ask for what was refused. */
const ASK_MS_MAX = 5000;
/** What is refused for good; with anything else the write stays in the queue. */
const FINAL = ["CONFLICT", "KEY_INVALID", "VALUE_INVALID", "TOO_LARGE"];

/** What the leader knows of a queue. */
interface Known {
	/** Settles when the last emptying has ended. */
	last: Promise<unknown>;
	/** What conditions decided, by the client and the number. */
	readonly outcomes: Map<string, Outcome>;
}

const known = new WeakMap<object, Known>();

/** Empties the queue, if anything says that there is one. */
export async function drainMarked<T>(inside: Inside<T>, name: string): Promise<void> {
	if (await isMarked(name).catch(() => false)) await drainQueue(inside, name);
}

/**
 * Empties the queue; resolves to the outcomes of the writes of a client that it asks for. What cannot be written stays, and is told
 * in an `error` event.
 */
export async function drainQueue<T>(
	inside: Inside<T>,
	name: string,
	client = "",
	numbers: readonly number[] = [],
): Promise<Outcome[]> {
	const queue = known.get(inside.raw) ?? { last: Promise.resolve(), outcomes: new Map() };
	known.set(inside.raw, queue);
	const drained = queue.last.then(() => empty(inside, name, queue));
	queue.last = drained.catch(() => {});
	await drained.catch((error) => inside.told(inside.instance.error(error)));
	return numbers.map((number) => {
		const id = `${client} ${number}`;
		const outcome = queue.outcomes.get(id) ?? unknownOutcome(inside, client, number);
		queue.outcomes.delete(id);
		return outcome;
	});
}

function unknownOutcome<T>(inside: Inside<T>, client: string, number: number): Outcome {
	const seq = seqOf(inside, client, number);
	const error = { code: "UNAVAILABLE", message: "Whether this was written is not known: read it." };
	return { number, seq, removed: 0, ...(seq ? {} : { error }) };
}

async function empty<T>(inside: Inside<T>, name: string, queue: Known): Promise<void> {
	const database = await openQueue(name, false);
	try {
		/** The newest number of each client that was made. */
		const made = new Map<string, number>();
		do {
			while (database) {
				const { keys, writes } = await readWrites(database);
				if (keys.length === 0) break;
				const outcomes = await Promise.all(writes.map((write) => make(inside, made, write)));
				await removeWrites(database, keys.at(-1) as IDBValidKey);
				for (const outcome of outcomes) if (outcome) keep(inside, queue, ...outcome);
			}
		} while (!(await endQueue(database, name)));
	} finally {
		database?.close();
	}
}

/** Makes a write, unless it was made; gives what its condition has decided. */
async function make<T>(
	inside: Inside<T>,
	made: Map<string, number>,
	[format, client, number, ops, conditions, level]: StoredWrite,
): Promise<[id: string, Outcome] | undefined> {
	if (format > QUEUE_FORMAT)
		throw new HoldfastError("VERSION", "A newer version of Holdfast has queued writes; open the store with that.");
	const newest = made.get(client) ?? newestOf(inside, client);
	made.set(client, Math.max(newest, number));
	if (number <= newest) return;
	const isConditional = conditions.length > 0;
	const outcomeOf = (outcome: Omit<Outcome, "number">): [string, Outcome] => [
		`${client} ${number}`,
		{ number, ...outcome },
	];
	try {
		// A leader's own writes may still wait, if it has just become that; these do not.
		const asked = { ops, conditions, level: Math.max(1, level) };
		const outcome = await writeFor(inside, asked, (seq, removed) => ({ seq, removed }), slotOp(client, number));
		return isConditional ? outcomeOf(outcome) : undefined;
	} catch (error) {
		if (!FINAL.includes((error as HoldfastError).code)) throw error;
		return outcomeOf({ seq: 0, removed: 0, error: plainError(error) });
	}
}

/** Keeps an outcome for whoever asks; what was refused and nobody asks for is told here. */
function keep<T>(inside: Inside<T>, { outcomes }: Known, id: string, outcome: Outcome): void {
	outcomes.set(id, outcome);
	setTimeout(() => {
		if (!outcomes.delete(id) || outcome.error === undefined) return;
		const message =
			"A write that a service worker had queued was refused, and is dropped: its condition does not hold.";
		inside.told(new HoldfastError("CONFLICT", message, { cause: outcome.error }));
	}, ASK_MS_MAX);
}
