// Every type of value that a store takes, by name. Each call makes them anew.

/** `[name, value]` pairs: each value by itself, in an array and in an object. */
export function values() {
	return alone().flatMap(([name, value]) => [
		[name, value],
		[`${name}, in an array`, [value]],
		[`${name}, in an object`, { value }],
	]);
}

function alone() {
	return Object.entries({
		undefined: undefined,
		null: null,
		true: true,
		false: false,
		zero: 0,
		"negative zero": -0,
		one: 1,
		"minus one": -1,
		fraction: 0.1,
		"a number beyond 32 bits": 2 ** 40 + 1,
		"the largest safe integer": Number.MAX_SAFE_INTEGER,
		"the smallest number": Number.MIN_VALUE,
		"the largest number": Number.MAX_VALUE,
		NaN: Number.NaN,
		Infinity: Number.POSITIVE_INFINITY,
		"-Infinity": Number.NEGATIVE_INFINITY,
		"bigint zero": 0n,
		"negative bigint": -1n,
		"large bigint": 2n ** 200n + 12345678901234567890n,
		"large negative bigint": -(2n ** 130n),
		"empty string": "",
		text: "plain text",
		"text of many planes": "žluťoučký 漢字 😀 \u0000 \u{10FFFF}",
		"a lone surrogate": "a\uD800b",
		"long text": "0123456789ž".repeat(20_000),
		date: new Date(1_700_000_000_123),
		"date before 1970": new Date(-1),
		"invalid date": new Date(Number.NaN),
		regexp: /a\/b.+?(?<name>ž)\n/gisu,
		error: new Error("broken"),
		"type error": new TypeError("not a function"),
		"error with a cause": new RangeError("too far", { cause: { code: 7 } }),
		array: [1, "two", [3, null, undefined]],
		"empty array": [],
		// biome-ignore lint/suspicious/noSparseArray: holes are the case
		"array with holes": [, 1, , 3, ,],
		"array with a hole far away": Object.assign([], { 5000: "far", length: 6000 }),
		object: { a: 1, b: { c: [true, { d: null }] }, "": "empty name", "ž\u0000": 2 },
		"empty object": {},
		"object with integer names": { 2: "b", 1: "a", x: "x" },
		"object with its own __proto__": JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'),
		"object of undefined": { here: undefined },
		map: new Map([
			["k", 1],
			[{ id: 1 }, new Map([[null, [new Date(5)]]])],
			[Number.NaN, -0],
		]),
		"empty map": new Map(),
		set: new Set([1, "1", { one: 1 }, new Set([undefined])]),
		"boxed primitives": [Object(1), Object("s"), Object(false), Object(7n)],
		arraybuffer: Uint8Array.of(0, 1, 254, 255).buffer,
		"empty arraybuffer": new ArrayBuffer(0),
		int8array: Int8Array.of(-128, 0, 127),
		uint8array: Uint8Array.of(0, 255),
		"part of a buffer": new Uint8Array(Uint8Array.of(9, 1, 2, 3, 9).buffer, 1, 3).slice(),
		uint8clampedarray: Uint8ClampedArray.of(0, 255),
		int16array: Int16Array.of(-32768, 32767),
		uint16array: Uint16Array.of(0, 65535),
		int32array: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
		uint32array: Uint32Array.of(0, 2 ** 32 - 1),
		float32array: Float32Array.of(1.5, Number.NaN, -0),
		float64array: Float64Array.of(Math.PI, Number.NEGATIVE_INFINITY, -0),
		bigint64array: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
		biguint64array: BigUint64Array.of(0n, 2n ** 64n - 1n),
		dataview: new DataView(Uint8Array.of(1, 2, 3, 4).buffer),
		"large typed array": Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7) & 255),
		"object in a cycle": cycle(),
		"map and set in a cycle": collectionCycle(),
		"one object twice": twice(),
		"nested 400 deep": deep(400),
	});
}

function cycle() {
	const object = { name: "self", list: [] };
	object.self = object;
	object.list.push(object, object.list);
	return object;
}

function collectionCycle() {
	const map = new Map();
	const set = new Set([map]);
	map.set("set", set).set(map, map);
	return map;
}

function twice() {
	const shared = { shared: true };
	return { one: shared, two: shared, three: [shared] };
}

function deep(levels) {
	let value = "bottom";
	for (let level = 0; level < levels; level++) value = level % 2 ? [value] : { value };
	return value;
}
