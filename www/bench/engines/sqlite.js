// SQLite with a rollback journal and full syncs: what it is without a setting that weakens it.

import { sqliteEngine } from "./sqlite-engine.js";

export const engine = sqliteEngine("sqlite", "sqlite-wasm", {
	D3: { journal_mode: "PERSIST", synchronous: "FULL" },
});
