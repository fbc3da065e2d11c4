/** Asking the browser not to evict the origin's storage. Loaded with its first call. */

import { atMost } from "./estimate.js";
import { PERSIST_MS_MAX } from "./numbers.js";
import { storage } from "./platform.js";

/** Whether it agreed in time; `learn` is told of its answer whenever it comes. */
export async function persist(learn: (answer: boolean) => boolean): Promise<boolean> {
	return (await atMost(PERSIST_MS_MAX, storage()?.persist?.().then(learn))) ?? false;
}
