// Transactions: what one sees, what it writes, when it runs again; and that many of them at once are serializable.

import { equal, failure } from "../check.mjs";
import { entriesIn, randomRange, randomText, same } from "./ranges.mjs";
import { awaited, turn } from "./waiting.mjs";

const WORKERS = 12;
const TRANSACTIONS_EACH = 30;
const KEYS = Array.from({ length: 9 }, (_, at) => `k:${at}`);

export const TRANSACTIONS = {
	async "a transaction is one batch, all or nothing"({ store, reopen }) {
		await store.setMany({ a: 1, b: 2, c: 3 });
		const batches = awaited("batches");
		store.watch({}, (changes) => batches.push(changes));
		const answer = await store.transaction(async (tx) => {
			tx.set("a", (await tx.get("a")) + 10);
			tx.delete("b");
			tx.delete("absent");
			tx.set("d", 4);
			tx.set("d", 5);
			return "answer";
		});
		equal(answer, "answer", "what the body returned");
		const [changes] = await batches.of(1);
		equal(
			changes.map(({ key, cause }) => `${key} ${cause}`),
			["a set", "b delete", "d set"],
			"one batch",
		);
		equal(new Set(changes.map(({ version }) => version)).size, 1, "of one seq");
		const expected = [
			["a", 11],
			["c", 3],
			["d", 5],
		];
		equal(await store.entries().toArray(), expected, "entries");
		store = await reopen();
		equal(await store.entries().toArray(), expected, "after reopening");
		equal(await store.transaction(() => 1), 1, "a body that is not async, and touches nothing");
		equal(await store.transaction((tx) => tx.get("a")), 11, "one that only reads");
		await store.transaction((tx) => tx.set("ttl", 1, { ttl: 3_600_000 }), { durability: "always" });
		equal((await store.entry("ttl")).expiresAt > Date.now(), true, "an expiry");
	},

	async "the body's error ends it and nothing is written"({ store }) {
		await store.set("a", 1);
		const { seq } = await store.stats();
		const thrown = new Error("of the body");
		for (const body of [
			async (tx) => {
				tx.set("a", 2);
				await tx.get("a");
				throw thrown;
			},
			(tx) => {
				tx.delete("a");
				throw thrown;
			},
		]) {
			let runs = 0;
			const caught = await store
				.transaction((tx) => {
					runs++;
					return body(tx);
				})
				.catch((error) => error);
			equal([caught === thrown, runs], [true, 1], "its own error, after one run");
		}
		for (const [code, write] of [
			["KEY_INVALID", (tx) => tx.set("", 1)],
			["VALUE_INVALID", (tx) => tx.set("f", () => {})],
			["KEY_INVALID", (tx) => tx.delete("\ud800")],
			["KEY_INVALID", (tx) => tx.get("")],
			["OPTION_INVALID", (tx) => tx.count({ limit: -1 })],
		]) {
			equal(
				(
					await failure(() =>
						store.transaction(async (tx) => {
							tx.set("b", 1);
							await write(tx);
						}),
					)
				).code,
				code,
				`${write}`,
			);
		}
		equal([await store.entries().toArray(), (await store.stats()).seq], [[["a", 1]], seq], "nothing is written");
	},

	async "a transaction sees what it has written, in ranges too"({ store, random, tell }) {
		const map = new Map(Array.from({ length: 150 }, (_, at) => [randomText(random, 1, 3), at]));
		await store.setMany(map);
		let checked = 0;
		await store.transaction(async (tx) => {
			for (let round = 0; round < 60; round++) {
				for (let writes = 0; writes < 3; writes++) {
					const key = random() < 0.5 ? randomText(random, 1, 3) : [...map.keys()][Math.floor(random() * map.size)];
					if (random() < 0.4) {
						tx.delete(key);
						map.delete(key);
					} else {
						tx.set(key, { round });
						map.set(key, { round });
					}
					equal([await tx.get(key), await tx.has(key)], [map.get(key), map.has(key)], `of ${JSON.stringify(key)}`);
				}
				const keys = [...map.keys()].slice(0, 3);
				equal(
					await tx.getMany(keys),
					keys.map((key) => map.get(key)),
					"getMany",
				);
				const range = randomRange(random, () => randomText(random, 0, 2));
				const what = JSON.stringify(range);
				const expected = entriesIn(map, range);
				equal(await tx.entries(range).toArray(), expected, `entries ${what}`);
				equal(
					await tx.keys(range).toArray(),
					expected.map(([key]) => key),
					`keys ${what}`,
				);
				equal(
					await tx.values(range).toArray(),
					expected.map(([, value]) => value),
					`values ${what}`,
				);
				equal(await tx.count(range), expected.length, `count ${what}`);
				const walked = [];
				for await (const entry of tx.entries(range)) walked.push(entry);
				equal(walked, expected, `walk ${what}`);
				checked += expected.length;
			}
		});
		equal(await store.entries().toArray(), entriesIn(map), "after it");
		tell(`60 ranges, ${checked} entries`);
	},

	async "what a transaction has read may not change meanwhile, and there are no phantoms"({ store }) {
		await store.setMany({ "p:1": 1, "p:2": 1, "q:1": 1, r: 1 });
		const range = { prefix: "p:" };
		const reads = {
			get: (tx) => tx.get("p:1"),
			has: (tx) => tx.has("p:1"),
			getMany: (tx) => tx.getMany(["r", "p:1"]),
			count: (tx) => tx.count(range),
			keys: (tx) => tx.keys(range).toArray(),
			values: (tx) => tx.values({ ...range, reverse: true }).toArray(),
			entries: (tx) => tx.entries({ ...range, limit: 3 }).toArray(),
			"a walk": async (tx) => {
				for await (const _ of tx.keys(range));
			},
		};
		const isRange = (read) => !["get", "has", "getMany"].includes(read);
		const changes = {
			overwrite: (n) => store.set("p:1", n),
			delete: () => store.delete("p:1"),
			"set again": () => store.set("p:1", 1),
			"delete by range": () => store.clear({ prefix: "p:" }),
			insert: (n) => store.set(`p:new ${n}`, 1),
			"one outside": (n) => store.set("q:1", n),
			"the key behind": (n) => store.set("p;", n),
		};
		let n = 0;
		for (const [read, run] of Object.entries(reads)) {
			for (const [change, make] of Object.entries(changes)) {
				await store.setMany({ "p:1": 1, "p:2": 1 });
				let runs = 0;
				await store.transaction(async (tx) => {
					runs++;
					await run(tx);
					if (runs === 1) await make(++n);
					tx.set("sum", n);
				});
				const isOutside =
					change === "one outside" || change === "the key behind" || (change === "insert" && !isRange(read));
				equal(runs, isOutside ? 1 : 2, `runs after ${read} and ${change}`);
				equal(await store.get("sum"), n, "written");
			}
		}
		let runs = 0;
		await store.transaction(async (tx) => {
			if (++runs === 1) await store.set("blind", 1);
			tx.set("blind", 2);
		});
		equal([runs, await store.get("blind")], [1, 2], "what is written without being read is no conflict");
		runs = 0;
		const total = await store.transaction(async (tx) => {
			const count = await tx.count(range);
			if (++runs === 1) await store.set("p:late", 1);
			return count;
		});
		equal([runs, total], [2, await store.count(range)], "one that only reads is of one moment");
		runs = 0;
		const twice = await store.transaction(async (tx) => {
			const first = await tx.has("comes and goes");
			if (++runs === 1) await store.set("comes and goes", 1);
			const second = await tx.has("comes and goes");
			await store.delete("comes and goes");
			return [first, second];
		});
		equal([runs, twice], [2, [false, false]], "a key that comes and goes between two reads");
		runs = 0;
		await store.transaction(async (tx) => {
			await tx.count(range);
			if (++runs === 1) await store.checkpoint();
			tx.set("after a checkpoint", runs);
		});
		equal(await store.get("after a checkpoint"), runs, "a checkpoint in between");
	},

	async "the body may wait for fetch, and use the store"({ store }) {
		await store.set("n", 1);
		const text = await store.transaction(async (tx) => {
			const n = await tx.get("n");
			const text = await (await fetch("/blank")).text();
			tx.set("n", n + text.length);
			return text;
		});
		equal(await store.get("n"), 1 + text.length, "what it fetched");
		const nested = await store.transaction(async (tx) => {
			await store.set("beside", 1);
			const inner = await store.transaction(async (inner) => {
				inner.set("inner", await inner.get("beside"));
				return store.increment("counter");
			});
			equal(await tx.get("inner"), 1, "what is written beside is seen");
			tx.set("outer", await store.count());
			equal(await store.get("outer"), undefined, "what it writes is not seen outside yet");
			await store.checkpoint();
			await store.flush();
			return inner;
		});
		equal([nested, await store.get("counter"), await store.get("outer")], [1, 1, 4], "all of it, once");
	},

	async "a transaction that is overtaken every time is CONFLICT after eight runs"({ store }) {
		let runs = 0;
		const error = await failure(() =>
			store.transaction(async (tx) => {
				await tx.get("k");
				await store.set("k", ++runs);
				tx.set("written", true);
			}),
		);
		equal([error.code, error.retryable, runs, await store.get("k")], ["CONFLICT", true, 8, 8], "overtaken");
		equal(await store.has("written"), false, "nothing of it is written");
	},

	async "a transaction that is over is CLOSED"({ store }) {
		await store.set("a", 1);
		for (const body of [
			() => {},
			() => {
				throw new Error("of the body");
			},
		]) {
			let kept;
			await store
				.transaction(async (tx) => {
					kept = tx;
					await body();
				})
				.catch(() => {});
			const calls = {
				get: () => kept.get("a"),
				has: () => kept.has("a"),
				getMany: () => kept.getMany(["a"]),
				set: () => kept.set("a", 2),
				delete: () => kept.delete("a"),
				count: () => kept.count(),
				keys: () => kept.keys().toArray(),
				values: () => kept.values().toArray(),
				entries: () => kept.entries()[Symbol.asyncIterator]().next(),
			};
			for (const [name, call] of Object.entries(calls)) equal((await failure(call)).code, "CLOSED", name);
		}
		let first;
		let runs = 0;
		await store.transaction(async (tx) => {
			first ??= tx;
			await tx.get("a");
			if (++runs === 1) await store.set("a", 3);
			else equal((await failure(() => first.get("a"))).code, "CLOSED", "an earlier run's");
		});
		equal(await store.entries().toArray(), [["a", 3]], "entries");
	},

	async "many transactions at once are serializable in the order of their seqs"({ store, random, tell }) {
		const history = await makeHistory(store, random);
		tell(judge(history));
	},
};

/** Random transactions, and writes that are none, at once; with every change by seq. */
async function makeHistory(store, random) {
	const below = (end) => Math.floor(random() * end);
	const anyKey = () => KEYS[below(KEYS.length)];
	const batches = new Map();
	const seen = awaited("batches");
	store.watch({}, (changes) => {
		const { version } = changes[0];
		if (batches.has(version)) throw new Error(`two batches of seq ${version}`);
		batches.set(version, changes);
		seen.push(...changes.filter(({ key }) => key === "end"));
	});
	await store.setMany(KEYS.filter(() => random() < 0.5).map((key) => [key, `first ${key}`]));
	const transactions = [];
	let [runs, refused, others, values] = [0, 0, 0, 0];
	const newValue = () => `value ${++values}`;

	const pauses = [() => {}, () => Promise.resolve(), turn, turn, () => store.flush()];
	const steps = {
		async get(tx, log) {
			const key = anyKey();
			log.push({ do: "get", key, got: await tx.get(key) });
		},
		async has(tx, log) {
			const key = anyKey();
			log.push({ do: "has", key, got: await tx.has(key) });
		},
		async entries(tx, log) {
			const range = { start: anyKey(), end: anyKey(), limit: 1 + below(9), reverse: random() < 0.5 };
			log.push({ do: "entries", range, got: await tx.entries(range).toArray() });
		},
		async count(tx, log) {
			const range = { prefix: "k:", after: anyKey() };
			log.push({ do: "count", range, got: await tx.count(range) });
		},
		async set(tx, log) {
			const [key, value] = [anyKey(), newValue()];
			tx.set(key, value);
			log.push({ do: "set", key, value });
		},
		async delete(tx, log) {
			const key = anyKey();
			tx.delete(key);
			log.push({ do: "delete", key });
		},
	};
	const kinds = ["get", "get", "has", "entries", "count", "set", "set", "delete"];

	const worker = async (number) => {
		for (let n = 0; n < TRANSACTIONS_EACH; n++) {
			const id = `tx:${number}:${n}`;
			const isReadOnly = random() < 0.15;
			const begun = (await store.stats()).seq;
			let log;
			try {
				await store.transaction(async (tx) => {
					runs++;
					log = [];
					for (let left = 1 + below(5); left > 0; left--) {
						const kind = kinds[below(isReadOnly ? 5 : kinds.length)];
						await steps[kind](tx, log);
						await pauses[below(pauses.length)]();
					}
					if (!isReadOnly) tx.set(id, true);
				});
				transactions.push({ id, isReadOnly, log, begun, ended: (await store.stats()).seq });
			} catch (error) {
				if (error.code !== "CONFLICT") throw error;
				refused++;
				transactions.push({ id, isRefused: true });
			}
		}
	};
	const plain = async () => {
		for (let n = 0; n < 60; n++) {
			const writes = [
				() => store.set(anyKey(), newValue()),
				() => store.delete(anyKey()),
				() =>
					store.setMany([
						[anyKey(), newValue()],
						[anyKey(), newValue()],
					]),
				() => store.update(anyKey(), (old) => (old ? undefined : newValue())),
				() => store.clear({ start: anyKey(), end: anyKey() }),
			];
			await writes[below(writes.length)]();
			others++;
			for (let turns = below(8); turns >= 0; turns--) await turn();
			if (n % 20 === 10) await store.checkpoint();
		}
	};
	await Promise.all([...Array.from({ length: WORKERS }, (_, number) => worker(number)), plain()]);
	await store.set("end", true);
	await seen.of(1);
	return { batches, transactions, runs, refused, others };
}

/** Throws unless the transactions could have run one after another, each at its seq; says what there was. */
function judge({ batches, transactions, runs, refused, others }) {
	const seqs = [...batches.keys()];
	equal(
		seqs,
		[...seqs].sort((one, other) => one - other),
		"batches come in the order of their seqs",
	);
	const seqOf = new Map();
	for (const [seq, changes] of batches) for (const { key } of changes) if (key.startsWith("tx:")) seqOf.set(key, seq);
	const bySeq = new Map();
	for (const transaction of transactions) {
		const { id, isReadOnly, isRefused } = transaction;
		if (isRefused || isReadOnly) equal(seqOf.has(id), false, `${id} wrote`);
		else bySeq.set(seqOf.get(id), transaction);
	}
	const readers = transactions.filter(({ isReadOnly }) => isReadOnly);
	const explained = new Set();
	const map = new Map();
	const explainReaders = (from, to) => {
		for (const reader of readers)
			if (!explained.has(reader) && reader.begun <= to && reader.ended >= from && !difference(reader.log, new Map(map)))
				explained.add(reader);
	};
	let last = 0;
	for (const [seq, changes] of batches) {
		explainReaders(last, seq - 1);
		last = seq;
		const transaction = bySeq.get(seq);
		if (transaction) {
			const alone = new Map(map);
			const wrong = difference(transaction.log, alone);
			if (wrong) throw new Error(`${transaction.id}, seq ${seq}: ${wrong}`);
			apply(map, changes, seq);
			same(entriesIn(map), entriesIn(alone), `what ${transaction.id} wrote, seq ${seq}`);
		} else apply(map, changes, seq);
	}
	explainReaders(last, Number.POSITIVE_INFINITY);
	for (const reader of readers)
		if (!explained.has(reader)) throw new Error(`${reader.id} read what never was: ${JSON.stringify(reader)}`);
	const committed = transactions.length - refused;
	if (committed < 300) throw new Error(`only ${committed} transactions`);
	if (runs === transactions.length) throw new Error("no transaction met another");
	return `${committed} transactions, ${readers.length} of them only reading, in ${runs} runs; ${refused} refused; ${others} other writes`;
}

/** Of the keys that are read. */
function apply(map, changes, seq) {
	for (const { key, old, value, cause, version } of changes) {
		if (!key.startsWith("k:")) continue;
		equal([map.get(key), version], [old, seq], `the old value of ${key}, seq ${seq}`);
		if (cause === "set") map.set(key, value);
		else map.delete(key);
	}
}

/** Runs the log on the map; the first read that gives something else, as text. */
function difference(log, map) {
	for (const step of log) {
		if (step.do === "set") map.set(step.key, step.value);
		else if (step.do === "delete") map.delete(step.key);
		else {
			const got = {
				get: () => map.get(step.key),
				has: () => map.has(step.key),
				entries: () => entriesIn(map, step.range),
				count: () => entriesIn(map, step.range).length,
			}[step.do]();
			if (JSON.stringify(got) !== JSON.stringify(step.got))
				return `${JSON.stringify(step)}, but it is ${JSON.stringify(got)}`;
		}
	}
	return undefined;
}
