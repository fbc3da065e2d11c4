/**
 * The options of `open` and of single calls, checked and completed.
 *
 * Owns the allowed values, the defaults, and what is said about others. Errors: `OPTION_INVALID` that names the option, the
 * value and what is allowed.
 */

import { type ErrorCode, HoldfastError } from "./error.js";
import { NAME_BYTES_MAX, REWRITE_BYTES_MIN, SAVE_RULES_MAX, TIMER_MS_MAX, U32_MAX } from "./numbers.js";
import { isWellFormed } from "./text.js";
import type { Level, OpenOptions, Preset, SetOptions, WasmSource } from "./types.js";

/** Levels as the engine numbers them. */
export const LEVELS: readonly Level[] = ["applied", "os", "disk"];

/** The number of the level at which a write of that durability resolves. */
export const LEVEL_OF = { no: 0, everysec: 1, always: 2 };

/** Gives what an option is, as given or by default; throws when it cannot be that. */
export type Check<V> = (option: string, value: unknown) => V;
type Checks = Readonly<Record<string, Check<unknown>>>;
type Checked<C extends Checks> = { [O in keyof C]: ReturnType<C[O]> };

/** The first of the allowed words is the default. */
function oneOf<V extends string>(...allowed: readonly V[]): Check<V> {
	const message = `one of ${allowed.map((word) => `"${word}"`).join(", ")}`;
	return (option, value = allowed[0]) => expect(allowed.includes(value as V), option, value, message);
}

export function integer(min: number, otherwise?: number, max = Number.MAX_SAFE_INTEGER): Check<number> {
	return (option, value = otherwise) =>
		expect(
			Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
			option,
			value,
			`an integer from ${min} to ${max}`,
		);
}

/** What need not be given. */
export function optional<V>(isValid: (value: unknown) => boolean, allowed: string): Check<V | undefined> {
	return (option, value) => expect(value === undefined || isValid(value), option, value, allowed);
}

const isFunction = (value: unknown) => typeof value === "function";

const durability = oneOf("everysec", "always", "no");
const SAVE_RULE = { 0: integer(1, undefined, U32_MAX), 1: integer(1) };
const REWRITE = { percentage: integer(1, undefined, U32_MAX), minBytes: integer(REWRITE_BYTES_MIN) };
const SAVE = [
	[900, 1],
	[300, 10],
	[60, 10_000],
];

const OPEN_OPTIONS = {
	durability,
	mode: oneOf("hybrid", "log", "snapshot", "memory"),
	// Looked at where presets are known.
	preset: (_: string, preset: unknown) => preset as Preset | undefined,
	maxBytes: optional<number>((bytes) => Number.isSafeInteger(bytes) && (bytes as number) > 0, "a number of bytes"),
	eviction: oneOf("reject", "lru"),
	save: (option: string, save: unknown = SAVE) =>
		expect<unknown[]>(
			Array.isArray(save) && save.length <= SAVE_RULES_MAX,
			option,
			save,
			`an array of at most ${SAVE_RULES_MAX} pairs [seconds, changes]`,
		).map((rule, i) => {
			const name = `${option}[${i}]`;
			expect(Array.isArray(rule), name, rule, "a pair [seconds, changes]");
			return Object.values(checkAll(name, rule, SAVE_RULE));
		}),
	rewrite: (option: string, rewrite: unknown = { percentage: 100, minBytes: 1 << 20 }) =>
		checkAll(option, rewrite, REWRITE),
	recovery: oneOf("pointInTime", "strict"),
	backend: oneOf("auto", "opfs", "idb", "memory"),
	values: oneOf("copy", "frozen"),
	multiTab: (option: string, value: unknown = true) =>
		expect<boolean>(typeof value === "boolean", option, value, "true or false"),
	openTimeoutMs: integer(1, 30_000, TIMER_MS_MAX),
	wasm: optional<WasmSource>(
		(wasm) =>
			ArrayBuffer.isView(wasm) ||
			[ArrayBuffer, URL, globalThis.Response, globalThis.WebAssembly?.Module].some(
				(Type) => Type && wasm instanceof Type,
			),
		"a URL, Response, bytes or WebAssembly.Module",
	),
	worker: optional<NonNullable<OpenOptions["worker"]>>(
		(worker) => isFunction(worker) || worker instanceof URL,
		"a URL or a function that gives a Worker",
	),
	onStatus: optional<NonNullable<OpenOptions["onStatus"]>>(isFunction, "a function"),
} satisfies Record<keyof OpenOptions, Check<unknown>>;

const isTime = (ms: unknown) => typeof ms === "number" && ms > 0 && ms <= Number.MAX_SAFE_INTEGER;

const SET_OPTIONS = {
	durability: (option: string, value: unknown) => (value === undefined ? 0 : LEVEL_OF[durability(option, value)]),
	ttl: optional<number>(isTime, "a number of ms above 0"),
	expiresAt: optional<number | Date>((at) => isTime(at instanceof Date ? +at : at), "a time as a Date or in ms"),
	ifAbsent: optional<boolean>((value) => typeof value === "boolean", "true or false"),
	ifVersion: optional<number>(
		(version) => Number.isSafeInteger(version) && (version as number) >= 0,
		"a version, 0 for none",
	),
};

/** The name and options of a store, complete. */
export type Settings = Checked<typeof OPEN_OPTIONS> & { readonly name: string };

/** `presets`: what each stands for, if one is given. */
export function checkOptions(
	name: string,
	options: OpenOptions = {},
	presets: Readonly<Record<string, OpenOptions>> = {},
): Settings {
	const isName =
		typeof name === "string" && isWellFormed(name) && new TextEncoder().encode(name).length <= NAME_BYTES_MAX;
	expect(isName && name !== "", "name", name, textOfAtMost(NAME_BYTES_MAX));
	const preset = (options as OpenOptions | null)?.preset;
	const isKnown = preset === undefined || Object.hasOwn(presets, preset);
	expect(isKnown, "options.preset", preset, `one of ${Object.keys(presets).join(", ")}`);
	const settings = checkAll("options", preset ? { ...presets[preset], ...options } : options, OPEN_OPTIONS);
	// Nothing is written between snapshots, so that is when a write is with the system.
	if (settings.mode === "snapshot") {
		expect(
			options.durability === undefined,
			"options.durability",
			options.durability,
			'left out with the mode "snapshot"',
		);
		settings.durability = "no";
	}
	if (settings.mode === "memory") settings.backend = "memory";
	return { name, ...settings };
}

/** What a call asks for. */
export interface Wanted {
	/** The number of the level it has to reach, 0 if it does not say. */
	readonly level: number;
	/** When what it stores expires, in ms since 1970. */
	readonly expiresAt?: number | undefined;
	/** The version its key must have, 0 for none. */
	readonly version?: number | undefined;
}

const NOTHING_WANTED: Wanted = { level: 0 };

export function checkSetOptions(options: SetOptions | undefined): Wanted {
	if (options === undefined) return NOTHING_WANTED;
	const { durability, ttl, expiresAt, ifAbsent, ifVersion } = checkAll("options", options, SET_OPTIONS);
	expect(!ifAbsent || ifVersion === undefined, "options.ifAbsent", ifAbsent, "left out beside ifVersion");
	return {
		level: durability,
		expiresAt: expiresAt !== undefined ? Math.ceil(Number(expiresAt)) : ttl && Math.ceil(Date.now() + ttl),
		version: ifAbsent ? 0 : ifVersion,
	};
}

/** Every option as it is, given or by default. Refuses others: an option that is not known would silently not hold. */
export function checkAll<C extends Checks>(what: string, given: unknown, checks: C): Checked<C> {
	const isObject = typeof given === "object" && given !== null;
	const options = expect<Record<string, unknown>>(isObject, what, given, "an object");
	const nameOf = (option: string) => `${what}.${option}`;
	for (const [option, value] of Object.entries(options))
		expect(value === undefined || Object.hasOwn(checks, option), nameOf(option), value, "left out: no such option");
	const checked: Record<string, unknown> = {};
	for (const option in checks) checked[option] = checks[option]?.(nameOf(option), options[option]);
	return checked as Checked<C>;
}

/** The value, if it is valid. */
export function expect<V>(isValid: boolean, option: string, value: unknown, allowed: string): V {
	if (!isValid) throw invalid(option, value, allowed);
	return value as V;
}

export function invalid(
	option: string,
	value: unknown,
	allowed: string,
	code: ErrorCode = "OPTION_INVALID",
): HoldfastError {
	return new HoldfastError(code, `${option} is ${show(value)}; it has to be ${allowed}.`);
}

export function textOfAtMost(bytes: number): string {
	return `a non-empty well-formed string of at most ${bytes} UTF-8 bytes`;
}

function show(value: unknown): string {
	try {
		return (JSON.stringify(value) ?? String(value)).slice(0, 100);
	} catch {
		return `a ${typeof value}`;
	}
}
