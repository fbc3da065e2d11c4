/** The value codec against structured clone, and against bytes that mean harm. Random tests print their seed. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runInNewContext } from "node:vm";
import { HoldfastError } from "./error.js";
import { TestSink } from "./sink.fixture.js";
import { decodeValue, encodeValue } from "./value.js";

function encode(value: unknown): Uint8Array<ArrayBuffer> {
	const sink = new TestSink();
	encodeValue(sink, value);
	return sink.bytes.slice(0, sink.at);
}

function decode(bytes: Uint8Array<ArrayBuffer>): unknown {
	// Behind other bytes and before others, as in wasm memory.
	const area = new Uint8Array(bytes.length + 7).fill(0xee);
	area.set(bytes, 3);
	return decodeValue({ bytes: area, view: new DataView(area.buffer) }, 3, 3 + bytes.length);
}

const roundTrip = (value: unknown) => decode(encode(value));
const tagOf = (value: unknown) => String.fromCharCode(encode(value)[0] as number);
const withHoles = (elements: Record<number, unknown>): unknown[] => Object.assign([], elements);
const bytesOf = (text: string) => Uint8Array.from(text, (unit) => unit.charCodeAt(0));

function refusal(value: unknown): HoldfastError {
	const sink = new TestSink();
	sink.at = 5;
	try {
		encodeValue(sink, value);
	} catch (error) {
		assert(error instanceof HoldfastError);
		assert.equal(error.code, "VALUE_INVALID");
		assert.equal(sink.at, 5, "the sink is where it was");
		return error;
	}
	assert.fail("was stored");
}

function corrupt(bytes: Uint8Array<ArrayBuffer>): void {
	assert.throws(
		() => decode(bytes),
		(error) => error instanceof HoldfastError && error.code === "CORRUPT",
	);
}

/** xorshift32. */
function random(seed: number): (below: number) => number {
	let state = seed || 1;
	return (below) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
}

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

describe("values come back as structured clone gives them", () => {
	const sparse = withHoles({ 0: 1, 2: 3 });
	const withProperty = Object.assign([1, 2], { index: 0, "": "x" });
	const cases: Record<string, unknown> = {
		undefined: undefined,
		null: null,
		true: true,
		false: false,
		zero: 0,
		"minus zero": -0,
		NaN: Number.NaN,
		infinity: Number.POSITIVE_INFINITY,
		"minus infinity": Number.NEGATIVE_INFINITY,
		"largest i32": 2 ** 31 - 1,
		"smallest i32": -(2 ** 31),
		"beyond i32": 2 ** 31,
		fraction: 0.1,
		smallest: 5e-324,
		bigints: [0n, 1n, -1n, 2n ** 64n, -(2n ** 200n) + 1n],
		"empty string": "",
		"ascii string": "hello",
		string: "żółw 🐢 \u0000",
		"byte order mark": "\ufeffx",
		"byte order mark inside": { a: "\ufeff", b: undefined },
		"lone surrogates": "a\ud800b\udc00",
		"lone surrogate in an object": { k: "\udfff", "\ud800": 1 },
		"lone surrogate in a set": new Set(["\udfff"]),
		"long string": "ü".repeat(200_000),
		"long string with a lone surrogate": { s: `${"x".repeat(70_000)}\ud800`, u: undefined },
		date: new Date(1_700_000_000_123),
		regexp: /a\/(b)\n[ü]/giu,
		map: new Map<unknown, unknown>([
			[1, { a: 1 }],
			[{ k: 1 }, "v"],
			[Number.NaN, -0],
			[undefined, null],
		]),
		set: new Set([1, "1", undefined, new Set()]),
		"empty array": [],
		array: [1, "two", null, true, [3]],
		holes: sparse,
		"only holes": new Array(5),
		"undefined elements": [undefined, 1],
		"array with properties": withProperty,
		"match of a regexp": /(a)(?<n>b)/.exec("xab"),
		object: { a: 1, b: { c: [] }, "": 0, "weird key\n": 1 },
		"object without prototype": Object.assign(Object.create(null), { a: 1 }),
		"own __proto__": JSON.parse('{"__proto__": {"polluted": 1}}'),
		"own __proto__ beside undefined": Object.assign(JSON.parse('{"__proto__": {"polluted": 1}}'), { u: undefined }),
		"integer keys": { 2: "b", 1: "a", x: undefined },
		buffer: new Uint8Array([1, 2, 3]).buffer,
		"empty buffer": new ArrayBuffer(0),
		bytes: new Uint8Array([0, 255, 7]),
		"no bytes": new Uint8Array(),
		views: [
			new DataView(new ArrayBuffer(3)),
			new Int8Array([-1]),
			new Uint8Array([1, 2]),
			new Uint8ClampedArray([255]),
			new Int16Array([-2]),
			new Uint16Array([65_535]),
			new Int32Array([-3]),
			new Uint32Array([2 ** 32 - 1]),
			new Float32Array([0.5, Number.NaN]),
			new Float64Array([-0, 1e300]),
			new BigInt64Array([-1n]),
			new BigUint64Array([2n ** 64n - 1n]),
		],
		boxed: [Object(true), Object(false), Object(-0), Object("s"), Object(7n)],
		nested: { when: new Date(5), tags: new Set(["a"]), n: { m: new Map([["k", { deep: undefined }]]) } },
	};
	for (const [name, value] of Object.entries(cases)) {
		it(name, () => assert.deepStrictEqual(roundTrip(value), structuredClone(value)));
	}

	it("an invalid date", () => {
		const back = roundTrip({ date: new Date(Number.NaN) }) as { date: Date };
		assert(back.date instanceof Date && Number.isNaN(back.date.getTime()));
	});

	it("an object without prototype gets one", () => {
		assert.equal(Object.getPrototypeOf(roundTrip(Object.create(null))), Object.prototype);
	});

	it("errors keep class, message, stack and cause", () => {
		class Special extends TypeError {
			override name = "Special";
		}
		for (const error of [
			new Error("plain"),
			new RangeError("r", { cause: new SyntaxError("inner", { cause: "text" }) }),
			new Error(),
			new Special("special"),
			Object.assign(new URIError("with more"), { code: 7 }),
		]) {
			const back = roundTrip(error) as Error;
			const clone = structuredClone(error);
			assert.deepStrictEqual(back, clone);
			assert.equal(back.stack, clone.stack);
			assert.equal(Object.hasOwn(back, "message"), Object.hasOwn(error, "message"));
			assert.deepStrictEqual(Object.keys(back), []);
		}
		const endless = new Error("endless");
		endless.cause = endless;
		const back = roundTrip(endless) as Error;
		assert.equal(back.cause, back);
	});

	it("a regexp starts at 0 again", () => {
		const used = /a/g;
		used.lastIndex = 3;
		assert.equal((roundTrip(used) as RegExp).lastIndex, 0);
	});

	it("class instances become plain objects, accessors are read, symbols ignored", () => {
		class Point {
			x = 1;
			#hidden = 2;
			get sum() {
				return this.x + this.#hidden;
			}
		}
		class Tagged {
			a = 1;
			get [Symbol.toStringTag]() {
				return "Map";
			}
		}
		const value = {
			point: new Point(),
			tagged: new Tagged(),
			get read() {
				return "read";
			},
			[Symbol("s")]: 1,
		};
		assert.deepStrictEqual(roundTrip(value), { point: { x: 1 }, tagged: { a: 1 }, read: "read" });
		assert.deepStrictEqual(roundTrip(new Point()), { x: 1 });
	});

	it("subclasses of what is stored become what they extend", () => {
		class Cache extends Map<number, number> {
			override get [Symbol.toStringTag]() {
				return "Cache";
			}
		}
		const back = roundTrip(new Cache([[1, 2]]));
		assert.equal(Object.getPrototypeOf(back), Map.prototype);
		assert.deepStrictEqual(back, new Map([[1, 2]]));
		assert.deepStrictEqual(roundTrip(Buffer.from("abc")), new Uint8Array([97, 98, 99]));
	});

	it("objects of another frame", () => {
		const foreign = runInNewContext(
			"({ d: new Date(1), m: new Map([[1, 2]]), s: new Set([3]), r: /x/g, a: [1, undefined], e: new RangeError('m'), b: new Uint8Array([9]), n: new Number(4) })",
		);
		assert.deepStrictEqual(structuredClone(foreign), roundTrip(foreign));
		const plain = runInNewContext("({ a: [1, { b: 2 }] })");
		assert.deepStrictEqual(roundTrip(plain), { a: [1, { b: 2 }] });
	});

	it("toJSON is not asked", () => {
		assert.deepStrictEqual(roundTrip(Object.defineProperty({ a: 1 }, "toJSON", { value: () => "lost" })), { a: 1 });
		Object.defineProperty(Array.prototype, "toJSON", { value: () => "lost", configurable: true });
		try {
			assert.deepStrictEqual(roundTrip({ a: [1] }), { a: [1] });
		} finally {
			delete (Array.prototype as { toJSON?: unknown }).toJSON;
		}
	});

	it("proxies are stored as what they show", () => {
		assert.deepStrictEqual(roundTrip(new Proxy({ a: 1 }, {})), { a: 1 });
	});
});

describe("identity", () => {
	it("cycles", () => {
		const object: Record<string, unknown> = { name: "o" };
		object.self = object;
		object.list = [object];
		const map = new Map<unknown, unknown>([["object", object]]);
		map.set(map, map);
		object.map = map;
		const back = roundTrip(object) as { self: unknown; list: unknown[]; map: Map<unknown, unknown> };
		assert.equal(back.self, back);
		assert.equal(back.list[0], back);
		assert.equal(back.map.get(back.map), back.map);
		assert.equal(back.map.get("object"), back);
	});

	it("shared references stay shared", () => {
		const shared = { n: 1 };
		const back = roundTrip({ a: shared, b: [shared], d: [new Date(1)] }) as { a: object; b: object[] };
		assert.equal(back.a, back.b[0]);
		const same = roundTrip([shared, shared]) as object[];
		assert.equal(same[0], same[1]);
	});

	it("shared buffers stay shared, with their offsets", () => {
		const buffer = new ArrayBuffer(16);
		const value = { a: new Uint8Array(buffer, 4, 2), b: new Uint16Array(buffer, 8, 2), buffer };
		for (const order of [value, { buffer, a: value.a }, { a: value.a, b: value.b }, { b: value.b, buffer }]) {
			const back = roundTrip(order) as typeof value;
			assert.deepStrictEqual(back, structuredClone(order));
			const buffers = new Set(Object.values(back).map((part) => (part instanceof ArrayBuffer ? part : part.buffer)));
			assert.equal(buffers.size, 1);
			if (back.a) assert.equal(back.a.byteOffset, 4);
		}
	});

	it("accessors that make shared buffers anew do not go on for ever", () => {
		const value = {
			get views() {
				const buffer = new ArrayBuffer(8);
				return [new Uint8Array(buffer, 0, 4), new Uint8Array(buffer, 4, 4)];
			},
		};
		const back = roundTrip(value) as { views: Uint8Array[] };
		assert.equal(back.views[0]?.buffer, back.views[1]?.buffer);
	});

	it("a view brings only the bytes it covers", () => {
		const part = new Uint8Array(new ArrayBuffer(100_000), 10, 3).fill(7);
		assert(encode(part).length < 10);
		assert(encode({ part }).length < 40);
		assert.deepStrictEqual((roundTrip({ part }) as { part: Uint8Array }).part, new Uint8Array([7, 7, 7]));
	});
});

describe("the smallest form is taken", () => {
	it("by kind", () => {
		assert.equal(tagOf({ a: [1, "x", null] }), "J");
		assert.equal(tagOf("text"), "S");
		assert.equal(tagOf("\ud800"), "w");
		assert.equal(tagOf(new Uint8Array(2)), "B");
		assert.equal(tagOf(5), "I");
		assert.equal(tagOf(5.5), "D");
		assert.equal(tagOf({ a: -0 }), "O");
		assert.equal(tagOf([Number.NaN]), "A");
		assert.equal(tagOf(withHoles({ 1: 2 })), "a");
		assert.equal(tagOf({ a: undefined }), "O");
	});

	it("a value of each kind has these bytes", () => {
		const golden: [unknown, string][] = [
			[undefined, "U"],
			[null, "N"],
			[true, "T"],
			[false, "F"],
			[-2, "I\xfe\xff\xff\xff"],
			[1.5, "D\0\0\0\0\0\0\xf8?"],
			[-255n, "G\x03\0\0\0-ff"],
			["ü", "S\xc3\xbc"],
			["\ud800", "w\x02\0\0\0\0\xd8"],
			[new Uint8Array([1, 2]), "B\x01\x02"],
			[{ a: 1 }, 'J{"a":1}'],
			[{ a: undefined }, "O\x01\0\0\0c\x01aU"],
			[["x".repeat(86), undefined], `A\x02\0\0\0s\x56\0\0\0${"x".repeat(86)}U`],
			[withHoles({ 1: 1 }), "a\x02\0\0\0\x01\0\0\0c\x011I\x01\0\0\0"],
			[new Map([["k", true]]), "M\x01\0\0\0c\x01kT"],
			[new Set([null]), "L\x01\0\0\0N"],
			[new Date(1), "t\0\0\0\0\0\0\xf0?"],
			[/a/g, "Rc\x01ac\x01g"],
			[Object.assign(new TypeError("m", { cause: 1 }), { stack: "s" }), "E\x05\x07c\x01mc\x01sI\x01\0\0\0"],
			[new Uint8Array([9]).buffer, "Y\x01\0\0\0\x09"],
			[new Uint16Array([1]), "V\x05\0\0\0\0\x01\0\0\0Y\x02\0\0\0\x01\0"],
			[Object(false), "pF"],
		];
		for (const [value, bytes] of golden) {
			assert.deepStrictEqual(encode(value), bytesOf(bytes));
			assert.deepStrictEqual(decode(bytesOf(bytes)), value);
		}
		const cycle: unknown[] = [];
		cycle.push(cycle);
		assert.deepStrictEqual(encode(cycle), bytesOf("A\x01\0\0\0@\0\0\0\0"));
	});
});

describe("what cannot be stored is refused with its path", () => {
	const fn = () => {};
	const cases: [string, unknown][] = [
		["", fn],
		["", Symbol("s")],
		["", new WeakMap()],
		["user.tags[3].fn", { user: { tags: [1, 2, 3, { fn }] } }],
		['a["b c"].d', { a: { "b c": { d: fn } } }],
		['["1"]', { 1: fn }],
		["[2]", withHoles({ 2: fn })],
		["list.extra", { list: Object.assign([1], { extra: fn }) }],
		["m.keys()[0]", { m: new Map([[fn, 1]]) }],
		[
			"m.values()[1].x",
			{
				m: new Map<number, unknown>([
					[0, 0],
					[1, { x: fn }],
				]),
			},
		],
		["s.values()[1]", { s: new Set([1, fn]) }],
		["e.cause.f", { e: new Error("x", { cause: { f: fn } }) }],
		["w", { w: new WeakMap() }],
		["p", { p: Promise.resolve() }],
		["r", { r: new WeakRef({}) }],
		["b", { b: Object(Symbol("boxed")) }],
		["g", { g: (function* () {})() }],
		["i", { i: new Intl.NumberFormat() }],
		["shared", { shared: new SharedArrayBuffer(4) }],
		["view", { view: new Uint8Array(new SharedArrayBuffer(4)) }],
		["", new Uint8Array(new SharedArrayBuffer(4))],
		["fake", { fake: Object.create(Map.prototype) }],
		["proto", { proto: new (class extends Promise<void> {})(() => {}) }],
	];
	for (const [path, value] of cases) {
		it(path || `the value itself: ${typeof value} ${Object.prototype.toString.call(value)}`, () => {
			const error = refusal(value);
			assert.equal(error.path, path);
			assert(error.message.startsWith(path || "The value"), error.message);
		});
	}

	it("an accessor that throws is the cause", () => {
		const cause = new Error("mine");
		const error = refusal({
			a: {
				get b() {
					throw cause;
				},
			},
		});
		assert.equal(error.path, "a.b");
		assert.equal(error.cause, cause);
	});

	it("a detached buffer", () => {
		const buffer = new ArrayBuffer(4);
		const view = new Uint8Array(buffer);
		structuredClone(buffer, { transfer: [buffer] });
		assert.equal(refusal({ view }).path, "view");
		assert.equal(refusal({ buffer }).path, "buffer");
		assert.equal(refusal(view).path, "");
	});

	it("nesting beyond 1,000", () => {
		const nest = (depth: number, leaf: unknown) => {
			let value = leaf;
			for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { n: value };
			return value;
		};
		for (const leaf of [1, undefined]) {
			assert.deepStrictEqual(roundTrip(nest(1000, leaf)), nest(1000, leaf));
			const error = refusal(nest(1001, leaf));
			assert.match(error.path as string, /…/);
			assert((error.path as string).length < 500);
		}
		assert.equal(refusal(nest(200_000, 1)).code, "VALUE_INVALID");
	});

	it("what the sink throws goes through", () => {
		const full = new HoldfastError("TOO_LARGE", "full");
		const sink = new TestSink();
		sink.need = (count) => {
			if (sink.at + count > 50) throw full;
			TestSink.prototype.need.call(sink, count);
		};
		assert.throws(() => encodeValue(sink, { a: ["x".repeat(100), undefined] }), full);
		assert.throws(() => encodeValue(sink, { a: "x".repeat(100) }), full);
	});
});

describe("random values", () => {
	const KEYS = ["a", "b", "__proto__", "constructor", "length", "0", "7", "ü", "\ud800", "toString", ""];

	function value(pick: (below: number) => number, depth: number, made: object[]): unknown {
		const keep = <O extends object>(object: O): O => {
			made.push(object);
			return object;
		};
		const inner = () => value(pick, depth - 1, made);
		const text = () =>
			Array.from({ length: pick(40) }, () => String.fromCharCode(pick(pick(4) ? 128 : 65_536))).join("");
		switch (pick(depth > 0 ? 22 : 9)) {
			case 0:
				return undefined;
			case 1:
				return null;
			case 2:
				return pick(2) === 0;
			case 3:
				return pick(2 ** 32) - 2 ** 31;
			case 4:
				return [0.5, -0, Number.NaN, 1e21, -1e-7, Number.NEGATIVE_INFINITY][pick(6)];
			case 5:
				return (BigInt(pick(2 ** 31)) - 2n ** 30n) ** BigInt(pick(5));
			case 6:
			case 7:
				return text();
			case 8:
				return keep(new Date(pick(2 ** 32)));
			case 9:
				return made.length > 0 ? made[pick(made.length)] : null;
			case 10: {
				const array = keep([] as unknown[]);
				array.length = pick(6);
				for (let i = 0; i < array.length; i++) if (pick(8)) array[i] = inner();
				if (pick(10) === 0) Object.assign(array, { extra: inner() });
				return array;
			}
			case 11:
			case 12: {
				const array = keep([] as unknown[]);
				for (let i = pick(6); i > 0; i--) array.push(inner());
				return array;
			}
			case 13: {
				const map = keep(new Map());
				for (let i = pick(4); i > 0; i--) map.set(inner(), inner());
				return map;
			}
			case 14: {
				const set = keep(new Set());
				for (let i = pick(4); i > 0; i--) set.add(inner());
				return set;
			}
			case 15: {
				const buffer = new ArrayBuffer(8 * pick(5));
				crypto.getRandomValues(new Uint8Array(buffer));
				return keep(buffer);
			}
			case 16: {
				const Type = [Uint8Array, Int16Array, Float32Array, BigInt64Array, DataView][pick(5)] as typeof DataView;
				const buffers = made.filter((object) => object instanceof ArrayBuffer);
				return keep(new Type(buffers[pick(buffers.length + 1)] ?? new ArrayBuffer(8 * pick(3))));
			}
			case 17:
				return keep(Object([1, "boxed", true, 3n][pick(4)]));
			default: {
				const object = keep({} as Record<string, unknown>);
				for (let i = pick(6); i > 0; i--) {
					const key = KEYS[pick(KEYS.length)] as string;
					Object.defineProperty(object, key, { value: inner(), writable: true, enumerable: true, configurable: true });
				}
				return object;
			}
		}
	}

	it(`3,000 of them, SEED=${SEED}`, () => {
		const pick = random(SEED);
		for (let i = 0; i < 3000; i++) {
			const original = value(pick, 5, []);
			const back = roundTrip(original);
			assert.deepStrictEqual(back, structuredClone(original));
			// The same bytes again: nothing was lost on the way that equality does not see.
			assert.deepStrictEqual(encode(back), encode(structuredClone(original)));
		}
	});

	/** What a path of an error leads to. */
	function follow(root: unknown, path: string): unknown {
		let at = root as Record<string, unknown> & { keys(): Iterable<unknown>; values(): Iterable<unknown> };
		const steps = path.matchAll(/(?:^|\.)(keys|values)\(\)\[(\d+)\]|\[(\d+|".*?(?<!\\)")\]|(?:^|\.)([a-z$_][\w$]*)/gi);
		let length = 0;
		for (const [step, list, index, bracketed, name] of steps) {
			length += step.length;
			const next = list
				? [...at[list as "keys" | "values"]()][Number(index)]
				: at[name ?? String(JSON.parse(bracketed as string))];
			at = next as typeof at;
		}
		assert.equal(length, path.length, `the whole of ${path} is understood`);
		return at;
	}

	it(`one that cannot be stored in them is refused with its path, where structured clone refuses, SEED=${SEED}`, () => {
		const pick = random(SEED + 3);
		const fn = () => {};
		let refused = 0;
		for (let i = 0; i < 3000; i++) {
			const made: object[] = [];
			const root = value(pick, 5, made);
			const container = made[pick(made.length || 1)];
			if (container instanceof Map) container.set(pick(2) ? fn : "fn", fn);
			else if (container instanceof Set) container.add(fn);
			else if (Array.isArray(container)) container.splice(pick(container.length + 1), 1, fn);
			else if (container && Object.getPrototypeOf(container) === Object.prototype) {
				const key = KEYS[pick(KEYS.length)] as string;
				Object.defineProperty(container, key, { value: fn, writable: true, enumerable: true, configurable: true });
			} else continue;
			let isCloned = true;
			try {
				structuredClone(root);
			} catch {
				isCloned = false;
			}
			if (isCloned) {
				encode(root);
				continue;
			}
			refused++;
			const { path } = refusal(root);
			assert.equal(follow(root, path as string), fn, path);
		}
		assert(refused > 500, String(refused));
	});

	it(`damaged bytes of them are a value or CORRUPT, SEED=${SEED}`, () => {
		const pick = random(SEED + 1);
		const outcomes = { value: 0, corrupt: 0 };
		for (let i = 0; i < 3000; i++) {
			const bytes = encode(value(pick, 4, []));
			for (let j = 0; j < 5; j++) {
				const damaged = bytes.slice(0, pick(3) ? bytes.length : pick(bytes.length + 1));
				for (let k = pick(4); k > 0 && damaged.length > 0; k--) damaged[pick(damaged.length)] = pick(256);
				try {
					decode(damaged);
					outcomes.value++;
				} catch (error) {
					assert(error instanceof HoldfastError, String(error));
					assert(error.code === "CORRUPT" || error.code === "VERSION", error.code);
					outcomes.corrupt++;
				}
			}
		}
		assert(outcomes.value > 1000 && outcomes.corrupt > 1000, JSON.stringify(outcomes));
		assert.equal(({} as { polluted?: unknown }).polluted, undefined);
	});

	it(`random bytes are a value or CORRUPT, SEED=${SEED}`, () => {
		const pick = random(SEED + 2);
		const tags = "JSBUNTFIDGcswOAaMLtREYVp@";
		for (let i = 0; i < 20_000; i++) {
			const bytes = Uint8Array.from({ length: pick(60) }, () =>
				pick(2) ? tags.charCodeAt(pick(tags.length)) : pick(4),
			);
			try {
				decode(bytes);
			} catch (error) {
				assert(error instanceof HoldfastError && (error.code === "CORRUPT" || error.code === "VERSION"), String(error));
			}
		}
	});
});

describe("bytes that mean harm", () => {
	it("nothing at all", () => corrupt(new Uint8Array()));

	it("unknown tags, trailing bytes, cut ends", () => {
		for (const bytes of [
			"x",
			"\0",
			"NN",
			"I\0",
			"D\0\0\0",
			"J{",
			"Jundefined",
			"J1 2",
			"S\xff",
			"S\xed\xa0\x80",
			"c\x05abc",
		]) {
			corrupt(bytesOf(bytes));
		}
	});

	it("lengths and counts that lie cost nothing", () => {
		const before = process.memoryUsage().rss;
		for (const tag of "swGOAMLY") corrupt(bytesOf(`${tag}\xff\xff\xff\xff`));
		corrupt(bytesOf("a\xff\xff\xff\xff\xff\xff\xff\xff"));
		corrupt(bytesOf("V\x02\0\0\0\0\xff\xff\xff\xffY\x01\0\0\0\0"));
		// 2,000 arrays of 32 million holes each, which an engine would allocate if their length were simply set.
		const arrays = bytesOf(`A\xd0\x07\0\0${"a\xff\xff\xff\x01\0\0\0\0".repeat(2000)}`);
		assert.equal((decode(arrays) as unknown[][])[1999]?.length, 0x1ffffff);
		assert(process.memoryUsage().rss - before < 200 << 20);
	});

	it("a longest array is an array", () => {
		assert.equal((decode(bytesOf("a\xff\xff\xff\xff\0\0\0\0")) as unknown[]).length, 2 ** 32 - 1);
	});

	it("deep nesting", () => {
		for (const unit of [
			"A\x01\0\0\0",
			"M\x01\0\0\0N",
			"L\x01\0\0\0",
			"O\x01\0\0\0c\x01a",
			"E\0\x04",
			"p",
			"V\x02\0\0\0\0\0\0\0\0",
		]) {
			corrupt(bytesOf(`${unit.repeat(100_000)}N`));
		}
	});

	it("deep JSON", () => {
		const depth = 1_000_000;
		try {
			decode(bytesOf(`J${"[".repeat(depth)}${"]".repeat(depth)}`));
		} catch (error) {
			assert.equal((error as HoldfastError).code, "CORRUPT");
		}
	});

	it("prototypes stay what they are", () => {
		for (const bytes of ['J{"__proto__":{"polluted":1}}', "O\x01\0\0\0c\x09__proto__O\x01\0\0\0c\x08pollutedT"]) {
			const value = decode(bytesOf(bytes)) as Record<string, unknown>;
			assert.equal(Object.getPrototypeOf(value), Object.prototype);
			assert(Object.hasOwn(value, "__proto__"));
			assert.equal(value.polluted, undefined);
		}
		assert.equal(Object.getPrototypeOf(decode(bytesOf("a\0\0\0\0\x01\0\0\0c\x09__proto__N"))), Array.prototype);
		assert.equal(({} as { polluted?: unknown }).polluted, undefined);
	});

	it("references to what is not there yet, or never", () => {
		corrupt(bytesOf("@\0\0\0\0"));
		corrupt(bytesOf("A\x01\0\0\0@\x05\0\0\0"));
		corrupt(bytesOf("p@\0\0\0\0"));
		corrupt(bytesOf("V\x02\0\0\0\0\0\0\0\0@\0\0\0\0"));
	});

	it("parts of the wrong kind", () => {
		const bad = [
			"pN",
			"pO\0\0\0\0",
			"V\x02\0\0\0\0\0\0\0\0N",
			"V\x63\0\0\0\0\0\0\0\0Y\0\0\0\0",
			"V\x04\x01\0\0\0\x01\0\0\0Y\x04\0\0\0\0\0\0\0",
			"RNN",
			"Rc\x01(c\0",
			"Rc\x01ac\x01q",
			"E\x07\0",
			"E\0\x08",
			"G\x02\0\0\0xy",
			"G\0\0\0\0",
			"G\x01\0\0\0-",
			"O\x01\0\0\0NN",
			"w\x01\0\0\0a",
			"a\0\0\0\0\x01\0\0\0c\x06lengthI\xff\xff\xff\x01",
		];
		for (const bytes of bad) corrupt(bytesOf(bytes));
	});
});
