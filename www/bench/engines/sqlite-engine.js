// SQLite's official wasm build on its opfs-sahpool VFS: the page's side of sqlite-worker.js. Its engines differ in their settings.

import { version } from "version:@sqlite.org/sqlite-wasm";
import { removeFromOpfs } from "./opfs-remove.js";
import { openInWorker } from "./worker-store.js";

const ALL = { locking_mode: "EXCLUSIVE", cache_size: -65536 };

/**
 * The engine with the pragmas that make each class.
 *
 * @returns {import("../engine.js").Engine}
 */
export function sqliteEngine(id, name, pragmas) {
	const levels = Object.entries(pragmas).map(([level, own]) => [
		level,
		Object.entries({ ...ALL, ...own }).map((pragma) => pragma.join(" = ")),
	]);
	const pragmasOf = Object.fromEntries(levels);
	return {
		...{ id, name, version },
		place: "worker",
		levels: Object.fromEntries(
			levels.map(([level, texts]) => [level, `opfs-sahpool in a worker, prepared statements; ${texts.join(", ")}`]),
		),
		// Its files are open in one worker only.
		without: { "second-tab": "opfs-sahpool lets one page in" },
		open: (database, level) =>
			openInWorker(new URL("./sqlite-worker.js", import.meta.url), directoryOf(database), pragmasOf[level]),
		remove: (database) => removeFromOpfs(directoryOf(database)),
	};
}

function directoryOf(database) {
	return `sqlite-${database}`;
}
