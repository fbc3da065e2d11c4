/** `holdfast/inline`: engine and I/O worker are in this file, so nothing else has to be served. */

import * as embedded from "./embedded.js";
import { openStore } from "./open.js";
import type { OpenOptions, Store, StoreInfo } from "./types.js";

/** As in `holdfast`. */
export function open<T = unknown>(name: string, options?: OpenOptions): Promise<Store<T>> {
	return openStore<T>(name, options, embedded);
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
