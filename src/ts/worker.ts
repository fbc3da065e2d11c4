/**
 * The I/O worker: serves the store's OPFS files to the engine in the page.
 *
 * The page posts `{ holdfast: "start", module, name, life }` and gets `{ holdfast: "ready" }` or `{ holdfast: "failed", error }`,
 * with the error as `{ code, message, cause? }`; from then on only the engine's own messages pass. The worker holds the Web Lock
 * `life` for as long as it lives, because nothing else tells a page that a worker has ended.
 */

import { initSync, Storage, serve } from "../../target/bindgen/holdfast.js";

async function start({ data }: MessageEvent): Promise<void> {
	if (data?.holdfast !== "start") return;
	removeEventListener("message", start);
	try {
		initSync({ module: data.module });
		serve(await Storage.opfs(data.name), globalThis);
		const { locks } = navigator;
		if (locks) await new Promise<void>((held) => void locks.request(data.life, () => new Promise(() => held())));
		postMessage({ holdfast: "ready" });
	} catch (thrown) {
		const { code, message = String(thrown), cause } = thrown as { code?: unknown; message?: string; cause?: unknown };
		postMessage({
			holdfast: "failed",
			error: { code: typeof code === "string" ? code : "UNAVAILABLE", message, cause },
		});
	}
}

addEventListener("message", start);
