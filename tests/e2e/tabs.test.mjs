// One store in many tabs of real browsers: what every tab sees and may do, and what becomes of it when the tab that leads is closed,
// crashed, frozen, put aside or busy. The long run is `npm run test:tabs`. Rows 27 to 32, 42, 64 and 65 of the list of faults.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { bounded, startBrowser, until } from "./browser.mjs";
import {
	agreement,
	BACKENDS,
	BROWSERS,
	closeAll,
	ENGINE_OF,
	endsOf,
	openAtOnce,
	openTab,
	roleOf,
	runStorm,
	startTabsSite,
} from "./tabs.mjs";
import { History } from "./tabs-history.mjs";

const TABS = 8;
const OPENINGS = 3;
const WAIT_MS = 20_000;

const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`HOLDFAST_SEED=${seed} repeats the writes of this run`);

/** How a tab is put aside; each gives what brings it back. */
const WAYS_ASIDE = {
	frozen: {
		only: "chromium",
		async putAside(page) {
			const session = await page.cdp();
			await session.send("Page.setWebLifecycleState", { state: "frozen" });
			return () => session.send("Page.setWebLifecycleState", { state: "active" });
		},
	},
	// Firefox keeps no page whose store is open.
	"in the back/forward cache": {
		only: "chromium",
		async putAside(page) {
			await page.run(() => {
				globalThis.isSame = true;
			});
			await leave(page);
			return async () => {
				await goBack(page);
				assert.ok(await page.run(() => globalThis.isSame), "the page was not kept");
			};
		},
	},
	"told, by events of ours, that it goes to the back/forward cache": {
		async putAside(page) {
			const tell = (type) => void dispatchEvent(new PageTransitionEvent(type, { persisted: true }));
			await page.run(tell, "pagehide");
			return () => page.run(tell, "pageshow");
		},
	},
};

for (const name of BROWSERS) {
	describe(`tabs in ${name}`, () => {
		let site;
		let browser;
		/** Pages for all tests, which open their stores in some of them. */
		const pages = [];
		before(async () => {
			site = await startTabsSite();
			browser = await startBrowser(ENGINE_OF[name]);
			for (let at = 0; at < TABS; at++) pages.push(await browser.open(site.url));
		});
		after(async () => {
			await browser?.end();
			await site?.stop();
		});

		/** Has the store opened in so many tabs, the first of which leads, and closed again. */
		async function inTabs(count, storeName, options, body) {
			const tabs = pages.slice(0, count);
			for (const page of tabs) page.opened = await page.run((...given) => openTab(...given), storeName, options);
			try {
				assert.deepEqual(await Promise.all(tabs.map(roleOf)), ["leader", ...Array(count - 1).fill("follower")]);
				await body(...tabs);
			} catch (error) {
				throw tabs.reduce((error, page) => page.explained(error), error);
			} finally {
				for (const page of tabs.reverse()) await page.run(() => store.close()).catch(() => {});
			}
		}
		/** All of them hold the same, with the same versions and seq. */
		async function agree(...tabs) {
			const { image, problems } = await agreement(tabs);
			assert.deepEqual(problems, []);
			return image;
		}

		test(`${name}: multiTab false: others get LOCKED, and so does it where others have the store`, async () => {
			const openedAs = (page, storeName, backend, multiTab) =>
				page.run(
					(name, options) =>
						holdfast.open(name, options).then(
							(store) => {
								globalThis.opened.push(store);
								return store.status.role;
							},
							({ code }) => code,
						),
					storeName,
					{ backend, multiTab },
				);
			const [page, ...others] = pages;
			await Promise.all(pages.map((page) => page.run(() => void Object.assign(globalThis, { opened: [] }))));
			for (const backend of BACKENDS) {
				assert.equal(await openedAs(page, `alone ${backend}`, backend, false), "leader");
				assert.equal(await openedAs(page, `shared ${backend}`, backend, true), "leader");
			}
			const refused = BACKENDS.flatMap((backend) => [
				openedAs(others[0], `alone ${backend}`, backend, false),
				openedAs(others[1], `alone ${backend}`, backend, true),
				openedAs(others[2], `shared ${backend}`, backend, false),
			]);
			assert.deepEqual(await Promise.all(refused), Array(refused.length).fill("LOCKED"));
			await page.run(() => Promise.all(opened.map((store) => store.close())));
			for (const backend of BACKENDS)
				assert.equal(await openedAs(others[0], `alone ${backend}`, backend, true), "leader");
			await others[0].run(() => Promise.all(opened.map((store) => store.close())));
		});

		test(`${name}, row 30: a tab with an open store is left and gone back to`, async (t) => {
			const page = await browser.open(site.url);
			const [other] = pages;
			await page.run(() => openTab("left", { backend: "opfs" }));
			await other.run(() => openTab("left", { backend: "opfs" }));
			await page.run(() => void Object.assign(globalThis, { isSame: true }));
			await leave(page);
			await bounded(
				other.run(() => becomes("leader")),
				WAIT_MS,
				"a takeover",
			);
			await other.run(() => store.set("meanwhile", 1));
			await goBack(page);
			const isCached = await page.run(() => globalThis.isSame === true);
			t.diagnostic(
				`${name} ${isCached ? "kept the page" : "did not keep a page with an open store: it was loaded anew"}`,
			);
			if (!isCached) await page.run(() => openTab("left", { backend: "opfs" }));
			assert.equal(await page.run(() => store.set("back", 1).then(() => store.get("meanwhile"))), 1);
			assert.equal(await roleOf(page), "follower");
			await agree(page, other);
			await page.run(() => store.close());
			await other.run(() => store.close());
			await page.close();
		});

		test(`${name}: a tab with a task of 5 s loses the store to one that writes, and follows it then`, async (t) => {
			const TASK_MS = 5000;
			const inBackend = async (backend, at) => {
				const tabs = pages.slice(at, at + 2);
				const [leader, follower] = tabs;
				for (const page of tabs) await page.run((...given) => openTab(...given), `busy ${backend}`, { backend });
				await leader.run((taskMs) => {
					globalThis.own = [store.set("before", 1)].map((write) =>
						write.then(
							() => "made",
							({ code }) => code,
						),
					);
					return new Promise((resolve) => {
						setTimeout(() => {
							for (const end = performance.now() + taskMs; performance.now() < end; );
						}, 10);
						resolve();
					});
				}, TASK_MS);
				const [ms, role] = await follower.run(async (msMax) => {
					// Until the task has begun, the leader answers.
					for (;;) {
						const began = performance.now();
						await store.set("meanwhile", 1);
						const ms = performance.now() - began;
						if (store.status.role === "leader" || ms >= msMax) return [ms, store.status.role];
					}
				}, TASK_MS - 100);
				t.diagnostic(`${backend}: the follower waited ${Math.round(ms)} ms`);
				assert.equal(role, "leader");
				assert.ok(ms < TASK_MS - 100, "it waited for the task to end");
				const [own] = await leader.run(() => Promise.all(own));
				await leader.run(() => becomes("follower"));
				await leader.run(() => store.set("after", 1));
				const { entries } = await agree(...tabs);
				const keys = entries.map(([key]) => key).filter((key) => own === "made" || key !== "before");
				assert.deepEqual(keys, ["after", ...(own === "made" ? ["before"] : []), "meanwhile"]);
				for (const page of tabs) await page.run(() => store.close());
			};
			await Promise.all(BACKENDS.map((backend, at) => inBackend(backend, 2 * at)));
		});

		test(`${name}, row 27: a handle of the store is still held by somebody else: tabs that open it wait for it, and one leads`, async () => {
			const [holder, ...tabs] = pages.slice(0, 3);
			await holder.run(async () => {
				await openTab("held", { backend: "opfs" });
				await store.set("k", 1);
				await store.close();
				await holdHandle("held");
			});
			const opening = Promise.all(tabs.map((page) => page.run(() => openTab("held", { backend: "opfs" }))));
			await holder.run(() => letGoAfter(500));
			const roles = (await bounded(opening, WAIT_MS, "both to open")).map(({ role }) => role);
			assert.deepEqual(roles.sort(), ["follower", "leader"]);
			assert.equal((await agree(...tabs)).entries.length, 1);
			for (const page of tabs) await page.run(() => store.close());
		});

		for (const backend of BACKENDS) {
			const scenario = (title, count, body, options) =>
				test(`${name}, ${backend}: ${title}`, () =>
					inTabs(count, `${backend} ${title}`, { backend, ...options }, body));

			test(`${name}, ${backend}, row 42: ${TABS} tabs open a new store at once: one leads, all write and see everything`, async (t) => {
				for (let round = 1; round <= OPENINGS; round++) {
					const given = { name: `once ${backend} ${round}`, options: { backend }, tabs: TABS, pages };
					const { problems, msMax } = await bounded(openAtOnce(browser, site, given), WAIT_MS, "all tabs to open");
					assert.deepEqual(problems, []);
					t.diagnostic(`round ${round}: the slowest of ${TABS} openings took ${Math.round(msMax)} ms`);
				}
			});

			scenario("every call does in a follower what it does in the leader", 2, async (leader, follower) => {
				await leader.run(() => store.set("first", { op: "leader" }));
				await follower.run(() => reached(1));
				assert.equal(await follower.run(() => store.peek("first").op), "leader");
				const answers = await follower.run(callEverything);
				assert.deepEqual(answers.failures, {
					ifAbsent: "CONFLICT",
					ifVersion: "CONFLICT",
					increment: "VALUE_INVALID",
					key: "KEY_INVALID",
					value: "VALUE_INVALID",
				});
				assert.deepEqual(answers.levels, { os: "os", disk: "disk", flush: "disk" });
				assert.deepEqual(answers.answers, {
					update: 11,
					increment: [12, 15],
					transaction: { was: 15, now: 30 },
					getMany: [30, null, { op: "c" }],
					removed: [true, false, 2, 2],
					count: 3,
					isIncreasing: true,
					namespace: [["a", 1]],
					changes: ["x", "x"],
					log: true,
					checkpoint: 3,
					exported: answers.answers.exported,
					expired: false,
				});
				await agree(leader, follower);
			});

			scenario(
				"watchers are told the same in every tab, also of what expires, is evicted or cleared",
				3,
				async (...tabs) => {
					const [leader, follower] = tabs;
					const text = "x".repeat(1000);
					await follower.run((text) => store.set("a", { op: "1", text }), text);
					await leader.run(
						(text) =>
							store.setMany([
								["b", { op: "2", text }],
								["c", { op: "2", text }],
							]),
						text,
					);
					await follower.run(() => store.delete("a"));
					await leader.run(() => store.clear({ prefix: "b" }));
					await follower.run(() => store.set("soon", { op: "3" }, { ttl: 20 }));
					await leader.run(
						(text) => store.setMany(Array.from({ length: 12 }, (_, at) => [`d:${at}`, { op: "4", text }])),
						text,
					);
					for (let at = 0; at < 6; at++)
						await follower.run((at, text) => store.set(`e:${at}`, { op: `e${at}`, text }), at, text);
					await follower.run(() => toldUpTo("soon").then(() => {}));
					await tabs.at(-1).run(() => store.set("end", { op: "end" }));
					const image = await agree(...tabs);
					assert.ok(image.entries.length < 18, "nothing was evicted");
				},
				{ maxBytes: 15_000, eviction: "lru" },
			);

			scenario("an import into the store has every tab read again", 3, async (...tabs) => {
				const [leader, follower, other] = tabs;
				await leader.run(() =>
					store.setMany([
						["gone", 1],
						["kept", 1],
					]),
				);
				for (const page of tabs) await page.run(() => reached(1).then(takeTold));
				const report = await follower.run(async () => {
					const lines = ['{"key":"kept","value":2}', '{"key":"new","value":3}'];
					const bytes = new Blob([`${lines.join("\n")}\n`]).stream();
					return store.import(bytes).catch((error) => `${error.code} ${error.message}`);
				});
				assert.equal(report.entries, 2, JSON.stringify(report));
				for (const page of tabs) {
					const told = await page.run(() => toldUpTo(""));
					assert.equal(told.at(-1)[1][1], "reread", JSON.stringify(told));
				}
				assert.deepEqual(
					(await agree(leader, follower, other)).entries.map(([key, , value]) => [key, value]),
					[
						["kept", "2"],
						["new", "3"],
					],
				);
			});

			scenario("transactions, updates and increments of all tabs at once are serializable", 3, async (...tabs) => {
				const EACH = 25;
				const done = await Promise.all(
					tabs.map((page, at) =>
						page.run(
							async (at, each) => {
								const done = { transactions: 0, increments: 0, updates: 0, won: [], answers: [] };
								const unlessConflict = (field, call) =>
									call().then(
										() => done[field]++,
										(error) => {
											if (error.code !== "CONFLICT") throw error;
										},
									);
								for (let n = 0; n < each; n++) {
									await Promise.all([
										unlessConflict("transactions", () =>
											store.transaction(async (tx) => {
												const sum = (await tx.values({ prefix: "account:" }).toArray()).reduce((a, b) => a + b, 0);
												const [a = 0, b = 0] = await tx.getMany(["account:a", "account:b"]);
												if (sum !== 0) throw new Error(`the accounts hold ${sum}`);
												tx.set("account:a", a + n);
												tx.set("account:b", b - n);
											}),
										),
										unlessConflict("increments", async () => done.answers.push(await store.increment("count"))),
										unlessConflict("updates", () => store.update("list", (old = []) => [...old, `${at}.${n}`])),
										store.set(`once:${n}`, at, { ifAbsent: true }).then(
											() => done.won.push(n),
											({ code }) => code === "CONFLICT" || Promise.reject(code),
										),
									]);
								}
								return done;
							},
							at,
							EACH,
						),
					),
				);
				const sum = (field) => done.reduce((sum, each) => sum + each[field], 0);
				const { entries } = await agree(...tabs);
				const held = Object.fromEntries(entries.map(([key, , text]) => [key, JSON.parse(text)]));
				assert.equal(held["account:a"] + held["account:b"], 0);
				assert.equal(held.count, sum("increments"));
				const answers = done.flatMap(({ answers }) => answers).sort((a, b) => a - b);
				assert.deepEqual(
					answers,
					answers.map((_, at) => at + 1),
				);
				assert.equal(held.list.length, sum("updates"));
				assert.equal(new Set(held.list).size, held.list.length);
				assert.deepEqual(
					done.flatMap(({ won }) => won).sort((a, b) => a - b),
					Array.from({ length: EACH }, (_, n) => n),
				);
				for (const [at, { won }] of done.entries()) for (const n of won) assert.equal(held[`once:${n}`], at);
			});

			scenario("a leader whose I/O worker has ended lets another tab lead", 2, async (leader, follower) => {
				await leader.run(() => store.set("before", 1));
				await leader.run(() => terminateIoWorker());
				// The first one finds out that the storage is gone, and may not be told what became of it.
				await follower.run(() => store.set("first", 1).catch(() => {}));
				const { level } = await follower.run(() => store.set("second", 2));
				assert.equal(level, "os");
				const { entries } = await agree(follower, leader);
				assert.deepEqual(
					entries.map(([key]) => key).filter((key) => key !== "first"),
					["before", "second"],
				);
				const roles = [await leader.run(() => store.status.role), await follower.run(() => store.status.role)];
				assert.deepEqual(roles.sort(), ["follower", "leader"]);
			});

			scenario(
				"frozen values are made anew when another tab writes",
				2,
				async (leader, follower) => {
					await leader.run(() => store.set("k", { op: "1" }));
					const [isFrozen, isShared] = await follower.run(async () => {
						await reached(1);
						const [one, other] = [await store.get("k"), await store.get("k")];
						return [Object.isFrozen(one), one === other];
					});
					assert.deepEqual([isFrozen, isShared], [true, true]);
					await leader.run(() => store.set("k", { op: "2" }));
					const opAt = (seq) => reached(seq).then(async () => (await store.get("k")).op);
					assert.equal(await follower.run(opAt, 2), "2");
					await follower.run(() => store.set("k", { op: "3" }));
					assert.equal(await follower.run(opAt, 3), "3");
					assert.equal(await leader.run(opAt, 3), "3");
				},
				{ values: "frozen" },
			);

			scenario(
				"maxBytes binds followers too",
				2,
				async (leader, follower) => {
					const failed = await follower.run(() => failure(() => store.set("large", "x".repeat(20_000))));
					assert.deepEqual([failed.code, failed.bytesNeeded > 10_000], ["QUOTA", true]);
					await follower.run(() => store.set("small", 1));
					assert.equal((await agree(leader, follower)).entries.length, 1);
				},
				{ maxBytes: 10_000 },
			);

			test(`${name}, ${backend}: the same store twice in one page, and a dedicated worker that follows, leads and is terminated`, async () => {
				const [page, other] = pages;
				const storeName = `workers ${backend}`;
				const options = { backend };
				await other.run(
					async (storeName, options) => {
						startTabWorker();
						await inTabWorker(
							String((...given) => openTab(...given)),
							storeName,
							options,
						);
					},
					storeName,
					options,
				);
				const roles = await page.run(
					async (storeName, options) => {
						const first = await holdfast.open(storeName, options);
						const second = await holdfast.open(storeName, options);
						Object.assign(globalThis, { first, second, store: first });
						await Promise.all([first.set("first", 1), second.set("second", 2)]);
						return [first.status.role, second.status.role, await first.increment("n"), await second.increment("n")];
					},
					storeName,
					options,
				);
				assert.deepEqual(roles, ["follower", "follower", 1, 2]);
				const seen = await other.run(() =>
					inTabWorker(
						String(async () => {
							await reached(4);
							const before = store.status.role;
							globalThis.writing = (async () => {
								for (;;) await store.increment("worker");
							})();
							return [before, await store.get("first"), await store.get("second"), await store.get("n")];
						}),
					),
				);
				assert.deepEqual(seen, ["leader", 1, 2, 2]);
				const after = await bounded(
					other
						.run(() => terminateTabWorker())
						.then(() =>
							page.run(async () => {
								const [one, two] = await Promise.all([first.increment("n"), second.increment("n")]);
								return [
									[one, two].sort(),
									[first.status.role, second.status.role].sort(),
									(await first.get("worker")) === (await second.get("worker")),
								];
							}),
						),
					WAIT_MS,
					"a takeover",
				);
				assert.deepEqual(after, [[3, 4], ["follower", "leader"], true]);
				await page.run(async () => {
					await first.close();
					await second.set("last", 1);
					await second.close();
				});
			});

			for (const [way, { only }] of Object.entries(WAYS_ASIDE)) {
				if ((only ?? name) !== name) continue;
				for (const whose of ["leader", "follower"]) {
					scenario(
						`rows 30, 31 and 65: a ${whose} is ${way} in the middle of a transaction, and comes back`,
						3,
						(...tabs) => asideInTransaction(tabs, whose === "leader" ? 0 : 1, WAYS_ASIDE[way].putAside),
					);
				}
			}

			test(`${name}, ${backend}, rows 28 and 29: the lock is stolen while the leader goes on writing: it follows, and nothing is lost`, async () => {
				await inTabs(3, `stolen ${backend}`, { backend }, async (...tabs) => {
					const history = new History();
					const storm = site.stormOf(history);
					for (const [at, page] of tabs.entries())
						await page.run((given) => startStorm(given), { storm, writer: `w${at}`, seed });
					const writers = ["w0", "w1", "w2"];
					const more = () =>
						bounded(
							Promise.all(writers.map((writer) => history.more([writer], 10))),
							WAIT_MS,
							"writes of every tab",
						).catch(async (error) => {
							const states = tabs.map((page) => page.run(() => JSON.stringify(store.status)));
							throw new Error(`${error.message}; the tabs: ${(await Promise.all(states)).join(", ")}`, {
								cause: error,
							});
						});
					for (let times = 0; times < 3; times++) {
						await more();
						await pages[TABS - 1].run(
							(name) => navigator.locks.request(name, { steal: true }, () => {}),
							`holdfast:stolen ${backend}`,
						);
					}
					await more();
					const stopped = await Promise.all(tabs.map((page) => page.run(() => stopStorm())));
					const image = await agree(...tabs);
					const { problems } = history.judge({ image });
					problems.push(...stopped.map((each) => history.counted(each.writer, each)).filter(Boolean));
					assert.deepEqual(problems, []);
					assert.deepEqual((await Promise.all(tabs.map(roleOf))).sort(), ["follower", "follower", "leader"]);
				});
			});

			test(`${name}, ${backend}, rows 28 to 31 and 64: a storm from all tabs while whoever leads is ended: nothing is lost or made twice, all agree`, async (t) => {
				const all = endsOf(name, 7, seed);
				const half = Math.ceil(all.length / 2);
				const isLast = backend === BACKENDS.at(-1);
				const ends = backend === "opfs" ? all.slice(0, half) : all.slice(half);
				const given = {
					name: `storm ${backend}`,
					options: { backend },
					ends,
					seed,
					lanes: 2,
					killAfter: isLast ? [0] : [],
				};
				// The pages of the other tests go with the browser.
				if (isLast) await closeAll(pages);
				const { problems, figures, takeoversMs } = await runStorm(site, browser, {
					...given,
					progress: (what) => t.diagnostic(what),
				});
				t.diagnostic(
					`${JSON.stringify(figures)}; takeovers ${takeoversMs.map(([what, ms]) => `${what} ${ms} ms`).join(", ")}`,
				);
				assert.deepEqual(problems, []);
			});
		}
	});
}

const leave = (page) => page.goto(new URL("/blank", page.url()).href);

/** Goes back to the page before; resolves when it is shown. */
async function goBack(page) {
	await page.run(() => void setTimeout(() => history.back())).catch(() => {});
	await until(
		() => page.run(() => location.pathname === "/tabs" && document.readyState === "complete").catch(() => false),
		WAIT_MS,
		"the page before",
	);
}

/** One of three tabs is put aside in the middle of a transaction, while another writes what that has read. */
async function asideInTransaction(tabs, which, putAside) {
	const target = tabs[which];
	const other = tabs[2];
	await target.run(() => {
		let tries = 0;
		const goesOn = new Promise((resolve) => {
			globalThis.goOn = resolve;
		});
		globalThis.done = store
			.transaction(async (tx) => {
				const n = (await tx.get("n")) ?? 0;
				if (++tries === 1) await goesOn;
				tx.set("n", n + 10);
			})
			.then(
				() => tries,
				({ code }) => code,
			);
	});
	const bringBack = await putAside(target);
	await bounded(
		other.run(async () => {
			for (let times = 0; times < 3; times++) await store.increment("n");
		}),
		WAIT_MS,
		"writes while a tab is put aside",
	);
	const roles = await Promise.all(tabs.filter((page) => page !== target).map(roleOf));
	assert.equal(roles.filter((role) => role === "leader").length, 1, `the others are ${roles}`);
	await bringBack();
	const tries = await bounded(
		target.run(() => {
			goOn();
			return done;
		}),
		WAIT_MS,
		"the transaction to end",
	);
	assert.equal(tries, 2);
	assert.equal(await roleOf(target), "follower");
	assert.equal(await target.run(() => store.get("n")), 13);
	const { image, problems } = await agreement(tabs);
	assert.deepEqual([problems, image.entries.length], [[], 1]);
	// Nothing was missed by its watchers.
	const told = (await target.run(() => takeTold())).flatMap(({ changes }) =>
		changes.map(([, cause, id]) => (cause === "reread" ? cause : id)),
	);
	assert.ok(told.includes("reread") || [1, 2, 3, 13].every((value) => told.includes(value)), `it was told ${told}`);
}

/** Every call of a store in a follower; gives what each said. */
async function callEverything() {
	const failures = {};
	const fails = async (what, call) => {
		failures[what] = (await failure(call)).code;
	};
	const levels = {
		os: (await store.set("a", { op: "a" })).level,
		disk: (await store.set("b", { op: "b" }, { durability: "always" })).level,
	};
	const first = await store.setMany([
		["c", { op: "c" }],
		["n", 10],
	]);
	const second = await store.set("c", { op: "c" }, { ifVersion: first.seq });
	await fails("ifAbsent", () => store.set("a", 2, { ifAbsent: true }));
	await fails("ifVersion", () => store.set("c", 2, { ifVersion: first.seq }));
	await fails("increment", () => store.increment("a"));
	await fails("key", () => store.set("", 1));
	await fails("value", () => store.set("f", () => {}));
	const answers = { update: await store.update("n", (n) => n + 1) };
	answers.increment = [await store.increment("n"), await store.increment("n", 3)];
	answers.transaction = await store.transaction(async (tx) => {
		const was = await tx.get("n");
		tx.set("n", was * 2);
		return { was, now: await tx.get("n") };
	});
	answers.getMany = (await store.getMany(["n", "none", "c"])).map((value) => value ?? null);
	await store.setMany({ d1: 1, d2: 2, d3: 3, e1: 1, e2: 2 });
	answers.removed = [
		await store.delete("d1"),
		await store.delete("d1"),
		await store.deleteMany(["d2", "d3", "d4"]),
		await store.clear({ prefix: "e" }),
	];
	await store.delete("a");
	answers.count = (await store.count({ start: "b" })) - 1;
	answers.isIncreasing = second.seq === first.seq + 1;
	const part = store.namespace("part/");
	await part.set("a", 1);
	answers.namespace = await part.entries().toArray();
	await part.clear();
	const { seq } = await store.set("x", 1);
	await store.set("x", 2);
	answers.changes = [];
	for await (const { key } of store.changes("x", { since: seq - 1 })) if (answers.changes.push(key) === 2) break;
	const lines = [];
	for await (const line of store.log({ from: seq })) lines.push(line);
	answers.log = lines.some((line) => line.includes('"x"'));
	await store.delete("x");
	await store.delete("first");
	levels.flush = (await store.flush()).level;
	answers.checkpoint = (await store.checkpoint()).entries;
	answers.exported = (await new Response(store.export({ format: "ndjson" })).text()).includes('"key":"n"');
	await store.set("soon", 1, { expiresAt: Date.now() + 1 });
	while (await store.has("soon")) await new Promise((resolve) => setTimeout(resolve, 1));
	answers.expired = await store.has("soon");
	return { failures, levels, answers };
}

describe("the judge of a storm in many tabs", () => {
	const set = (key, id) => [key, "set", id];
	const FRAMES = [
		[set("k", "w1.1")],
		[set("shared", 1)],
		[set("shared", 2)],
		[set("account:a", 5), set("account:b", -5), set("transfer", "w2.1")],
		[set("x:w1.2", "w1.2")],
		[["x:w1.2", "delete", null]],
		[set("once:1", "w2.2")],
	];
	const ACKS = [
		{ op: "w1.1", kind: "set", key: "k", seq: 1 },
		{ op: "w1.9", kind: "shared", value: 1 },
		{ op: "w2.9", kind: "shared", value: 2 },
		{ op: "w2.1", kind: "transaction" },
		{ op: "w1.2", kind: "delete", key: "x:w1.2", removed: true },
		{ op: "w2.2", kind: "once", key: "once:1", seq: 7 },
	];

	/** The problems of a storm with that history, as the log has it and as two followers and a leader were told. */
	function judged({ frames = FRAMES, acks = ACKS, refused = [], failures = [], otherwise = {}, image: given } = {}) {
		const history = new History();
		const log = frames.map((changes, at) => ({ seq: at + 1, role: "log", changes }));
		for (const writer of ["w1", "w2", "w3"]) {
			const told = log.map((frame) => ({ ...frame, role: writer === "w1" ? "leader" : "follower" }));
			const own = acks.filter(({ op }) => op.startsWith(writer));
			const report = { writer, acks: own, refused, failures, told: otherwise[writer]?.(told) ?? told, errors: [] };
			history.take(report);
		}
		const entries = new Map();
		for (const { seq, changes } of log)
			for (const [key, cause, id] of changes) {
				if (cause === "set") entries.set(key, [key, seq, JSON.stringify(id)]);
				else entries.delete(key);
			}
		const image = given?.([...entries.values()]) ?? [...entries.values()];
		return history.judge({ image: { seq: frames.length, entries: image }, log }).problems;
	}

	test("what is as promised is right", () => assert.deepEqual(judged(), []));

	test("what is not, is not", () => {
		const flaws = {
			"an acknowledged write is lost": { acks: [...ACKS, { op: "w3.1", kind: "set", key: "k", seq: 2 }] },
			"an acknowledged write has another seq": { acks: [{ op: "w1.1", kind: "set", key: "k", seq: 2 }] },
			"a write is made twice": { frames: [...FRAMES, [set("k", "w1.1")]] },
			"a refused write is made": { refused: [{ op: "w1.1", kind: "set" }] },
			"a counter goes back": { frames: [...FRAMES, [set("shared", 1)]] },
			"two increments have one answer": { acks: [...ACKS, { op: "w3.1", kind: "shared", value: 2 }] },
			"an increment is lost": { acks: [...ACKS, { op: "w3.1", kind: "shared", value: 3 }] },
			"half a transfer": { frames: [...FRAMES, [set("account:a", 6)]] },
			"a removal comes back": { frames: [...FRAMES, [set("x:w1.2", "w1.2")]] },
			"a removal found nothing": { acks: [{ op: "w1.2", kind: "delete", key: "x:w1.2", removed: false }] },
			"a key that must be set once is set again": { frames: [...FRAMES, [set("once:1", "w3.1")]] },
			"followers are told of different writes": {
				otherwise: {
					w2: (told) => told.map((frame) => (frame.seq === 1 ? { ...frame, changes: [set("k", "w9.1")] } : frame)),
				},
			},
			"a watcher is told twice": { otherwise: { w2: (told) => [...told, told.at(-1)] } },
			"a leader's watcher is told of what was never stored, and nothing else": {
				otherwise: {
					w1: (told) => told.map((frame) => (frame.seq === 1 ? { ...frame, changes: [set("k", "w9.1")] } : frame)),
				},
			},
			"a follower's write fails": { failures: [{ op: "w2.5", kind: "set", role: "follower", code: "FENCED" }] },
			"an entry is missing": { image: (entries) => entries.slice(1) },
			"an entry has another version": { image: ([[key, , text], ...rest]) => [[key, 99, text], ...rest] },
			"an entry should not be there": { image: (entries) => [...entries, ["none", 3, "1"]] },
		};
		for (const [flaw, storm] of Object.entries(flaws)) assert.notDeepEqual(judged(storm), [], flaw);
	});
});
