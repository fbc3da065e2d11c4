// The tool the other tests stand on: a browser here really loses its processes and really keeps its profile.
// Bytes are written without the package, so a failure here is never the package's.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { startSite } from "./site.mjs";
import { startWebkit, webkitMissing } from "./webkit.mjs";

/** In the page: puts `text` under "key" of a raw IndexedDB database, or reads it when `text` is missing. */
async function indexedDbText(text) {
	const open = indexedDB.open("raw", 1);
	open.onupgradeneeded = () => open.result.createObjectStore("raw");
	await new Promise((resolve, reject) => Object.assign(open, { onsuccess: resolve, onerror: reject }));
	const transaction = open.result.transaction("raw", text === undefined ? "readonly" : "readwrite");
	const request =
		text === undefined ? transaction.objectStore("raw").get("key") : transaction.objectStore("raw").put(text, "key");
	await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: reject }));
	open.result.close();
	return request.result;
}

/** In the page: writes `text` through an OPFS sync handle in a worker, or reads the file when `text` is missing. */
async function opfsText(text) {
	const body = async ({ data }) => {
		const root = await navigator.storage.getDirectory();
		const handle = await (await root.getFileHandle("raw", { create: true })).createSyncAccessHandle();
		if (data !== undefined) {
			handle.write(new TextEncoder().encode(data), { at: 0 });
			postMessage(data);
		} else {
			const bytes = new Uint8Array(handle.getSize());
			handle.read(bytes, { at: 0 });
			handle.close();
			postMessage(new TextDecoder().decode(bytes));
		}
	};
	const worker = new Worker(URL.createObjectURL(new Blob([`onmessage = ${body}`])));
	const answer = new Promise((resolve, reject) =>
		Object.assign(worker, { onmessage: (event) => resolve(event.data), onerror: reject }),
	);
	worker.postMessage(text);
	return answer;
}

let site;
before(async () => {
	site = await startSite();
});
after(() => site.stop());

for (const name of ["chromium", "chromium-sqlite", "firefox"]) {
	describe(name, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		test("raw IndexedDB and OPFS bytes survive SIGKILL and a restart on the same profile", async () => {
			await browser.page(`${site.origin}/blank`, async (page) => {
				assert.equal(await page.run(indexedDbText, `idb ${name}`), "key");
				assert.equal(await page.run(opfsText, `opfs ${name}`), `opfs ${name}`);
			});
			await browser.restart();
			await browser.page(`${site.origin}/blank`, async (page) => {
				assert.equal(await page.run(indexedDbText), `idb ${name}`);
				assert.equal(await page.run(opfsText), `opfs ${name}`);
			});
		});

		test("a failure carries what the page wrote to its console", async () => {
			const failing = browser.page(`${site.origin}/blank`, (page) =>
				page.run(() => {
					console.warn("said before it failed");
					throw new Error("failed");
				}),
			);
			await assert.rejects(failing, /failed.*said before it failed/s);
		});
	});
}

test("WebKit keeps IndexedDB bytes over a reload", { skip: webkitMissing() }, async () => {
	const browser = await startWebkit();
	try {
		await browser.page(`${site.origin}/blank`, async (page) => {
			assert.equal(await page.run(indexedDbText, "idb webkit"), "key");
			await page.reload();
			assert.equal(await page.run(indexedDbText), "idb webkit");
		});
	} finally {
		await browser.end();
	}
});
