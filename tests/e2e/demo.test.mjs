// The demo, driven as a person would use it, on the server that `npm start` starts: the notes, and two windows of one store.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { serve } from "../../scripts/serve.mjs";
import { startBrowser } from "./browser.mjs";

const BULK_ENTRIES = 10_000;
// Entries that must be acknowledged before the I/O worker is killed while the rest is still being written.
const CRASH_AFTER_ENTRIES = 2_000;
const LEADER_CRASHES = 3;
// What is acknowledged between two of them, at the least.
const WRITES_BETWEEN = 20;

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

for (const name of ["chromium", "firefox"])
	describe(`one store in several tabs of the demo in ${name}`, () => {
		let server;
		let browser;
		before(async () => {
			server = await serve();
			browser = await startBrowser(name);
		});
		after(async () => {
			await browser?.end();
			await server.stop();
		});

		test("two windows: the leader is frozen, resumed and closed; what is typed in one is in the other; offline", async () => {
			await browser.page(`${server.origin}/tabs.html`, async (page) => {
				await page.until(windowsAre, ["follower", "leader"]);
				await page.run(stopWriting);
				await page.run(pressIn, "leader", "#freeze");
				await page.until(windowsAre, ["frozen", "leader"]);
				await page.run(typeIn, "leader", "typed while the other was frozen");
				await page.run(pressIn, "frozen", "#freeze");
				await page.until(windowsAre, ["follower", "leader"]);
				await page.until(padsAre, "typed while the other was frozen");
				await page.run(typeIn, "follower", "typed in the follower");
				await page.until(padsAre, "typed in the follower");
				await page.run(pressIn, "leader", "#close");
				await page.until(windowsAre, ["closed", "leader"]);
				await page.run(pressIn, "closed", "#open-again");
				await page.until(windowsAre, ["follower", "leader"]);
				await page.until(() => document.documentElement.dataset.offline === "ready");
				await server.stop();
				await page.reload();
				await page.until(windowsAre, ["follower", "leader"]);
				await page.until(padsAre, "typed in the follower");
				assert.deepEqual(page.errors(), []);
			});
			server = await serve({ port: Number(new URL(server.origin).port) });
		});

		test("two windows: the leader crashes in the middle of writes, the other goes on, nothing acknowledged is missing", async (t) => {
			await browser.page(`${server.origin}/tabs.html?backend=opfs`, async (page) => {
				let unanswered = 0;
				const takeoversMs = [];
				for (let crash = 1; crash <= LEADER_CRASHES; crash++) {
					await page.until(windowsAre, ["follower", "leader"]);
					await writesAcknowledged(page, WRITES_BETWEEN);
					await page.click("#crash-leader");
					await page.until(() => / leads after .* missing\.$/.test(document.querySelector("#outcome").textContent));
					const outcome = await page.run(() => document.querySelector("#outcome").textContent);
					const said =
						/^Window (.), which led, crashed(?: with (\d+) writes? unanswered)?\. Window (.) leads after ([\d.]+)\s(m?s)\. Of ([\d,]+) acknowledged writes none is missing\.$/;
					assert.match(outcome, said);
					const [, gone, open = 0, next, time, unit] = outcome.match(said);
					assert.notEqual(gone, next);
					unanswered += Number(open);
					takeoversMs.push(time * (unit === "s" ? 1000 : 1));
					await writesAcknowledged(page, WRITES_BETWEEN);
					await page.click(".window button");
				}
				await page.until(windowsAre, ["follower", "leader"]);
				await page.run(stopWriting);
				await page.until(countersAgree);
				const { acknowledged, counter } = await page.run(readCounters);
				assert.ok(acknowledged >= 2 * LEADER_CRASHES * WRITES_BETWEEN, `${acknowledged} writes acknowledged`);
				// Each at least once, and none twice: what is more was under way when its window crashed.
				assert.ok(
					counter >= acknowledged && counter <= acknowledged + unanswered,
					`${counter} in the store, ${acknowledged} acknowledged, ${unanswered} unanswered`,
				);
				assert.equal(await page.run(() => document.querySelector("#journal-missing").textContent), "0");
				// The comparison itself: a write that the store never had.
				await page.run(() => {
					dispatchEvent(new CustomEvent("tab", { detail: { id: "A", kind: "counted", sum: 1e9 } }));
				});
				await page.until(() => document.querySelector("#journal-missing").textContent === "1");
				assert.deepEqual(page.errors(), []);
				t.diagnostic(`without a leader for ${takeoversMs.sort((a, b) => a - b).join(", ")} ms`);
			});
		});

		test("notes in two tabs: each shows what the other saves and deletes; what is typed here stays; the second goes on alone", () =>
			browser.page(server.origin, async (second) => {
				await ready(second);
				await browser.page(server.origin, async (first) => {
					await ready(first);
					assert.equal(await roleOf(second), "leader");
					assert.equal(await roleOf(first), "follower");
					await typeNote(first, "Shared", "from the first");
					await second.front();
					assert.equal((await readNote(second, "Shared")).text, "from the first");
					await second.type("#text", "from the second");
					await first.until(textIs, "from the second");

					// Put aside, the second saves nothing; it does so when it comes back, behind what the first wrote.
					await second.run(() => document.dispatchEvent(new Event("freeze")));
					await first.until(roleIs, "leader");
					await second.type("#text", "typed meanwhile");
					await first.front();
					await first.type("#text", "from the first again");
					await first.until(isSaved);
					await second.run(() => document.dispatchEvent(new Event("resume")));
					await second.until(roleIs, "follower");
					await first.until(textIs, "typed meanwhile");
					assert.equal(await second.run(() => document.querySelector("#text").value), "typed meanwhile");

					await first.click("#delete-note");
					await second.until(() =>
						document.querySelector("#toast").textContent.includes("“Shared” was deleted in another tab."),
					);
					await second.front();
					await second.click("#undo");
					await first.until(() => document.querySelector("#note-list").textContent.includes("typed meanwhile"));
					assert.deepEqual(first.errors(), []);
				});
				await second.until(roleIs, "leader");
				await typeNote(second, "Alone", "after the other tab");
				assert.equal(await second.run(() => document.querySelector("#banners").textContent), "");
				assert.deepEqual(second.errors(), []);
			}));
	});

/** Waits until so many more writes of the two windows are acknowledged. */
async function writesAcknowledged(page, more) {
	const { acknowledged } = await page.run(readCounters);
	await page.until(
		(least) => Number(document.querySelector("#journal-acknowledged").textContent.replaceAll(",", "")) >= least,
		acknowledged + more,
	);
}

/** In the page: the states of the windows, sorted. */
function windowsAre(states) {
	const found = Array.from(
		document.querySelectorAll("iframe"),
		({ contentDocument }) => contentDocument?.body?.dataset.state,
	);
	return found.sort().join() === states.join();
}

/** In the page. */
function pressIn(state, selector) {
	for (const { contentDocument } of document.querySelectorAll("iframe"))
		if (contentDocument.body.dataset.state === state) return contentDocument.querySelector(selector).click();
	throw new Error(`no window is ${state}`);
}

/** In the page. */
function typeIn(state, text) {
	for (const { contentDocument } of document.querySelectorAll("iframe"))
		if (contentDocument.body.dataset.state === state) {
			const pad = contentDocument.querySelector("#pad");
			pad.value = text;
			return void pad.dispatchEvent(new Event("input"));
		}
	throw new Error(`no window is ${state}`);
}

/** In the page. */
function padsAre(text) {
	return Array.from(document.querySelectorAll("iframe")).every(
		({ contentDocument }) => contentDocument.querySelector("#pad").value === text,
	);
}

/** In the page. */
function stopWriting() {
	for (const { contentDocument } of document.querySelectorAll("iframe"))
		if (contentDocument.querySelector("#keep-writing").checked) contentDocument.querySelector("#keep-writing").click();
}

/** In the page: nothing is under way, all of it is shown, and the windows show the same. */
function countersAgree() {
	const frames = Array.from(document.querySelectorAll("iframe"), ({ contentWindow }) => contentWindow);
	const counters = frames.map(({ tab }) => tab.store.peek("counter"));
	return frames.every(({ tab }) => tab.unanswered === 0) && new Set(counters).size === 1;
}

/** In the page. */
function readCounters() {
	return {
		acknowledged: Number(document.querySelector("#journal-acknowledged").textContent.replaceAll(",", "")),
		counter: document.querySelector("iframe").contentWindow.tab?.store.peek("counter") ?? 0,
	};
}

function roleOf(page) {
	return page.run(() => document.querySelector("#status-role").textContent);
}

/** In the page. */
function roleIs(role) {
	return document.querySelector("#status-role").textContent === role;
}

/** In the page. */
function textIs(text) {
	return document.querySelector("#text").value === text;
}

/** In the page. */
function isSaved() {
	return ["os", "disk"].includes(document.querySelector("#save-state").dataset.state);
}

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
