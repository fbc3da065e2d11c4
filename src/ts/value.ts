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
import { DEPTH_MAX } from "./numbers.js";
import {
	ARRAY,
	BIGINT,
	BOXED,
	BUFFER,
	BYTES,
	DATE,
	DOUBLE,
	ERROR,
	FALSE,
	INT,
	JSON_TEXT,
	LONG,
	MAP,
	NULL,
	OBJECT,
	REFERENCE,
	REGEXP,
	SET,
	SHORT,
	SPARSE,
	STRING,
	TRUE,
	UNDEFINED,
	VIEW,
	WIDE,
} from "./tags.js";
import { readText, type Sink, type Source, writeText } from "./text.js";

const ERRORS = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
const VIEWS = "DataView,Int8,Uint8,Uint8Clamped,Int16,Uint16,Int32,Uint32,Float32,Float64,BigInt64,BigUint64,Float16"
	.split(",")
	.map((name, i) => (i ? `${name}Array` : name));

const prototypeOf = Object.getPrototypeOf;
const ownProperty = Object.getOwnPropertyDescriptor;

/** A getter of the platform, which throws for what is not of its type, whatever that pretends to be. */
type Getter = (this: unknown) => unknown;
const bufferBytes = ownProperty(ArrayBuffer.prototype, "byteLength")?.get as Getter;
const viewName = ownProperty(prototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get as Getter;

/** What is neither array, view nor plain object, by type, and its own method that gives what is in it. */
const BUILTINS: readonly (readonly [type: { readonly name: string; readonly prototype: object }, read: Getter])[] = [
	[Date, Date.prototype.getTime],
	[Map, Map.prototype.entries],
	[Set, Set.prototype.values],
	[ArrayBuffer, bufferBytes],
	[RegExp, ownProperty(RegExp.prototype, "source")?.get as Getter],
	...[Boolean, Number, String, BigInt].map((type) => [type, type.prototype.valueOf] as const),
];

// ---------------------------------------------------------------------------------------------------- encode

/** The way from the value to what is being written: in turn how a key is shown in a path, and the key. */
type Steps = (Show | string | number)[];
type Show = (key: string | number) => string;

const NO_STEPS: Steps = [];

const showProperty: Show = (key) => (/^[a-z$_][\w$]*$/i.test(key as string) ? `.${key}` : `[${JSON.stringify(key)}]`);
const showElement: Show = (key) => (/^\d+$/.test(key as string) ? `[${key}]` : showProperty(key));
const showMember: Show = (index) => `.values()[${index}]`;
/** Keys and values take turns. */
const showEntry: Show = (index) => `.${+index % 2 ? "values" : "keys"}()[${+index >> 1}]`;

/** Why a value cannot be stored. */
class Refusal {
	readonly what: string;
	readonly cause: unknown;

	constructor(what: string, cause?: unknown) {
		this.what = what;
		this.cause = cause;
	}
}

/** Writes a value at the sink's position. Throws `VALUE_INVALID` or `TOO_LARGE`. May run accessors of the value. */
export function encodeValue(sink: Sink, value: unknown): void {
	const start = sink.at;
	let steps: Steps = NO_STEPS;
	try {
		if (encodeWhole(sink, value)) return;
		steps = [];
		if (encodeGraph(sink, value, steps, new Set())) return;
		sink.at = start;
		encodeGraph(sink, value, steps);
	} catch (error) {
		sink.at = start;
		if (error instanceof HoldfastError) throw error;
		const { what, cause } = error instanceof Refusal ? error : new Refusal("cannot be read", error);
		const shown: string[] = [];
		for (let i = 0; i < steps.length; i += 2) shown.push((steps[i] as Show)(steps[i + 1] as string));
		if (shown.length > 40) shown.splice(20, shown.length - 40, "…");
		const path = shown.join("").replace(/^\./, "");
		throw new HoldfastError("VALUE_INVALID", `${path || "The value"} ${what}.`, { path, cause });
	}
}

/** Writes a primitive, or one of the forms that are a whole value and nothing else; says false for what is neither. */
function encodeWhole(sink: Sink, value: unknown): boolean {
	if (typeof value === "string") {
		put(sink, STRING);
		if (writeText(sink, value) >= 0) return true;
		sink.at--;
	}
	if (typeof value !== "object" || value === null) {
		putPrimitive(sink, value);
		return true;
	}
	if (ArrayBuffer.isView(value)) {
		if (viewName.call(value) !== "Uint8Array") return false;
		put(sink, BYTES);
		putBytes(sink, value.buffer, value.byteOffset, value.byteLength);
		return true;
	}
	let json: string;
	try {
		if (!isJson(value, {}, 0)) return false;
		json = JSON.stringify(value);
	} catch {
		// An accessor that throws, or text longer than a string can be: the other form says where, or has room.
		return false;
	}
	put(sink, JSON_TEXT);
	writeText(sink, json);
	return true;
}

/** The objects met so far: most values are one, for which a set would cost more than all the rest. */
interface Seen {
	root?: object;
	others?: Set<object>;
}

/** Whether JSON text brings the same value back. Shared references do not. */
function isJson(value: unknown, seen: Seen, depth: number): boolean {
	if (value === null || typeof value === "string" || typeof value === "boolean") return true;
	if (typeof value === "number") return value - value === 0 && (value !== 0 || 1 / value > 0);
	if (typeof value !== "object") return false;
	const isArray = Array.isArray(value);
	const prototype = prototypeOf(value);
	if (prototype !== (isArray ? Array.prototype : Object.prototype) && (isArray || prototype !== null)) return false;
	if ((value as { toJSON?: unknown }).toJSON !== undefined || depth >= DEPTH_MAX) return false;
	if (!seen.root) {
		seen.root = value;
	} else {
		seen.others ??= new Set([seen.root]);
		if (seen.others.size === seen.others.add(value).size) return false;
	}
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

/**
 * Writes a value as nodes, its objects numbered in the order met. With `trimmed`, of buffers only the bytes under a view
 * are written; says false when one of those turned out to be shared, so that it takes another time without.
 */
function encodeGraph(sink: Sink, root: unknown, steps: Steps, trimmed?: Set<object>): boolean {
	const ids = new Map<object, number>();
	let isTrue = true;

	function node(value: unknown): void {
		if (typeof value !== "object" || value === null) putPrimitive(sink, value);
		else if (isNew(value)) object(value);
	}

	/** Writes a reference to an object that has a number, or gives it one. */
	function isNew(value: object): boolean {
		const id = ids.get(value);
		if (id === undefined) {
			ids.set(value, ids.size);
			return true;
		}
		if (trimmed?.has(value)) isTrue = false;
		putCount(sink, REFERENCE, id);
		return false;
	}

	function object(value: object): void {
		if (steps.length >= 2 * DEPTH_MAX) refuse(`is nested more than ${DEPTH_MAX} objects deep`);
		if (ArrayBuffer.isView(value)) {
			view(value);
			return;
		}
		const keys = Object.keys(value);
		if (Array.isArray(value)) {
			const { length } = value;
			// Indexes come first and in order, so these two say that every key is one and none is missing.
			const isDense = keys.length === length && (length === 0 || keys[length - 1] === String(length - 1));
			putCount(sink, isDense ? ARRAY : SPARSE, length);
			if (isDense) nodes(value, showElement);
			else properties(value, keys, showElement);
			return;
		}
		const prototype = prototypeOf(value);
		if (prototype !== null && prototype !== Object.prototype) {
			if (builtin(value)) return;
			if (isPlatform(prototype)) refuse(`is a ${tagOf(value)}`);
		}
		put(sink, OBJECT);
		properties(value, keys, showProperty);
	}

	function properties(value: object, keys: string[], show: Show): void {
		putU32(sink, keys.length);
		for (const key of keys) {
			putText(sink, key);
			steps.push(show, key);
			node((value as Record<string, unknown>)[key]);
			steps.pop();
			steps.pop();
		}
	}

	/** Writes each, as many as there are now, whatever accessors do to the list meanwhile. */
	function nodes(list: unknown[], show: Show): void {
		const count = list.length;
		for (let i = 0; i < count; i++) {
			steps.push(show, i);
			node(list[i]);
			steps.pop();
			steps.pop();
		}
	}

	/** Writes what is neither array, view nor plain object; says false, and writes nothing, for instances of classes. */
	function builtin(value: object): boolean {
		const name = tagOf(value);
		for (const [type, read] of BUILTINS) {
			// The tag finds objects of another frame; that it is what it says to be, only its own method can tell.
			if (name !== type.name && !(value instanceof (type as DateConstructor))) continue;
			let content: unknown;
			try {
				content = read.call(value);
			} catch {
				continue;
			}
			if (type === Date) {
				putDouble(sink, DATE, content as number);
			} else if (type === Map) {
				const list = [...(content as Iterable<[unknown, unknown]>)].flat();
				putCount(sink, MAP, list.length / 2);
				nodes(list, showEntry);
			} else if (type === Set) {
				const list = [...(content as Iterable<unknown>)];
				putCount(sink, SET, list.length);
				nodes(list, showMember);
			} else if (type === ArrayBuffer) {
				buffer(value as ArrayBuffer, 0, content as number);
			} else if (type === RegExp) {
				put(sink, REGEXP);
				putText(sink, content as string);
				putText(sink, (value as RegExp).flags);
			} else {
				put(sink, BOXED);
				node(content);
			}
			return true;
		}
		if (name !== "Error" && (!(value instanceof Error) || name === "DOMException")) return false;
		error(value as Error);
		return true;
	}

	function error(error: Error): void {
		const own = ownProperty(error, "message");
		const message = own && "value" in own ? String(own.value) : undefined;
		const { name, stack } = error;
		const hasCause = Object.hasOwn(error, "cause");
		put(sink, ERROR);
		put(
			sink,
			Math.max(
				0,
				ERRORS.findIndex((type) => type.name === name),
			),
		);
		put(sink, (message === undefined ? 0 : 1) | (typeof stack === "string" ? 2 : 0) | (hasCause ? 4 : 0));
		if (message !== undefined) putText(sink, message);
		if (typeof stack === "string") putText(sink, stack);
		if (hasCause) nodes([error.cause], () => ".cause");
	}

	function view(view: ArrayBufferView): void {
		const { buffer: whole } = view;
		const kind = VIEWS.indexOf((viewName.call(view) as string | undefined) ?? "DataView");
		// Before a detached one is asked for its length.
		copyable(whole, 0, 0);
		if (kind < 0) refuse(`is a ${tagOf(view)}`);
		const { byteOffset, byteLength } = view;
		const trims = trimmed && !ids.has(whole);
		put(sink, VIEW);
		put(sink, kind);
		putU32(sink, trims ? 0 : byteOffset);
		putU32(sink, byteLength / ((view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1));
		if (!isNew(whole)) return;
		trimmed?.add(whole);
		buffer(whole, trims ? byteOffset : 0, trims ? byteLength : whole.byteLength);
	}

	function buffer(whole: ArrayBufferLike, offset: number, count: number): void {
		putCount(sink, BUFFER, count);
		putBytes(sink, whole, offset, count);
	}

	node(root);
	return isTrue;
}

function refuse(what: string, cause?: unknown): never {
	throw new Refusal(`${what}, which cannot be stored`, cause);
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
		const maker = ownProperty(prototype, "constructor");
		// Object's own prototype, of any frame, is the one with nothing above.
		known = above !== null && ((maker !== undefined && !isUserClass(maker.value)) || isPlatform(above));
		platform.set(prototype, known);
	}
	return known;
}

function isUserClass(maker: unknown): boolean {
	return typeof maker === "function" && !/\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(maker));
}

/** The bytes of a buffer. Refuses shared and detached ones. */
function copyable(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array {
	let kind = "SharedArrayBuffer";
	try {
		bufferBytes.call(buffer);
		kind = "detached ArrayBuffer";
		return new Uint8Array(buffer, offset, count);
	} catch (cause) {
		return refuse(`is over a ${kind}`, cause);
	}
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

function putBytes(sink: Sink, buffer: ArrayBufferLike, offset: number, count: number): void {
	const bytes = copyable(buffer, offset, count);
	sink.need(count);
	sink.bytes.set(bytes, sink.at);
	sink.at += count;
}

function putCount(sink: Sink, tag: number, count: number): void {
	put(sink, tag);
	putU32(sink, count);
}

function putDouble(sink: Sink, tag: number, number: number): void {
	put(sink, tag);
	sink.need(8);
	sink.view.setFloat64(sink.at, number, true);
	sink.at += 8;
}

function putPrimitive(sink: Sink, value: unknown): void {
	if (value === undefined) {
		put(sink, UNDEFINED);
	} else if (value === null) {
		put(sink, NULL);
	} else if (typeof value === "boolean") {
		put(sink, value ? TRUE : FALSE);
	} else if (typeof value === "number") {
		if ((value | 0) === value && !Object.is(value, -0)) putCount(sink, INT, value);
		else putDouble(sink, DOUBLE, value);
	} else if (typeof value === "string") {
		putText(sink, value);
	} else if (typeof value === "bigint") {
		const hex = value.toString(16);
		putCount(sink, BIGINT, hex.length);
		writeText(sink, hex);
	} else {
		refuse(`is a ${typeof value}`);
	}
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
		for (let i = 0; i < bytes; i += 2) sink.view.setUint16(sink.at + i, text.charCodeAt(i / 2), true);
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

/** The value whose bytes are `[first, last)`, a fresh one each time. Throws `CORRUPT`. */
export function decodeValue(source: Source, first: number, last: number): unknown {
	try {
		const kind = first < last ? source.bytes[first] : undefined;
		if (kind === JSON_TEXT) return JSON.parse(readText(source.bytes, first + 1, last));
		if (kind === STRING) return readText(source.bytes, first + 1, last);
		if (kind === BYTES) return source.bytes.slice(first + 1, last);
		({ bytes, view } = source);
		at = first;
		end = last;
		depth = 0;
		const value = node();
		check(at === end);
		return value;
	} catch (cause) {
		if (cause instanceof HoldfastError) throw cause;
		throw new HoldfastError("CORRUPT", "The stored value is damaged; set it again.", { cause });
	} finally {
		if (objects.length > 0) objects = [];
	}
}

// Decoding runs none of the caller's code, so there is one at a time: this is where it is, and the objects so far.
let bytes: Uint8Array<ArrayBuffer>;
let view: DataView;
let at: number;
let end: number;
let depth: number;
let objects: object[] = [];

/** Whatever is wrong with the bytes is thrown, as any kind of error. */
function check(isTrue: unknown): asserts isTrue {
	if (!isTrue) throw new Error(`${end - at} bytes before its end`);
}

/** Moves past that many bytes and says where they begin. */
function take(count: number): number {
	check(count <= end - at);
	at += count;
	return at - count;
}

function u8(): number {
	return bytes[take(1)] as number;
}

function u32(): number {
	return view.getUint32(take(4), true);
}

function f64(): number {
	return view.getFloat64(take(8), true);
}

function keep<O extends object>(object: O): O {
	objects.push(object);
	return object;
}

/** Keeps what has its number before the node it is made of. */
function keepAround<O extends object>(make: (inner: unknown) => O): O {
	const index = objects.push(objects) - 1;
	const made = make(node());
	objects[index] = made;
	return made;
}

/** A count of things of which each takes a byte at least. */
function count(): number {
	const count = u32();
	check(count <= end - at);
	return count;
}

function node(): unknown {
	check(depth++ <= DEPTH_MAX);
	const value = nodeOf(u8());
	depth--;
	return value;
}

function nodeOf(kind: number): unknown {
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
			return u32() | 0;
		case DOUBLE:
			return f64();
		case BIGINT: {
			const hex = readText(bytes, take(u32()), at);
			check(/^-?[\da-f]+$/.test(hex));
			return hex[0] === "-" ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`);
		}
		case OBJECT:
			return properties(keep({}));
		case ARRAY: {
			const array: unknown[] = keep([]);
			for (let left = count(); left > 0; left--) array.push(node());
			return array;
		}
		case SPARSE: {
			const array: unknown[] = keep([]);
			const length = u32();
			if (length > 0) {
				// Unlike a length that is set, a far element makes every engine keep the array as a table: no memory for holes.
				array[length - 1] = 0;
				delete array[length - 1];
			}
			return properties(array);
		}
		case MAP: {
			const map = keep(new Map());
			for (let left = count(); left > 0; left--) map.set(node(), node());
			return map;
		}
		case SET: {
			const set = keep(new Set());
			for (let left = count(); left > 0; left--) set.add(node());
			return set;
		}
		case DATE:
			return keep(new Date(f64()));
		case REGEXP:
			return keep(new RegExp(text(), text()));
		case ERROR: {
			const Type = ERRORS[u8()];
			const parts = u8();
			check(Type && parts < 8);
			const error = keep(new Type());
			const define = (key: string, value: unknown) =>
				Object.defineProperty(error, key, { value, writable: true, configurable: true });
			if (parts & 1) define("message", text());
			if (parts & 2) define("stack", text());
			if (parts & 4) define("cause", node());
			return error;
		}
		case BUFFER:
			return keep(bytes.slice(take(u32()), at).buffer);
		case VIEW: {
			const name = VIEWS[u8()];
			const offset = u32();
			const length = u32();
			return keepAround((buffer) => {
				check(name && buffer instanceof ArrayBuffer);
				const Type = (globalThis as never)[name] as typeof DataView | undefined;
				if (!Type) throw new HoldfastError("VERSION", `The value has a ${name}, which this browser lacks.`);
				return new Type(buffer, offset, length);
			});
		}
		case BOXED:
			return keepAround((primitive) => {
				check(primitive != null && typeof primitive !== "object");
				return Object(primitive);
			});
		case REFERENCE: {
			const object = objects[u32()];
			check(object && object !== objects);
			return object;
		}
		default:
			return text(kind);
	}
}

function text(kind = u8()): string {
	check(kind === SHORT || kind === LONG || kind === WIDE);
	const start = take(kind === SHORT ? u8() : u32());
	const stop = at;
	if (kind !== WIDE) return readText(bytes, start, stop);
	check((stop - start) % 2 === 0);
	let text = "";
	for (let i = start; i < stop; i += 2) text += String.fromCharCode(view.getUint16(i, true));
	return text;
}

function properties<O extends object>(object: O): O {
	for (let left = count(); left > 0; left--) {
		const key = text();
		check(key !== "length" || !Array.isArray(object));
		const value = node();
		if (key !== "__proto__") {
			(object as Record<string, unknown>)[key] = value;
		} else {
			// Assigning would change the prototype.
			Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
		}
	}
	return object;
}
