/** Which strings are keys, and what is said about the others. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { HoldfastError } from "./error.js";
import { encodeKey } from "./key.js";
import { TestSink } from "./sink.fixture.js";

function encode(key: unknown): Uint8Array {
	const sink = new TestSink();
	const bytes = encodeKey(sink, key);
	assert.equal(sink.at, bytes);
	return sink.bytes.slice(0, bytes);
}

it("a key is its UTF-8 bytes", () => {
	const keys = [
		"a",
		"user:1",
		"\u0000",
		"__proto__",
		"żółw",
		"漢字",
		"🐢",
		"\ufeff",
		"k".repeat(1024),
		"ž".repeat(512),
	];
	for (const key of [...keys, `${"k".repeat(127)}ž`, "k".repeat(128), "k".repeat(129)])
		assert.deepEqual(encode(key), new Uint8Array(Buffer.from(key)));
});

it("what is no key is refused with the rule it breaks", () => {
	const cases: [unknown, RegExp][] = [
		["", /not empty/],
		["a\ud800", /lone surrogate/],
		["\udfffa", /lone surrogate/],
		["k".repeat(1025), /at most 1024 UTF-8 bytes/],
		["ž".repeat(513), /at most 1024 UTF-8 bytes/],
		["k".repeat(1e6), /at most 1024 UTF-8 bytes/],
		[1, /is a string; this one is number/],
		[null, /this one is null/],
		[undefined, /this one is undefined/],
		[Symbol("s"), /this one is symbol/],
		[new String("boxed"), /this one is object/],
	];
	for (const [key, message] of cases) {
		assert.throws(
			() => encode(key),
			(error) => error instanceof HoldfastError && error.code === "KEY_INVALID" && message.test(error.message),
			String(message),
		);
	}
});
