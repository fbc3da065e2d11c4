/** What the browser says of room and persistence, in the time there is. Loaded when it is asked. */

import type { HoldfastError } from "./error.js";
import { ESTIMATE_MS_MAX } from "./numbers.js";
import { storage } from "./platform.js";

/** What the promise resolves to; undefined when there is none, it takes longer, or it rejects. */
export function atMost<A>(ms: number, promise: Promise<A> | undefined): Promise<A | undefined> {
	return new Promise((resolve) => {
		const timer = setTimeout(() => resolve(undefined), ms);
		const settled = (answer?: A) => {
			clearTimeout(timer);
			resolve(answer);
		};
		if (promise) promise.then(settled, () => settled());
		else settled();
	});
}

/** The error; with `QUOTA` it learns how much room the browser says there is. */
export async function withEstimate(error: unknown): Promise<unknown> {
	const full = error as HoldfastError | undefined;
	if (full?.code === "QUOTA" && !full.estimate) {
		const estimate = await atMost(ESTIMATE_MS_MAX, storage()?.estimate?.());
		if (estimate) full.estimate = estimate;
	}
	return error;
}
