// The same `open()` in dedicated, shared and service workers, beside tabs and alone.
//
// One page starts the workers and has them do things; others are tabs. What a service worker writes to a store in OPFS while no tab has it
// open is counted in the log of the tab that comes next: each write once, in its order. Deliberately absent: what dies in the middle of
// emptying a queue is played by putting back what was in it, as a crash before its removal would leave it.

import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const KINDS = ["dedicated", "shared", "service"];
/** How often the page with the tabs changes in the storm. */
const STORM_TABS = 4;

let site;
before(async () => {
	const directory = await packPackage();
	await makeNewer(directory);
	site = await startSite(directory);
});
after(() => site?.stop());

/** Puts beside the package, in `newer/`, a copy of it whose tabs speak another protocol. */
async function makeNewer(directory) {
	const newer = join(directory, "newer", "dist");
	await mkdir(newer, { recursive: true });
	await cp(join(directory, "dist"), newer, { recursive: true });
	let changed = 0;
	for (const name of await readdir(newer)) {
		if (!/^c-.*\.js$/.test(name)) continue;
		const text = await readFile(join(newer, name), "utf8");
		const other = text.replace(/(protocol:)1\b|\b1(!==\w+\.protocol)/g, (_, before = "", after = "") => {
			changed++;
			return `${before}2${after}`;
		});
		await writeFile(join(newer, name), other);
	}
	assert.ok(changed > 2, `${changed} places know the protocol`);
}

describe("workers", () => {
	for (const browserName of ["chromium", "firefox"]) {
		describe(`workers in ${browserName}`, () => {
			let browser;
			before(async () => {
				browser = await startBrowser(browserName);
			});
			after(() => browser?.end());
			const tab = (body) => browser.page(`${site.origin}/workers`, body);
			const scenario = (title, body) =>
				test(`${browserName}: ${title}`, () => tab((owner) => body({ owner, tab, name: title, browserName })));

			for (const backend of ["opfs", "idb"])
				scenario(`${backend}: workers of every kind follow a tab`, (given) => followTab({ ...given, backend }));
			scenario(
				"a new store that a service worker opens first is in IndexedDB; a tab goes on when it is gone",
				bornInWorker,
			);
			scenario("a shared worker alone reads and writes a store in IndexedDB", sharedAlone);
			scenario("opfs: a service worker alone reads, and queues what it writes for the next tab", queued);
			scenario("opfs: a shared worker alone leads where it can start workers, else it queues", sharedOnOpfs);
			scenario("opfs: a service worker's conditional writes wait for the tab that decides", decided);
			scenario("opfs: what a crash leaves in the queue is not written again", drainedTwice);
			scenario("opfs: a service worker goes on by itself when the tab is closed, and follows the next one", aloneAgain);
			if (browserName === "chromium") {
				scenario("opfs: another version comes while one leads: VERSION, and the leader goes on", versions);
				scenario("opfs: files that a dying worker holds are waited for; when it lives on it is LOCKED", heldFiles);
			}
			scenario("without BroadcastChannel one tab has the store, without Web Locks nothing keeps others out", singleTab);
			scenario(`opfs: a service worker writes on while ${STORM_TABS} tabs come and go`, storm);
		});
	}
});

/** Starts a worker; gives what has it run functions. */
async function startWorker(owner, kind, name) {
	await owner.run((kind, name) => startWorker(kind, name), kind, name);
	return {
		run: (body, ...args) =>
			owner.run((name, source, args) => inWorker(name, source, ...args), name, String(body), args),
		end: () => owner.run((name) => endWorker(name), name),
	};
}

/** In a tab: opens the store as a global, and keeps the errors that it tells. */
async function openTab(name, options) {
	globalThis.store = await holdfast.open(name, options);
	globalThis.errors = [];
	store.on("error", ({ code, message }) => errors.push(`${code}: ${message}`));
	return store.status;
}

/** In a worker: the same as a global of its own. */
async function openThere(name, options) {
	globalThis.store = await holdfast.open(name, options);
	globalThis.errors = [];
	store.on("error", ({ code, message }) => errors.push(`${code}: ${message}`));
	return store.status;
}

const all = () => store.entries().toArray();
const status = () => store.status;
const close = () => store.close();

/** In a tab or a worker: resolves when the store is as follows, which an event of its status says. */
async function untilStatus(role, isQueued) {
	const isSo = () => store.status.role === role && (store.status.queued !== undefined) === isQueued;
	while (!isSo())
		await new Promise((resolve) => {
			const stop = store.on("status", () => {
				stop();
				resolve();
			});
		});
	return store.status;
}

/** In a page: how many have the lock of the store. */
const leaders = async (name) =>
	(await navigator.locks.query()).held.filter((lock) => lock.name === `holdfast:${name}`).length;

/** The name of the directory of a store in OPFS. */
const directoryOf = (name) =>
	encodeURIComponent(name).replace(/%..|[^a-z0-9_-]/g, (part) =>
		part.length > 1 ? part.toLowerCase() : `%${part.charCodeAt().toString(16)}`,
	);

/** In a page: the number of writes in a store's queue, and whether anything says that there is one. */
async function queueOf(name, directoryName) {
	const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
	const files = [];
	const directory = await root.getDirectoryHandle(directoryName);
	for await (const file of directory.keys()) files.push(file);
	const opened = indexedDB.open(`holdfast-queue:${name}`);
	const database = await new Promise((resolve, reject) => {
		Object.assign(opened, { onsuccess: () => resolve(opened.result), onerror: () => reject(opened.error) });
	});
	const count =
		database.objectStoreNames.length &&
		(await new Promise((resolve, reject) => {
			const counted = database.transaction("writes").objectStore("writes").count();
			Object.assign(counted, { onsuccess: () => resolve(counted.result), onerror: () => reject(counted.error) });
		}));
	database.close();
	return { writes: count, isMarked: files.includes("queue") };
}

/** In a tab: the keys of the writes in the log, in their order. */
async function written(prefix) {
	const keys = [];
	for await (const line of store.log()) {
		const [, key] = line.match(/^\d+ set "([^"]*)"/) ?? [];
		if (key?.startsWith(prefix)) keys.push(key);
	}
	return keys;
}

async function followTab({ owner, tab, name, backend }) {
	await tab(async (page) => {
		await page.run(openTab, name, { backend });
		await page.run(() => store.set("from the tab", 1));
		await page.run(() => {
			globalThis.seen = [];
			store.watch({}, (changes) => seen.push(...changes.map(({ key }) => key)));
		});
		for (const kind of KINDS) {
			const worker = await startWorker(owner, kind, `${name} ${kind}`);
			const { role, backend: found } = await worker.run(openThere, name);
			assert.deepEqual([role, found], ["follower", backend], kind);
			assert.equal(await worker.run(() => store.peek("from the tab")), 1);
			const { level, seq } = await worker.run(
				(kind) => store.set(kind, { from: kind }, { durability: "always" }),
				kind,
			);
			assert.deepEqual([level, (await page.run((kind) => store.entry(kind), kind)).version], ["disk", seq]);
			assert.deepEqual(await page.run((kind) => store.peek(kind), kind), { from: kind });
			assert.equal(await worker.run(() => store.increment("n")), 1 + KINDS.indexOf(kind));
			await page.run(() => store.set("last", 1));
			await worker.run(async () => {
				while (store.peek("last") !== 1) await new Promise((resolve) => void setTimeout(resolve, 5));
			});
			await page.run(() => store.delete("last"));
			await worker.run(close);
			await worker.end();
		}
		await page.until(() => seen.includes("service"));
		assert.deepEqual(await page.run(() => errors), []);
	});
}

async function bornInWorker({ owner, tab, name }) {
	const worker = await startWorker(owner, "service", name);
	const { role, backend, fallback, fresh } = await worker.run(openThere, name);
	assert.deepEqual([role, backend, fresh], ["leader", "idb", true]);
	assert.match(fallback, /^opfs: OPFS needs an I\/O worker/);
	const { level } = await worker.run(() => store.set("a", 1, { durability: "always" }));
	assert.equal(level, "disk");
	await tab(async (page) => {
		const { role, backend } = await page.run(openTab, name);
		assert.deepEqual([role, backend], ["follower", "idb"]);
		await page.run(() => store.set("b", 2));
		assert.deepEqual(await worker.run(all), [
			["a", 1],
			["b", 2],
		]);
		await worker.end();
		await page.run(untilStatus, "leader", false);
		await page.run(() => store.set("c", 3));
		assert.deepEqual(await page.run(() => store.keys().toArray()), ["a", "b", "c"]);
	});
	const next = await startWorker(owner, "service", `${name} again`);
	assert.equal((await next.run(openThere, name)).role, "leader");
	assert.deepEqual(await next.run(() => store.keys().toArray()), ["a", "b", "c"]);
	await next.end();
}

async function sharedAlone({ owner, name }) {
	const worker = await startWorker(owner, "shared", name);
	const { role, backend } = await worker.run(openThere, name, { backend: "idb" });
	assert.deepEqual([role, backend], ["leader", "idb"]);
	await worker.run(() => store.set("a", 1));
	await worker.run(close);
	assert.equal((await worker.run(openThere, name)).backend, "idb");
	assert.deepEqual(await worker.run(all), [["a", 1]]);
	await worker.run(close);
}

/** A store in OPFS with two entries, that no tab has open. */
async function stored(tab, name) {
	await tab(async (page) => {
		await page.run(openTab, name, { backend: "opfs" });
		await page.run(() => store.setMany({ a: 1, z: 26 }));
		await page.run(close);
	});
}

async function queued({ owner, tab, name }) {
	await stored(tab, name);
	const first = await startWorker(owner, "service", `${name} 1`);
	const opened = await first.run(openThere, name);
	assert.deepEqual([opened.role, opened.backend], ["follower", "opfs"]);
	assert.equal((await first.run(untilStatus, "follower", true)).queued, 0);
	assert.deepEqual(await first.run(all), [
		["a", 1],
		["z", 26],
	]);
	assert.deepEqual(await first.run(() => store.set("b", 2)), { seq: 0, level: "os" });
	assert.deepEqual(await first.run(() => store.set("c", 3, { durability: "always" })), { seq: 0, level: "disk" });
	assert.equal((await first.run(() => store.flush())).level, "disk");
	// The leader's lock is there for whoever can lead.
	assert.equal(await owner.run(leaders, name), 0);
	await first.end();

	const second = await startWorker(owner, "service", `${name} 2`);
	await second.run(openThere, name);
	await second.run((keys) => Promise.all(keys.map((key) => store.set(key, key))), ["w1", "w2", "w3", "w4"]);
	assert.equal(await second.run(() => store.delete("z")), true);
	await second.run(() => store.set("b", "again"));
	const own = [["a", 1], ["b", "again"], ["c", 3], ...["w1", "w2", "w3", "w4"].map((key) => [key, key])];
	assert.deepEqual(await second.run(all), own, "what waits is to be seen, of earlier contexts too");
	assert.equal((await second.run(status)).queued, 8);
	const code = await second.run(() => store.checkpoint().catch(({ code }) => code));
	assert.equal(code, "UNAVAILABLE");
	assert.deepEqual(await owner.run(queueOf, name, directoryOf(name)), { writes: 8, isMarked: true });
	assert.equal(await owner.run(leaders, name), 0);

	await tab(async (page) => {
		assert.equal((await page.run(openTab, name)).role, "leader");
		assert.deepEqual(await page.run(all), own, "the tab has it all when it is open");
		assert.deepEqual(await page.run(queueOf, name, directoryOf(name)), { writes: 0, isMarked: false });
		assert.deepEqual(await page.run(written, "w"), ["w1", "w2", "w3", "w4"]);
		await second.run(untilStatus, "follower", false);
		const { seq } = await second.run(() => store.set("d", 4));
		assert.equal((await page.run(() => store.entry("d"))).version, seq, "it follows");
		assert.deepEqual(await second.run(all), await page.run(all));
		assert.deepEqual([await second.run(() => errors), await page.run(() => errors)], [[], []]);
	});
	await second.end();
}

async function sharedOnOpfs({ owner, tab, name, browserName }) {
	await stored(tab, name);
	const worker = await startWorker(owner, "shared", name);
	const canStart = browserName === "firefox";
	assert.equal(await worker.run(() => "Worker" in globalThis), canStart);
	assert.equal((await worker.run(openThere, name)).role, canStart ? "leader" : "follower");
	await worker.run(() => store.set("b", 2));
	assert.equal((await worker.run(status)).queued, canStart ? undefined : 1);
	await tab(async (page) => {
		await page.run(openTab, name);
		assert.deepEqual(await page.run(() => store.keys().toArray()), ["a", "b", "z"]);
	});
	await worker.run(close);
}

async function decided({ owner, tab, name }) {
	await stored(tab, name);
	const alive = await startWorker(owner, "service", `${name} alive`);
	await alive.run(openThere, name);
	await alive.run(() => store.set("own", 5));
	await alive.run(async () => {
		const outcomeOf = (promise) => promise.catch(({ code }) => code);
		globalThis.outcomes = Promise.all([
			outcomeOf(store.increment("a", 10)),
			outcomeOf(store.set("z", 0, { ifAbsent: true })),
			outcomeOf(store.set("new", 1, { ifAbsent: true })),
			outcomeOf(store.increment("own")),
			outcomeOf(store.transaction(async (tx) => tx.set("sum", (await tx.get("a")) + (await tx.get("z"))))),
		]);
		// They are in the queue.
		while (!(store.status.queued >= 6)) await new Promise((resolve) => void setTimeout(resolve, 5));
	});
	const dead = await startWorker(owner, "service", `${name} dead`);
	await dead.run(openThere, name);
	await dead.run(async () => {
		void store.set("a", "lost", { ifAbsent: true }).catch(() => {});
		while (!(store.status.queued >= 7)) await new Promise((resolve) => void setTimeout(resolve, 5));
	});
	await dead.end();
	await tab(async (page) => {
		await page.run(openTab, name);
		const outcomes = await alive.run(() => outcomes);
		assert.deepEqual([outcomes[0], outcomes[1], outcomes[2].level, outcomes[3]], [11, "CONFLICT", "os", 6]);
		const entries = Object.fromEntries(await page.run(all));
		assert.ok([27, 37].includes(entries.sum), `the sum is ${entries.sum}`);
		assert.deepEqual(entries, { a: 11, new: 1, own: 6, sum: entries.sum, z: 26 });
		// Nobody is left who could be told.
		await page.until(() => errors.length > 0);
		const told = await page.run(() => errors);
		assert.equal(told.length, 1, told.join("\n"));
		assert.match(told[0], /^CONFLICT: A write that a service worker had queued was refused/);
	});
	await alive.end();
}

async function drainedTwice({ owner, tab, name }) {
	await stored(tab, name);
	const worker = await startWorker(owner, "service", name);
	await worker.run(openThere, name);
	// More than there are slots, and a removal that has nothing to remove the second time.
	const keys = Array.from({ length: 80 }, (_, i) => `w${String(i).padStart(3, "0")}`);
	await worker.run(async (keys) => {
		await store.delete("none");
		for (const key of keys) await store.set(key, 1);
	}, keys);
	await worker.end();
	const left = await owner.run(async (name) => {
		const opened = indexedDB.open(`holdfast-queue:${name}`);
		await new Promise((resolve) => Object.assign(opened, { onsuccess: resolve }));
		const store = opened.result.transaction("writes").objectStore("writes");
		globalThis.left = await new Promise((resolve) => {
			const read = store.getAll();
			read.onsuccess = () => resolve(read.result);
		});
		opened.result.close();
		return globalThis.left.length;
	}, name);
	assert.equal(left, keys.length + 1);
	for (let time = 0; time < 2; time++) {
		await tab(async (page) => {
			await page.run(openTab, name);
			assert.deepEqual(await page.run(written, "w"), keys, `time ${time}`);
			// Later than what a second time would do again.
			await page.run(() => store.set("none", "there"));
			assert.equal(await page.run(() => store.get("none")), "there");
			await page.run(close);
		});
		await owner.run(async (name) => {
			const opened = indexedDB.open(`holdfast-queue:${name}`);
			await new Promise((resolve) => Object.assign(opened, { onsuccess: resolve }));
			const transaction = opened.result.transaction("writes", "readwrite");
			for (const write of globalThis.left) transaction.objectStore("writes").add(write);
			await new Promise((resolve) => Object.assign(transaction, { oncomplete: resolve }));
			opened.result.close();
			const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
			for await (const directory of root.values()) await directory.getFileHandle("queue", { create: true });
		}, name);
	}
	await tab(async (page) => {
		await page.run(openTab, name);
		assert.equal(await page.run(() => store.get("none")), "there");
		assert.deepEqual(await page.run(queueOf, name, directoryOf(name)), { writes: 0, isMarked: false });
	});
}

async function aloneAgain({ owner, tab, name }) {
	await stored(tab, name);
	const worker = await startWorker(owner, "service", name);
	await tab(async (page) => {
		await page.run(openTab, name);
		assert.equal((await worker.run(openThere, name)).role, "follower");
		await worker.run(() => store.set("with a tab", 1));
	});
	const { queued } = await worker.run(untilStatus, "follower", true);
	assert.equal(queued, 0);
	assert.equal(await worker.run(() => store.get("with a tab")), 1);
	await worker.run(() => store.set("without", 2));
	await tab(async (page) => {
		await page.run(openTab, name);
		assert.equal(await page.run(() => store.get("without")), 2);
		await worker.run(untilStatus, "follower", false);
		await page.run(() => store.set("without", 3));
		await worker.run(async () => {
			while (store.peek("without") !== 3) await new Promise((resolve) => void setTimeout(resolve, 5));
		});
		// A tab that takes over has a queue to empty, too.
		await tab(async (other) => {
			assert.equal((await other.run(openTab, name)).role, "follower");
			await page.run(close);
			await other.run(untilStatus, "leader", false);
			await worker.run(() => store.set("after", 4));
			assert.equal(await other.run(() => store.get("after")), 4);
		});
	});
	await worker.end();
}

async function storm({ owner, tab, name }) {
	await stored(tab, name);
	const worker = await startWorker(owner, "service", name);
	await worker.run(openThere, name);
	await worker.run(() => {
		globalThis.acknowledged = 0;
		globalThis.isOver = false;
		globalThis.writing = (async () => {
			for (let n = 0; !isOver; n++) {
				await store.set(`w${String(n).padStart(5, "0")}`, n);
				acknowledged = n + 1;
				if ((await store.get(`w${String(n).padStart(5, "0")}`)) !== n) throw new Error(`${n} is not to be seen`);
				await new Promise((resolve) => void setTimeout(resolve, 2));
			}
		})();
		writing.catch(() => {});
	});
	for (let time = 0; time < STORM_TABS; time++) {
		await tab(async (page) => {
			await page.run(openTab, name);
			await page.run((time) => store.set("tab", time), time);
			if (time % 2 === 1) await page.run(close);
			else await worker.run(untilStatus, "follower", false);
		});
		const count = await worker.run(() => acknowledged);
		await worker.run(async (count) => {
			while (acknowledged < count + 3) await new Promise((resolve) => void setTimeout(resolve, 5));
		}, count);
	}
	const total = await worker.run(async () => {
		isOver = true;
		await writing;
		return acknowledged;
	});
	const errors = await worker.run(() => errors);
	await worker.end();
	await tab(async (page) => {
		await page.run(openTab, name);
		const keys = Array.from({ length: total }, (_, n) => `w${String(n).padStart(5, "0")}`);
		assert.deepEqual(await page.run(() => store.keys({ prefix: "w" }).toArray()), keys);
		assert.deepEqual(await page.run(written, "w"), keys, "each once, in its order");
		assert.equal(await page.run(() => store.get("tab")), STORM_TABS - 1);
	});
	assert.deepEqual(errors, []);
}

/** In a page: opens the store with that build as a global. */
async function openWith(build, name, options) {
	const { open } = await import(`/package/${build}/index.js`);
	try {
		globalThis.store = await open(name, options);
		return { role: store.status.role };
	} catch ({ code, message }) {
		return { code, message };
	}
}

async function versions({ tab, name }) {
	const builds = ["dist", "newer/dist"];
	for (const [first, second] of [builds, builds.toReversed()]) {
		const store = `${name} ${first}`;
		await tab(async (leader) => {
			assert.deepEqual(await leader.run(openWith, first, store, { backend: "opfs" }), { role: "leader" });
			await leader.run(() => globalThis.store.set("a", 1));
			await tab(async (other) => {
				for (let time = 0; time < 2; time++) {
					const { code, message } = await other.run(openWith, second, store);
					assert.equal(code, "VERSION", message);
				}
				const found = await leader.run(async () => {
					await globalThis.store.set("b", 2, { durability: "always" });
					const { state, role } = globalThis.store.status;
					return {
						state,
						role,
						seq: (await globalThis.store.stats()).seq,
						entries: await globalThis.store.entries().toArray(),
					};
				});
				const entries = [
					["a", 1],
					["b", 2],
				];
				assert.deepEqual(found, { state: "open", role: "leader", seq: 2, entries });
				// The same version is let in, and when all of it is gone the other one is.
				await tab(async (same) => {
					assert.deepEqual(await same.run(openWith, first, store), { role: "follower" });
					await same.run(close);
				});
				await leader.run(close);
				assert.deepEqual(await other.run(openWith, second, store), { role: "leader" });
				assert.deepEqual(await other.run(all), entries);
			});
		});
	}
}

/** A dedicated worker has a file of the store open, as one does that is still ending. */
async function heldFiles({ owner, tab, name }) {
	await stored(tab, name);
	const worker = await startWorker(owner, "dedicated", name);
	const hold = () =>
		worker.run(async (directory) => {
			const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
			const file = await (await root.getDirectoryHandle(directory)).getFileHandle("lock");
			globalThis.held = await file.createSyncAccessHandle();
		}, directoryOf(name));
	const letGo = () =>
		worker.run(() => {
			held.close();
		});
	await hold();
	await tab(async (page) => {
		await page.run((name) => {
			globalThis.opening = holdfast.open(name).then(
				async (store) => {
					await store.close();
					return store.status.backend;
				},
				({ code }) => code,
			);
		}, name);
		const early = await page.run(() =>
			Promise.race([opening, new Promise((resolve) => void setTimeout(resolve, 1500, "waits"))]),
		);
		assert.equal(early, "waits");
		await letGo();
		assert.equal(await page.run(() => opening), "opfs");
	});
	await hold();
	await tab(async (page) => {
		const { ms, code } = await page.run(async (name) => {
			const since = performance.now();
			const code = await holdfast.open(name).catch(({ code }) => code);
			return { ms: performance.now() - since, code };
		}, name);
		assert.equal(code, "LOCKED");
		assert.ok(ms > 4500 && ms < 15_000, `after ${ms} ms`);
		await letGo();
		assert.equal((await page.run(openTab, name)).role, "leader");
		assert.deepEqual(await page.run(all), [
			["a", 1],
			["z", 26],
		]);
	});
	await worker.end();
}

async function singleTab({ tab, name }) {
	await tab(async (page) => {
		await page.run(() => {
			globalThis.BroadcastChannel = undefined;
		});
		assert.equal((await page.run(openTab, name)).role, "leader");
		await page.run(() => store.set("a", 1));
		await tab(async (other) => {
			await other.run(() => {
				globalThis.BroadcastChannel = undefined;
			});
			const code = await other.run((name) => holdfast.open(name).catch(({ code }) => code), name);
			assert.equal(code, "LOCKED");
			await page.run(close);
			assert.equal((await other.run(openTab, name)).role, "leader");
			assert.deepEqual(await other.run(all), [["a", 1]]);
			await other.run(close);
		});
	});
	await tab(async (page) => {
		await page.run(() => Object.defineProperty(navigator, "locks", { value: undefined }));
		const { role, backend, fallback } = await page.run(openTab, `${name} without locks`);
		assert.deepEqual([role, backend], ["single", "idb"]);
		assert.match(fallback, /^opfs: /);
		await page.run(() => store.set("a", 1));
		assert.equal(await page.run(() => store.get("a")), 1);
		await page.run(close);
	});
}
