/**
 * Opening a store, and the calls that need none: what they take, in which order, and how it is given back.
 *
 * Owns the Web Lock, the choice of the backend, the I/O worker and the deadline. Uses everything else; the entry points
 * bring where wasm and worker come from. Errors: `OPTION_INVALID`, `WASM_BLOCKED`, `UNAVAILABLE`, `LOCKED`, `TIMEOUT`, and
 * what recovery finds: `CORRUPT`, `VERSION`. Whatever the error, everything taken is released.
 */

import type { Notify, RawStorage } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { figuresOf } from "./figures.js";
import { checkOptions, type Settings } from "./options.js";
import { onHidden } from "./platform.js";
import { OpenStore } from "./store.js";
import type { Backend, OpenOptions, Status, Store, StoreInfo, WasmSource } from "./types.js";
import { loadWasm, type Wasm } from "./wasm.js";

/** Where an entry point takes from what the caller does not give. */
export interface Defaults {
	readonly wasm: () => WasmSource;
	/** Starts the I/O worker; undefined where the entry point has none. */
	readonly worker: (() => Worker) | undefined;
}

/** A page that is just going away gives its lock back within this. */
const LOCK_WAIT_MS_MAX = 2000;

interface Place {
	readonly backend: Backend;
	readonly storage: RawStorage;
	readonly fallback?: string;
}

/** Opens a store; see `open` of the entry points. */
export async function openStore<T>(
	name: string,
	options: OpenOptions | undefined,
	defaults: Defaults,
): Promise<Store<T>> {
	const settings = checkOptions(name, options);
	const taken = new Taken(settings);
	try {
		const wasm = await taken.step(loadWasm(() => settings.wasm ?? defaults.wasm()));
		const role = settings.backend === "memory" ? "single" : await takeLock(taken, name);
		const place = await choosePlace(taken, wasm, settings, defaults);
		// Memory is this context's own: others need not be kept out.
		if (place.backend === "memory") taken.release();
		return await serveStore<T>(taken, wasm, settings, place, place.backend === "memory" ? "single" : role);
	} catch (error) {
		taken.release();
		throw fromWasm(error);
	} finally {
		taken.stopClock();
	}
}

/** What an opening has taken so far, and how long it may still take. */
class Taken {
	readonly #releases: (() => void)[] = [];
	readonly #timer: ReturnType<typeof setTimeout>;
	/** Set at the deadline. */
	#late: HoldfastError | undefined;
	#giveUp: (error: HoldfastError) => void = () => {};

	constructor({ name, openTimeoutMs }: Settings) {
		const message = `Opening "${name}" took longer than ${openTimeoutMs} ms; try again, or raise openTimeoutMs.`;
		this.#timer = setTimeout(() => {
			this.#late = new HoldfastError("TIMEOUT", message);
			this.#giveUp(this.#late);
		}, openTimeoutMs);
	}

	/** Waits for the next step until the deadline; `discard` gives back what comes after it. */
	step<V>(promise: Promise<V>, discard?: (value: V) => void): Promise<V> {
		return new Promise((resolve, reject) => {
			this.#giveUp = reject;
			promise.then((value) => {
				if (this.#late) discard?.(value);
				else resolve(value);
			}, reject);
			if (this.#late) reject(this.#late);
		});
	}

	/** Notes how to give something back. */
	add(release: () => void): void {
		this.#releases.push(release);
	}

	/** Gives everything back, the last first. */
	release(): void {
		for (const release of this.#releases.splice(0).reverse()) release();
	}

	stopClock(): void {
		clearTimeout(this.#timer);
	}
}

/** Holds the Web Lock of the store for as long as this context has it open. */
async function takeLock(taken: Taken, name: string): Promise<Status["role"]> {
	const { locks } = globalThis.navigator ?? {};
	if (!locks) return "single";
	const patience = new AbortController();
	const timer = setTimeout(() => patience.abort(), LOCK_WAIT_MS_MAX);
	const granted = new Promise<() => void>((resolve, reject) => {
		const hold = () => new Promise<void>((release) => resolve(release));
		locks.request(`holdfast:${name}`, { signal: patience.signal }, hold).catch(reject);
	});
	try {
		taken.add(await taken.step(granted, (release) => release()));
		return "leader";
	} catch (cause) {
		if (cause instanceof HoldfastError) throw cause;
		if (!patience.signal.aborted) return "single";
		throw new HoldfastError("LOCKED", `"${name}" is open in another tab or worker; close it there, then open it here.`);
	} finally {
		clearTimeout(timer);
	}
}

/** The storage to use: where the store is, else the best there is. */
async function choosePlace(taken: Taken, wasm: Wasm, settings: Settings, defaults: Defaults): Promise<Place> {
	const { name, backend } = settings;
	if (backend === "memory") return { backend, storage: wasm.glue.Storage.memory() };
	const [isInOpfs, isInIdb] = await taken.step(Promise.all([isIn(wasm, name, "opfs"), isIn(wasm, name, "idb")]));
	const home = isInOpfs ? "opfs" : isInIdb ? "idb" : undefined;
	if (backend !== "auto" && home && !(backend === "opfs" ? isInOpfs : isInIdb)) {
		const message = `"${name}" lives in "${home}": leave backend out, or destroy it there first.`;
		throw new HoldfastError("OPTION_INVALID", message);
	}
	const candidates: Backend[] = backend !== "auto" ? [backend] : home ? [home] : ["opfs", "idb", "memory"];
	const reasons: string[] = [];
	for (const candidate of candidates) {
		try {
			const storage = await openStorage(taken, wasm, settings, candidate, defaults);
			return { backend: candidate, storage, ...(reasons.length > 0 && { fallback: reasons.join(" ") }) };
		} catch (thrown) {
			const error = fromWasm(thrown) as HoldfastError;
			if (error.code !== "UNAVAILABLE" || candidate === candidates.at(-1)) throw error;
			reasons.push(`${candidate}: ${error.message}`);
		}
	}
	throw new Error("the last candidate returns or throws");
}

/** Where that cannot even be asked, it is not there for us. */
async function isIn(wasm: Wasm, name: string, backend: Backend): Promise<boolean> {
	try {
		return await wasm.glue.store_exists(name, backend);
	} catch {
		return false;
	}
}

async function openStorage(
	taken: Taken,
	{ glue: { Storage }, module }: Wasm,
	{ name, worker }: Settings,
	backend: Backend,
	defaults: Defaults,
): Promise<RawStorage> {
	if (backend === "memory") return Storage.memory();
	const discard = (storage: RawStorage) => storage.free();
	if (backend === "idb") return taken.step(Storage.idb(name), discard);
	// Sync handles exist in dedicated workers only.
	if ("DedicatedWorkerGlobalScope" in globalThis) return taken.step(Storage.opfs(name), discard);
	const start = worker instanceof URL ? () => new Worker(worker, { type: "module" }) : (worker ?? defaults.worker);
	return Storage.remote(await startWorker(taken, start, module, name));
}

/** Starts the I/O worker and waits until it serves the store's files. */
async function startWorker(
	taken: Taken,
	start: (() => Worker) | undefined,
	module: WebAssembly.Module,
	name: string,
): Promise<Worker> {
	const unavailable = (what: string, cause?: unknown) =>
		new HoldfastError("UNAVAILABLE", `OPFS needs an I/O worker, and ${what}.`, { cause });
	if (!start) throw unavailable("no worker option was given");
	if (typeof Worker !== "function") throw unavailable("workers cannot be started here");
	let worker: Worker;
	try {
		worker = start();
	} catch (cause) {
		throw unavailable(`starting it failed: ${cause}`, cause);
	}
	taken.add(() => worker.terminate());
	const ready = new Promise<void>((resolve, reject) => {
		worker.onmessage = ({ data }) => (data?.holdfast === "ready" ? resolve() : reject(fromWasm(data?.error)));
		worker.onerror = (event) => {
			event.preventDefault?.();
			reject(unavailable(`its script failed: ${event.message ?? "it could not be loaded"}`));
		};
		worker.postMessage({ holdfast: "start", module, name });
	});
	try {
		await taken.step(ready);
	} catch (error) {
		worker.terminate();
		throw error;
	}
	return worker;
}

/** Recovers what the storage holds, and gives the store that serves it. */
async function serveStore<T>(
	taken: Taken,
	{ glue, instance }: Wasm,
	settings: Settings,
	{ backend, storage, fallback }: Place,
	role: Status["role"],
): Promise<Store<T>> {
	let store: OpenStore<T> | undefined;
	const notify: Notify = (...event) => store?.notify(...event);
	const opening = glue.open_engine(storage, figuresOf(settings.engine), notify);
	const raw = await taken.step(opening, (engine) => void engine.close().catch(() => {}));
	store = new OpenStore<T>({ raw, instance, settings, backend, role, fallback, release: () => taken.release() });
	if (settings.engine.durability === "everysec") {
		const flush = () => void store?.flush().catch(() => {});
		taken.add(onHidden(flush));
	}
	store.begin();
	return store;
}

/** The stores of this origin; see `stores` of the entry points. */
export async function listStores(source: () => WasmSource): Promise<StoreInfo[]> {
	const { glue } = await loadWasm(source);
	try {
		return await glue.list_stores();
	} catch (error) {
		throw fromWasm(error);
	}
}

/** Removes a store that is closed everywhere; see `destroy` of the entry points. */
export async function destroyStore(name: string, source: () => WasmSource): Promise<void> {
	const settings = checkOptions(name);
	const taken = new Taken(settings);
	try {
		const { glue } = await taken.step(loadWasm(source));
		await takeLock(taken, name);
		await taken.step(glue.destroy_store(name));
	} catch (error) {
		throw fromWasm(error);
	} finally {
		taken.stopClock();
		taken.release();
	}
}
