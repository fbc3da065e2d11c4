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

/** The high half of a product, of which the low half is `Math.imul(l, m)`: sums of products of 16 bits, none above 32. */
function highOfProduct(h: number, l: number, g: number, m: number): number {
	const [l0, l1, m0, m1] = [l & 0xffff, l >>> 16, m & 0xffff, m >>> 16];
	const one = Math.imul(l1, m0) + (Math.imul(l0, m0) >>> 16);
	const other = Math.imul(l0, m1) + (one & 0xffff);
	return (Math.imul(l1, m1) + (one >>> 16) + (other >>> 16) + Math.imul(h, m) + Math.imul(l, g)) | 0;
}

function times([h, l]: Pair): void {
	set(highOfProduct(high, low, h, l), Math.imul(low, l));
}

/** By 1 to 31 bits. */
function rotate(bits: number): void {
	set((high << bits) | (low >>> (32 - bits)), (low << bits) | (high >>> (32 - bits)));
}

/** Mixes eight bytes into a lane, `[low, high]` at an index of `lanes`. All the time is spent here, so it works on numbers alone. */
function round(lanes: Int32Array, lane: number, view: DataView, at: number): void {
	const [p1High, p1Low, p2High, p2Low] = [0x9e3779b1, 0x85ebca87, 0xc2b2ae3d, 0x27d4eb4f];
	const inputLow = view.getInt32(at, true);
	const sum = ((lanes[lane] as number) >>> 0) + (Math.imul(inputLow, p2Low) >>> 0);
	const carry = sum > 0xffffffff ? 1 : 0;
	const l = sum | 0;
	const input = highOfProduct(view.getInt32(at + 4, true), inputLow, p2High, p2Low);
	const h = ((lanes[lane + 1] as number) + input + carry) | 0;
	const rotatedLow = (l << 31) | (h >>> 1);
	lanes[lane] = Math.imul(rotatedLow, p1Low);
	lanes[lane + 1] = highOfProduct((h << 31) | (l >>> 1), rotatedLow, p1High, p1Low);
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
		const lanes = new Int32Array(8);
		const keep = (lane: number) => lanes.set([low, high], 2 * lane);
		add(...P2);
		keep(1);
		add(...P1);
		keep(0);
		set(seedHigh, seedLow);
		keep(2);
		add(~P1[0], -P1[1]);
		keep(3);
		for (; at + 32 <= end; at += 32) for (let lane = 0; lane < 4; lane++) round(lanes, 2 * lane, view, at + 8 * lane);
		const laneOf = (lane: number) => [lanes[2 * lane + 1], lanes[2 * lane]] as [number, number];
		let [sumHigh, sumLow] = [0, 0];
		[1, 7, 12, 18].forEach((bits, lane) => {
			set(...laneOf(lane));
			rotate(bits);
			add(sumHigh, sumLow);
			[sumHigh, sumLow] = [high, low];
		});
		for (let lane = 0; lane < 4; lane++) merge(...laneOf(lane));
	} else add(...P5);
	add(0, end - start);
	for (; at + 8 <= end; at += 8) {
		const [h, l] = [high, low];
		const lane = new Int32Array(2);
		round(lane, 0, view, at);
		set(lane[1] as number, lane[0] as number);
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
