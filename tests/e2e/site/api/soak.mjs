// Mixed operations without end: what the engine's memory and the log do meanwhile.

import * as holdfast from "holdfast";
import { randomOf } from "../storm-ops.mjs";

const KEYS = 2_000;
const VALUE_BYTES_MAX = 200;
const IN_FLIGHT = 250;

let more;

/** Opens the store; `soakMore` goes on with it. */
export async function beginSoak(seed, options) {
	const random = randomOf(seed);
	const below = (end) => Math.floor(random() * end);
	const text = "v".repeat(VALUE_BYTES_MAX);
	const key = () => `key:${below(KEYS)}`;
	const value = () => text.slice(0, below(VALUE_BYTES_MAX));
	const counts = {
		set: 0,
		delete: 0,
		setMany: 0,
		clear: 0,
		scan: 0,
		watch: 0,
		ttl: 0,
		update: 0,
		transaction: 0,
		get: 0,
		told: 0,
	};
	const store = await holdfast.open("soak", options);
	const end = [() => {}];
	const ops = {
		set: () => store.set(key(), value()),
		delete: () => store.delete(key()),
		setMany: () => store.setMany(Array.from({ length: 5 }, () => [key(), value()])),
		clear: () => store.clear({ prefix: `key:${10 + below(90)}` }),
		async scan() {
			for await (const entry of store.entries({ prefix: "key:1", reverse: random() < 0.5 }))
				if (entry && random() < 0.1) break;
		},
		watch() {
			// Some listen for a while.
			end.push(
				store.watch({ prefix: `key:${below(100)}` }, (changes) => {
					counts.told += changes.length;
				}),
			);
			if (end.length > 10) end.shift()();
		},
		ttl: () => store.set(key(), value(), { ttl: 1 + below(50) }),
		update: () => store.update(key(), (old) => old ?? value()),
		transaction: () => store.transaction(async (tx) => tx.set(key(), await tx.get(key()))).catch(onlyConflicts),
		get: () => store.get(key()),
	};
	const kinds = [
		...Array(50).fill("set"),
		...Array(15).fill("delete"),
		...Array(20).fill("get"),
		...["setMany", "setMany", "ttl", "ttl", "ttl", "update", "update", "transaction", "scan", "scan", "watch"],
	];
	const began = performance.now();
	let done = 0;
	more = async (operations) => {
		let flight = [];
		for (let n = 0; n < operations; n++) {
			const kind = random() < 0.0005 ? "clear" : kinds[below(kinds.length)];
			counts[kind]++;
			flight.push(ops[kind]());
			if (flight.length < IN_FLIGHT) continue;
			await Promise.all(flight);
			flight = [];
		}
		await Promise.all(flight);
		done += operations;
		const { memory, log, checkpoints } = await store.stats();
		return {
			ops: done,
			wasmBytes: memory.wasmBytes,
			logBytes: log.bytes,
			checkpoints: checkpoints.count,
			ms: Math.round(performance.now() - began),
			counts,
		};
	};
}

/** Runs so many operations; tells how many it were of each kind so far, and what memory and log are then. */
export function soakMore(operations) {
	return more(operations);
}

function onlyConflicts(error) {
	if (error.code !== "CONFLICT") throw error;
}
