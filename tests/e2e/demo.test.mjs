// The demo, driven in Chromium as a person would use it, on the server that `npm start` starts.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { serve } from "../../scripts/serve.mjs";
import { startBrowser } from "./browser.mjs";

const BULK_ENTRIES = 10_000;
// Entries that must be acknowledged before the I/O worker is killed while the rest is still being written.
const CRASH_AFTER_ENTRIES = 2_000;

describe("the demo in Chromium", () => {
	let server;
	let browser;
	before(async () => {
		server = await serve();
		browser = await startBrowser("chromium");
	});
	after(async () => {
		await browser?.end();
		await server.stop();
	});

	test("a note that was typed and saved is there after a reload", () =>
		browser.page(server.origin, async (page) => {
			await ready(page);
			await typeNote(page, "Groceries", "milk, bread");
			await page.reload();
			await ready(page);
			assert.deepEqual(await readNote(page, "Groceries"), { title: "Groceries", text: "milk, bread" });
			assert.deepEqual(page.errors(), []);
		}));

	test("offline: it loads without its server, has the note, takes another, and keeps both over SIGKILL", async () => {
		await browser.page(server.origin, async (page) => {
			await ready(page);
			await typeNote(page, "Online", "written online");
			await page.until(() => document.documentElement.dataset.offline === "ready");
			await server.stop();
			await page.reload();
			await ready(page);
			assert.equal((await readNote(page, "Online")).text, "written online");
			await typeNote(page, "Offline", "written offline");
			await browser.kill();
		});
		await browser.start();
		await browser.page(server.origin, async (page) => {
			await ready(page);
			assert.equal((await readNote(page, "Online")).text, "written online");
			assert.equal((await readNote(page, "Offline")).text, "written offline");
		});
		server = await serve({ port: Number(new URL(server.origin).port) });
	});

	for (const backend of ["opfs", "idb"]) {
		test(`${backend}: 10,000 entries written by the button, SIGKILL after the acknowledgement: all are there`, async () => {
			await browser.page(`${server.origin}/?backend=${backend}`, async (page) => {
				await ready(page);
				await page.click("#bulk-write");
				await page.until(bulkAcknowledged, BULK_ENTRIES);
				await browser.kill();
			});
			await browser.start();
			await browser.page(`${server.origin}/?backend=${backend}`, async (page) => {
				await ready(page);
				assert.equal(await page.run(() => document.querySelector("#status-backend").textContent), backend);
				assert.equal(await page.run(() => document.querySelector("#recovered").dataset.bulk), String(BULK_ENTRIES));
				assert.equal(await page.run(() => document.querySelector("#recovered-loss").textContent), "none");
			});
			// What the demo counts, read again entry by entry; on a page of its origin that does not hold the store.
			await browser.page(`${server.origin}/bulk.js`, async (page) => {
				const entries = await page.run(readBulk, `notes-${backend}`);
				assert.equal(entries.length, BULK_ENTRIES);
				entries.forEach(({ key, n, square }, at) => {
					assert.deepEqual(
						{ key, n, square },
						{ key: `bulk:${String(at + 1).padStart(5, "0")}`, n: at + 1, square: (at + 1) ** 2 },
					);
				});
			});
		});
	}

	test("“Crash the I/O worker” in the middle of writes: everything acknowledged is back after the reload", () =>
		browser.page(`${server.origin}/?backend=opfs`, async (page) => {
			await ready(page);
			await page.click("#bulk-remove");
			await page.until(() => document.querySelector("#action-result").textContent.includes("removed"));
			await typeNote(page, "Before", "before the crash");
			await page.click("#bulk-write");
			await page.until(bulkAcknowledged, CRASH_AFTER_ENTRIES);
			await page.run(() => document.querySelector("#crash-worker").click());
			await page.until(() => document.querySelector("#crash-dialog").open);
			const acknowledged = await page.run(() => Number(document.querySelector("#bulk-acknowledged").dataset.count));
			await page.until(() => document.querySelector("#crash-write").textContent !== "waiting…");
			assert.doesNotMatch(await page.run(() => document.querySelector("#crash-write").textContent), /^answered/);
			await page.click("#crash-reload");
			await page.until(() => !document.querySelector("#crash-dialog")?.open && document.documentElement.dataset.ready);
			assert.equal(await page.run(() => document.querySelector("#rehearsal").dataset.broken), "false");
			const found = await page.run(() => Number(document.querySelector("#recovered").dataset.bulk));
			assert.ok(found >= acknowledged, `${found} entries of ${acknowledged} acknowledged`);
			assert.equal((await readNote(page, "Before")).text, "before the crash");
		}));
});

function ready(page) {
	return page.until(() => document.documentElement.dataset.ready === "true");
}

/** Types a new note and waits until the demo says that it is saved. */
async function typeNote(page, title, text) {
	await page.click("#new-note");
	await page.type("#title", title);
	await page.type("#text", text);
	await page.until(
		(title, text) =>
			["os", "disk"].includes(document.querySelector("#save-state").dataset.state) &&
			[...document.querySelectorAll("#note-list button")].some(
				({ textContent }) => textContent.includes(title) && textContent.includes(text),
			),
		title,
		text,
	);
}

/** Opens the note of that title from the list and reads the sheet. */
async function readNote(page, title) {
	await page.click(`#note-list button ::-p-text(${title})`);
	await page.until((title) => document.querySelector("#title").value === title, title);
	return page.run(() => ({
		title: document.querySelector("#title").value,
		text: document.querySelector("#text").value,
	}));
}

/** In the page. */
function bulkAcknowledged(least) {
	return Number(document.querySelector("#bulk-acknowledged").dataset.count) >= least;
}

/** In the page. */
async function readBulk(name) {
	const { open } = await import("/dist/index.js");
	const store = await open(name, { backend: name.replace("notes-", "") });
	const entries = await store.entries({ prefix: "bulk:" }).toArray();
	await store.close();
	return entries.map(([key, { n, square }]) => ({ key, n, square }));
}
