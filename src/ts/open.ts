/**
 * Opening a store: what it takes, in which order, and how it is given back.
 *
 * Owns the Web Lock, the choice of the backend, the I/O worker and the deadline. Uses everything else; the entry points
 * bring where wasm and worker come from. Errors: `OPTION_INVALID`, `WASM_BLOCKED`, `UNAVAILABLE`, `LOCKED`, `TIMEOUT`, and
 * what recovery finds: `CORRUPT`, `VERSION`. Whatever the error, everything taken is released.
 */

import { closeStorage, homeOf, link } from "../backend/glue.js";
import type { JsStorage } from "../backend/opfs.js";
import type { Notify } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { figuresOf } from "./figures.js";
import { LOCK_WAIT_MS_MAX, WORKER_WAIT_MS_MAX } from "./numbers.js";
import { checkOptions, invalid, type Settings } from "./options.js";
import { onHidden } from "./platform.js";
import { storeOver } from "./store.js";
import type { Backend, OpenOptions, Status, Store, WasmSource } from "./types.js";
import { loadWasm } from "./wasm.js";

/** Where an entry point takes from what the caller does not give. */
export interface Defaults {
	readonly wasm: () => WasmSource;
	/** Starts the I/O worker; undefined where the entry point has none. */
	readonly worker: (() => Worker) | undefined;
	/** Brings both of these without a file, for where one is missing. */
	readonly embedded?: (() => Promise<Defaults>) | undefined;
}

/** Opens a store; see `open` of the entry points. */
export function openStore<T>(name: string, options: OpenOptions | undefined, defaults: Defaults): Promise<Store<T>> {
	return taking(name, options, async (taken) => {
		const { settings } = taken;
		const { step, releases, release } = taken;
		const wasm = await step(loadWasm(settings.wasm, defaults));
		let role = settings.backend === "memory" ? "single" : await takeLock(taken);
		const { backend, storage, fallback, gone } = await choosePlace(taken, defaults);
		if (backend === "memory") {
			// This context's own: others need not be kept out.
			release();
			role = "single";
		}
		const { glue, instance } = wasm;
		const { maxBytes, eviction, values } = settings;
		const more = maxBytes || values === "frozen" ? await step(import("./more.js")) : undefined;
		const roomFor = maxBytes ? more?.roomFor(maxBytes, eviction) : undefined;
		const frozen = values === "frozen" && more ? new more.FrozenValues() : undefined;
		let notify: Notify | undefined;
		const linked = storage && link(storage);
		const opening = glue.open_engine(linked, figuresOf(settings, backend), (...event) => notify?.(...event));
		const raw = await step(opening, (engine) => void engine.checkpoint_or_close(true).catch(() => {}));
		const opened = storeOver<T>({
			...{ raw, instance, settings, backend, role, fallback, gone },
			...{ linked, roomFor, frozen, release },
		});
		notify = opened.notify;
		const { store } = opened;
		if (settings.durability === "everysec") releases.push(onHidden(() => void store.flush().catch(() => {})));
		return store;
	});
}

/** What an opening has taken so far, and how long it may still take. */
interface Taken {
	readonly settings: Settings;
	/** How each thing that was taken is given back. */
	readonly releases: (() => void)[];
	/** Gives everything back, the last first. */
	release(): void;
	/** Waits for the next step until the deadline; `discard` gives back what comes after it. */
	step<V>(promise: Promise<V>, discard?: (value: V) => void): Promise<V>;
}

/** Runs what takes things; when it fails, everything taken is given back. */
export async function taking<R>(
	name: string,
	options: OpenOptions | undefined,
	run: (taken: Taken) => Promise<R>,
): Promise<R> {
	const presets = options?.preset === undefined ? {} : (await import("./more.js")).PRESETS;
	const settings = checkOptions(name, options, presets);
	const { openTimeoutMs } = settings;
	const releases: (() => void)[] = [];
	const release = () => {
		for (const giveBack of releases.splice(0).reverse()) giveBack();
	};
	/** Set at the deadline. */
	let late: HoldfastError | undefined;
	let giveUp: (error: HoldfastError) => void = () => {};
	const timer = setTimeout(() => {
		late = new HoldfastError(
			"TIMEOUT",
			`Opening "${name}" took over ${openTimeoutMs} ms; try again, or raise openTimeoutMs.`,
		);
		giveUp(late);
	}, openTimeoutMs);
	const step: Taken["step"] = (promise, discard) =>
		new Promise((resolve, reject) => {
			giveUp = reject;
			promise.then((value) => {
				if (late) discard?.(value);
				else resolve(value);
			}, reject);
			if (late) reject(late);
		});
	try {
		return await run({ settings, releases, release, step });
	} catch (error) {
		release();
		throw fromWasm(error);
	} finally {
		clearTimeout(timer);
	}
}

/** Holds the Web Lock of the store for as long as this context has it open. */
export async function takeLock({ settings: { name }, releases, step }: Taken): Promise<Status["role"]> {
	const { locks } = globalThis.navigator ?? {};
	if (!locks) return "single";
	const signal = AbortSignal.timeout(LOCK_WAIT_MS_MAX);
	const granted = new Promise<() => void>((resolve, reject) => {
		locks.request(`holdfast:${name}`, { signal }, () => new Promise<void>(resolve)).catch(reject);
	});
	try {
		releases.push(await step(granted, (release) => release()));
		return "leader";
	} catch (cause) {
		if (cause instanceof HoldfastError) throw cause;
		if (!signal.aborted) return "single";
		throw new HoldfastError("LOCKED", `"${name}" is open in another tab or worker; close it there first.`);
	}
}

interface Place {
	readonly backend: Backend;
	readonly storage: Worker | JsStorage | undefined;
	readonly fallback: string | undefined;
	/** The store was here, and nothing is left of it. */
	readonly gone: boolean;
}

/** The storage to use: where the store is, else the best there is. */
async function choosePlace(taken: Taken, defaults: Defaults): Promise<Place> {
	const { name, backend, recovery } = taken.settings;
	const [home, gone = false] =
		backend === "memory"
			? []
			: await taken.step(homeOf(name)).catch((error): [] => {
					// What cannot be asked may have it.
					if (backend === "auto") throw error;
					return [];
				});
	if (home && backend !== "auto" && backend !== home)
		throw invalid("options.backend", backend, `"${home}", where "${name}" is`);
	if (gone && recovery === "strict")
		throw new HoldfastError("CORRUPT", `"${name}" is gone; recovery "pointInTime" begins anew.`, { seq: 1 });
	const candidates: Backend[] = home ? [home] : backend === "auto" ? ["opfs", "idb", "memory"] : [backend];
	let fallback: string | undefined;
	for (;;) {
		const candidate = candidates.shift() as Backend;
		try {
			return { backend: candidate, storage: await openStorage(taken, candidate, defaults), fallback, gone };
		} catch (thrown) {
			const error = fromWasm(thrown) as HoldfastError;
			if (error.code !== "UNAVAILABLE" || candidates.length === 0) throw error;
			fallback = `${fallback ? `${fallback} ` : ""}${candidate}: ${error.message}`;
		}
	}
}

/**
 * What the engine asks; nothing for `memory`. In a page it is an I/O worker: only there are sync handles, and what IndexedDB leaves
 * the browser to collect is not collected in tasks of the page. IndexedDB does without where none starts, as every storage does in a
 * dedicated worker.
 */
async function openStorage(taken: Taken, backend: Backend, defaults: Defaults): Promise<Place["storage"]> {
	const { name } = taken.settings;
	if (backend === "memory") return;
	if (!("DedicatedWorkerGlobalScope" in globalThis))
		try {
			return await startWorker(taken, backend, defaults);
		} catch (error) {
			if (backend === "opfs" || (error as HoldfastError).code !== "UNAVAILABLE") throw error;
		}
	const { open } = await taken.step(backend === "idb" ? import("../backend/idb.js") : import("../backend/opfs.js"));
	const storage = await taken.step(open(name), closeStorage);
	taken.releases.push(() => closeStorage(storage));
	return storage;
}

/** Starts the I/O worker and waits until it serves the store. */
async function startWorker(
	{ settings: { name, worker: given }, releases, step }: Taken,
	backend: Backend,
	{ worker: own, embedded }: Defaults,
): Promise<Worker> {
	let worker: Worker | undefined;
	const watching = new AbortController();
	const end = () => {
		watching.abort();
		worker?.terminate();
	};
	releases.push(end);
	const { locks } = globalThis.navigator ?? {};
	const life = `holdfast-io:${Math.random()}`;
	/** Starts one; gives what it says first. Rejects when its script does not run. */
	const started = (start: (() => Worker) | undefined) =>
		step(
			new Promise<MessageEvent["data"]>((resolve, reject) => {
				const fail = (what: unknown, cause?: unknown) =>
					reject(new HoldfastError("UNAVAILABLE", `OPFS needs an I/O worker: ${what}.`, { cause }));
				// Without locks nothing would tell that it has ended.
				if (!start || !locks) return fail("give the worker option");
				try {
					worker = start();
				} catch (cause) {
					return fail(`starting it failed, ${cause}`, cause);
				}
				worker.onmessage = ({ data }) => resolve(data);
				worker.onerror = (event) => {
					event.preventDefault?.();
					fail(`its script failed, ${event.message ?? "or was not found"}`);
				};
				if (backend === "idb") setTimeout(fail, WORKER_WAIT_MS_MAX);
				worker.postMessage({ holdfast: backend, name, life });
			}),
		);
	try {
		const start = given instanceof URL ? () => new Worker(given, { type: "module" }) : (given ?? own);
		const said = await started(start).catch((error) => {
			// IndexedDB can do without.
			if (given || backend === "idb" || !embedded || !locks || !globalThis.Worker) throw error;
			return step(embedded())
				.then(({ worker }) => started(worker))
				.catch(() => {
					throw error;
				});
		});
		if (said?.holdfast !== "ready") throw fromWasm(said?.error);
	} catch (error) {
		end();
		throw error;
	}
	const ended = () => worker?.dispatchEvent(new Event("error"));
	locks?.request(life, { signal: watching.signal }, ended).catch(() => {});
	return worker as unknown as Worker;
}
