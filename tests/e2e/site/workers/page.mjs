// A page that starts workers and has them do things; it has the package itself, too.

import * as holdfast from "holdfast";

globalThis.holdfast = holdfast;

const workers = new Map();
const START = {
	async service(name) {
		const scope = `/site/workers/${encodeURIComponent(name)}/`;
		const script = `/site/workers/service.mjs?name=${encodeURIComponent(name)}`;
		const registration = await navigator.serviceWorker.register(script, { type: "module", scope });
		const worker = registration.installing ?? registration.waiting ?? registration.active;
		while (worker.state !== "activated")
			await new Promise((resolve, reject) => {
				worker.onstatechange = () => (worker.state === "redundant" ? reject(new Error("redundant")) : resolve());
			});
		return { ask: (message, port) => worker.postMessage(message, [port]), end: () => registration.unregister() };
	},
	async shared(name) {
		const { port } = new SharedWorker("/site/workers/other.mjs", { type: "module", name });
		port.start();
		// From outside it ends with its last page.
		const end = () => inWorker(name, "() => void setTimeout(() => globalThis.close())");
		return { ask: (message, other) => port.postMessage(message, [other]), end };
	},
	async dedicated(name) {
		const worker = new Worker("/site/workers/other.mjs", { type: "module", name });
		return { ask: (message, port) => worker.postMessage(message, [port]), end: () => worker.terminate() };
	},
};

/** Starts a worker of that kind under that name. */
globalThis.startWorker = async (kind, name) => void workers.set(name, await START[kind](name));

/** Ends it; resolves when it is gone. */
globalThis.endWorker = async (name) => {
	await workers.get(name).end();
	workers.delete(name);
	await navigator.locks.request(`agent:${name}`, () => {});
};

/** Has a worker run a function. */
globalThis.inWorker = (name, source, ...args) =>
	new Promise((resolve, reject) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = ({ data }) => {
			port1.close();
			if (!data.error) resolve(data.value);
			else
				reject(Object.assign(new Error(`${data.error.code}: ${data.error.message}\n${data.error.stack}`), data.error));
		};
		workers.get(name).ask({ source, args }, port2);
	});
