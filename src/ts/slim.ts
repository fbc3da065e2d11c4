/**
 * `holdfast/slim`: brings neither engine nor I/O worker. Give `wasm` to the first `open`; without `worker` a page uses
 * IndexedDB, itself.
 */

import { type Defaults, openStore } from "./open.js";
import { invalid } from "./options.js";
import type { OpenOptions, Store, StoreInfo } from "./types.js";

const DEFAULTS: Defaults = {
	wasm: () => {
		throw invalid("wasm", undefined, "given to the first call of holdfast/slim");
	},
	worker: undefined,
};

/** As in `holdfast`. */
export function open<T = unknown>(name: string, options?: OpenOptions): Promise<Store<T>> {
	return openStore<T>(name, options, DEFAULTS);
}

/** As in `holdfast`. */
export async function stores(): Promise<StoreInfo[]> {
	return (await import("./more.js")).listStores();
}

/** As in `holdfast`. */
export async function destroy(name: string): Promise<void> {
	await (await import("./more.js")).destroyStore(name);
}

export { type ErrorCode, HoldfastError } from "./error.js";
export type * from "./types.js";
