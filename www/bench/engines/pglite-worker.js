// Postgres in its worker: one table, prepared statements, one statement for each bulk call.
//
// Shapes: a key is text, a column JSON text or bytes. JSON is left as text and bytes are read and written by the platform's hex codec:
// PGlite's own parsers are its documented options. `open(directory, options)` comes first.

import { PGlite, types } from "@electric-sql/pglite";
import { OpfsAhpFS } from "@electric-sql/pglite/opfs-ahp";
import { answerCalls } from "./worker-answers.js";

const TABLE = 'CREATE TABLE IF NOT EXISTS kv (key text COLLATE "C" PRIMARY KEY, value json, bytes bytea)';
const OVERWRITE = "ON CONFLICT (key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes";
const STATEMENTS = `
	PREPARE get_one (text) AS SELECT value, bytes FROM kv WHERE key = $1;
	PREPARE set_one (text, json, bytea) AS INSERT INTO kv (key, value, bytes) VALUES ($1, $2, $3) ${OVERWRITE};
	PREPARE delete_one (text) AS DELETE FROM kv WHERE key = $1;`;
const SET_MANY = `INSERT INTO kv (key, value) SELECT entry->>0, entry->1 FROM json_array_elements($1) entry ${OVERWRITE}`;

const ROWS = {
	rowMode: "array",
	parsers: { [types.JSON]: (text) => text, [types.BYTEA]: (hex) => Uint8Array.fromHex(hex.slice(2)) },
};

let db;

answerCalls({
	async open(directory, options) {
		db = await PGlite.create({ ...options, fs: new OpfsAhpFS(directory) });
		await db.exec(TABLE);
		await db.exec(STATEMENTS);
	},
	async get(key) {
		const [{ rows }] = await execute(db, "get_one", key);
		return rows.length > 0 ? columnOf(rows[0]) : undefined;
	},
	async getMany(keys) {
		const found = new Map();
		for (const [key, ...row] of await rows("SELECT key, value, bytes FROM kv WHERE key = ANY($1)", [keys])) {
			found.set(key, columnOf(row));
		}
		return keys.map((key) => found.get(key));
	},
	set: (key, column) => execute(db, "set_one", key, ...partsOf(column)),
	setMany: (keys, columns) =>
		db.transaction(async (transaction) => {
			const texts = [];
			for (const [index, key] of keys.entries()) {
				const column = columns[index];
				if (typeof column === "string") texts.push(`[${JSON.stringify(key)},${column}]`);
				else await execute(transaction, "set_one", key, ...partsOf(column));
			}
			if (texts.length > 0) await transaction.query(SET_MANY, [`[${texts}]`]);
		}),
	delete: (key) => execute(db, "delete_one", key),
	deleteMany: (keys) => rows("DELETE FROM kv WHERE key = ANY($1)", [keys]),
	async scan(from, to, limit = null) {
		const found = await rows("SELECT key, value, bytes FROM kv WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3", [
			from,
			to,
			limit,
		]);
		return [found.map(([key]) => key), found.map(([, ...row]) => columnOf(row))];
	},
	async count() {
		const [[count]] = await rows("SELECT count(*)::int FROM kv", []);
		return count;
	},
	settle: () => db.exec("CHECKPOINT"),
	close: () => db.close(),
	async stats() {
		const [[bytesOnDisk]] = await rows("SELECT pg_database_size(current_database())::int", []);
		return { wasmHeapBytes: db.Module.HEAPU8.length, bytesOnDisk };
	},
});

async function rows(sql, parameters) {
	return (await db.query(sql, parameters, ROWS)).rows;
}

/** Runs the prepared statement: this takes half the time of `query`, which parses and plans it anew. */
function execute(connection, statement, ...parameters) {
	return connection.exec(`EXECUTE ${statement} (${parameters.map(literalOf)})`, ROWS);
}

/** The parameter in SQL text; quotes are all that is special in it. */
function literalOf(parameter) {
	if (parameter === null) return "NULL";
	const text = typeof parameter === "string" ? parameter : `\\x${parameter.toHex()}`;
	return `'${text.replaceAll("'", "''")}'`;
}

function columnOf([value, bytes]) {
	return bytes ?? value;
}

function partsOf(column) {
	return typeof column === "string" ? [column, null] : [null, column];
}
