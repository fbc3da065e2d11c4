// SQLite with a rollback journal and full syncs: what it is without a setting that weakens it.

import { version } from "version:@sqlite.org/sqlite-wasm";
import { openSqlite, removeSqlite } from "./sqlite-database.js";

const PRAGMAS = ["locking_mode = EXCLUSIVE", "journal_mode = PERSIST", "synchronous = FULL", "cache_size = -65536"];

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "sqlite",
	name: "sqlite-wasm",
	version,
	place: "worker",
	levels: { D3: `opfs-sahpool in a worker, prepared statements; ${PRAGMAS.join(", ")}` },
	open: (database) => openSqlite(database, PRAGMAS),
	remove: removeSqlite,
};
