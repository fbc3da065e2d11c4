// A tab of a store that is open in many: puts on `globalThis` what the driver calls, before the page's `load` event.
//
// A dedicated worker (worker.mjs) can be a tab too.

import * as holdfast from "holdfast";
import { failure } from "../check.mjs";
import * as tab from "./tab.mjs";

/** What the package started last, or a test. */
let ioWorker;
globalThis.Worker &&= class extends Worker {
	constructor(...given) {
		super(...given);
		ioWorker = this;
	}
};

Object.assign(globalThis, { holdfast, failure }, tab);

globalThis.terminateIoWorker = () => ioWorker.terminate();

// ------------------------------------------------------------------------------------------------ a store in a worker

let worker;
let asked = 0;
const answers = new Map();

/** Starts a dedicated worker that is a tab by itself. */
globalThis.startTabWorker = () => {
	worker = new Worker("/site/tabs/worker.mjs", { type: "module" });
	worker.onmessage = ({ data: { id, value, error } }) => {
		const { resolve, reject } = answers.get(id);
		answers.delete(id);
		if (error === undefined) resolve(value);
		else reject(new Error(`in the worker: ${error}`));
	};
};

/** Runs `body(...args)`, given as its source, in that worker. */
globalThis.inTabWorker = (source, ...args) =>
	new Promise((resolve, reject) => {
		answers.set(++asked, { resolve, reject });
		worker.postMessage({ id: asked, source, args });
	});

globalThis.terminateTabWorker = () => worker.terminate();

// ------------------------------------------------------------------------------------------------ somebody else's handle

let holder;

/** Has a worker take a handle of a closed store's files, as one has that is dying. */
globalThis.holdHandle = async (name) => {
	const source = `onmessage = async ({ data }) => {
		if (typeof data === "number") return void setTimeout(() => handle.close(), data);
		const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
		const directory = await root.getDirectoryHandle(encodeURIComponent(data).toLowerCase());
		for await (const file of directory.values()) {
			globalThis.handle = await file.createSyncAccessHandle();
			return postMessage("held");
		}
	};`;
	holder = new Worker(URL.createObjectURL(new Blob([source])));
	const held = new Promise((resolve) => {
		holder.onmessage = resolve;
	});
	holder.postMessage(name);
	await held;
};

/** Has it let go after so many ms. */
globalThis.letGoAfter = (ms) => holder.postMessage(ms);
