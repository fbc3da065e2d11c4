/** Values decoded together against the same values decoded one by one. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { HoldfastError } from "./error.js";
import { valuesAt } from "./joined.js";
import { JOINED_BYTES_MAX, JOINED_VALUES_MAX } from "./numbers.js";
import { TestSink } from "./sink.fixture.js";
import type { Inside } from "./store.js";
import { decodeValue, encodeValue } from "./value.js";

const ROW_WORDS = 3;
const FIRST_WORD = 1;

/** Stored values and nothings behind each other; what is decoded, and how many by themselves. */
function decode(stored: (Uint8Array | undefined)[]) {
	let at = 7;
	const words = [0];
	const bytes = new Uint8Array(at + stored.reduce((sum, value) => sum + (value?.length ?? 0), 0));
	for (const value of stored) {
		words.push(value ? at : 0, value?.length ?? 0, 0xeeee);
		if (value) bytes.set(value, at);
		at += value?.length ?? 0;
	}
	let alone = 0;
	const source = { bytes, view: new DataView(bytes.buffer) };
	const valueAt = (at: number, count: number) => {
		alone++;
		return decodeValue(source, at, at + count);
	};
	const frozen = { freeze: Object.freeze };
	const inside = { instance: source, valueAt, frozen } as unknown as Inside<unknown>;
	const values = valuesAt(inside, (n) => words[n] as number, stored.length, FIRST_WORD, ROW_WORDS);
	return { values, alone };
}

function encode(value: unknown): Uint8Array {
	const sink = new TestSink();
	encodeValue(sink, value);
	return sink.bytes.slice(0, sink.at);
}

it("gives what each is, of every form and length, in the order of the rows", () => {
	const long = { text: "x".repeat(JOINED_BYTES_MAX) };
	const kinds = [
		{ a: 1 },
		"text",
		7,
		undefined,
		null,
		[1, [2]],
		new Date(5),
		new Uint8Array([1]),
		long,
		{ ä: "€😀" },
		{},
	];
	for (const count of [0, 1, 5, JOINED_VALUES_MAX - 1, JOINED_VALUES_MAX, JOINED_VALUES_MAX + 1, 1000]) {
		const expected = Array.from({ length: count }, (_, i) => kinds[i % kinds.length]);
		const { values } = decode(expected.map(encode));
		assert.deepEqual(values, expected);
	}
});

it("decodes plain values of one block with nothing left for one by one, and gives them frozen", () => {
	const stored = Array.from({ length: JOINED_VALUES_MAX }, (_, i) => encode({ i }));
	const { values, alone } = decode(stored);
	assert.equal(alone, 0);
	assert.ok(values.every(Object.isFrozen));
});

it("gives undefined where there is none", () => {
	assert.deepEqual(decode([undefined, encode({ a: 1 }), undefined]).values, [undefined, { a: 1 }, undefined]);
});

it("tells of the value that is damaged, whatever it does to the text of the others", () => {
	const text = (json: string) => new TextEncoder().encode(`J${json}`);
	for (const damage of ["1,2", "[1", "2]", "]", "1],[2", "", ",", "\u0000", '"']) {
		const damaged = () => decode([encode({ a: 1 }), text(damage), encode({ b: 2 })]);
		assert.throws(damaged, (error) => error instanceof HoldfastError && error.code === "CORRUPT", damage);
	}
});
