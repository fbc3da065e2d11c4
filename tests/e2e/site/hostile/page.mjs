// The page in which hostile files are imported.
//
// Owns the store that has to stay as it is, and the look at it after every import. `begin` fills it, a group of attacks runs, `verify`
// looks at what is left, in the same page or after a reload. What is random comes from the seed. Each group resolves to what it counted.

import * as holdfast from "holdfast";
import "../page.mjs";
import { soon } from "../api/waiting.mjs";
import { equal } from "../check.mjs";
import { randomOf } from "../storm-ops.mjs";
import { blockOf, chunksOf, joined, resealed, snapshotOf } from "./forge.mjs";
import { BAD_FILES, BAD_LINES, foot, GOOD, HEAD, ODD_LINES } from "./lines.mjs";

const { HoldfastError } = holdfast;
const MEBIBYTE = 1 << 20;
const BEFORE = [
	["before:1", { n: 1 }],
	["before:2", new Map([["k", new Uint8Array([1, 2, 3])]])],
	["before:3", "x".repeat(5000)],
];

const encoder = new TextEncoder();
const utf8 = (text) => encoder.encode(text);
const bytesOfStream = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const packed = (source) => new Blob([source]).stream().pipeThrough(new CompressionStream("gzip"));
const entriesOf = (store) => store.entries().toArray();

/** A stream of what `next(i)` gives until that is undefined, made as it is read; `cancelled` resolves to why it was ended. */
function pulled(next) {
	let i = 0;
	let cancel;
	const cancelled = new Promise((resolve) => {
		cancel = resolve;
	});
	const stream = new ReadableStream(
		{
			async pull(controller) {
				const piece = await next(i++);
				if (piece === undefined) controller.close();
				else controller.enqueue(piece);
			},
			cancel,
		},
		{ highWaterMark: 0 },
	);
	return { stream, cancelled };
}

const never = () => new Promise(() => {});

let store;
let place;
let before;
let counts;
/** What the last export was made of. */
let exportedEntries;

async function image() {
	const { seq, calls, log, snapshot, checkpoints } = await store.stats();
	const kept = { seq, bytesWritten: calls.bytesWritten, log, snapshot, checkpoints: checkpoints.count };
	return { entries: await entriesOf(store), kept };
}

/** Opens the store, new and with a few entries. */
export async function begin(name, options) {
	place = { name, options };
	const first = await holdfast.open(name, options);
	await first.setMany(BEFORE);
	await first.close();
	store = await holdfast.open(name, options);
	before = await image();
	counts = {};
	return storedBytes(name, options);
}

/** All that is stored but the term, which each opening on IndexedDB takes anew, when it comes to it. */
async function storedBytes(name, { backend }) {
	return (await bytesOf(name, backend)).filter((line) => !line.startsWith("meta term:"));
}

/** Looks that a store that nothing was imported into is as `begin` left it, writes to it, and removes it. */
export async function verify(name, options, stored) {
	await store?.close();
	store = undefined;
	const kept = await storedBytes(name, options);
	const changed = kept.findIndex((line, i) => line !== stored[i]);
	if (kept.length !== stored.length || changed >= 0)
		throw new Error(`${kept[changed]?.slice(0, 200)} is stored, and was ${stored[changed]?.slice(0, 200)}`);
	const again = await holdfast.open(name, options);
	equal(again.status.recovered.dataLoss, undefined, "data loss");
	equal(await entriesOf(again), BEFORE, "the entries after opening it again");
	await again.set("written", 1);
	await again.close();
	const last = await holdfast.open(name, options);
	equal(await entriesOf(last), [...BEFORE, ["written", 1]], "what was written behind it");
	await last.close();
	await holdfast.destroy(name);
}

function count(what) {
	counts[what] = (counts[what] ?? 0) + 1;
}

/** The code with which an import ends; undefined when it brought something. Throws unless a refusal changed nothing. */
async function outcome(label, source, options) {
	let error;
	let report;
	try {
		report = await store.import(source, options);
	} catch (thrown) {
		error = thrown;
	}
	if (report) {
		count("imported");
		before = await image();
		return undefined;
	}
	if (!(error instanceof HoldfastError)) throw new Error(`${label}: rejected with ${error?.stack ?? error}`);
	equal(await image(), before, `${label}: the store after ${error.code}`);
	count(error.code);
	return error.code;
}

async function refused(label, source, code = "CORRUPT", options = undefined) {
	const found = await outcome(label, source, options);
	if (found !== code) throw new Error(`${label}: ${found ?? "imported"} instead of ${code}`);
}

/** An export of a store with entries of every kind and size, in that form. */
async function exported(form, range) {
	const name = `${place.name} source`;
	const source = await holdfast.open(name, { backend: "memory" });
	for (let i = 0; i < 20; i++) await source.set(`small:${i}`, { i, text: `value ${i}`, when: [new Date(i), -0, 12n] });
	await source.set("small:expires", "later", { expiresAt: 4_000_000_000_000 });
	for (let i = 0; i < 3; i++) await source.set(`large:${i}`, `${i}`.repeat(20_000 + i));
	exportedEntries = await entriesOf(source);
	const bytes = await bytesOfStream(source.export({ ...form, range }));
	await source.close();
	return bytes;
}

/** Where the parts of a file begin and end. */
function boundariesOf(bytes, { format, gzip }) {
	if (gzip) return [0, 2, 10, bytes.length - 8, bytes.length];
	if (format === "snapshot") {
		const chunks = chunksOf(bytes);
		const inBlocks = chunks.slice(0, -1).flatMap(([, from]) => [8, 16, 24, 28, 32].map((at) => from + at));
		return [0, 8, 12, 16, 56, 64, ...chunks.flat(), ...inBlocks];
	}
	const ends = [];
	bytes.forEach((byte, at) => {
		if (byte === 10) ends.push(at);
	});
	return [0, ...ends, bytes.length];
}

/** Cut anywhere a file is refused. */
async function cuts(seed, form, places) {
	const random = randomOf(seed, 1);
	const bytes = await exported(form);
	const at = new Set(Array.from({ length: places }, () => Math.floor(random() * bytes.length)));
	for (const boundary of boundariesOf(bytes, form)) for (let by = -2; by <= 2; by++) at.add(boundary + by);
	// The last line feed of NDJSON ends nothing that is not whole without it.
	const whole = bytes.length - (form.format === "ndjson" && !form.gzip ? 1 : 0);
	for (const length of at)
		if (length >= 0 && length < whole) await refused(`cut at ${length} of ${bytes.length}`, bytes.subarray(0, length));
	await refused("one byte behind the end", joined(bytes, new Uint8Array([1])));
	await refused("twice in a row", joined(bytes, bytes));
}

/** A file with a flipped bit is refused, or, where no checksum guards it, brings entries that can be read. */
async function flips(seed, form, places) {
	const random = randomOf(seed, 2);
	const bytes = await exported(form);
	for (let i = 0; i < places; i++) {
		const at = Math.floor(random() * bytes.length);
		const bit = 1 << Math.floor(random() * 8);
		const label = `bit ${bit} of byte ${at} of ${bytes.length} flipped`;
		const flipped = bytes.slice();
		flipped[at] ^= bit;
		const code = await outcome(label, flipped);
		const allowed = ["CORRUPT"];
		// The version is looked at before the checksum, which another version may have elsewhere.
		if (!form.gzip && (form.format === "ndjson" || (at >= 8 && at < 12))) allowed.push("VERSION");
		// What no checksum guards: lines, and in the header and the padding of gzip what means nothing.
		if (form.gzip || form.format === "ndjson") allowed.push(undefined);
		if (!allowed.includes(code)) throw new Error(`${label}: ${code ?? "imported"}`);
		if (code === undefined && form.gzip) equal(await entriesOf(store), exportedEntries, label);
	}
}

/** The same behind checksums that fit, so that what is inside the blocks is looked at. */
async function sealedFlips(seed, places) {
	const random = randomOf(seed, 3);
	const bytes = await exported({ format: "snapshot" }, { prefix: "small:" });
	const [[, from, to]] = chunksOf(bytes);
	for (let i = 0; i < places; i++) {
		const flipped = bytes.slice();
		const flippedAt = [];
		for (let n = 1 + Math.floor(random() * 3); n > 0; n--) {
			const at = from + Math.floor(random() * (to - from));
			flipped[at] ^= 1 << Math.floor(random() * 8);
			flippedAt.push(at);
		}
		const code = await outcome(`bytes ${flippedAt} of the seed ${seed} resealed`, resealed(flipped));
		if (code !== undefined && code !== "CORRUPT") throw new Error(`bytes ${flippedAt} resealed: ${code}`);
	}
}

const ENTRY = { key: "k", value: "T" };
const two = (first, second, lies) => snapshotOf([blockOf([first, second], lies)]);
const one = (entry, lies) => snapshotOf([blockOf([{ ...ENTRY, ...entry }], lies)]);

/** Lies with checksums that fit. */
function forgeries() {
	const block = blockOf([ENTRY]);
	const long = new Uint8Array(16).fill(0xff);
	const values = {
		"no bytes": [],
		"an unknown tag": [0],
		"no JSON": utf8("J{"),
		"JSON that goes on": utf8("J{}}"),
		"JSON that is no UTF-8": [0x4a, 0x22, 0xff, 0x22],
		"text that is no UTF-8": [0x53, 0xc0, 0x80],
		"a count beyond the end": [0x41, ...long.subarray(0, 4)],
		"a length beyond the end": [0x59, ...long.subarray(0, 4)],
		"an object that has not begun": [0x40, 0, 0, 0, 0],
		"bytes behind it": [0x54, 0x54],
		"no regular expression": [0x52, 0x63, 1, 0x28, 0x63, 0],
		"no BigInt": [0x47, 1, 0, 0, 0, 0x2d],
		"a view of another size": [0x56, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0x59, 4, 0, 0, 0, 1, 2, 3, 4],
		"deep nesting": Uint8Array.from({ length: 500_000 }, (_, i) => [0x41, 1, 0, 0, 0][i % 5]),
	};
	return {
		"another magic": snapshotOf([block], { magic: "HFLOG\r\n\x1a" }),
		"version 0": snapshotOf([block], { version: 0 }),
		"another checksum of the header": snapshotOf([block], { headerSum: 1n }),
		"another checksum of the chunks": snapshotOf([block], { chunkSum: 1n }),
		"another checksum of the block": snapshotOf([block], { blockSum: 1n }),
		"another checksum of the whole": snapshotOf([block], { footerSum: 1n }),
		"a greater number of chunks": snapshotOf([block], { chunks: 2 }),
		"a chunk of number 1 first": snapshotOf([block], { numbers: [1] }),
		"the same chunk twice": snapshotOf([block, block], { numbers: [0, 0] }),
		"no footer": snapshotOf([block], { unended: true }),
		"bytes behind the footer": snapshotOf([block], { behind: new Uint8Array(1) }),
		"a seq beyond 2^53": snapshotOf([block], { seq: 2n ** 53n }),
		"a block of one byte": snapshotOf([new Uint8Array(1)]),
		"a block without entries": snapshotOf([blockOf([])]),
		...Object.fromEntries(
			[1, block.length - 1, block.length + 1, 300_000_000, 300_000_001, 2 ** 31, 2 ** 32 - 1].map((bytes) => [
				`block_bytes ${bytes}`,
				snapshotOf([block], { blockBytes: [bytes] }),
			]),
		),
		...Object.fromEntries(
			[0, 2, 4096, 4097, 65_536, 2 ** 32 - 1].map((entries) => [`entries ${entries}`, one({}, { entries })]),
		),
		...Object.fromEntries([0, 1, 4, 2 ** 31, 2 ** 32 - 1].map((slots) => [`slots ${slots}`, one({}, { slots })])),
		...Object.fromEntries(
			[0, 1, 4, 6, 2 ** 31, 2 ** 32 - 1].map((dataBytes) => [`data_bytes ${dataBytes}`, one({}, { dataBytes })]),
		),
		"slots and data_bytes that fit together": one({}, { slots: 4, dataBytes: 1 }),
		"an offset": one({}, { offsets: [1] }),
		"the offset of the entry before": two(ENTRY, { ...ENTRY, key: "l" }, { offsets: [0, 0] }),
		"an offset beyond the end": two(ENTRY, { ...ENTRY, key: "l" }, { offsets: [0, 65_535] }),
		"bytes behind the entries": one({}, { behind: new Uint8Array(1), dataBytes: 6 }),
		...Object.fromEntries(
			[0, 2, 1024, 2 ** 31, 2 ** 53, 2n ** 64n].map((keyBytes) => [`key_bytes ${keyBytes}`, one({ keyBytes })]),
		),
		...Object.fromEntries(
			[0, 2, 2 ** 31, 2 ** 52, 2n ** 63n].map((valueBytes) => [`value_bytes ${valueBytes}`, one({ valueBytes })]),
		),
		"a number without an end": one({ head: long }),
		"a number of ten bytes": one({ head: [...new Array(9).fill(0x80), 1, 2, 0] }),
		"a version without an end": one({ head: [1, 2, ...long] }),
		"an expiry without its bytes": snapshotOf([blockOf([{ key: "", value: "", head: [1, 3, 0] }])]),
		"an expiry beyond 2^53": one({ expiresAt: 2n ** 53n }),
		"the greatest expiry": one({ expiresAt: 2n ** 64n - 1n }),
		"an empty key": one({ key: "" }),
		"a key of 1,025 bytes": one({ key: "k".repeat(1025) }),
		"a key of the engine": one({ key: new Uint8Array([0xff, 1]) }),
		"a key that is no UTF-8": one({ key: new Uint8Array([0x61, 0x80]) }),
		"a long key that is no UTF-8": one({ key: new Uint8Array(100).fill(0x61).fill(0xc3, 50, 51) }),
		"a lone surrogate in a key": one({ key: new Uint8Array([0xed, 0xa0, 0x80]) }),
		"a key twice": two(ENTRY, ENTRY),
		"a key twice in two blocks": snapshotOf([block, block]),
		"keys out of order": two({ ...ENTRY, key: "l" }, ENTRY),
		"blocks out of order": snapshotOf([blockOf([{ ...ENTRY, key: "l" }]), block]),
		"a key before what it begins with": two({ ...ENTRY, key: "kk" }, ENTRY),
		...Object.fromEntries(
			Object.entries(values).map(([what, value]) => [`a value: ${what}`, one({ value: new Uint8Array(value) })]),
		),
	};
}

async function forged() {
	equal(await outcome("what is not forged", snapshotOf([blockOf([ENTRY])])), undefined, "the forger's own files");
	equal(await entriesOf(store), [["k", true]], "what they hold");
	for (const [what, bytes] of Object.entries(forgeries())) {
		await refused(what, bytes);
		await refused(`${what}, packed`, packed(bytes));
	}
	for (const version of [2, 3, 2 ** 32 - 1])
		await refused(`version ${version}`, snapshotOf([blockOf([ENTRY])], { version }), "VERSION");
}

async function lines() {
	for (const line of BAD_LINES) {
		const label = line.length > 200 ? `${line.slice(0, 40)}...${line.length}` : line;
		await refused(`alone: ${label}`, utf8(line));
		await refused(`behind one: ${label}`, utf8(`${GOOD}\n${line}\n${GOOD}\n`));
		await refused(`in an export: ${label}`, utf8(`${HEAD}\n${GOOD}\n${line}\n${GOOD}\n${foot(3)}\n`));
	}
	for (const { text, code } of BAD_FILES) {
		await refused(text, utf8(text), code);
		await refused(`packed: ${text}`, packed(text), code);
	}
	for (const at of [2, 9, 20]) {
		const bytes = utf8(`${GOOD}\n`);
		for (const byte of [0x80, 0xc0, 0xff, 0]) {
			bytes[at] = byte;
			await refused(`byte ${byte} at ${at} of a line`, bytes);
		}
	}
}

/** What looks like an attack and is an entry like others: it is imported as it stands. */
async function oddLines() {
	for (const [line, value] of ODD_LINES) {
		equal(await outcome(line, utf8(line)), undefined, line);
		equal(await entriesOf(store), [["a", value]], line);
		equal([{}.polluted, Object.prototype.polluted], [undefined, undefined], "Object.prototype");
		const again = await bytesOfStream(store.export({ format: "ndjson" }));
		equal(await outcome(`${line}, exported`, again), undefined, line);
		equal(await entriesOf(store), [["a", value]], `${line}, exported and imported`);
	}
}

const NOISE_BYTES = 10_000_000;
/** What an import may take for what it refuses: the entries before the ratio is looked at, and what their map grows by. */
const WASM_BYTES_MAX = 32 * MEBIBYTE;

async function noise(seed) {
	const random = randomOf(seed, 4);
	const bytes = new Uint8Array(NOISE_BYTES);
	const view = new DataView(bytes.buffer);
	for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, random() * 2 ** 32);
	const header = snapshotOf([], { unended: true });
	const behind = (start) => new Blob([start, bytes]);
	await refused("noise", bytes);
	await refused("noise, as a Blob", new Blob([bytes]));
	await refused("noise, packed", packed(bytes));
	await refused("noise behind the magic", behind("HFSNP\r\n\x1a"), "VERSION");
	await refused("noise behind a header", behind(header));
	await refused("noise behind the magic of gzip", behind(new Uint8Array([0x1f, 0x8b])));
	await refused("noise behind a header of gzip", behind(new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])));
	await refused("noise behind a line", behind(`${GOOD}\n`));
	await refused("noise behind a brace", behind("{"));
}

const GIBIBYTE = 2 ** 30;
const PIECE_MEBIBYTES = 64;

/** A MB of entries that are packed to next to nothing. */
const largeEntries = (i) =>
	utf8(Array.from({ length: 100 }, (_, n) => `{"key":"${i}:${n}","value":"${"a".repeat(10_000)}"}\n`).join(""));

/** A snapshot up to its first block, which says that it has 300 MB. */
const largeBlock = () => snapshotOf([new Uint8Array(1)], { blockBytes: [300_000_000], unended: true }).subarray(0, 88);

/** Pieces of a MiB, a GiB of them behind `first`. */
const gibibyte = (first, pieceOf) =>
	pulled((i) => (i === 0 ? first : i <= GIBIBYTE / MEBIBYTE ? pieceOf(i) : undefined)).stream;

function bombs() {
	const zeros = new Uint8Array(MEBIBYTE);
	const letters = new Uint8Array(MEBIBYTE).fill(0x61);
	const braces = new Uint8Array(MEBIBYTE).fill(0x7b);
	const spaces = new Uint8Array(MEBIBYTE).fill(0x20);
	const lineFeeds = new Uint8Array(MEBIBYTE).fill(10);
	return {
		zeros: gibibyte(zeros, () => zeros),
		"zeros behind the magic of a snapshot": gibibyte(utf8("HFSNP\r\n\x1a"), () => zeros),
		"zeros behind a header": gibibyte(snapshotOf([], { unended: true }), () => zeros),
		"zeros in a block of 300 MB": gibibyte(largeBlock(), () => zeros),
		"a line without an end": gibibyte(utf8('{"key":"a","value":"'), () => letters),
		"braces without an end": gibibyte(braces, () => braces),
		"spaces without an end": gibibyte(spaces, () => spaces),
		"empty lines without an end": gibibyte(lineFeeds, () => lineFeeds),
		"entries without an end": gibibyte(utf8(`${HEAD}\n`), largeEntries),
	};
}

async function bombed() {
	const { wasmBytes } = (await store.stats()).memory;
	for (const [what, stream] of Object.entries(bombs()))
		await refused(`a bomb of ${what}`, stream.pipeThrough(new CompressionStream("gzip")));
	// In one piece, as `fetch` or a file may give it.
	const part = pulled((i) => (i < PIECE_MEBIBYTES ? largeEntries(i) : undefined)).stream;
	const piece = await bytesOfStream(part.pipeThrough(new CompressionStream("gzip")));
	await refused(`a bomb in a piece of ${piece.length} bytes`, pulled((i) => (i ? undefined : piece)).stream);
	const small = (from) =>
		Array.from({ length: 10_000 }, (_, n) => `{"key":"${from * 10_000 + n}","value":${n}}\n`).join("");
	await refused(
		"small entries without an end",
		gibibyte(utf8(`${HEAD}\n`), (i) => utf8(small(i))).pipeThrough(new CompressionStream("gzip")),
		"TOO_LARGE",
		{ maxBytes: 2_000_000 },
	);
	await refused(
		"a block of 300 MB that is not packed",
		gibibyte(largeBlock(), () => new Uint8Array(MEBIBYTE)),
	);
	const grown = (await store.stats()).memory.wasmBytes - wasmBytes;
	if (grown > WASM_BYTES_MAX) throw new Error(`wasm memory grew by ${grown} bytes`);
	counts.wasmBytesGrown = grown;
}

/** An entry of 100 KB in a line. */
const bulk = (i) => utf8(`{"key":"bulk:${String(i).padStart(6, "0")}","value":"${"b".repeat(100_000)}"}\n`);
const BULK_PIECES = 60;

async function streams() {
	const failing = () => pulled((i) => (i < BULK_PIECES ? bulk(i) : Promise.reject(new Error("gone")))).stream;
	await refused("a stream that fails", failing(), "UNAVAILABLE");
	await refused("a stream that fails, packed", failing().pipeThrough(new CompressionStream("gzip")), "UNAVAILABLE");
	for (const piece of ["text", 1, null, {}, [123], new ArrayBuffer(8), new Uint16Array(4), new Blob(["x"])]) {
		const type = Object.prototype.toString.call(piece);
		for (const first of [0, 1]) {
			const { stream, cancelled } = pulled((i) => (i === first ? piece : bulk(i)));
			await refused(`a stream of ${type} from piece ${first} on`, stream, "UNAVAILABLE");
			equal((await soon(cancelled, "the end of the stream")).code, "UNAVAILABLE", "what the stream is told");
		}
	}
	for (const source of [undefined, null, 1, "{}", {}, [1], new WritableStream(), new Response("{}")])
		await refused(`a source of ${Object.prototype.toString.call(source)}`, source, "OPTION_INVALID");
	const locked = new Blob(["{}"]).stream();
	locked.getReader();
	await refused("a stream that somebody reads", locked, "OPTION_INVALID");
	const cut = (await exported({ format: "snapshot" }, { prefix: "small:" })).subarray(0, -1);
	await refused("byte by byte", pulled((i) => (i < cut.length ? cut.subarray(i, i + 1) : undefined)).stream);
	await refused("empty pieces", pulled((i) => (i < 1000 ? new Uint8Array(0) : undefined)).stream);
	await refused("too many bytes", pulled(bulk).stream, "TOO_LARGE", { maxBytes: 3_000_000 });
	await refused(
		"a line that is too long",
		pulled((i) => (i ? new Uint8Array(MEBIBYTE).fill(0x61) : utf8('{"'))).stream,
		"CORRUPT",
		{
			maxBytes: 1000,
		},
	);
}

async function aborted() {
	const reason = new Error("enough");
	const hung = (i, abort) => {
		if (i < BULK_PIECES) return bulk(i);
		abort();
		return never();
	};
	const attempts = {
		"before it begins": { isEarly: true, next: bulk },
		"while nothing comes": { next: hung },
		"while nothing comes to be unpacked": { next: hung, gzip: true },
		"while everything comes": {
			next: (i, abort) => {
				if (i === BULK_PIECES) abort();
				return bulk(i);
			},
		},
		"with the last byte": { next: (i, abort) => (i < 3 ? bulk(i) : abort()) },
	};
	for (const [when, { isEarly, next, gzip }] of Object.entries(attempts)) {
		const controller = new AbortController();
		const abort = () => controller.abort(reason);
		const { stream } = pulled((i) => next(i, abort));
		if (isEarly) abort();
		const source = gzip ? stream.pipeThrough(new CompressionStream("gzip")) : stream;
		const pending = store.import(source, { signal: controller.signal });
		const error = await soon(
			pending.then(
				() => undefined,
				(error) => error,
			),
			`an import that is aborted ${when}`,
		);
		if (error !== reason) throw new Error(`aborted ${when}: ${error ?? "imported"}`);
		equal(await image(), before, `the store after an import that was aborted ${when}`);
		count("aborted");
	}
	const thrown = new Error("of the caller");
	const told = store.import(pulled(bulk).stream, {
		onProgress() {
			throw thrown;
		},
	});
	equal(await told.catch((error) => error === thrown), true, "what onProgress throws");
	equal(await image(), before, "the store after it");
}

/** An import that has taken some MiB and waits for more; `feed` gives it the next piece, or its end. */
async function waiting() {
	let feed;
	let arrived;
	const ready = new Promise((resolve) => {
		arrived = resolve;
	});
	const { stream, cancelled } = pulled((i) => {
		if (i < BULK_PIECES) return bulk(i);
		arrived();
		return new Promise((resolve) => {
			feed = resolve;
		});
	});
	const importing = store.import(stream).then(
		(report) => ({ report }),
		(error) => ({ error }),
	);
	await soon(ready, "the import to have taken what there is");
	return { importing, cancelled, feed: (piece) => feed(piece) };
}

async function concurrent() {
	const first = await waiting();
	await refused("a second import", utf8(`${GOOD}\n`), "LOCKED");
	await refused("a second import of a stream", pulled(bulk).stream, "LOCKED");
	const failed = await store
		.namespace("before:")
		.import(utf8(`${GOOD}\n`))
		.catch((error) => error.code);
	equal(failed, "LOCKED", "an import into a namespace meanwhile");
	equal(await entriesOf(store), BEFORE, "reads meanwhile");
	await store.set("meanwhile", 1);
	first.feed(utf8("x\n"));
	equal((await first.importing).error?.code, "CORRUPT", "the first import");
	equal((await soon(first.cancelled, "the end of the stream")).code, "CORRUPT", "what its stream is told");
	equal(await entriesOf(store), [...BEFORE, ["meanwhile", 1]], "what was written meanwhile");
	const again = await waiting();
	await store.set("meanwhile", 2);
	again.feed(undefined);
	equal((await again.importing).report?.entries, BULK_PIECES, "an import after all those");
	equal(await store.count(), BULK_PIECES, "the entries of it, and nothing else");
}

async function closed() {
	const { importing, feed } = await waiting();
	await soon(store.close(), "the store to close while an import waits");
	feed(undefined);
	equal((await soon(importing, "the import into a closed store")).error?.code, "CLOSED", "the import");
	store = undefined;
}

/** A page that goes away in the middle of an import. */
async function left() {
	await waiting();
}

/** A page that goes away while what was imported is being stored. */
async function leftAtTheEnd(seed) {
	const random = randomOf(seed, 5);
	const { importing, feed } = await waiting();
	feed(undefined);
	const turns = Math.floor(random() * 20);
	const later = (async () => {
		for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve));
	})();
	await Promise.race([importing, later]);
}

/** Looks that what is left is whole, what was before or what was imported, and removes it. */
async function oldOrNew(name, options) {
	const found = await holdfast.open(name, options);
	const keys = await found.keys().toArray();
	const isOld = keys.length === BEFORE.length;
	equal(keys.length, isOld ? BEFORE.length : BULK_PIECES, "the entries that are left");
	if (isOld) equal(await entriesOf(found), BEFORE, "what was before");
	else for (const value of await found.values().toArray()) equal(value, "b".repeat(100_000), "an imported value");
	equal(found.status.recovered.dataLoss, undefined, "data loss");
	await found.set("written", 1);
	await found.close();
	await holdfast.destroy(name);
	return isOld ? "old" : "new";
}

const GROUPS = {
	cuts,
	flips,
	sealedFlips,
	forged,
	lines,
	oddLines,
	noise,
	bombed,
	streams,
	aborted,
	concurrent,
	closed,
	left,
	leftAtTheEnd,
};

/** One group of attacks; resolves to how often what came of them. */
async function attack(group, ...given) {
	await GROUPS[group](...given);
	return counts;
}

/** Removes a store that something was imported into, after a look that it opens as it was. */
async function discard(name, options) {
	const { entries } = await image();
	await store.set("written", 1);
	await store.close();
	store = await holdfast.open(name, options);
	equal(store.status.recovered.dataLoss, undefined, "data loss");
	equal(await store.get("written"), 1, "what was written behind it");
	await store.delete("written");
	equal(await entriesOf(store), entries, "the entries after opening it again");
	await store.close();
	await holdfast.destroy(name);
}

Object.assign(globalThis, { attack, begin, discard, oldOrNew, verify });
