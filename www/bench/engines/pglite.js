// PGlite (Postgres) on its opfs-ahp file system in a worker: the page's side of pglite-worker.js.

import { version } from "version:@electric-sql/pglite";
import { removeFromOpfs } from "./opfs-remove.js";
import { openInWorker } from "./worker-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "pglite",
	name: "PGlite",
	version,
	place: "worker",
	levels: {
		D2: "opfs-ahp in a worker, relaxedDurability: true. Its documentation promises D1; on opfs-ahp Postgres has written its log to the files before it answers, and every acknowledged key was found after kills (bench:classes)",
		D3: "opfs-ahp in a worker, as it comes",
	},
	open: (database, level) =>
		openInWorker(new URL("./pglite-worker.js", import.meta.url), directoryOf(database), {
			relaxedDurability: level === "D2",
		}),
	remove: (database) => removeFromOpfs(directoryOf(database)),
};

function directoryOf(database) {
	return `pglite-${database}`;
}
