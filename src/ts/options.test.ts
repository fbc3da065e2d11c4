/** Which options are taken, with which defaults, and what is said about the others. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HoldfastError } from "./error.js";
import { checkOptions as checkGiven, checkSetOptions } from "./options.js";
import { PRESETS } from "./presets.js";
import { boundsOf } from "./range.js";
import type { OpenOptions, Range } from "./types.js";

const checkOptions = (name: string, options?: OpenOptions) => checkGiven(name, options, PRESETS);

function refused(action: () => unknown, ...words: string[]): void {
	assert.throws(action, (error) => {
		assert(error instanceof HoldfastError);
		assert.equal(error.code, "OPTION_INVALID");
		assert.equal(error.retryable, false);
		for (const word of words) assert(error.message.includes(word), `${error.message} says ${word}`);
		return true;
	});
}

describe("open", () => {
	it("has these defaults", () => {
		const expected = {
			name: "app",
			durability: "everysec",
			mode: "hybrid",
			save: [
				[900, 1],
				[300, 10],
				[60, 10_000],
			],
			rewrite: { percentage: 100, minBytes: 1_048_576 },
			recovery: "pointInTime",
			backend: "auto",
			values: "copy",
			preset: undefined,
			maxBytes: undefined,
			eviction: "reject" as const,
			multiTab: true,
			openTimeoutMs: 30_000,
			wasm: undefined,
			worker: undefined,
			onStatus: undefined,
		};
		assert.deepEqual(checkOptions("app"), expected);
		assert.deepEqual(checkOptions("app", { durability: undefined, worker: undefined }), expected);
	});

	it("takes what is given", () => {
		const given: OpenOptions = {
			durability: "always",
			mode: "log",
			backend: "idb",
			save: [],
			rewrite: { percentage: 1, minBytes: 4096 },
			recovery: "strict",
			values: "frozen",
			preset: "session",
			maxBytes: 1,
			eviction: "lru",
			multiTab: false,
			openTimeoutMs: 1,
			wasm: new Uint8Array(),
			worker: new URL("http://localhost/worker.js"),
			onStatus: () => {},
		};
		const { name, ...rest } = checkOptions("a", given);
		assert.deepEqual(rest, given);
		assert.equal(name, "a");
	});

	it("refuses others, naming option, value and what is allowed", () => {
		const cases: [object, ...string[]][] = [
			[{ durability: "sometimes" }, "durability", '"sometimes"', '"always"', '"everysec"', '"no"'],
			[{ mode: "append" }, "mode", '"append"', '"hybrid"'],
			[{ backend: "disk" }, "backend", '"opfs"'],
			[{ recovery: null }, "recovery", "null", '"strict"'],
			[{ values: 5 }, "values", "5", '"frozen"'],
			[{ preset: "fast" }, "preset", '"fast"', "cache, session, financial, analytics"],
			[{ preset: "toString" }, "preset"],
			[{ maxBytes: 0 }, "maxBytes", "bytes"],
			[{ maxBytes: 1.5 }, "maxBytes"],
			[{ eviction: "random" }, "eviction", '"lru"'],
			[{ durabilty: "always" }, "durabilty"],
			[{ save: "often" }, "save", '"often"'],
			[{ save: [[0, 1]] }, "save[0].0", "from 1"],
			[{ save: [[1]] }, "save[0].1", "undefined"],
			[{ save: [[1, 1, 1]] }, "save[0].2"],
			[{ save: [{ 0: 1, 1: 1 }] }, "save[0]", "pair"],
			[{ save: [[1, 1.5]] }, "save[0].1", "1.5"],
			[{ save: Array(17).fill([1, 1]) }, "at most 16"],
			[{ rewrite: { percentage: 0, minBytes: 4096 } }, "rewrite.percentage"],
			[{ rewrite: { percentage: 100, minBytes: 4095 } }, "rewrite.minBytes", "4095"],
			[{ rewrite: { percentage: 100 } }, "rewrite.minBytes", "undefined"],
			[{ rewrite: 100 }, "rewrite", "100"],
			[{ openTimeoutMs: 0 }, "openTimeoutMs", "from 1"],
			[{ openTimeoutMs: Number.POSITIVE_INFINITY }, "openTimeoutMs"],
			[{ wasm: "a.wasm" }, "wasm", "a.wasm"],
			[{ worker: {} }, "worker", "{}"],
			[{ onStatus: "x" }, "onStatus", "function"],
			[{ onStatus: 1n }, "onStatus", "bigint"],
		];
		for (const [options, ...words] of cases) refused(() => checkOptions("a", options as OpenOptions), ...words);
		refused(() => checkOptions("a", null as never), "options");
	});

	it("refuses names that are none", () => {
		for (const name of ["", "n".repeat(201), "ž".repeat(101), "\ud800", 5, null, undefined])
			refused(() => checkOptions(name as string), "name", "200");
		assert.equal(checkOptions("n".repeat(200)).name.length, 200);
		assert.equal(checkOptions("ž".repeat(100)).name.length, 100);
	});
});

describe("a preset", () => {
	it("fills in what is not given", () => {
		const { mode, eviction, maxBytes, durability } = checkOptions("a", { preset: "cache" });
		assert.deepEqual([mode, eviction, maxBytes, durability], ["snapshot", "lru", 64 << 20, "no"]);
		assert.equal(checkOptions("a", { preset: "cache", maxBytes: 5 }).maxBytes, 5);
		const { durability: always, recovery } = checkOptions("a", { preset: "financial" });
		assert.deepEqual([always, recovery], ["always", "strict"]);
		assert.equal(checkOptions("a", { preset: "financial", durability: "no" }).durability, "no");
		assert.deepEqual(checkOptions("a", { preset: "session" }), { ...checkOptions("a"), preset: "session" });
		assert.deepEqual(checkOptions("a", { preset: "analytics" }).save, [[60, 1]]);
	});
});

describe("a mode", () => {
	it("decides what goes with it", () => {
		assert.equal(checkOptions("a", { mode: "memory" }).backend, "memory");
		assert.equal(checkOptions("a", { mode: "snapshot" }).durability, "no");
		refused(() => checkOptions("a", { mode: "snapshot", durability: "always" }), "durability", "snapshot");
	});
});

describe("a write", () => {
	it("asks for a level, an expiry and a version", () => {
		assert.deepEqual(checkSetOptions(undefined), { level: 0 });
		assert.deepEqual(checkSetOptions({}), { level: 0, expiresAt: undefined, version: undefined });
		assert.equal(checkSetOptions({ durability: "always" }).level, 2);
		assert.equal(checkSetOptions({ durability: "everysec" }).level, 1);
		assert.equal(checkSetOptions({ durability: "no" }).level, 0);
		assert.equal(checkSetOptions({ expiresAt: 5.5 }).expiresAt, 6);
		assert.equal(checkSetOptions({ expiresAt: new Date(7) }).expiresAt, 7);
		const before = Date.now();
		const { expiresAt = 0 } = checkSetOptions({ ttl: 1000 });
		assert.ok(expiresAt >= before + 1000 && expiresAt <= Date.now() + 1000);
		// The ttl may be the default of a namespace.
		assert.equal(checkSetOptions({ ttl: 1000, expiresAt: 7 }).expiresAt, 7);
		assert.equal(checkSetOptions({ ifAbsent: true }).version, 0);
		assert.equal(checkSetOptions({ ifAbsent: false }).version, undefined);
		assert.equal(checkSetOptions({ ifVersion: 0 }).version, 0);
		assert.equal(checkSetOptions({ ifVersion: 9 }).version, 9);
	});

	it("refuses options that would silently not hold", () => {
		const cases: [unknown, ...string[]][] = [
			[{ tll: 5 }, "tll", "no such option"],
			[{ durability: "sometimes" }, "durability"],
			["always", "options"],
			[{ ttl: 0 }, "ttl"],
			[{ ttl: -1 }, "ttl"],
			[{ ttl: Number.NaN }, "ttl"],
			[{ ttl: Number.POSITIVE_INFINITY }, "ttl"],
			[{ ttl: "5" }, "ttl"],
			[{ expiresAt: new Date(Number.NaN) }, "expiresAt"],
			[{ expiresAt: 0 }, "expiresAt"],
			[{ expiresAt: "tomorrow" }, "expiresAt"],
			[{ ifAbsent: 1 }, "ifAbsent"],
			[{ ifVersion: -1 }, "ifVersion"],
			[{ ifVersion: 1.5 }, "ifVersion"],
			[{ ifAbsent: true, ifVersion: 1 }, "ifAbsent", "ifVersion"],
		];
		for (const [options, ...words] of cases) refused(() => checkSetOptions(options as never), ...words);
	});
});

describe("a range", () => {
	it("is told of the keys behind a base", () => {
		const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
		const { after, end, baseBytes } = boundsOf({ start: "b", end: "d" }, "a:");
		assert.deepEqual([text(after), text(end), baseBytes], ["a:a\xff", "a:d", 2]);
		const all = boundsOf(undefined, "ž");
		assert.deepEqual([text(all.after), text(all.end), all.baseBytes], ["\xc5\xbd\xff", "\xc5\xbe\xff", 2]);
	});

	const keys = ["\0", "\0a", "a", "a\0", "a\0b", "aa", "ab", "b", "b\0", "ž", "\ufffd", "😀"];

	function inside(range: Range): string[] {
		const { after, end } = boundsOf(range);
		return keys.filter((key) => {
			const bytes = Buffer.from(key);
			return Buffer.compare(bytes, after) > 0 && (!end || Buffer.compare(bytes, end) < 0);
		});
	}

	it("has all of what it says and nothing else", () => {
		const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
		const bounds = [undefined, "", ...keys, "a ", "c", "\uffff"];
		let ranges = 0;
		for (const prefix of [undefined, "", "a", "a\0", "\0", "b", "😀", "x"]) {
			for (const start of bounds) {
				for (const end of bounds) {
					for (const after of [undefined, "a", "a\0", "zz"]) {
						for (const reverse of [undefined, true]) {
							const expected = keys.filter(
								(key) =>
									(prefix === undefined || key.startsWith(prefix)) &&
									(start === undefined || compare(key, start) >= 0) &&
									(end === undefined || compare(key, end) < 0) &&
									(after === undefined || (reverse ? compare(key, after) < 0 : compare(key, after) > 0)),
							);
							const range = { prefix, start, end, after, reverse };
							assert.deepEqual(inside(range), expected, JSON.stringify(range));
							ranges++;
						}
					}
				}
			}
		}
		assert(ranges > 10_000);
	});

	it("refuses what makes no sense", () => {
		refused(() => boundsOf({ prefx: "a" } as Range), "prefx");
		refused(() => boundsOf({ prefix: 5 } as never), "prefix", "5");
		refused(() => boundsOf({ start: "\ud800" }), "start");
		refused(() => boundsOf({ limit: -1 }), "limit", "-1");
		refused(() => boundsOf({ limit: 1.5 }), "limit");
		refused(() => boundsOf({ reverse: "yes" } as never), "reverse");
		refused(() => boundsOf("a" as never), "range");
	});
});
