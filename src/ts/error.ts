/**
 * Errors of the public API: one class, stable codes.
 *
 * Owns the codes, which of them a retry can help, and the one conversion from what wasm throws. Uses nothing.
 * Deliberately absent: what to do after a trap (`engine.ts` marks the instance unusable).
 */

/**
 * The stable codes to branch on. New ones may be added, none is renamed.
 * @example
 * const isTaken = (code: ErrorCode) => code === "LOCKED" || code === "FENCED";
 */
export type ErrorCode =
	/** The storage, the worker or the module cannot be reached: API missing, connection lost, I/O error. */
	| "UNAVAILABLE"
	/** Another tab or worker holds the store. */
	| "LOCKED"
	/** Opening took longer than `openTimeoutMs`; everything taken was released. */
	| "TIMEOUT"
	/** The store was closed. */
	| "CLOSED"
	/** The store does not take writes. */
	| "READONLY"
	/** A write failed earlier; the store is read-only until it is opened again. */
	| "POISONED"
	/** A newer leader owns the storage. */
	| "FENCED"
	/** A condition of the write did not hold. */
	| "CONFLICT"
	/** The origin's quota or the disk is full. */
	| "QUOTA"
	/** Stored bytes contradict the format. */
	| "CORRUPT"
	/** The store was written by a newer version of the format. */
	| "VERSION"
	/** The key is not a non-empty well-formed string of at most 1,024 UTF-8 bytes. */
	| "KEY_INVALID"
	/** The value, or a part of it, cannot be stored. */
	| "VALUE_INVALID"
	/** The value or the batch is larger than 256 MiB. */
	| "TOO_LARGE"
	/** An option has a value it cannot have. */
	| "OPTION_INVALID"
	/** The browser or the page's Content-Security-Policy does not allow WebAssembly. */
	| "WASM_BLOCKED";

/** What an error can carry beside its code and message. */
export interface ErrorDetail {
	/** What the platform or the engine said. */
	cause?: unknown;
	/** With `VALUE_INVALID`: the offending property, as `user.tags[3].fn`; empty for the value itself. */
	path?: string;
	/** With `QUOTA` and `TOO_LARGE`: the bytes that found no room. */
	bytesNeeded?: number;
	/** With `QUOTA`: what `navigator.storage.estimate()` said, in bytes. */
	estimate?: { usage?: number; quota?: number };
	/** With `CORRUPT`: the first seq the error is about. */
	seq?: number;
}

const RETRYABLE: readonly ErrorCode[] = ["UNAVAILABLE", "LOCKED", "TIMEOUT", "CONFLICT"];

/**
 * Every error that a call of the package rejects with or throws.
 * @example
 * try {
 * 	await store.set("user:1", { name: "Ada" }, { ifAbsent: true });
 * } catch (error) {
 * 	if (!(error instanceof HoldfastError && error.code === "CONFLICT")) throw error;
 * }
 */
export class HoldfastError extends Error {
	readonly code: ErrorCode;
	/** Whether the same call may succeed later although nothing in the program changed. */
	readonly retryable: boolean;
	declare readonly path?: string;
	declare readonly bytesNeeded?: number;
	declare estimate?: { usage?: number; quota?: number };
	declare readonly seq?: number;

	constructor(code: ErrorCode, message: string, { cause, ...rest }: ErrorDetail & { retryable?: boolean } = {}) {
		super(message, cause === undefined ? {} : { cause });
		this.code = code;
		this.retryable = RETRYABLE.includes(code);
		Object.assign(this, rest);
	}

	override get name(): string {
		return "HoldfastError";
	}
}

/**
 * What a call into wasm threw, as an error of the public API. The engine's own errors are plain objects `{ code, message,
 * cause?, bytesNeeded?, seq? }`. A trap means that the instance stopped in the middle of something and must not be called
 * again: `trapped` is told. What the caller's own code threw meanwhile stays what it is.
 */
export function fromWasm(thrown: unknown, trapped?: (error: HoldfastError) => void): unknown {
	if (thrown instanceof WebAssembly.RuntimeError) {
		const message = "The engine failed; close the store and open it again. What reached os or disk is stored.";
		const error = new HoldfastError("UNAVAILABLE", message, { cause: thrown, retryable: false });
		trapped?.(error);
		return error;
	}
	const { code, message, ...rest } = (thrown ?? {}) as { code?: ErrorCode; message?: string } & ErrorDetail;
	if (typeof code !== "string" || thrown instanceof Error) return thrown;
	return new HoldfastError(code, message ?? code, rest);
}
