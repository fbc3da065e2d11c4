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
import type { Channel, ChannelOf } from "./messages.js";
import { FOLLOWING, LOCK_WAIT_MS_MAX, WORKER_WAIT_MS_MAX } from "./numbers.js";
import { checkOptions, invalid, type Settings } from "./options.js";
import { channelName, onAway, onHidden } from "./platform.js";
import { type Inside, storeOver, type Tab } from "./store.js";
import type { Tabs } from "./tabs.js";
import type { Backend, OpenOptions, Status, Store, WasmSource } from "./types.js";
import { loadWasm } from "./wasm.js";

/** Where an entry point takes from what the caller does not give. */
export interface Defaults {
	readonly wasm: () => WasmSource;
	/** Starts the I/O worker; undefined where the entry point has none. */
	readonly worker: (() => Worker) | undefined;
	/** Brings both of these without a file, for where one is missing. */
	readonly embedded?: (() => Promise<Defaults>) | undefined;
	/** In place of what the browser has. */
	readonly world?: World;
}

/** What the tabs of an origin share. */
export interface World {
	readonly locks?: LockManager | undefined;
	/** Undefined where tabs cannot talk to each other. */
	readonly channelOf?: ChannelOf | undefined;
	/** In place of `homeOf` and of `openStorage`. */
	readonly home?: typeof homeOf;
	readonly storage?: (taken: Taken, backend: Backend) => Promise<JsStorage>;
}

function worldOf({ world }: Defaults): World {
	const { navigator, BroadcastChannel } = globalThis;
	return (
		world ?? {
			locks: navigator?.locks,
			channelOf: BroadcastChannel && ((name) => new BroadcastChannel(name) as unknown as Channel),
		}
	);
}

/** What a tab has of a store that others may open. */
export interface Seat<T> {
	readonly name: string;
	readonly locks: LockManager;
	readonly channelOf: ChannelOf;
	readonly tab: Tab;
	/** How what leading takes is given back. */
	readonly releases: (() => void)[];
	/** Gives it back. */
	release(): void;
	/** The same at once, whatever is under way. */
	park(): void;
	/** Takes the storage, in place of what was given back. */
	openStorage(backend: Backend): Promise<Place["storage"]>;
	backend: Backend;
	/** What the engine asks. */
	linked: JsStorage | undefined;
	/** Once it is open. */
	inside: Inside<T> | undefined;
}

/** Opens a store; see `open` of the entry points. */
export function openStore<T>(name: string, options: OpenOptions | undefined, defaults: Defaults): Promise<Store<T>> {
	return taking(name, options, async (taken) => {
		const { settings, step, releases, release } = taken;
		const { locks, channelOf } = worldOf(defaults);
		const loading = loadWasm(settings.wasm, defaults);
		// Meanwhile the storage is taken; whatever fails first is told.
		loading.catch(() => {});
		const { maxBytes, eviction, values, multiTab, mode } = settings;
		// Without a log there is nothing that others could follow.
		const isShared = multiTab && mode !== "snapshot" && locks && channelOf;
		let isLost = false;
		const tab: Tab = {
			role: "single",
			lost() {
				isLost = true;
			},
		};
		let notify: Notify | undefined;
		const open = async (linked?: JsStorage) =>
			step(
				(await step(loading)).glue.open_engine(linked, figuresOf(settings, seat.backend), (...event) =>
					notify?.(...event),
				),
				(engine) => void engine.run(1).catch(() => {}),
			);
		const seat = {
			...{ name, locks, channelOf, tab, releases, release, backend: settings.backend },
			openStorage: (backend) => openStorage(taken, backend, defaults),
			park() {
				const { inside } = seat;
				if (inside && !inside.instance.broken) inside.raw.write(0, 0, FOLLOWING);
				release();
			},
		} as Seat<T>;
		let tabs: Promise<Tabs<T>> | undefined;
		const tabsOf = () => {
			tabs ??= import("./more.js").then(({ Tabs }) => new Tabs<T>(seat));
			return tabs;
		};
		if (settings.backend !== "memory")
			tab.role =
				(isShared && isApart() && (await step(tabsOf().then((tabs) => tabs.apart())))) ||
				(await takeLock(taken, locks, isShared ? tab : undefined));
		// Whatever fails, nobody waits for this tab.
		taken.failed = (error) => tab.end?.(error);
		if (tab.role === "follower" && channelOf) {
			// A tab that was alone loads what it needs meanwhile.
			const channel = channelOf(channelName(name));
			channel.postMessage({});
			channel.close();
		}
		const joined = tab.role === "follower" ? await step((await step(tabsOf())).join(open)) : undefined;
		let place: Place | undefined;
		if (joined) Object.assign(seat, joined);
		else {
			place = await choosePlace(taken, defaults);
			const { backend, storage } = place;
			if (tab.role === "follower") tab.role = "leader";
			if (backend === "memory") {
				// This context's own: others need not be kept out.
				release();
				tab.role = "single";
			}
			seat.backend = backend;
			seat.linked = storage && link(storage);
		}
		const { backend, linked } = seat;
		const more = maxBytes || values === "frozen" ? await step(import("./more.js")) : undefined;
		const roomFor = maxBytes ? more?.roomFor(maxBytes, eviction) : undefined;
		const frozen = values === "frozen" && more ? new more.FrozenValues() : undefined;
		const raw = joined?.raw ?? (await open(linked));
		const { instance } = await loading;
		const always: (() => void)[] = [];
		const opened = storeOver<T>({
			...{ raw, instance, settings, backend, tab, fallback: place?.fallback, gone: place?.gone ?? false },
			...{ linked, roomFor, frozen },
			release() {
				for (const end of always) end();
				release();
			},
		});
		notify = opened.notify;
		const { store, inside } = opened;
		seat.inside = inside;
		if (settings.durability === "everysec") always.push(onHidden(() => void store.flush().catch(() => {})));
		if (isShared && tab.role !== "single") {
			let comeBack: (() => void) | undefined;
			const away = () => {
				if (comeBack) return;
				tab.away?.();
				seat.park();
				const back = new Promise<void>((resolve) => {
					comeBack = resolve;
				})
					.then(tabsOf)
					.then((tabs) => tabs.back());
				tab.follows ??= back;
			};
			const again = () => {
				comeBack?.();
				comeBack = undefined;
			};
			always.push(onAway(away, again));
			tab.lost = () => {
				away();
				again();
			};
			if (place?.queued) tabsOf();
			if (tabs)
				await step(tabs.then<unknown>((tabs) => (joined ? tabs.follow() : isLost || tabs.serve(place?.queued))));
			else {
				// Whoever else opens the store says so.
				const channel = channelOf(channelName(name));
				channel.onmessage = () => {
					channel.close();
					void tabsOf().then((tabs) => tabs.serve());
				};
				releases.push(() => channel.close());
			}
			if (isLost) tab.lost();
		}
		return store;
	});
}

/** What an opening has taken so far, and how long it may still take. */
export interface Taken {
	readonly settings: Settings;
	/** How each thing that was taken is given back. */
	readonly releases: (() => void)[];
	/** Gives everything back, the last first. */
	release(): void;
	/** Told when it fails. */
	failed?: (error: unknown) => void;
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
	const taken: Taken = { settings, releases, release, step };
	try {
		return await run(taken);
	} catch (error) {
		taken.failed?.(error);
		release();
		throw fromWasm(error);
	} finally {
		clearTimeout(timer);
	}
}

/** Holds the Web Lock of the store for as long as this context has it open. Whoever shares the store does not wait for it: `tab` is told when it is lost. */
export async function takeLock(
	{ settings: { name }, releases, step }: Taken,
	locks = globalThis.navigator?.locks,
	tab?: Tab,
): Promise<Status["role"]> {
	if (!locks) return "single";
	const signal = AbortSignal.timeout(LOCK_WAIT_MS_MAX);
	const granted = new Promise<(() => void) | undefined>((resolve, reject) => {
		const held = (lock: Lock | null) => (lock ? new Promise<void>(resolve) : resolve(undefined));
		locks.request(`holdfast:${name}`, tab ? { ifAvailable: true } : { signal }, held).catch((error) => {
			reject(error);
			tab?.lost?.();
		});
	});
	try {
		const release = await step(granted, (release) => release?.());
		if (!release) return "follower";
		releases.push(release);
		return "leader";
	} catch (cause) {
		if (cause instanceof HoldfastError) throw cause;
		if (!signal.aborted) return "single";
		throw new HoldfastError("LOCKED", `"${name}" is open in another tab or worker; close it there first.`);
	}
}

/** Whether this is a worker that starts none: it may not be able to have files. */
const isApart = () => !globalThis.Worker && "importScripts" in globalThis;

interface Place {
	readonly backend: Backend;
	readonly storage: Worker | JsStorage | undefined;
	readonly fallback: string | undefined;
	/** The store was here, and nothing is left of it. */
	readonly gone: boolean;
	/** Writes may wait for whoever leads. */
	readonly queued: boolean | undefined;
}

/** The storage to use: where the store is, else the best there is. */
async function choosePlace(taken: Taken, defaults: Defaults): Promise<Place> {
	const { name, backend, recovery } = taken.settings;
	const [home, gone = false, queued] =
		backend === "memory"
			? []
			: await taken.step((worldOf(defaults).home ?? homeOf)(name)).catch((error): [] => {
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
			return { backend: candidate, storage: await openStorage(taken, candidate, defaults), fallback, gone, queued };
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
	const { storage: other } = worldOf(defaults);
	if (other) return other(taken, backend);
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
		// Whatever still waits for it.
		worker?.dispatchEvent(new Event("error"));
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
			// IndexedDB can do without; and what was given back is not begun anew.
			if (given || backend === "idb" || watching.signal.aborted || !embedded || !locks || !globalThis.Worker)
				throw error;
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
