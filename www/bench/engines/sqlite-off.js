// SQLite that leaves syncing to the system: safe when the browser is killed, not when the power is cut.

import { version } from "version:@sqlite.org/sqlite-wasm";
import { openSqlite, removeSqlite } from "./sqlite-database.js";

const PRAGMAS = ["locking_mode = EXCLUSIVE", "journal_mode = PERSIST", "synchronous = OFF", "cache_size = -65536"];

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "sqlite-off",
	name: "sqlite-wasm sync=off",
	version,
	place: "worker",
	levels: { D2: `opfs-sahpool in a worker, prepared statements; ${PRAGMAS.join(", ")}` },
	open: (database) => openSqlite(database, PRAGMAS),
	remove: removeSqlite,
};
