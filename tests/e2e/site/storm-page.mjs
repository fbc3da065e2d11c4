// The page of a storm: opens a store in itself or in a dedicated worker, says what is in it, writes, and can have its
// worker terminated. What the driver calls is on `globalThis`.

import * as holdfast from "holdfast";
import { imageOf, writeForEver } from "./storm.mjs";

// The I/O worker that the package starts, or the worker that has the engine.
let worker;
globalThis.Worker = class extends Worker {
	constructor(...given) {
		super(...given);
		worker = this;
	}
};

let write;

/** Opens the store in a `place`, "page" or "worker"; resolves to `{ image, recovered, fresh, backend, openMs }`. */
globalThis.openStorm = async (place, name, options, seed) => {
	const began = performance.now();
	if (place === "worker") {
		new Worker("/site/storm-worker.mjs", { type: "module" });
		const found = await new Promise((resolve, reject) => {
			worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
			worker.onerror = ({ message }) => reject(new Error(`worker: ${message}`));
			worker.postMessage({ name, options, seed });
		});
		write = (storm) => worker.postMessage(storm);
		return found;
	}
	const store = await holdfast.open(name, options);
	const openMs = performance.now() - began;
	write = (storm) => void writeForEver(store, storm);
	const { recovered, fresh, backend } = store.status;
	return { image: await imageOf(store, seed), recovered, fresh, backend, openMs };
};

/** Writes until something dies; `storm` is as `writeForEver` has it. */
globalThis.startStorm = (storm) => write(storm);

globalThis.terminateWorker = () => worker.terminate();
