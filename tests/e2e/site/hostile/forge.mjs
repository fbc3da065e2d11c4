// Snapshots as FORMAT.md has them, with lies in any field and checksums that fit.
//
// Owns the bytes, made from the specification alone and not by the package. Sizes are bytes; keys and values are bytes or text.

const MASK = 2n ** 64n - 1n;
const [P1, P2, P3, P4, P5] = [
	0x9e3779b185ebca87n,
	0xc2b2ae3d27d4eb4fn,
	0x165667b19e3779f9n,
	0x85ebca77c2b2ae63n,
	0x27d4eb2f165667c5n,
];
const HEADER_BYTES = 64;
const CHUNK_HEADER_BYTES = 24;
const BLOCK_HEADER_BYTES = 32;

const rotated = (x, bits) => ((x << bits) | (x >> (64n - bits))) & MASK;
const mixed = (lane, input) => (rotated((lane + input * P2) & MASK, 31n) * P1) & MASK;
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** XXH64 by its specification. */
export function xxh64(bytes, seed) {
	const view = viewOf(bytes);
	const u64 = (at) => view.getBigUint64(at, true);
	let at = 0;
	let hash = (seed + P5) & MASK;
	if (bytes.length >= 32) {
		const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
		for (; at + 32 <= bytes.length; at += 32) for (let i = 0; i < 4; i++) lanes[i] = mixed(lanes[i], u64(at + 8 * i));
		hash = [1n, 7n, 12n, 18n].reduce((sum, bits, i) => (sum + rotated(lanes[i], bits)) & MASK, 0n);
		for (const lane of lanes) hash = ((hash ^ mixed(0n, lane)) * P1 + P4) & MASK;
	}
	hash = (hash + BigInt(bytes.length)) & MASK;
	for (; at + 8 <= bytes.length; at += 8) hash = (rotated(hash ^ mixed(0n, u64(at)), 27n) * P1 + P4) & MASK;
	if (at + 4 <= bytes.length) {
		hash = (rotated(hash ^ ((BigInt(view.getUint32(at, true)) * P1) & MASK), 23n) * P2 + P3) & MASK;
		at += 4;
	}
	for (; at < bytes.length; at++) hash = (rotated(hash ^ ((BigInt(bytes[at]) * P5) & MASK), 11n) * P1) & MASK;
	hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
	hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
	return hash ^ (hash >> 32n);
}

export function joined(...parts) {
	const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

const bytesOf = (given) => (typeof given === "string" ? new TextEncoder().encode(given) : given);

function varint(value) {
	const bytes = [];
	let rest = BigInt(value);
	for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
	return new Uint8Array([...bytes, Number(rest)]);
}

/** An entry; what it says of its lengths may be given, and in `head` the bytes of all of them. */
function entryBytes({ key, value, expiresAt, keyBytes, valueBytes, head }) {
	const [keyPart, valuePart] = [bytesOf(key), bytesOf(value)];
	const expiry = new Uint8Array(expiresAt === undefined ? 0 : 8);
	if (expiresAt !== undefined) viewOf(expiry).setBigUint64(0, BigInt(expiresAt), true);
	const lengths = head ?? [
		...varint(keyBytes ?? keyPart.length),
		...varint(2n * BigInt(valueBytes ?? valuePart.length) + BigInt(expiresAt !== undefined)),
		0,
	];
	return joined(new Uint8Array(lengths), expiry, keyPart, valuePart);
}

/** A block; `lies` are fields in place of the right ones, and `behind` bytes behind the last entry. */
export function blockOf(entries, lies = {}) {
	const data = entries.map(entryBytes);
	const size = joined(...data).length;
	let slots = 2;
	while (slots < entries.length + Math.floor(entries.length / 2) + 1) slots *= 2;
	const start = BLOCK_HEADER_BYTES + 2 * slots;
	const head = new Uint8Array(start + 2 * entries.length).fill(0xff, BLOCK_HEADER_BYTES, start);
	const view = viewOf(head);
	view.setUint32(0, lies.entries ?? entries.length, true);
	view.setUint32(4, lies.slots ?? slots, true);
	view.setBigUint64(8, 1n, true);
	view.setBigUint64(16, 1n, true);
	view.setUint32(24, lies.dataBytes ?? size, true);
	view.setUint32(28, 0, true);
	let at = 0;
	entries.forEach((_, i) => {
		view.setUint16(start + 2 * i, lies.offsets?.[i] ?? at % 65_536, true);
		at += data[i].length;
	});
	return joined(head, ...data, lies.behind ?? new Uint8Array());
}

/**
 * A snapshot of these blocks. `lies`: `magic version generation epoch seq` of the header; `blockBytes` and `numbers` of the chunks by
 * their number; `chunks`, `chunksSum` of the footer; `headerSum chunkSum blockSum footerSum`: what is added to a checksum.
 */
export function snapshotOf(blocks, lies = {}) {
	const salt = lies.salt ?? 0x0123456789abcdefn;
	const header = new Uint8Array(HEADER_BYTES);
	const view = viewOf(header);
	header.set(bytesOf(lies.magic ?? "HFSNP\r\n\x1a"));
	view.setUint32(8, lies.version ?? 1, true);
	view.setBigUint64(16, lies.generation ?? 1n, true);
	view.setBigUint64(24, lies.epoch ?? 1n, true);
	view.setBigUint64(32, salt, true);
	view.setBigUint64(40, lies.seq ?? 1n, true);
	view.setBigUint64(56, xxh64(header.subarray(0, 56), 0n) + (lies.headerSum ?? 0n), true);
	const sums = blocks.map((block) => (xxh64(block, salt) + (lies.blockSum ?? 0n)) & MASK);
	const chunkOf = (bytes, number, sum) => {
		const head = new Uint8Array(CHUNK_HEADER_BYTES);
		const view = viewOf(head);
		view.setUint32(0, bytes, true);
		view.setUint32(4, number, true);
		view.setBigUint64(8, sum, true);
		view.setBigUint64(16, xxh64(head.subarray(0, 16), salt) + (lies.chunkSum ?? 0n), true);
		return head;
	};
	const parts = blocks.flatMap((block, i) => [
		chunkOf(lies.blockBytes?.[i] ?? block.length, lies.numbers?.[i] ?? i, sums[i]),
		block,
	]);
	const all = new Uint8Array(8 * sums.length);
	sums.forEach((sum, i) => {
		viewOf(all).setBigUint64(8 * i, sum, true);
	});
	const whole = (xxh64(all, salt) + (lies.footerSum ?? 0n)) & MASK;
	const footer = chunkOf(0, lies.chunks ?? blocks.length, whole);
	return joined(header, ...parts, ...(lies.unended ? [] : [footer]), lies.behind ?? new Uint8Array());
}

/** Where its chunks begin: `[headerAt, blockAt, end]`, the footer as the last one, without a block. */
export function chunksOf(snapshot) {
	const view = viewOf(snapshot);
	const chunks = [];
	for (let at = HEADER_BYTES; ; ) {
		const blockBytes = view.getUint32(at, true);
		const blockAt = at + CHUNK_HEADER_BYTES;
		chunks.push([at, blockAt, blockAt + blockBytes]);
		if (blockBytes === 0) return chunks;
		at = blockAt + blockBytes;
	}
}

/** The snapshot with other checksums, after its blocks were changed in place. */
export function resealed(snapshot) {
	const blocks = chunksOf(snapshot)
		.slice(0, -1)
		.map(([, from, to]) => snapshot.subarray(from, to));
	return snapshotOf(blocks);
}
