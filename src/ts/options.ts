/**
 * The options of `open` and of single calls, checked and completed.
 *
 * Owns the allowed values and the defaults. Uses nothing. Errors: `OPTION_INVALID` that names the option, the value and
 * what is allowed. Deliberately absent: presets.
 */

import { HoldfastError } from "./error.js";
import { isWellFormed } from "./text.js";
import type { Backend, Durability, Level, Mode, OpenOptions, SetOptions, Status, WasmSource } from "./types.js";

/** The longest store name, in UTF-8 bytes. */
const NAME_BYTES_MAX = 200;
const SAVE_RULES_MAX = 16;
const REWRITE_BYTES_MIN = 4096;
const U32_MAX = 2 ** 32 - 1;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What the engine takes: every field is required. */
export interface EngineOptions {
	durability: Durability;
	mode: Mode;
	save: (readonly [seconds: number, changes: number])[];
	rewrite: { percentage: number; minBytes: number };
	recovery: "pointInTime" | "strict";
}

export interface Settings {
	name: string;
	engine: EngineOptions;
	backend: Backend | "auto";
	values: "copy" | "frozen";
	openTimeoutMs: number;
	wasm: WasmSource | undefined;
	worker: URL | (() => Worker) | undefined;
	onStatus: ((status: Status) => void) | undefined;
}

/** Levels as the engine numbers them. */
export const LEVELS: readonly Level[] = ["applied", "os", "disk"];

/** The number of the level at which a write of that durability resolves. */
export const LEVEL_OF: Readonly<Record<Durability, number>> = { no: 0, everysec: 1, always: 2 };

const DURABILITIES: readonly Durability[] = ["everysec", "always", "no"];

/** The name and options of a store, complete. The first of the allowed words is the default. */
export function checkOptions(name: string, options: OpenOptions = {}): Settings {
	checkName(name);
	const {
		durability,
		mode,
		backend,
		save,
		rewrite,
		recovery,
		values,
		openTimeoutMs,
		wasm,
		worker,
		onStatus,
		...others
	} = checkObject("options", options);
	checkNoOthers("open", others);
	const settings: Settings = {
		name,
		engine: {
			durability: oneOf("durability", durability, DURABILITIES),
			mode: oneOf("mode", mode, ["hybrid", "log"]),
			save: checkSave(save),
			rewrite: checkRewrite(rewrite),
			recovery: oneOf("recovery", recovery, ["pointInTime", "strict"]),
		},
		backend: oneOf("backend", backend, ["auto", "opfs", "idb", "memory"]),
		values: oneOf("values", values, ["copy", "frozen"]),
		openTimeoutMs: checkInteger("openTimeoutMs", openTimeoutMs ?? 30_000, 1, TIMER_MS_MAX),
		wasm: checkWasm(wasm),
		worker: checkWorker(worker),
		onStatus,
	};
	if (onStatus !== undefined && typeof onStatus !== "function") throw invalid("onStatus", onStatus, "a function");
	return settings;
}

/** The number of the level a call has to reach, at least `level`. */
export function checkSetOptions(options: SetOptions | undefined, level: number): number {
	if (options === undefined) return level;
	const { durability, ...others } = checkObject("options", options);
	checkNoOthers("a write", others);
	if (durability === undefined) return level;
	return Math.max(level, LEVEL_OF[oneOf("durability", durability, DURABILITIES)]);
}

/** A store's name. */
export function checkName(name: unknown): asserts name is string {
	const allowed = `a non-empty well-formed string of at most ${NAME_BYTES_MAX} UTF-8 bytes`;
	if (typeof name !== "string" || name === "" || name.length > NAME_BYTES_MAX || !isWellFormed(name))
		throw invalid("name", name, allowed);
	if (new TextEncoder().encode(name).length > NAME_BYTES_MAX) throw invalid("name", name, allowed);
}

export function checkInteger(option: string, value: unknown, min: number, max: number): number {
	if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
		throw invalid(option, value, `an integer from ${min} to ${max}`);
	return value as number;
}

export function checkObject<O extends object>(what: string, value: O): O {
	if (typeof value !== "object" || value === null) throw invalid(what, value, "an object");
	return value;
}

/** Refuses whatever a destructuring left over: an option that is not known would silently not hold. */
export function checkNoOthers(where: string, others: object): void {
	for (const [option, value] of Object.entries(others))
		if (value !== undefined) throw invalid(option, value, `left out: ${where} has no such option`);
}

export function invalid(option: string, value: unknown, allowed: string): HoldfastError {
	return new HoldfastError("OPTION_INVALID", `${option} is ${show(value)}; it has to be ${allowed}.`);
}

function show(value: unknown): string {
	try {
		return (typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value))).slice(0, 100);
	} catch {
		return `a ${typeof value}`;
	}
}

function oneOf<V extends string>(option: string, value: V | undefined, allowed: readonly V[]): V {
	if (value === undefined) return allowed[0] as V;
	if (!allowed.includes(value)) throw invalid(option, value, `one of ${allowed.map((word) => `"${word}"`).join(", ")}`);
	return value;
}

function checkSave(save: OpenOptions["save"]): EngineOptions["save"] {
	if (save === undefined) {
		return [
			[900, 1],
			[300, 10],
			[60, 10_000],
		];
	}
	if (!Array.isArray(save) || save.length > SAVE_RULES_MAX)
		throw invalid("save", save, `an array of at most ${SAVE_RULES_MAX} pairs [seconds, changes]`);
	return save.map((rule: unknown, i) => {
		if (!Array.isArray(rule) || rule.length !== 2) throw invalid(`save[${i}]`, rule, "a pair [seconds, changes]");
		return [
			checkInteger(`save[${i}][0]`, rule[0], 1, U32_MAX),
			checkInteger(`save[${i}][1]`, rule[1], 1, Number.MAX_SAFE_INTEGER),
		] as const;
	});
}

function checkRewrite(rewrite: OpenOptions["rewrite"]): EngineOptions["rewrite"] {
	const { percentage, minBytes, ...others } = checkObject("rewrite", rewrite ?? { percentage: 100, minBytes: 1 << 20 });
	checkNoOthers("rewrite", others);
	return {
		percentage: checkInteger("rewrite.percentage", percentage, 1, U32_MAX),
		minBytes: checkInteger("rewrite.minBytes", minBytes, REWRITE_BYTES_MIN, Number.MAX_SAFE_INTEGER),
	};
}

function checkWasm(wasm: WasmSource | undefined): WasmSource | undefined {
	const isSource =
		wasm === undefined ||
		wasm instanceof URL ||
		wasm instanceof ArrayBuffer ||
		ArrayBuffer.isView(wasm) ||
		(typeof Response === "function" && wasm instanceof Response) ||
		(typeof WebAssembly === "object" && wasm instanceof WebAssembly.Module);
	if (!isSource) throw invalid("wasm", wasm, "a URL, a Response, bytes or a WebAssembly.Module");
	return wasm;
}

function checkWorker(worker: OpenOptions["worker"]): OpenOptions["worker"] {
	if (worker !== undefined && typeof worker !== "function" && !(worker instanceof URL))
		throw invalid("worker", worker, "a URL or a function that returns a Worker");
	return worker;
}
