/**
 * Loading the engine: one instance per thread, whatever asks for it, and a new one after it failed.
 *
 * Owns fetching, compiling, what their failures are called, and the copy that takes the place of a file that is missing. Uses the generated glue, which nothing else imports. Errors: `WASM_BLOCKED`, `UNAVAILABLE`; after a failure the next call tries again.
 */

import { type InitOutput, initSync, open_engine } from "../../target/bindgen/holdfast.js";
import { thread } from "../backend/glue.js";
import { type Glue, Instance, type RawEngine } from "./engine.js";
import { HoldfastError } from "./error.js";
import type { Defaults } from "./open.js";
import type { WasmSource } from "./types.js";

export interface Wasm {
	readonly glue: Glue;
	readonly instance: Instance;
}

let loading: Promise<Wasm> | undefined;

/** The engine of this thread; what is `given` or the entry point's own is asked only when there is none yet. */
export function loadWasm(given: WasmSource | undefined, { wasm, embedded }: Defaults): Promise<Wasm> {
	loading ??= load(() => given ?? wasm())
		.catch((error) => {
			// Where the file could not be had. A file that is the engine and cannot be compiled is no better from elsewhere.
			if (given || !embedded || /^CompileError(?!.*(magic|start with))/.test(error.cause)) throw error;
			return embedded().then(
				({ wasm }) => load(wasm),
				() => {
					throw error;
				},
			);
		})
		.catch((error) => {
			loading = undefined;
			throw error;
		});
	return loading;
}

async function load(source: () => WasmSource): Promise<Wasm> {
	if (!globalThis.WebAssembly) throw blocked();
	const given = source();
	let from = "what was given";
	try {
		let module = given;
		if (given instanceof ArrayBuffer || ArrayBuffer.isView(given)) {
			module = await WebAssembly.compile(given as BufferSource);
		} else if (!(given instanceof WebAssembly.Module)) {
			from = given instanceof URL ? given.href : given.url || from;
			const response = given instanceof URL ? await fetch(given) : given;
			if (!response.ok) throw new Error(`HTTP ${response.status}`);
			// Streaming is what browsers keep compiled code for, and it insists on the type.
			module =
				response.headers.get("content-type") === "application/wasm"
					? await WebAssembly.compileStreaming(response)
					: await WebAssembly.compile(await response.arrayBuffer());
		}
		// The rest of the generated glue fetches and compiles, which is done; an instance of this size may be made at once.
		const wasm = initSync(module);
		const glue: Glue = {
			open_engine: async (...given) => engineAt(await open_engine(...given), wasm),
		};
		const instance = new Instance(wasm.memory);
		instance.engines.add((error) => {
			loading = undefined;
			thread.halt(error);
		});
		thread.failed = ({ message }) => void instance.error(new WebAssembly.RuntimeError(message));
		return { glue, instance };
	} catch (cause) {
		// Browsers have no error of their own for a policy that forbids WebAssembly; only the text tells.
		if (/security.policy|\bCSP\b|unsafe-eval|by embedder/i.test(String(cause))) throw blocked(cause);
		throw new HoldfastError("UNAVAILABLE", `The engine could not be loaded from ${from}: ${cause}`, { cause });
	}
}

/** The engine at an address. */
function engineAt(address: number, wasm: InitOutput): RawEngine {
	let at = address;
	const cause = () => {
		wasm.engine_cause(at);
		return thread.answered();
	};
	return {
		cause,
		scratch: (bytes) => wasm.engine_scratch(at, bytes) >>> 0,
		out: () => wasm.engine_out(at) >>> 0,
		write(bytes, level, purpose) {
			const seq = wasm.engine_write(at, bytes, level, purpose);
			if (seq < 0) throw cause();
			return seq;
		},
		get: (keyBytes) => wasm.engine_get(at, keyBytes) >>> 0,
		count: (afterBytes, bytes) => wasm.engine_count(at, afterBytes, bytes),
		get_many: (bytes) => wasm.engine_get_many(at, bytes) >>> 0,
		scan: (number, afterBytes, bytes, entriesMax, back, goesOn) =>
			wasm.engine_scan(at, number, afterBytes, bytes, entriesMax, +back, +goesOn) >>> 0,
		live_bytes: () => wasm.engine_live_bytes(at),
		end_scan: (number) => wasm.engine_end_scan(at, number),
		seq: () => wasm.engine_seq(at),
		record_changes: (on) => wasm.engine_record_changes(at, +on),
		changes: () => wasm.engine_changes(at) >>> 0,
		checkpoint_or_close(closes) {
			wasm.engine_checkpoint_or_close(at, +closes);
			return thread.answered() as Promise<number[]>;
		},
		figures() {
			wasm.engine_figures(at);
			return thread.answered() as number[];
		},
		free() {
			wasm.engine_free(at);
			at = 0;
		},
	};
}

function blocked(cause?: unknown): HoldfastError {
	const message = "WebAssembly is blocked: allow 'wasm-unsafe-eval' in script-src of the Content-Security-Policy.";
	return new HoldfastError("WASM_BLOCKED", message, { cause });
}
