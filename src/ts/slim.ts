/**
 * `holdfast/slim`: brings neither engine nor I/O worker. Give `wasm` to the first call; without `worker` a page uses
 * IndexedDB.
 */

import { type Defaults, destroyStore, listStores, openStore } from "./open.js";
import { invalid } from "./options.js";
import type { OpenOptions, Store, StoreInfo, WasmSource } from "./types.js";

const DEFAULTS: Defaults = {
	wasm: () => {
		throw invalid("wasm", undefined, "given to the first call of holdfast/slim");
	},
	worker: undefined,
};

const sourceOf = (wasm: WasmSource | undefined) => (wasm === undefined ? DEFAULTS.wasm : () => wasm);

/** As in `holdfast`. */
export function open<T = unknown>(name: string, options?: OpenOptions): Promise<Store<T>> {
	return openStore<T>(name, options, DEFAULTS);
}

/** As in `holdfast`. */
export function stores(options?: Pick<OpenOptions, "wasm">): Promise<StoreInfo[]> {
	return listStores(sourceOf(options?.wasm));
}

/** As in `holdfast`. */
export function destroy(name: string, options?: Pick<OpenOptions, "wasm">): Promise<void> {
	return destroyStore(name, sourceOf(options?.wasm));
}

export { type ErrorCode, HoldfastError } from "./error.js";
export type * from "./types.js";
