// A worker that does what pages ask: `{ id, source, args }` over a port, a function of that source called with those arguments, where
// `holdfast` is the package and `stores` has what earlier ones opened, by name. While it lives it holds the Web Lock `agent:<name>`.

const stores = new Map();

/** Answers a request over the port that came with it. */
export async function answer(holdfast, { data: { source, args }, ports: [port] }) {
	try {
		const body = new Function("holdfast", "stores", `return ${source}`)(holdfast, stores);
		port.postMessage({ value: await body(...args) });
	} catch (error) {
		const { code, message } = error ?? {};
		port.postMessage({ error: { code, message: message ?? String(error), stack: error?.stack } });
	}
}

/** Shows that the worker lives. */
export const live = (name) => void navigator.locks.request(`agent:${name}`, () => new Promise(() => {}));
