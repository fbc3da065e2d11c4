// What was written: the frames of all segments that count (FORMAT.md, journey open), those of removed ones too.
//
// Owns the bytes of segment headers, frames and batches, as far as it needs them; checksums are left to the engine, because what is
// there was cut at most. Each frame has its seq, the event that stored its last byte, and its ops.

import { decodeValue } from "../../src/ts/value.ts";

const HEADER_COPY_BYTES = 64;
const HEADER_BYTES = 128;
const FRAME_HEADER_BYTES = 40;
/** The first byte of the engine's own keys. */
const SYSTEM_KEY = 0xff;

const text = new TextDecoder();

/** `{ frames, faults }`: the frames in their order, and what is wrong with that. */
export function truthOf(image) {
	const faults = [];
	const segments = [...image.removed, ...image.blobs]
		.filter(([name]) => name.startsWith("log-"))
		.map(([name, blob]) => segmentOf(name, blob))
		.filter((segment) => segment !== undefined)
		.sort((one, other) => one.generation - other.generation);
	const frames = [];
	segments.forEach((segment, i) => {
		const before = Math.min(...segments.slice(i + 1).map(({ firstSeq }) => firstSeq));
		for (const frame of framesOf(segment)) {
			if (frame.seq >= before) break;
			const next = (frames.at(-1)?.seq ?? 0) + 1;
			if (frame.seq !== next) faults.push(`log-${segment.generation} goes on with ${frame.seq} instead of ${next}`);
			frames.push(frame);
		}
	});
	return { frames, faults };
}

function segmentOf(name, blob) {
	if (blob.length < HEADER_COPY_BYTES) return;
	const view = new DataView(blob.bytes.buffer, 0, blob.length);
	return { blob, view, generation: Number(name.slice(4)), firstSeq: view.getUint32(40, true) };
}

function* framesOf({ blob, view, firstSeq }) {
	let append = 0;
	for (let at = HEADER_BYTES, seq = firstSeq; at + FRAME_HEADER_BYTES <= blob.length; seq++) {
		const payloadAt = at + FRAME_HEADER_BYTES;
		const end = payloadAt + view.getUint32(at, true);
		if (end > blob.length) return;
		while (blob.appends[append][0] < end) append++;
		const frame = { seq: view.getUint32(at + 8, true), stored: blob.appends[append][1], ops: [], request: undefined };
		if (frame.seq !== seq) return;
		readOps(blob.bytes, payloadAt, frame);
		yield frame;
		at = end;
	}
}

/** The ops of a batch: `{ key, value }`, without a value for a removal, and `{ key, end }`; and which request of a follower it is. */
function readOps(bytes, start, frame) {
	let at = start;
	const varint = () => {
		let number = 0;
		for (let scale = 1; ; scale *= 128) {
			const byte = bytes[at++];
			number += (byte & 127) * scale;
			if (byte < 128) return number;
		}
	};
	const take = () => {
		const count = varint();
		at += count;
		return bytes.subarray(at - count, at);
	};
	if (bytes[at++]) {
		varint();
		varint();
	}
	for (let left = varint(); left > 0; left--) {
		const kind = bytes[at++];
		const key = take();
		const rest = kind === 1 ? undefined : take();
		if (kind === 0 && bytes[at++]) varint();
		if (key[0] === SYSTEM_KEY) {
			if (kind === 0)
				frame.request = `${key.subarray(2, 10).join(".")} ${new DataView(rest.slice().buffer).getFloat64(0, true)}`;
		} else if (kind === 0) frame.ops.push({ key: text.decode(key), value: valueIn(rest) });
		else if (kind === 1) frame.ops.push({ key: text.decode(key), value: undefined });
		else frame.ops.push({ key: text.decode(key), end: text.decode(rest) });
	}
}

function valueIn(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	return decodeValue({ bytes, view }, 0, bytes.length);
}
