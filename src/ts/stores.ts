/** The calls that need no open store. Loaded with the first of them. */

import { destroyStore as destroyIn, stores } from "../backend/stores.js";
import { fromWasm } from "./error.js";
import { takeLock, taking } from "./open.js";
import type { StoreInfo } from "./types.js";

/** The stores of this origin; see `stores` of the entry points. */
export async function listStores(): Promise<StoreInfo[]> {
	try {
		return await stores();
	} catch (error) {
		throw fromWasm(error);
	}
}

/** Removes a store that is closed everywhere; see `destroy` of the entry points. */
export function destroyStore(name: string): Promise<void> {
	return taking(name, undefined, async (taken) => {
		const { step, release } = taken;
		await takeLock(taken);
		await step(destroyIn(name));
		release();
	});
}
