/**
 * The least that a write costs which a worker makes on OPFS: bytes of the size of an entry go there, are written into a file that is already that large,
 * and an answer comes back. No key, no value, no order.
 */

const ENTRY_BYTES = 128;

const STORES_NOTHING = "it stores nothing";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "opfs-probe",
	name: "raw OPFS write",
	version: "browser",
	place: "worker",
	stores: false,
	levels: {
		D2: `${ENTRY_BYTES} bytes to a worker, write(), answer`,
		D3: `${ENTRY_BYTES} bytes to a worker, write(), flush(), answer`,
	},

	async open(database, level) {
		const worker = new Worker(new URL("./opfs-probe-worker.js", import.meta.url), { type: "module" });
		const waiting = [];
		worker.onmessage = ({ data }) => {
			const { resolve, reject } = waiting.shift();
			if (data) reject(new Error(data));
			else resolve();
		};
		const ask = (message) =>
			new Promise((resolve, reject) => {
				waiting.push({ resolve, reject });
				worker.postMessage(message);
			});
		await ask({ open: database, isFlushed: level === "D3" });
		return {
			set: () => ask(new Uint8Array(ENTRY_BYTES)),
			async settle() {},
			async close() {
				await ask({ close: true });
				worker.terminate();
			},
		};
	},

	async remove(database) {
		const root = await navigator.storage.getDirectory();
		await root.removeEntry(database).catch((error) => {
			if (error.name !== "NotFoundError") throw error;
		});
	},

	without: Object.fromEntries(
		["load", "overwrite", "get-hot", "get-uniform", "get-miss", "get-shared", "get-many", "scan", "ycsb-a", "ycsb-b"]
			.concat([
				"ycsb-c",
				"values-m",
				"values-l",
				"blobs",
				"delete",
				"cold-open",
				"reopen",
				"second-tab",
				"log-tail",
				"checkpoint",
				"sustained",
			])
			.map((workload) => [workload, STORES_NOTHING]),
	),
};
