/** The checksum against the specification, written down once more in BigInt. `SEED` repeats the random bytes. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { xxh64 } from "./xxh64.js";

const [P1, P2, P3, P4, P5] = [
	0x9e3779b185ebca87n,
	0xc2b2ae3d27d4eb4fn,
	0x165667b19e3779f9n,
	0x85ebca77c2b2ae63n,
	0x27d4eb2f165667c5n,
];
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const rotated = (value: bigint, bits: bigint) => u64((value << bits) | (u64(value) >> (64n - bits)));
const round = (lane: bigint, input: bigint) => u64(rotated(u64(lane + input * P2), 31n) * P1);

function specified(bytes: Uint8Array, seed: bigint): bigint {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	let at = 0;
	let hash = seed + P5;
	if (bytes.length >= 32) {
		const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1];
		for (; at + 32 <= bytes.length; at += 32)
			lanes.forEach((lane, i) => {
				lanes[i] = round(lane, view.getBigUint64(at + 8 * i, true));
			});
		hash = [1n, 7n, 12n, 18n].reduce((sum, bits, i) => sum + rotated(lanes[i] as bigint, bits), 0n);
		for (const lane of lanes) hash = u64(hash ^ round(0n, lane)) * P1 + P4;
	}
	hash = u64(hash + BigInt(bytes.length));
	for (; at + 8 <= bytes.length; at += 8)
		hash = u64(rotated(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
	if (at + 4 <= bytes.length) {
		hash = u64(rotated(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
		at += 4;
	}
	for (; at < bytes.length; at++) hash = u64(rotated(hash ^ u64(BigInt(view.getUint8(at)) * P5), 11n) * P1);
	hash = u64((hash ^ (hash >> 33n)) * P2);
	hash = u64((hash ^ (hash >> 29n)) * P3);
	return hash ^ (hash >> 32n);
}

describe("XXH64", () => {
	it("is what the specification says for bytes of every length and any seed", () => {
		assert.equal(xxh64(new Uint8Array(), 0, 0, 0n), 0xef46db3751d8e999n);
		const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
		console.log(`SEED=${first}`);
		let state = BigInt(first) + 1n;
		const next = () => {
			state = u64(state * 6364136223846793005n + 1442695040888963407n);
			return state ^ (state >> 29n);
		};
		for (let length = 0; length < 300; length++) {
			const bytes = Uint8Array.from({ length: length + 3 }, () => Number(u64(next()) >> 56n));
			const seed = u64(next());
			const part = bytes.subarray(1, length + 1);
			assert.equal(xxh64(bytes, 1, length + 1, seed), specified(part, seed), `${length} bytes, seed ${seed}`);
		}
	});
});
