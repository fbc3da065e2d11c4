// SQLite in its worker: one table, prepared statements, one transaction for each bulk call.
//
// Shapes: a key is text, a column JSON text or a blob. `open(directory, pragmas)` comes first.

import sqlite3InitModule from "@sqlite.org/sqlite-wasm";
import { answerCalls } from "./worker-answers.js";

const FILE = "/kv.db";
const STATEMENTS = {
	get: "SELECT value FROM kv WHERE key = ?",
	set: "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	delete: "DELETE FROM kv WHERE key = ?",
	scan: "SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
	count: "SELECT count(*) FROM kv",
	begin: "BEGIN IMMEDIATE",
	commit: "COMMIT",
	rollback: "ROLLBACK",
};

let sqlite3;
let pool;
let db;
const prepared = {};

answerCalls({
	async open(directory, pragmas) {
		sqlite3 = await sqlite3InitModule();
		pool = await sqlite3.installOpfsSAHPoolVfs({ name: directory, directory });
		db = new pool.OpfsSAHPoolDb(FILE);
		for (const pragma of pragmas) db.exec(`PRAGMA ${pragma}`);
		db.exec("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
		for (const [name, sql] of Object.entries(STATEMENTS)) prepared[name] = db.prepare(sql);
	},
	get,
	getMany: (keys) => atomically(() => keys.map(get)),
	set,
	setMany: (keys, columns) =>
		atomically(() => {
			for (const [index, key] of keys.entries()) set(key, columns[index]);
		}),
	delete: remove,
	deleteMany: (keys) =>
		atomically(() => {
			for (const key of keys) remove(key);
		}),
	scan(from, to, limit = -1) {
		const statement = prepared.scan.bind([from, to, limit]);
		const keys = [];
		const columns = [];
		try {
			while (statement.step()) {
				keys.push(statement.get(0));
				columns.push(statement.get(1));
			}
		} finally {
			statement.reset();
		}
		return [keys, columns];
	},
	count: () => first(prepared.count, 0),
	/** Brings a write-ahead log into the database, and syncs what was written without. */
	settle() {
		db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
		const synchronous = db.selectValue("PRAGMA synchronous");
		const version = db.selectValue("PRAGMA user_version");
		db.exec(`PRAGMA synchronous = FULL; PRAGMA user_version = ${version + 1}; PRAGMA synchronous = ${synchronous}`);
	},
	close() {
		for (const statement of Object.values(prepared)) statement.finalize();
		db.close();
		pool.pauseVfs();
	},
	stats: () => ({
		wasmHeapBytes: sqlite3.wasm.heap8().byteLength,
		bytesOnDisk: db.selectValue("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
	}),
});

function get(key) {
	return first(prepared.get.bind(key), 0);
}

function set(key, column) {
	run(prepared.set.bind([key, column]));
}

function remove(key) {
	run(prepared.delete.bind(key));
}

/** The column of the statement's first row; undefined if it has none. */
function first(statement, column) {
	try {
		return statement.step() ? statement.get(column) : undefined;
	} finally {
		statement.reset();
	}
}

function run(statement) {
	try {
		statement.step();
	} finally {
		statement.reset();
	}
}

/** Runs `body` as one transaction. */
function atomically(body) {
	run(prepared.begin);
	try {
		const value = body();
		run(prepared.commit);
		return value;
	} catch (error) {
		run(prepared.rollback);
		throw error;
	}
}
