// SQLite with a write-ahead log, which opfs-sahpool can have only when one connection locks the database exclusively.

import { version } from "version:@sqlite.org/sqlite-wasm";
import { openSqlite, removeSqlite } from "./sqlite-database.js";

const PRAGMAS = {
	// Syncs at checkpoints only.
	D2: ["locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL", "cache_size = -65536"],
	D3: ["locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"],
};

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "sqlite-wal",
	name: "sqlite-wasm WAL",
	version,
	place: "worker",
	levels: {
		D2: `opfs-sahpool in a worker, prepared statements; ${PRAGMAS.D2.join(", ")}`,
		D3: `opfs-sahpool in a worker, prepared statements; ${PRAGMAS.D3.join(", ")}`,
	},
	open: (database, level) => openSqlite(database, PRAGMAS[level]),
	remove: removeSqlite,
};
