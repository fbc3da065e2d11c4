// Value codecs on values of several shapes. `codec.mjs` bundles it; what the driver calls is on `globalThis`.
//
// Uses the value codec from its sources, through the sink that writes go through, and msgpackr. Every codec writes into an area that it
// uses again and reads from one with many values in it, as the store does. Units: operations per second, bytes.

import { Packr } from "msgpackr";
import { Batch } from "../../../src/ts/engine.ts";
import { decodeValue, encodeValue } from "../../../src/ts/value.ts";
import { equal } from "./check.mjs";
import { randomOf } from "./storm-ops.mjs";

const SEED = 1;
/** Of each shape, so that nothing is measured on one value that the browser has learned by heart. A power of two. */
const VALUES = 16;
const AREA_BYTES = 1 << 20;
const SAMPLE_MS = 20;
/** A sample is the best of so many in a row: other programs only ever make it slower. */
const TRIES = 3;
/** How long a trial takes at least, for how many operations a sample has. */
const TRIAL_MS = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The names that a codec is given here are the columns of the tables. Each call makes one with areas of its own. */
const CODECS = {
	JSON: () => {
		const bytes = new Uint8Array(AREA_BYTES);
		return {
			encode: (value) => bytes.subarray(0, encoder.encodeInto(JSON.stringify(value), bytes).written),
			decode: ({ bytes }, start, end) => JSON.parse(decoder.decode(bytes.subarray(start, end))),
		};
	},
	msgpackr: () => packed({ useRecords: false }),
	"msgpackr, structures kept": () => packed({ structures: [], moreTypes: true, useBigIntExtension: true }),
	Holdfast: () => ours(encodeValue, decodeValue),
	// JSON has no undefined, so the value beside it is written as nodes; the check for JSON ends at the first element.
	"Holdfast, nodes": () =>
		ours(
			(sink, value) => encodeValue(sink, [undefined, value]),
			(source, start, end) => decodeValue(source, start, end)[1],
		),
};

/** msgpackr that writes into one area: 1024 is its RESET_BUFFER_MODE. */
function packed(options) {
	const packr = new Packr({ ...options, copyBuffers: true });
	const bytes = new Uint8Array(AREA_BYTES);
	return {
		encode(value) {
			packr.useBuffer(bytes);
			return packr.pack(value, 1024);
		},
		decode: ({ bytes }, start, end) => packr.unpack(bytes, { start, end }),
	};
}

function ours(encode, decode) {
	const batch = new Batch();
	return {
		encode(value) {
			batch.at = 0;
			encode(batch, value);
			return batch.bytes.subarray(0, batch.at);
		},
		decode,
	};
}

const random = randomOf(SEED);
const below = (end) => Math.floor(random() * end);
const word = (letters = "abcdefghijklmnopqrstuvwxyz", length = 3 + below(7)) =>
	Array.from({ length }, () => letters[below(letters.length)]).join("");
const words = (count, letters) => Array.from({ length: count }, () => word(letters)).join(" ");
const list = (length, make) => Array.from({ length }, make);
const record = () => ({
	id: below(1e6),
	name: words(2),
	email: `${word()}@example.org`,
	active: random() < 0.5,
	score: below(1000) / 8,
});

const SHAPES = {
	"flat object": record,
	"nested document": () => ({
		id: word(),
		version: below(100),
		owner: {
			...record(),
			address: { street: words(2), city: word(), zip: String(below(99999)), geo: [random(), random()] },
		},
		tags: list(6, () => word()),
		settings: { theme: "dark", sizes: { font: 14, line: 1.5 }, flags: { beta: true, compact: false, trial: null } },
		items: list(5, () => ({ sku: word(), quantity: below(9), price: below(10000) / 100, note: words(3) })),
	}),
	"array of records": () => list(105, record),
	"1,000 numbers": () => list(1000, (_, at) => (at % 2 ? below(1e6) : random() * 1000)),
	"text beyond ASCII": () => ({
		title: words(4, "äöüßéèçñøåž"),
		city: word("東京大阪京都名古屋横浜"),
		body: words(60, "абвгдежзиклмнопрстуфхцчшщыэюя"),
		mood: "😀👍🏽",
	}),
	"Date, Map, BigInt": () => ({
		created: new Date(1.7e12 + below(1e9)),
		counts: new Map(list(5, () => [word(), below(1000)])),
		total: BigInt(below(2 ** 31)) << 50n,
		name: words(2),
	}),
	"Uint8Array of 4 KiB": () => Uint8Array.from({ length: 4096 }, () => below(256)),
};

globalThis.shapeNames = () => Object.keys(SHAPES);

/**
 * How many ms it takes to do something with that many of the values, in turn; the best of some tries. What comes of it is kept, lest it
 * be left out.
 */
function time(operate, count) {
	return Math.min(
		...list(TRIES, () => {
			const began = performance.now();
			for (let n = 0; n < count; n++) globalThis.kept = operate(n % VALUES);
			return performance.now() - began;
		}),
	);
}

/**
 * For each codec, and for structuredClone, `{ bytes, encode, decode }` with the mean size of a value and the samples of each direction,
 * one a round; or why it does not bring these values back. All codecs take turns in each round, and begin it in turn.
 */
globalThis.measureShape = (name, rounds) => {
	const values = list(VALUES, SHAPES[name]);
	const results = {};
	const runs = [];
	for (const [codec, make] of Object.entries(CODECS)) {
		const { encode, decode } = make();
		try {
			const encoded = values.map((value) => encode(value).slice());
			const bytes = new Uint8Array(AREA_BYTES);
			const source = { bytes, view: new DataView(bytes.buffer) };
			const starts = [0];
			for (const one of encoded) {
				bytes.set(one, starts.at(-1));
				starts.push(starts.at(-1) + one.length);
			}
			const read = (n) => decode(source, starts[n], starts[n + 1]);
			for (const [n, value] of values.entries()) equal(read(n), value, codec);
			results[codec] = { bytes: Math.round(starts[VALUES] / VALUES), encode: [], decode: [] };
			runs.push({ operate: (n) => encode(values[n]), samples: results[codec].encode });
			runs.push({ operate: read, samples: results[codec].decode });
		} catch ({ message }) {
			results[codec] = { refusal: message };
		}
	}
	results.structuredClone = { encode: [] };
	runs.push({ operate: (n) => structuredClone(values[n]), samples: results.structuredClone.encode });
	for (const run of runs) {
		// Also what warms up.
		let [count, ms] = [VALUES, 0];
		while (ms < TRIAL_MS) {
			count *= 2;
			ms = time(run.operate, count);
		}
		run.count = Math.ceil((count * SAMPLE_MS) / ms);
	}
	for (let round = 0; round < rounds; round++) {
		for (let turn = 0; turn < runs.length; turn++) {
			const { operate, count, samples } = runs[(round + turn) % runs.length];
			samples.push((count / time(operate, count)) * 1000);
		}
	}
	return results;
};
