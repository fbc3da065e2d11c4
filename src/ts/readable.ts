/**
 * Values as JSON that a person can read, and back.
 *
 * What JSON has no form for is an object with one property whose name begins with `$`:
 *
 * | JSON | value |
 * |---|---|
 * | `{"$undefined":true}` | undefined |
 * | `{"$number":"NaN"}` | NaN, Infinity, -Infinity or -0 |
 * | `{"$bigint":"12"}` | a BigInt |
 * | `{"$date":"2026-01-31T12:00:00.000Z"}` | a Date; null for an invalid one |
 * | `{"$bytes":"AQID"}` | a Uint8Array, in base64 |
 * | `{"$map":[[key,value]]}`, `{"$set":[member]}` | a Map, a Set |
 * | `{"$object":{"$a":1}}` | an object that would else look like one of these |
 *
 * Owns these forms. Deliberately absent: what else there is (errors, regular expressions, other views, arrays with holes, an object
 * that is reached twice, lone surrogates): whoever writes keeps the stored bytes of such a value.
 */

import { isWellFormed } from "./text.js";

/** A value has no form. */
const NONE = Symbol();

/** The value as what JSON.stringify takes; undefined where it has no form. */
export function readableOf(value: unknown): { json: unknown } | undefined {
	try {
		return { json: formOf(value, new Set()) };
	} catch (error) {
		if (error === NONE) return;
		throw error;
	}
}

function formOf(value: unknown, seen: Set<object>): unknown {
	if (value === undefined) return { $undefined: true };
	if (typeof value === "string" && !isWellFormed(value)) throw NONE;
	if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
		return { $number: Object.is(value, -0) ? "-0" : String(value) };
	if (typeof value === "bigint") return { $bigint: String(value) };
	if (typeof value !== "object" || value === null) return value;
	// JSON does not tell one object in two places from two.
	if (seen.has(value)) throw NONE;
	seen.add(value);
	const form = (part: unknown) => formOf(part, seen);
	const keys = Object.keys(value);
	const prototype = Object.getPrototypeOf(value);
	if (Array.isArray(value)) {
		if (keys.length !== value.length || Object.hasOwn(value, "toJSON")) throw NONE;
		return value.map(form);
	}
	if (prototype === Object.prototype) {
		const copy: Record<string, unknown> = Object.create(null);
		for (const key of keys) {
			if (!isWellFormed(key)) throw NONE;
			copy[key] = form((value as Record<string, unknown>)[key]);
		}
		return keys.length === 1 && keys[0]?.startsWith("$") ? { $object: copy } : copy;
	}
	if (keys.length > 0 && prototype !== Uint8Array.prototype) throw NONE;
	if (prototype === Date.prototype) {
		const time = (value as Date).getTime();
		return { $date: Number.isNaN(time) ? null : new Date(time).toISOString() };
	}
	if (prototype === Map.prototype) return { $map: [...(value as Map<unknown, unknown>)].map((pair) => pair.map(form)) };
	if (prototype === Set.prototype) return { $set: [...(value as Set<unknown>)].map(form) };
	if (prototype === Uint8Array.prototype) {
		const bytes = value as Uint8Array;
		if (bytes.length !== bytes.buffer.byteLength || seen.has(bytes.buffer)) throw NONE;
		seen.add(bytes.buffer);
		return { $bytes: base64Of(bytes) };
	}
	throw NONE;
}

/** The value of what JSON.parse gave, which may be changed. Throws a TypeError or RangeError where a form makes no sense. */
export function parsedValue(json: unknown): unknown {
	if (typeof json !== "object" || json === null) return json;
	if (Array.isArray(json)) {
		json.forEach((part, i) => {
			json[i] = parsedValue(part);
		});
		return json;
	}
	const object = json as Record<string, unknown>;
	const keys = Object.keys(object);
	const [first] = keys;
	if (keys.length === 1 && first?.startsWith("$")) return special(first, object[first]);
	for (const key of keys) object[key] = parsedValue(object[key]);
	return object;
}

function special(name: string, part: unknown): unknown {
	const refuse = (): never => {
		throw new TypeError(`"${name}" makes no sense there`);
	};
	const list = () => (Array.isArray(part) ? part : refuse());
	const text = () => (typeof part === "string" ? part : refuse());
	switch (name) {
		case "$undefined":
			return part === true ? undefined : refuse();
		case "$number":
			return ["NaN", "Infinity", "-Infinity", "-0"].includes(text()) ? Number(part) : refuse();
		case "$bigint":
			return /^-?[0-9]+$/.test(text()) ? BigInt(text()) : refuse();
		case "$date": {
			const date = new Date(part === null ? Number.NaN : text());
			return part !== null && Number.isNaN(date.getTime()) ? refuse() : date;
		}
		case "$bytes":
			return bytesOf(text());
		case "$map":
			return new Map(
				list().map((pair) => {
					if (!Array.isArray(pair) || pair.length !== 2) refuse();
					return pair.map(parsedValue) as [unknown, unknown];
				}),
			);
		case "$set":
			return new Set(list().map(parsedValue));
		case "$object": {
			if (typeof part !== "object" || part === null || Array.isArray(part)) return refuse();
			const object = part as Record<string, unknown>;
			for (const key of Object.keys(object)) object[key] = parsedValue(object[key]);
			return object;
		}
		default:
			return refuse();
	}
}

const PIECE_BYTES = 0x6000;

export function base64Of(bytes: Uint8Array): string {
	let text = "";
	// A multiple of three, so that the pieces join.
	for (let at = 0; at < bytes.length; at += PIECE_BYTES)
		text += btoa(String.fromCharCode(...bytes.subarray(at, at + PIECE_BYTES)));
	return text;
}

/** Throws a DOMException where that is no base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
	const units = atob(base64);
	const bytes = new Uint8Array(units.length);
	for (let i = 0; i < units.length; i++) bytes[i] = units.charCodeAt(i);
	return bytes;
}
