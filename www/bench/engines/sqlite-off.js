// SQLite that leaves syncing to the system: safe when the browser is killed, not when the power is cut.

import { sqliteEngine } from "./sqlite-engine.js";

export const engine = sqliteEngine("sqlite-off", "sqlite-wasm sync=off", {
	D2: { journal_mode: "PERSIST", synchronous: "OFF" },
});
