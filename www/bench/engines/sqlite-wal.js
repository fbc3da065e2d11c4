// SQLite with a write-ahead log, which opfs-sahpool can have only when one connection locks the database exclusively.

import { sqliteEngine } from "./sqlite-engine.js";

export const engine = sqliteEngine("sqlite-wal", "sqlite-wasm WAL", {
	// Syncs at checkpoints only.
	D2: { journal_mode: "WAL", synchronous: "NORMAL" },
	D3: { journal_mode: "WAL", synchronous: "FULL" },
});
