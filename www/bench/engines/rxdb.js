// RxDB on its free browser storage (Dexie.js), in the page: documents `{ key, value }`, bytes as attachments.
//
// Bulk calls are `bulkUpsert`, `findByIds` and `bulkRemove`. It keeps documents and query results in memory by itself: a key that
// was read before may be answered from there. No dev-mode, no schema validation, one tab.

import { version } from "version:rxdb";
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments";
import { addRxPlugin, createRxDatabase, removeRxDatabase } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { endOf } from "./key-range.js";

const KEY_LENGTH_MAX = 200;
const SCHEMA = {
	version: 0,
	type: "object",
	primaryKey: "key",
	properties: { key: { type: "string", maxLength: KEY_LENGTH_MAX }, value: {} },
	required: ["key"],
	attachments: {},
};
/** Of the value's bytes, if it is bytes. */
const ATTACHMENT = "value";
/** Dexie's name for the durability of a level. */
const DURABILITIES = { D2: "default", D3: "strict" };

addRxPlugin(RxDBAttachmentsPlugin);

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "rxdb",
	name: "RxDB",
	version,
	place: "page",
	levels: {
		D2: "Dexie storage (the free one), multiInstance false; transactions of the browser's default durability",
		D3: 'Dexie storage (the free one), multiInstance false; chromeTransactionDurability: "strict"',
	},

	async open(database, level) {
		const storage = getRxStorageDexie({ chromeTransactionDurability: DURABILITIES[level] });
		const db = await createRxDatabase({ name: database, storage, multiInstance: false });
		const { entries: collection } = await db.addCollections({ entries: { schema: SCHEMA } });
		const find = (key) => collection.findOne(key).exec();
		return {
			get: async (key) => copyOf(await find(key)),
			getShared: async (key) => (await find(key))?.toJSON().value,
			async getMany(keys) {
				const found = await collection.findByIds(keys).exec();
				return Promise.all(keys.map((key) => copyOf(found.get(key))));
			},
			set: (key, value) => collection.upsert(documentOf(key, value), { deleteExistingAttachments: true }),
			async setMany(entries) {
				const documents = entries.map(([key, value]) => documentOf(key, value));
				const { error } = await collection.bulkUpsert(documents, { deleteExistingAttachments: true });
				if (error.length > 0) throw new Error(`${error.length} documents were not written`);
			},
			delete: (key) => collection.bulkRemove([key]),
			deleteMany: (keys) => collection.bulkRemove(keys),
			async scan(prefix, limit) {
				const query = { selector: { key: { $gte: prefix, $lt: endOf(prefix) } }, sort: [{ key: "asc" }] };
				const found = await collection.find(limit === undefined ? query : { ...query, limit }).exec();
				return Promise.all(found.map(async (doc) => [doc.key, await copyOf(doc)]));
			},
			count: () => collection.count().exec(),
			// Whatever completed is in the database already.
			settle: async () => {},
			close: () => db.close(),
		};
	},

	remove: (database) => removeRxDatabase(database, getRxStorageDexie(), false),
};

function documentOf(key, value) {
	if (!(value instanceof Uint8Array)) return { key, value };
	const data = new Blob([value], { type: "application/octet-stream" });
	return { key, _attachments: [{ id: ATTACHMENT, type: data.type, data }] };
}

/** What was set, as the caller's own; bytes come by a promise. */
function copyOf(doc) {
	const attached = doc?.getAttachment(ATTACHMENT);
	if (!attached) return doc?.toMutableJSON().value;
	return attached.getData().then(async (blob) => new Uint8Array(await blob.arrayBuffer()));
}
