/** `holdfast/inline`: engine and I/O worker are in this file, so nothing else has to be served. */

import wasmBase64 from "../../target/bindgen/holdfast.wasm";
import workerScript from "../../target/bindgen/worker.txt";
import { type Defaults, openStore } from "./open.js";
import type { OpenOptions, Store, StoreInfo } from "./types.js";

const DEFAULTS: Defaults = {
	wasm: () => Uint8Array.from(atob(wasmBase64), (unit) => unit.charCodeAt(0)),
	worker: () => {
		const url = URL.createObjectURL(new Blob([workerScript], { type: "text/javascript" }));
		try {
			return new Worker(url, { type: "module" });
		} finally {
			// A worker that is being started has taken its script's address down.
			URL.revokeObjectURL(url);
		}
	},
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
