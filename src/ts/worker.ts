/**
 * The I/O worker: serves the store's files or database to the engine in the page.
 *
 * The page posts `{ holdfast: "opfs" | "idb", name, life }` and gets `{ holdfast: "ready" }` or `{ holdfast: "failed", error }`,
 * with the error as `{ code, message, cause? }`; from then on only the engine's own messages pass. The worker holds the Web Lock
 * `life` for as long as it lives, because nothing else tells a page that a worker has ended.
 */

import { closeStorage, explain, FENCED, serve } from "../backend/glue.js";
import { open as openOpfs } from "../backend/opfs.js";

globalThis.onmessage = async ({ data }) => {
	const { holdfast: backend, name, life } = data ?? {};
	if (backend !== "opfs" && backend !== "idb") return;
	try {
		const open = backend === "idb" ? (await import("../backend/idb.js")).open : openOpfs;
		const storage = await open(name);
		serve(storage, globalThis);
		// A page that does not answer has lost the store to another, which waits for the files.
		if (globalThis.BroadcastChannel)
			new BroadcastChannel(`holdfast-fence:${name}`).onmessage = () => {
				closeStorage(storage);
				storage.ask = () => Promise.reject(FENCED);
			};
		await new Promise<void>((held) => void navigator.locks.request(life, () => new Promise(() => held())));
		postMessage({ holdfast: "ready" });
	} catch (thrown) {
		postMessage({ holdfast: "failed", error: explain(thrown) });
	}
};
