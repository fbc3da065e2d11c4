// What every app here does on each visit; `bundlers.mjs` puts this file into the `src` of each of them.
//
// An outcome is `{ before, backend, fallback?, fetched }`, `before` being how many visits the store has seen and `fetched` the
// addresses that this thread has asked for, or `{ error }`. It ends up as JSON in an attribute of the page's body, where the test looks
// for it.

/** Reads what the visit before left in the store, and leaves one visit more. `open` is what the app imported. */
export async function visit(open, name) {
	try {
		const store = await open(name);
		const before = (await store.get("visits")) ?? 0;
		// Loads a part of the package that is loaded on demand.
		await store.increment("visits");
		const { backend, fallback } = store.status;
		const fetched = performance.getEntriesByType("resource").map(({ name }) => name);
		return { before, backend, fallback, fetched };
	} catch (error) {
		return { error: `${error.code ?? "unexpected"}: ${error.message}` };
	}
}

/** The outcome that an app's own worker posts. */
export function outcomeOf(worker) {
	return new Promise((resolve) => {
		worker.onmessage = ({ data }) => resolve(data);
		worker.onerror = ({ message }) => resolve({ error: `the app's own worker: ${message}` });
	});
}

/** Shows the outcome as `data-<place>` of the body. */
export async function report(place, outcome) {
	document.body.dataset[place] = JSON.stringify(await outcome);
}
