// Calls from the page to an engine's worker: one message there and one back for each call.
//
// Owns: the numbers that tell answers apart. Errors: what the method threw, by its message; if the worker itself fails,
// every call that waits. Deliberately absent: batching, anything a bare `postMessage` would not cost.

/** Starts the worker; `call(method, ...args)` resolves to what the method of that name gives (worker-answers.js). */
export function startWorker(url) {
	const worker = new Worker(url, { type: "module" });
	const waiting = new Map();
	let last = 0;
	worker.onmessage = ({ data: [number, value, failure] }) => {
		const { resolve, reject } = waiting.get(number);
		waiting.delete(number);
		if (failure === undefined) resolve(value);
		else reject(new Error(failure));
	};
	worker.onerror = (event) => {
		for (const { reject } of waiting.values()) reject(new Error(event.message ?? `${url} could not be loaded`));
		waiting.clear();
	};
	return {
		call(method, ...args) {
			return new Promise((resolve, reject) => {
				waiting.set(++last, { resolve, reject });
				worker.postMessage([last, method, args]);
			});
		},
		terminate() {
			worker.terminate();
		},
	};
}
