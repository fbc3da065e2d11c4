/**
 * The value codec: a JavaScript value as bytes, and back.
 *
 * Owns the bytes of a value; the engine treats them as opaque. Takes what structured clone takes except platform
 * objects, and gives what structured clone gives: class instances come back as plain objects with their own enumerable
 * properties, symbols as keys are ignored, accessors are read, cycles and shared references keep their identity.
 * Three differences: a view whose buffer appears once in the value brings only the bytes it covers; a resizable
 * buffer comes back fixed; a proxy is stored as the plain object it shows.
 *
 * Shapes. A value is a node. All numbers are little-endian; `text` is one of the nodes c, s and w.
 *
 *     J utf8...                 JSON text, to the end of the value        only as the whole value
 *     S utf8...                 string, to the end of the value           only as the whole value
 *     B bytes...                Uint8Array, to the end of the value       only as the whole value
 *     U  N  T  F                undefined, null, true, false
 *     I i32                     number that is an i32 and not -0
 *     D f64                     any other number
 *     G u32 hex...              BigInt: byte count, then ASCII [-]hex
 *     c u8 utf8...              string of at most 255 bytes: byte count, then UTF-8
 *     s u32 utf8...             string: byte count, then UTF-8
 *     w u32 units...            string with lone surrogates: byte count, then UTF-16
 *   * O u32 (text node)...      object: property count, then key and value each
 *   * A u32 node...             array without holes or extra properties: length, then the elements
 *   * a u32 u32 (text node)...  other array: length, property count, then key and value each
 *   * M u32 (node node)...      Map: entry count, then key and value each
 *   * L u32 node...             Set: member count, then the members
 *   * t f64                     Date: ms since 1970, or NaN
 *   * R text text               RegExp: source, flags
 *   * E u8 u8 [text] [text] [node]   Error: index in ERRORS, parts (1 message, 2 stack, 4 cause), then these parts
 *   * Y u32 bytes...            ArrayBuffer: byte count, then the bytes
 *   * V u8 u32 u32 node         view: index in VIEWS, byte offset, length in elements, then its buffer (Y or @)
 *   * p node                    boxed primitive: T, F, I, D, G or text
 *     @ u32                     the n-th object of the value: those with * are numbered from 0 in the order of their tags
 *
 * Objects nest at most 1,000 deep.
 *
 * Errors. Encoding: `VALUE_INVALID` with the `path` of what cannot be stored. Decoding: `CORRUPT` for any bytes that
 * encoding does not produce and that do not make sense; memory stays proportional to the bytes that are there.
 */

import { HoldfastError } from "./error.js";
import { readText, type Sink, type Source, writeText } from "./text.js";

const DEPTH_MAX = 1000;
const ERRORS = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
const VIEWS = (
	"DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array " +
	"Float32Array Float64Array BigInt64Array BigUint64Array Float16Array"
).split(" ");

const JSON_TEXT = 0x4a; // J
const STRING = 0x53; // S
const BYTES = 0x42; // B
const UNDEFINED = 0x55; // U
const NULL = 0x4e; // N
const TRUE = 0x54; // T
const FALSE = 0x46; // F
const INT = 0x49; // I
const DOUBLE = 0x44; // D
const BIGINT = 0x47; // G
const SHORT = 0x63; // c
const LONG = 0x73; // s
const WIDE = 0x77; // w
const OBJECT = 0x4f; // O
const ARRAY = 0x41; // A
const SPARSE = 0x61; // a
const MAP = 0x4d; // M
const SET = 0x4c; // L
const DATE = 0x74; // t
const REGEXP = 0x52; // R
const ERROR = 0x45; // E
const BUFFER = 0x59; // Y
const VIEW = 0x56; // V
const BOXED = 0x70; // p
const REFERENCE = 0x40; // @

const prototypeOf = Object.getPrototypeOf;
const bufferBytes = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")?.get as () => number;
const sourceOf = Object.getOwnPropertyDescriptor(RegExp.prototype, "source")?.get as () => string;
const viewName = Object.getOwnPropertyDescriptor(prototypeOf(Uint8Array.prototype), Symbol.toStringTag)
	?.get as () => string;

// ---------------------------------------------------------------------------------------------------- encode

/** Writes a value at the sink's position. Throws `VALUE_INVALID` or `TOO_LARGE`. May run accessors of the value. */
export function encodeValue(sink: Sink, value: unknown): void {
	const start = sink.at;
	try {
		if (!encodeWhole(sink, value)) new Encoder(sink).write(value);
	} catch (error) {
		sink.at = start;
		if (error instanceof HoldfastError) throw error;
		const { what, cause, steps } = Refusal.of(error);
		const shown = steps.length > 40 ? [...steps.slice(0, 20), "…", ...steps.slice(-20)] : steps;
		const path = shown.join("").replace(/^\./, "");
		throw new HoldfastError("VALUE_INVALID", `${path || "The value"} ${what}.`, { path, cause });
	}
}

/** Writes a primitive, or one of the forms that are a whole value and nothing else; says false for what is neither. */
function encodeWhole(sink: Sink, value: unknown): boolean {
	const start = sink.at;
	if (typeof value !== "object" || value === null) {
		if (typeof value === "string") {
			put(sink, STRING);
			if (writeText(sink, value) >= 0) return true;
			sink.at = start;
		}
		putPrimitive(sink, value);
		return true;
	}
	if (ArrayBuffer.isView(value)) {
		if (viewName.call(value) !== "Uint8Array") return false;
		const covered = copyable(value.buffer, value.byteOffset, value.byteLength);
		put(sink, BYTES);
		putBytes(sink, covered);
		return true;
	}
	const json = jsonOf(value);
	if (json === undefined) return false;
	put(sink, JSON_TEXT);
	writeText(sink, json);
	return true;
}

/** JSON text that brings the same value back, if there is such. */
function jsonOf(value: object): string | undefined {
	try {
		return isJson(value, new Set(), 0) ? JSON.stringify(value) : undefined;
	} catch {
		// An accessor that throws, or text longer than a string can be: the other form says where, or has room.
		return undefined;
	}
}

/** Whether JSON text brings the same value back. Shared references do not: `seen` has the objects met so far. */
function isJson(value: unknown, seen: Set<object>, depth: number): boolean {
	switch (typeof value) {
		case "string":
		case "boolean":
			return true;
		case "number":
			return value - value === 0 && (value !== 0 || 1 / value > 0);
		case "object":
			break;
		default:
			return false;
	}
	if (value === null) return true;
	const isArray = Array.isArray(value);
	const prototype = prototypeOf(value);
	if (prototype !== (isArray ? Array.prototype : Object.prototype) && (isArray || prototype !== null)) return false;
	if ((value as { toJSON?: unknown }).toJSON !== undefined || depth >= DEPTH_MAX) return false;
	if (seen.size === seen.add(value).size) return false;
	const keys = Object.keys(value);
	if (isArray) {
		// With as many properties as elements, a property beside the elements leaves a hole, and a hole reads as undefined.
		if (keys.length !== value.length) return false;
		for (let i = 0; i < value.length; i++) if (!isJson(value[i], seen, depth + 1)) return false;
	} else {
		for (const key of keys) if (!isJson((value as Record<string, unknown>)[key], seen, depth + 1)) return false;
	}
	return true;
}

/** Why a value cannot be stored, and where in it: `steps` from the outside in. */
class Refusal {
	readonly what: string;
	readonly cause: unknown;
	readonly steps: string[] = [];

	constructor(what: string, cause?: unknown) {
		this.what = what;
		this.cause = cause;
	}

	static of(error: unknown): Refusal {
		return error instanceof Refusal ? error : new Refusal("cannot be read", error);
	}
}

/** Adds where it was to what went wrong inside. */
function within(error: unknown, step: string): unknown {
	if (error instanceof HoldfastError) return error;
	const refusal = Refusal.of(error);
	refusal.steps.unshift(step);
	return refusal;
}

function propertyStep(key: string): string {
	return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** Writes nodes; numbers objects in the order met. */
class Encoder {
	readonly #sink: Sink;
	readonly #ids = new Map<object, number>();
	/** Buffers of which only the bytes under one view were written. */
	readonly #trimmed = new Set<object>();
	#trims = true;
	#sharesTrimmed = false;

	constructor(sink: Sink) {
		this.#sink = sink;
	}

	/** Writes a whole value; once more, with whole buffers, when one is shared after only a part of it was written. */
	write(value: unknown): void {
		const start = this.#sink.at;
		this.#node(value, 0);
		if (!this.#sharesTrimmed) return;
		this.#trims = false;
		this.#ids.clear();
		this.#sink.at = start;
		this.#node(value, 0);
	}

	#node(value: unknown, depth: number): void {
		if (typeof value !== "object" || value === null) putPrimitive(this.#sink, value);
		else if (this.#isNew(value)) this.#object(value, depth);
	}

	/** Writes a reference to an object that has a number, or gives it one. */
	#isNew(value: object): boolean {
		const id = this.#ids.get(value);
		if (id === undefined) {
			this.#ids.set(value, this.#ids.size);
			return true;
		}
		if (this.#trimmed.has(value)) this.#sharesTrimmed = true;
		put(this.#sink, REFERENCE);
		putU32(this.#sink, id);
		return false;
	}

	#object(value: object, depth: number): void {
		if (depth >= DEPTH_MAX) throw new Refusal(`is nested more than ${DEPTH_MAX} objects deep`);
		if (Array.isArray(value)) {
			this.#array(value, depth);
		} else if (ArrayBuffer.isView(value)) {
			this.#view(value);
		} else {
			const prototype = prototypeOf(value);
			const isPlain = prototype === null || prototype === Object.prototype;
			if (!isPlain && this.#builtin(value, depth)) return;
			if (!isPlain && isPlatform(prototype)) throw new Refusal(`is a ${tagOf(value)}, which cannot be stored`);
			put(this.#sink, OBJECT);
			this.#properties(value, Object.keys(value), depth);
		}
	}

	#array(value: unknown[], depth: number): void {
		const keys = Object.keys(value);
		const length = value.length;
		// Indexes come first and in order, so these two say that every key is one and none is missing.
		if (keys.length === length && (length === 0 || keys[length - 1] === String(length - 1))) {
			put(this.#sink, ARRAY);
			putU32(this.#sink, length);
			this.#nodes(value, length, depth, (i) => `[${i}]`);
		} else {
			put(this.#sink, SPARSE);
			putU32(this.#sink, length);
			this.#properties(value, keys, depth);
		}
	}

	#properties(value: object, keys: string[], depth: number): void {
		let key = "";
		putU32(this.#sink, keys.length);
		try {
			for (key of keys) {
				putText(this.#sink, key);
				this.#node((value as Record<string, unknown>)[key], depth + 1);
			}
		} catch (error) {
			throw within(error, Array.isArray(value) && /^\d+$/.test(key) ? `[${key}]` : propertyStep(key));
		}
	}

	/** Writes so many nodes, whatever accessors do to the list meanwhile. */
	#nodes(nodes: ArrayLike<unknown>, count: number, depth: number, step: (index: number) => string): void {
		let i = 0;
		try {
			for (; i < count; i++) this.#node(nodes[i], depth + 1);
		} catch (error) {
			throw within(error, step(i));
		}
	}

	/** Writes what is neither array, view nor plain object; says false, and writes nothing, for instances of classes. */
	#builtin(value: object, depth: number): boolean {
		const sink = this.#sink;
		const name = tagOf(value);
		// The tag finds objects of another frame; that it is what it says to be, only its own method can tell.
		const read = <R>(type: { name: string; prototype: object }, method: (this: never) => R): R | undefined => {
			if (name !== type.name && !Object.prototype.isPrototypeOf.call(type.prototype, value)) return undefined;
			try {
				return method.call(value as never);
			} catch {
				return undefined;
			}
		};

		const time = read(Date, Date.prototype.getTime);
		if (time !== undefined) {
			put(sink, DATE);
			putF64(sink, time);
			return true;
		}
		const entries = read(Map, Map.prototype.entries);
		if (entries) {
			const flat = [...entries].flat();
			put(sink, MAP);
			putU32(sink, flat.length / 2);
			this.#nodes(flat, flat.length, depth, (i) => `.${i % 2 ? "values" : "keys"}()[${i >> 1}]`);
			return true;
		}
		const members = read(Set, Set.prototype.values);
		if (members) {
			const list = [...members];
			put(sink, SET);
			putU32(sink, list.length);
			this.#nodes(list, list.length, depth, (i) => `.values()[${i}]`);
			return true;
		}
		if (read(ArrayBuffer, bufferBytes) !== undefined) {
			this.#buffer(value as ArrayBuffer, 0, (value as ArrayBuffer).byteLength);
			return true;
		}
		const source = read(RegExp, sourceOf);
		if (source !== undefined) {
			put(sink, REGEXP);
			putText(sink, source);
			putText(sink, (value as RegExp).flags);
			return true;
		}
		if (name === "Error" || (value instanceof Error && name !== "DOMException")) {
			this.#error(value as Error, depth);
			return true;
		}
		for (const type of [Boolean, Number, String, BigInt]) {
			const primitive = read<unknown>(type, type.prototype.valueOf);
			if (primitive === undefined) continue;
			put(sink, BOXED);
			this.#node(primitive, depth);
			return true;
		}
		return false;
	}

	#error(error: Error, depth: number): void {
		const sink = this.#sink;
		const own = Object.getOwnPropertyDescriptor(error, "message");
		const message = own && "value" in own ? String(own.value) : undefined;
		const { name, stack } = error;
		const hasCause = Object.hasOwn(error, "cause");
		const index = ERRORS.findIndex((type) => type.name === name);
		put(sink, ERROR);
		put(sink, index < 0 ? 0 : index);
		put(sink, (message === undefined ? 0 : 1) | (typeof stack === "string" ? 2 : 0) | (hasCause ? 4 : 0));
		if (message !== undefined) putText(sink, message);
		if (typeof stack === "string") putText(sink, stack);
		if (hasCause) this.#nodes([error.cause], 1, depth, () => ".cause");
	}

	#view(view: ArrayBufferView): void {
		const sink = this.#sink;
		const { buffer } = view;
		const kind = VIEWS.indexOf(viewName.call(view) ?? "DataView");
		const size = (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
		// Asked before anything is written, because it refuses shared and detached buffers.
		copyable(buffer, 0, 0);
		if (kind < 0) throw new Refusal(`is a ${tagOf(view)}, which cannot be stored`);
		const trims = this.#trims && !this.#ids.has(buffer);
		put(sink, VIEW);
		put(sink, kind);
		putU32(sink, trims ? 0 : view.byteOffset);
		putU32(sink, view.byteLength / size);
		if (!this.#isNew(buffer)) return;
		if (trims) this.#trimmed.add(buffer);
		this.#buffer(buffer, trims ? view.byteOffset : 0, trims ? view.byteLength : buffer.byteLength);
	}

	#buffer(buffer: ArrayBufferLike, offset: number, count: number): void {
		const bytes = copyable(buffer, offset, count);
		put(this.#sink, BUFFER);
		putU32(this.#sink, count);
		putBytes(this.#sink, bytes);
	}
}

/** The bytes of a buffer. Refuses shared and detached ones. */
function copyable(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array {
	try {
		bufferBytes.call(buffer);
	} catch {
		throw new Refusal("is over a SharedArrayBuffer, which cannot be stored");
	}
	try {
		return new Uint8Array(buffer, offset, count);
	} catch (cause) {
		throw new Refusal("is over a detached ArrayBuffer", cause);
	}
}

function tagOf(value: object): string {
	return Object.prototype.toString.call(value).slice(8, -1);
}

/** By prototype. */
const platform = new WeakMap<object, boolean>();

/**
 * Whether instances have more to them than their properties: the prototype, or one that it extends, belongs to a class
 * of the platform other than Object.
 */
function isPlatform(prototype: object): boolean {
	let known = platform.get(prototype);
	if (known === undefined) {
		const above = prototypeOf(prototype);
		const maker = Object.getOwnPropertyDescriptor(prototype, "constructor");
		// Object's own prototype, of any frame, is the one with nothing above.
		known = above !== null && ((maker !== undefined && !isUserClass(maker.value)) || isPlatform(above));
		platform.set(prototype, known);
	}
	return known;
}

function isUserClass(maker: unknown): boolean {
	return typeof maker === "function" && !/\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(maker));
}

function put(sink: Sink, byte: number): void {
	sink.need(1);
	sink.bytes[sink.at++] = byte;
}

function putU32(sink: Sink, number: number): void {
	sink.need(4);
	sink.view.setUint32(sink.at, number, true);
	sink.at += 4;
}

function putF64(sink: Sink, number: number): void {
	sink.need(8);
	sink.view.setFloat64(sink.at, number, true);
	sink.at += 8;
}

function putPrimitive(sink: Sink, value: unknown): void {
	switch (typeof value) {
		case "undefined":
			put(sink, UNDEFINED);
			break;
		case "object":
			put(sink, NULL);
			break;
		case "boolean":
			put(sink, value ? TRUE : FALSE);
			break;
		case "number":
			putNumber(sink, value);
			break;
		case "bigint": {
			const hex = value.toString(16);
			put(sink, BIGINT);
			putU32(sink, hex.length);
			writeText(sink, hex);
			break;
		}
		case "string":
			putText(sink, value);
			break;
		default:
			throw new Refusal(`is a ${typeof value}, which cannot be stored`);
	}
}

function putNumber(sink: Sink, number: number): void {
	if ((number | 0) === number && !Object.is(number, -0)) {
		put(sink, INT);
		putU32(sink, number);
	} else {
		put(sink, DOUBLE);
		putF64(sink, number);
	}
}

function putBytes(sink: Sink, bytes: Uint8Array): void {
	sink.need(bytes.length);
	sink.bytes.set(bytes, sink.at);
	sink.at += bytes.length;
}

function putText(sink: Sink, text: string): void {
	const start = sink.at;
	const isShort = text.length * 3 <= 255;
	sink.need(5);
	sink.at += isShort ? 2 : 5;
	let bytes = writeText(sink, text);
	const isWide = bytes < 0;
	if (isWide) {
		bytes = text.length * 2;
		sink.at = start + 5;
		sink.need(bytes);
		for (let i = 0; i < text.length; i++) sink.view.setUint16(sink.at + 2 * i, text.charCodeAt(i), true);
		sink.at += bytes;
	}
	if (isShort && !isWide) {
		sink.bytes[start] = SHORT;
		sink.bytes[start + 1] = bytes;
	} else {
		sink.bytes[start] = isWide ? WIDE : LONG;
		sink.view.setUint32(start + 1, bytes, true);
	}
}

// ---------------------------------------------------------------------------------------------------- decode

/** The value whose bytes are `[start, end)`, a fresh one each time. Throws `CORRUPT`. */
export function decodeValue(source: Source, start: number, end: number): unknown {
	const { bytes } = source;
	try {
		switch (start < end ? bytes[start] : -1) {
			case JSON_TEXT:
				return JSON.parse(readText(bytes, start + 1, end));
			case STRING:
				return readText(bytes, start + 1, end);
			case BYTES:
				return bytes.slice(start + 1, end);
			default:
				return new Decoder(source, start, end).whole();
		}
	} catch (error) {
		if (error instanceof HoldfastError) throw error;
		throw new HoldfastError("CORRUPT", "The stored bytes of a value contradict the format; set it again.", {
			cause: error,
		});
	}
}

/** Reads nodes. Whatever is wrong with the bytes is thrown, as any kind of error. */
class Decoder {
	readonly #bytes: Uint8Array<ArrayBuffer>;
	readonly #view: DataView;
	readonly #objects: object[] = [];
	#at: number;
	readonly #end: number;

	constructor({ bytes, view }: Source, start: number, end: number) {
		this.#bytes = bytes;
		this.#view = view;
		this.#at = start;
		this.#end = end;
	}

	whole(): unknown {
		const value = this.#node(0);
		if (this.#at !== this.#end) throw new Error("bytes behind the value");
		return value;
	}

	/** Moves past that many bytes and says where they begin. */
	#take(count: number): number {
		const at = this.#at;
		if (count > this.#end - at) throw new Error("cut short");
		this.#at = at + count;
		return at;
	}

	#u8(): number {
		return this.#bytes[this.#take(1)] as number;
	}

	#u32(): number {
		return this.#view.getUint32(this.#take(4), true);
	}

	#f64(): number {
		return this.#view.getFloat64(this.#take(8), true);
	}

	/** A count of things of which each takes a byte at least. */
	#count(): number {
		const count = this.#u32();
		if (count > this.#end - this.#at) throw new Error("cut short");
		return count;
	}

	#keep<O extends object>(object: O): O {
		this.#objects.push(object);
		return object;
	}

	#node(depth: number): unknown {
		if (depth > DEPTH_MAX) throw new Error("nested too deep");
		const kind = this.#u8();
		switch (kind) {
			case UNDEFINED:
				return undefined;
			case NULL:
				return null;
			case TRUE:
				return true;
			case FALSE:
				return false;
			case INT:
				return this.#u32() | 0;
			case DOUBLE:
				return this.#f64();
			case BIGINT:
				return this.#bigint();
			case SHORT:
			case LONG:
			case WIDE:
				return this.#text(kind);
			case OBJECT:
				return this.#properties(this.#keep({}), depth);
			case ARRAY: {
				const array: unknown[] = this.#keep([]);
				for (let left = this.#count(); left > 0; left--) array.push(this.#node(depth + 1));
				return array;
			}
			case SPARSE: {
				const array: unknown[] = this.#keep([]);
				const length = this.#u32();
				if (length > 0) {
					// Unlike a length that is set, a far element makes every engine keep the array as a table: no memory for holes.
					array[length - 1] = 0;
					delete array[length - 1];
				}
				return this.#properties(array, depth);
			}
			case MAP: {
				const map = this.#keep(new Map());
				for (let left = this.#count(); left > 0; left--) {
					const key = this.#node(depth + 1);
					map.set(key, this.#node(depth + 1));
				}
				return map;
			}
			case SET: {
				const set = this.#keep(new Set());
				for (let left = this.#count(); left > 0; left--) set.add(this.#node(depth + 1));
				return set;
			}
			case DATE:
				return this.#keep(new Date(this.#f64()));
			case REGEXP: {
				const source = this.#text();
				return this.#keep(new RegExp(source, this.#text()));
			}
			case ERROR:
				return this.#error(depth);
			case BUFFER:
				return this.#buffer();
			case VIEW:
				return this.#arrayView(depth);
			case BOXED: {
				const index = this.#objects.push(this.#objects) - 1;
				const primitive = this.#node(depth + 1);
				if (primitive == null || typeof primitive === "object") throw new Error("not a primitive");
				const boxed = Object(primitive) as object;
				this.#objects[index] = boxed;
				return boxed;
			}
			case REFERENCE: {
				const object = this.#objects[this.#u32()];
				if (object === undefined || object === this.#objects) throw new Error("no such object");
				return object;
			}
			default:
				throw new Error(`no node ${kind}`);
		}
	}

	#bigint(): bigint {
		const at = this.#take(this.#u32());
		const hex = readText(this.#bytes, at, this.#at);
		if (!/^-?[\da-f]+$/.test(hex)) throw new Error("not hex");
		return hex[0] === "-" ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`);
	}

	#text(kind = this.#u8()): string {
		if (kind !== SHORT && kind !== LONG && kind !== WIDE) throw new Error("not text");
		const count = kind === SHORT ? this.#u8() : this.#u32();
		const at = this.#take(count);
		if (kind !== WIDE) return readText(this.#bytes, at, at + count);
		if (count % 2) throw new Error("half a unit");
		let text = "";
		for (let i = at; i < at + count; i += 2) text += String.fromCharCode(this.#view.getUint16(i, true));
		return text;
	}

	#properties<O extends object>(object: O, depth: number): O {
		for (let left = this.#count(); left > 0; left--) {
			const key = this.#text();
			if (key === "length" && Array.isArray(object)) throw new Error("a second length");
			const value = this.#node(depth + 1);
			if (key !== "__proto__") {
				(object as Record<string, unknown>)[key] = value;
			} else {
				// Assigning would change the prototype.
				Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
			}
		}
		return object;
	}

	#error(depth: number): Error {
		const Type = ERRORS[this.#u8()];
		const parts = this.#u8();
		if (!Type || parts > 7) throw new Error("no such error");
		const error = this.#keep(new Type());
		const define = (key: string, value: unknown) =>
			Object.defineProperty(error, key, { value, writable: true, configurable: true });
		if (parts & 1) define("message", this.#text());
		if (parts & 2) define("stack", this.#text());
		if (parts & 4) define("cause", this.#node(depth + 1));
		return error;
	}

	#buffer(): ArrayBuffer {
		const at = this.#take(this.#u32());
		return this.#keep(this.#bytes.slice(at, this.#at).buffer);
	}

	#arrayView(depth: number): object {
		const name = VIEWS[this.#u8()];
		const offset = this.#u32();
		const length = this.#u32();
		// The view has its number before its buffer, but cannot be made before it.
		const index = this.#objects.push(this.#objects) - 1;
		const buffer = this.#node(depth + 1);
		if (!name || !(buffer instanceof ArrayBuffer)) throw new Error("not a view");
		const Type = (globalThis as never)[name] as
			| (new (
					buffer: ArrayBuffer,
					offset: number,
					length: number,
			  ) => object)
			| undefined;
		if (!Type) throw new HoldfastError("VERSION", `This browser has no ${name}, of which the value has one.`);
		const view = new Type(buffer, offset, length);
		this.#objects[index] = view;
		return view;
	}
}
