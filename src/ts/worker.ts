/**
 * The I/O worker: serves the store's OPFS files to the engine in the page.
 *
 * The page posts `{ holdfast: "start", name, life }` and gets `{ holdfast: "ready" }` or `{ holdfast: "failed", error }`,
 * with the error as `{ code, message, cause? }`; from then on only the engine's own messages pass. The worker holds the Web Lock
 * `life` for as long as it lives, because nothing else tells a page that a worker has ended.
 */

import { explain } from "../backend/glue.js";
import { openOpfs, serve } from "../backend/opfs.js";

async function start({ data }: MessageEvent): Promise<void> {
	if (data?.holdfast !== "start") return;
	removeEventListener("message", start);
	try {
		serve(await openOpfs(data.name), globalThis);
		const { locks } = navigator;
		if (locks) await new Promise<void>((held) => void locks.request(data.life, () => new Promise(() => held())));
		postMessage({ holdfast: "ready" });
	} catch (thrown) {
		postMessage({ holdfast: "failed", error: explain(thrown) });
	}
}

addEventListener("message", start);
