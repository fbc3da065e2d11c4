// A dedicated worker that has the store of a storm. Import maps do not reach workers, so the package has its URL here.

import { open } from "/package/dist/index.js";
import { imageOf, writeForEver } from "./storm.mjs";

let store;
addEventListener("message", async ({ data }) => {
	if (store) {
		writeForEver(store, data);
		return;
	}
	const { name, options, seed } = data;
	try {
		const began = performance.now();
		store = await open(name, options);
		const openMs = performance.now() - began;
		const { recovered, fresh, backend } = store.status;
		postMessage({ image: await imageOf(store, seed), recovered, fresh, backend, openMs });
	} catch (error) {
		postMessage({ error: `${error.code} ${error.message} ${error.cause?.message ?? ""}` });
	}
});
