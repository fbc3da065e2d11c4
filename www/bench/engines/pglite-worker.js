// Postgres in its worker: one table, one statement for each bulk call.
//
// Shapes: a key is text, a column JSON text or bytes. JSON is left as text and bytes are read and written by the platform's hex codec:
// PGlite's own parsers are its documented options. `open(directory, options)` comes first.

import { PGlite, types } from "@electric-sql/pglite";
import { OpfsAhpFS } from "@electric-sql/pglite/opfs-ahp";
import { answerCalls } from "./worker-answers.js";

const TABLE = 'CREATE TABLE IF NOT EXISTS kv (key text COLLATE "C" PRIMARY KEY, value json, bytes bytea)';
const OVERWRITE = "ON CONFLICT (key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes";
const SET = `INSERT INTO kv (key, value, bytes) VALUES ($1, $2, $3) ${OVERWRITE}`;
const SET_MANY = `INSERT INTO kv (key, value) SELECT * FROM unnest($1::text[], $2::json[]) ${OVERWRITE}`;

const ROWS = {
	rowMode: "array",
	parsers: { [types.JSON]: (text) => text, [types.BYTEA]: (hex) => Uint8Array.fromHex(hex.slice(2)) },
	serializers: { [types.BYTEA]: (bytes) => `\\x${bytes.toHex()}` },
};

let db;

answerCalls({
	async open(directory, options) {
		db = await PGlite.create({ ...options, fs: new OpfsAhpFS(directory) });
		await db.exec(TABLE);
	},
	async get(key) {
		const [row] = await rows("SELECT value, bytes FROM kv WHERE key = $1", [key]);
		return row && columnOf(row);
	},
	async getMany(keys) {
		const found = new Map();
		for (const [key, ...row] of await rows("SELECT key, value, bytes FROM kv WHERE key = ANY($1)", [keys])) {
			found.set(key, columnOf(row));
		}
		return keys.map((key) => found.get(key));
	},
	set: (key, column) => rows(SET, [key, ...partsOf(column)]),
	setMany: (keys, columns) =>
		db.transaction(async (transaction) => {
			const texts = keys.filter((_, index) => typeof columns[index] === "string");
			const values = columns.filter((column) => typeof column === "string");
			if (texts.length > 0) await transaction.query(SET_MANY, [texts, values], ROWS);
			for (const [index, key] of keys.entries()) {
				if (typeof columns[index] !== "string") await transaction.query(SET, [key, ...partsOf(columns[index])], ROWS);
			}
		}),
	delete: (key) => rows("DELETE FROM kv WHERE key = $1", [key]),
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

function columnOf([value, bytes]) {
	return bytes ?? value;
}

function partsOf(column) {
	return typeof column === "string" ? [column, null] : [null, column];
}
