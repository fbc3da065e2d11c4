// What checks in a page are written with: a store to check, comparison by value, and errors as JSON.

/** A store, what closes it and opens it again with other options besides, and what closes it for good. */
export async function opened(open, name, options) {
	let store = await open(name, options);
	const reopen = async (others) => {
		await store.close();
		store = await open(name, { ...options, ...others });
		return store;
	};
	return { store, reopen, close: () => store.close() };
}

/** Throws when `actual` is not `expected`, with types, prototypes, order, holes, cycles and -0. */
export function equal(actual, expected, what) {
	const where = difference(actual, expected, new Map());
	if (where !== undefined)
		throw new Error(`${what}: differs at value${where}: ${show(actual)} is not ${show(expected)}`);
}

/**
 * The error that `action` fails with, as JSON; `rejects` says whether by a promise. Throws when it does not fail, or not with
 * a HoldfastError.
 */
export async function failure(action) {
	let pending;
	let value;
	try {
		pending = action();
		value = await pending;
	} catch (error) {
		if (!(error instanceof holdfast.HoldfastError)) throw error;
		const { code, message, retryable, path, bytesNeeded, estimate, seq } = error;
		const cause = error.cause === undefined ? undefined : String(error.cause?.message ?? error.cause);
		return { code, message, retryable, path, bytesNeeded, estimate, seq, cause, rejects: pending !== undefined };
	}
	throw new Error(`it did not fail but gave ${show(value)}`);
}

// The path of the first difference, "" for the value itself, undefined when there is none. `seen` maps objects
// already entered, of both sides, to their partners: a cycle or a shared object must be one on both sides.
function difference(actual, expected, seen) {
	if (typeof actual !== "object" || actual === null) return Object.is(actual, expected) ? undefined : "";
	if (typeof expected !== "object" || expected === null) return "";
	if (seen.has(actual) || seen.has(expected)) {
		return seen.get(actual) === expected && seen.get(expected) === actual ? undefined : " (identity)";
	}
	seen.set(actual, expected).set(expected, actual);
	const kind = Object.prototype.toString.call(expected);
	if (Object.prototype.toString.call(actual) !== kind) return " (type)";
	if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return " (prototype)";
	const inside = CONTENT[kind]?.(actual, expected, seen);
	// Every element of a typed array is a property too.
	if (inside !== undefined || ArrayBuffer.isView(expected)) return inside;
	// The stack is text of the engine that made it and `cause` is an own property that is not enumerable.
	const names = kind === "[object Error]" ? ["message", "cause"] : Object.keys(expected);
	if (kind !== "[object Error]" && Object.keys(actual).join("\n") !== names.join("\n")) return " (keys)";
	return first(names, (name) => {
		if (Object.hasOwn(actual, name) !== Object.hasOwn(expected, name)) return `.${name}`;
		const deeper = difference(actual[name], expected[name], seen);
		return deeper === undefined ? undefined : `.${name}${deeper}`;
	});
}

const primitive = (actual, expected) => (Object.is(actual.valueOf(), expected.valueOf()) ? undefined : " (primitive)");
const bytes = (actual, expected) => {
	const view = (value) =>
		ArrayBuffer.isView(value)
			? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
			: new Uint8Array(value);
	const [one, other] = [view(actual), view(expected)];
	return one.length === other.length && one.every((byte, at) => byte === other[at]) ? undefined : " (bytes)";
};
const members = (actual, expected, seen) => difference([...actual], [...expected], seen);

const CONTENT = {
	"[object Array]": (actual, expected) => (actual.length === expected.length ? undefined : ".length"),
	"[object Date]": primitive,
	"[object Number]": primitive,
	"[object String]": primitive,
	"[object Boolean]": primitive,
	"[object BigInt]": primitive,
	"[object RegExp]": (actual, expected) => (String(actual) === String(expected) ? undefined : " (pattern)"),
	"[object Error]": (actual, expected) => (actual.name === expected.name ? undefined : ".name"),
	"[object Map]": members,
	"[object Set]": members,
	"[object ArrayBuffer]": bytes,
	"[object DataView]": bytes,
};
for (const type of [
	Int8Array,
	Uint8Array,
	Uint8ClampedArray,
	Int16Array,
	Uint16Array,
	Int32Array,
	Uint32Array,
	Float32Array,
	Float64Array,
	BigInt64Array,
	BigUint64Array,
]) {
	CONTENT[`[object ${type.name}]`] = bytes;
}

function first(list, look) {
	for (const item of list) {
		const found = look(item);
		if (found !== undefined) return found;
	}
	return undefined;
}

function show(value) {
	if (typeof value === "bigint") return `${value}n`;
	if (typeof value !== "object" || value === null)
		return Object.is(value, -0) ? "-0" : (JSON.stringify(value) ?? String(value));
	try {
		return `${value.constructor?.name} ${JSON.stringify(value)?.slice(0, 300)}`;
	} catch {
		return String(value);
	}
}
