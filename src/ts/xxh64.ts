/**
 * XXH64, the checksum of everything that is stored (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), for what reads
 * and writes files without the engine. Numbers of 64 bits are pairs of 32, because BigInt takes twenty times as long.
 */

type Pair = readonly [high: number, low: number];

const P1: Pair = [0x9e3779b1, 0x85ebca87];
const P2: Pair = [0xc2b2ae3d, 0x27d4eb4f];
const P3: Pair = [0x165667b1, 0x9e3779f9];
const P4: Pair = [0x85ebca77, 0xc2b2ae63];
const P5: Pair = [0x27d4eb2f, 0x165667c5];

/** The last result, whose halves are of any sign. */
let high = 0;
let low = 0;

function set(h: number, l: number): void {
	high = h | 0;
	low = l | 0;
}

function add(h: number, l: number): void {
	const sum = (low >>> 0) + (l >>> 0);
	set(high + h + (sum > 0xffffffff ? 1 : 0), sum);
}

function xor(h: number, l: number): void {
	set(high ^ h, low ^ l);
}

function times([h, l]: Pair): void {
	const [a0, a1, b0, b1] = [low & 0xffff, low >>> 16, l & 0xffff, l >>> 16];
	const [p00, p01, p10] = [a0 * b0, a0 * b1, a1 * b0];
	const middle = Math.floor(p00 / 65536) + (p01 & 0xffff) + (p10 & 0xffff);
	const carried = a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16);
	set(carried + Math.imul(high, l) + Math.imul(low, h), (p00 & 0xffff) | (middle << 16));
}

/** By 1 to 31 bits. */
function rotate(bits: number): void {
	set((high << bits) | (low >>> (32 - bits)), (low << bits) | (high >>> (32 - bits)));
}

/** Mixes eight bytes into a lane. */
function round(view: DataView, at: number): void {
	const [h, l] = [high, low];
	set(view.getInt32(at + 4, true), view.getInt32(at, true));
	times(P2);
	add(h, l);
	rotate(31);
	times(P1);
}

function merge(h: number, l: number): void {
	const [hashHigh, hashLow] = [high, low];
	set(h, l);
	times(P2);
	rotate(31);
	times(P1);
	xor(hashHigh, hashLow);
	times(P1);
	add(...P4);
}

function shiftXor(bits: number): void {
	if (bits === 32) xor(0, high);
	else if (bits > 32) xor(0, high >>> (bits - 32));
	else xor(high >>> bits, (low >>> bits) | (high << (32 - bits)));
}

/** The checksum of `[start, end)`. */
export function xxh64(bytes: Uint8Array, start: number, end: number, seed: bigint): bigint {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const [seedHigh, seedLow] = [Number(seed >> 32n), Number(seed & 0xffffffffn)];
	let at = start;
	set(seedHigh, seedLow);
	if (end - start >= 32) {
		// The lanes begin at seed + P1 + P2, seed + P2, seed, and seed - P1.
		const lanes = [P1, P2]
			.map(() => [0, 0])
			.concat([
				[0, 0],
				[0, 0],
			]) as [number, number][];
		const keep = (lane: number) => {
			lanes[lane] = [high, low];
		};
		add(...P2);
		keep(1);
		add(...P1);
		keep(0);
		set(seedHigh, seedLow);
		keep(2);
		add(~P1[0] + (P1[1] === 0 ? 1 : 0), -P1[1]);
		keep(3);
		for (; at + 32 <= end; at += 32)
			for (let lane = 0; lane < 4; lane++) {
				const state = lanes[lane] as [number, number];
				set(state[0], state[1]);
				round(view, at + 8 * lane);
				state[0] = high;
				state[1] = low;
			}
		let [sumHigh, sumLow] = [0, 0];
		[1, 7, 12, 18].forEach((bits, lane) => {
			set(...(lanes[lane] as [number, number]));
			rotate(bits);
			add(sumHigh, sumLow);
			[sumHigh, sumLow] = [high, low];
		});
		for (const [h, l] of lanes) merge(h, l);
	} else add(...P5);
	add(0, end - start);
	for (; at + 8 <= end; at += 8) {
		const [h, l] = [high, low];
		set(0, 0);
		round(view, at);
		xor(h, l);
		rotate(27);
		times(P1);
		add(...P4);
	}
	if (at + 4 <= end) {
		const [h, l] = [high, low];
		set(0, view.getInt32(at, true));
		times(P1);
		xor(h, l);
		rotate(23);
		times(P2);
		add(...P3);
		at += 4;
	}
	for (; at < end; at++) {
		const [h, l] = [high, low];
		set(0, view.getUint8(at));
		times(P5);
		xor(h, l);
		rotate(11);
		times(P1);
	}
	shiftXor(33);
	times(P2);
	shiftXor(29);
	times(P3);
	shiftXor(32);
	return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
