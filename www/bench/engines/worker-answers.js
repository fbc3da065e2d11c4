// The worker's side of worker-calls.js.
//
// Owns: the answers. Bytes in them are transferred, so methods give away the `Uint8Array`s they return, alone or in an array.

/** Answers every call by the method of that name, which may be async. */
export function answerCalls(methods) {
	globalThis.onmessage = ({ data: [number, method, args] }) => {
		const answer = (value) => postMessage([number, value], buffersOf(value));
		const fail = (error) => postMessage([number, undefined, `${method}: ${error?.message ?? error}`]);
		try {
			const value = methods[method](...args);
			if (value instanceof Promise) value.then(answer).catch(fail);
			else answer(value);
		} catch (error) {
			fail(error);
		}
	};
}

function buffersOf(value) {
	if (value instanceof Uint8Array) return [value.buffer];
	if (!Array.isArray(value)) return [];
	return [...new Set(value.filter((item) => item instanceof Uint8Array).map((bytes) => bytes.buffer))];
}
