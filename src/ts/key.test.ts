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
		["", /^key is ""; it has to be a non-empty /],
		["a\ud800", /^key is "a\\ud800"; it has to be .* well-formed /],
		["\udfffa", /^key is "\\udfffa"; it has to be .* well-formed /],
		["k".repeat(1025), /at most 1024 UTF-8 bytes/],
		["ž".repeat(513), /at most 1024 UTF-8 bytes/],
		["k".repeat(1e6), /^.{1,200}at most 1024 UTF-8 bytes/],
		[1, /^key is 1; it has to be .* string/],
		[null, /^key is null; /],
		[undefined, /^key is undefined; /],
		[Symbol("s"), /^key is Symbol\(s\); /],
		[new String("boxed"), /it has to be .* string/],
	];
	for (const [key, message] of cases) {
		assert.throws(
			() => encode(key),
			(error) => error instanceof HoldfastError && error.code === "KEY_INVALID" && message.test(error.message),
			String(message),
		);
	}
});
