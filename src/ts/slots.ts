/**
 * What the map remembers of the writes of followers, so that one that is asked for again after a fail-over is made once.
 *
 * Owns the engine's keys `FF 'r' client[8] slot[1]` and their values: `[f64 number][f64 ms since 1970]`, little-endian. A slot is
 * written by the frame of the write that it tells of, so the version of its entry is that write's seq. A follower has at most
 * `SLOTS` writes under way, each with a slot of its own. Slots of tabs that are gone are removed a day later.
 */

import type { RawEngine } from "./engine.js";
import { blocksOf } from "./listing.js";
import { batchOf, type Request } from "./messages.js";
import { FOR_CLIENT, REMOVE } from "./numbers.js";
import type { Inside } from "./store.js";

/** Writes that a follower may have under way. */
export const SLOTS = 64;
/** How long a slot is kept. */
export const SLOT_MS = 24 * 3600 * 1000;

const PREFIX = [255, 0x72];
const KEY_BYTES = 11;
const VALUE_BYTES = 16;

/** Asks the engine also while the store is being closed, when calls are refused and answers are still to come. */
export function asked<T, R>({ raw, instance }: Inside<T>, ask: (raw: RawEngine) => R): R {
	try {
		return ask(raw);
	} catch (error) {
		throw instance.error(error);
	}
}

/** Makes a write that another tab asked for, or this one of a leader that is gone; with a slot it is remembered, and its keys may be the engine's own. */
export function writeFor<T, A>(
	{ write, frozen }: Inside<T>,
	{ ops, conditions, level }: Pick<Request, "ops" | "conditions" | "level">,
	answer: (seq: number, removed: number) => A,
	slot?: Uint8Array,
): Promise<A> {
	return write(
		{ level },
		() => {},
		(seq, _, removed) => {
			frozen?.clear();
			return answer(seq, removed);
		},
		conditions.length > 0 ? batchOf(conditions) : undefined,
		slot ? batchOf(ops, slot) : batchOf(ops),
		slot && FOR_CLIENT,
	);
}

/** The name of a tab: 16 hexadecimal digits. */
export function newClient(): string {
	return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keyOf(client: string, number: number): number[] {
	const id = (client.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));
	return [...PREFIX, ...id, number % SLOTS];
}

/** The op that remembers a write, behind the others of its batch: `[u32 keyBytes][u32 valueBytes][key][value]`. */
export function slotOp(client: string, number: number): Uint8Array {
	const op = new Uint8Array(8 + KEY_BYTES + VALUE_BYTES);
	const view = new DataView(op.buffer);
	view.setUint32(0, KEY_BYTES, true);
	view.setUint32(4, VALUE_BYTES, true);
	op.set(keyOf(client, number), 8);
	view.setFloat64(8 + KEY_BYTES, number, true);
	view.setFloat64(16 + KEY_BYTES, Date.now(), true);
	return op;
}

/** The seq of the frame that made a write; 0 if none is known. */
export function seqOf<T>(inside: Inside<T>, client: string, number: number): number {
	const { scratch, instance, out } = inside;
	return asked(inside, (raw) => {
		const address = raw.get(scratch.copy(Uint8Array.from(keyOf(client, number))));
		if (address === 0 || out() !== VALUE_BYTES) return 0;
		const seq = out(1);
		return instance.current().view.getFloat64(address, true) === number ? seq : 0;
	});
}

/** The newest number of a tab that a slot remembers; 0 for none. */
export function newestOf<T>({ read, scratch, instance }: Inside<T>, client: string): number {
	let newest = 0;
	for (let slot = 0; slot < SLOTS; slot++) {
		const address = read((raw) => raw.get(scratch.copy(Uint8Array.from(keyOf(client, slot)))));
		if (address !== 0) newest = Math.max(newest, instance.current().view.getFloat64(address, true));
	}
	return newest;
}

/** Every slot: its key and its value, one behind the other. */
function allSlots<T>(inside: Inside<T>): Uint8Array[] {
	const [after, end] = [Uint8Array.of(255), Uint8Array.of(255, 255)];
	const bounds = { after, end, isReverse: false, limit: Number.MAX_SAFE_INTEGER, baseBytes: 0 };
	const row = (keyAt: number, keyEnd: number, valueAt: number, valueBytes: number) => {
		const { bytes } = inside.instance;
		return Uint8Array.from([...bytes.subarray(keyAt, keyEnd), ...bytes.subarray(valueAt, valueAt + valueBytes)]);
	};
	const slots = [...blocksOf(inside, bounds, row)].flat();
	return slots.filter(({ length }) => length === KEY_BYTES + VALUE_BYTES);
}

/** Ops that set all slots again, for a map that takes the place of this one. */
export function slotOps<T>(inside: Inside<T>): Uint8Array[] {
	const head = new Uint8Array(Uint32Array.of(KEY_BYTES, VALUE_BYTES).buffer);
	return allSlots(inside).map((slot) => Uint8Array.from([...head, ...slot]));
}

/** The removals of slots that are older than `SLOT_MS`, as ops; empty where there are none. */
export function oldSlotOps<T>(inside: Inside<T>): Uint8Array[] {
	const tooOld = Date.now() - SLOT_MS;
	const head = new Uint8Array(Uint32Array.of(KEY_BYTES, REMOVE).buffer);
	return allSlots(inside)
		.filter(({ buffer }) => new DataView(buffer).getFloat64(KEY_BYTES + 8, true) < tooOld)
		.map((slot) => Uint8Array.from([...head, ...slot.subarray(0, KEY_BYTES)]));
}
