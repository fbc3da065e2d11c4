// PouchDB on its `indexeddb` adapter, in the page: documents `{ _id, value }`, bytes as attachments.
//
// A document is written with the revision it replaces, so a write first asks for that, by `get` or for a bulk by `allDocs`, as its
// users do who do not know whether a document exists. Measured: asking for one that is missing costs a tenth of the write, running
// into the conflict as much as the write. Bulk calls are `bulkDocs` and `allDocs`.

import { version } from "version:pouchdb-browser";
import indexeddb from "pouchdb-adapter-indexeddb";
import PouchDB from "pouchdb-browser";
import { endOf } from "./key-range.js";

const CONFLICT = 409;
const MISSING = 404;
const ATTACHED = { attachments: true, binary: true };

PouchDB.plugin(indexeddb);

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "pouchdb",
	name: "PouchDB",
	version,
	place: "page",
	levels: {
		D2: "adapter indexeddb, auto_compaction, revs_limit 1; transactions of the browser's default durability; it has no setting for another",
	},

	async open(database) {
		const db = optionsOf(database);
		await db.info();
		const set = async (key, value) => {
			try {
				await db.put({ ...documentOf(key, value), _rev: await revisionOf(db, key) });
			} catch (error) {
				// Another write came in between.
				if (error.status !== CONFLICT) throw error;
				await set(key, value);
			}
		};
		/** Writes the documents over whatever revisions there are. */
		const write = async (documents) => {
			const failed = (await db.bulkDocs(documents)).find(({ error }) => error);
			if (failed) throw failed;
		};
		const all = async (options) => (await db.allDocs({ include_docs: true, ...ATTACHED, ...options })).rows;
		return {
			get: (key) => db.get(key, ATTACHED).then(contentOf, undefinedIfMissing),
			getMany: async (keys) => Promise.all((await all({ keys })).map(({ doc }) => contentOf(doc))),
			set,
			async setMany(entries) {
				await write(
					await revised(
						db,
						entries.map(([key, value]) => documentOf(key, value)),
					),
				);
			},
			async delete(key) {
				const revision = await revisionOf(db, key);
				if (revision !== undefined) await db.remove(key, revision);
			},
			async deleteMany(keys) {
				const documents = await revised(
					db,
					keys.map((key) => ({ _id: key, _deleted: true })),
				);
				await write(documents.filter(({ _rev }) => _rev !== undefined));
			},
			async scan(prefix, limit) {
				const rows = await all({ startkey: prefix, endkey: endOf(prefix), ...(limit === undefined ? {} : { limit }) });
				return Promise.all(rows.map(async ({ id, doc }) => [id, await contentOf(doc)]));
			},
			count: async () => (await db.info()).doc_count,
			// Whatever completed is in the database already.
			settle: async () => {},
			close: () => db.close(),
		};
	},

	remove: (database) => optionsOf(database).destroy(),
};

function optionsOf(database) {
	return new PouchDB(database, { adapter: "indexeddb", auto_compaction: true, revs_limit: 1 });
}

function documentOf(key, value) {
	if (!(value instanceof Uint8Array)) return { _id: key, value };
	const data = new Blob([value]);
	return { _id: key, _attachments: { value: { content_type: "application/octet-stream", data } } };
}

/** The value of a document; undefined for none and for one that was deleted. */
async function contentOf(doc) {
	const attached = doc?._attachments?.value;
	return attached === undefined ? doc?.value : new Uint8Array(await attached.data.arrayBuffer());
}

async function revisionOf(db, key) {
	return (await db.get(key).catch(undefinedIfMissing))?._rev;
}

/** The documents with the revisions that they replace. */
async function revised(db, documents) {
	const { rows } = await db.allDocs({ keys: documents.map(({ _id }) => _id) });
	return documents.map((document, index) => {
		const { value } = rows[index];
		return { ...document, _rev: value && !value.deleted ? value.rev : undefined };
	});
}

function undefinedIfMissing(error) {
	if (error.status !== MISSING) throw error;
}
