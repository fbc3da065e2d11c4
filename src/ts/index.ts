/**
 * `holdfast`: the engine is `holdfast.wasm` and the I/O worker `worker.js`, both beside this file. The first two expressions below
 * are what bundlers look for; the third is for those that do not, which follow every `import()`.
 */

import { type Defaults, openStore } from "./open.js";
import type { OpenOptions, Store, StoreInfo } from "./types.js";

const DEFAULTS: Defaults = {
	wasm: () => new URL("./holdfast.wasm", import.meta.url),
	worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
	// Vite, which puts its own object there, builds workers as one script each, with everything that they might import.
	embedded: (import.meta as { env?: unknown }).env ? undefined : () => import("./embedded.js"),
};

/**
 * Opens the store of that name (1 to 200 UTF-8 bytes), or makes it. Resolves when everything it holds can be read.
 *
 * Rejects with `OPTION_INVALID`; `LOCKED` while another tab or worker has it open; `TIMEOUT`; `UNAVAILABLE` where a
 * backend, the worker or the engine cannot be had; `WASM_BLOCKED`; `CORRUPT` with `recovery: "strict"`; `VERSION`. Nothing is
 * held then.
 * @example
 * const store = await open<{ name: string }>("users", { durability: "always" });
 * await store.set("1", { name: "Ada" });
 * await store.close();
 */
export function open<T = unknown>(name: string, options?: OpenOptions): Promise<Store<T>> {
	return openStore<T>(name, options, DEFAULTS);
}

/**
 * The stores of this origin, with the bytes they take.
 * @example for (const { name, backend, bytes } of await stores()) console.log(name, backend, bytes);
 */
export async function stores(): Promise<StoreInfo[]> {
	return (await import("./more.js")).listStores();
}

/**
 * Removes a store and everything in it. Rejects with `LOCKED` while it is open anywhere.
 * @example await destroy("users");
 */
export async function destroy(name: string): Promise<void> {
	await (await import("./more.js")).destroyStore(name);
}

export { type ErrorCode, HoldfastError } from "./error.js";
export type * from "./types.js";
