// Export and import, the log as text, and changes from a seq on.

import { equal, failure } from "../check.mjs";
import { awaited, deferred, soon } from "./waiting.mjs";

/** A value of each kind, those that JSON has no form for too. */
const VALUES = {
	text: "größer 😀",
	number: 1.5,
	"not a number": Number.NaN,
	"minus zero": { at: [-0, Infinity] },
	undefined,
	null: null,
	bigint: 12n ** 30n,
	date: new Date(1_800_000_000_000),
	"invalid date": new Date(Number.NaN),
	object: { a: { b: [1, true, null, "c"] }, __proto__: null },
	map: new Map([["k", new Set([1, { deep: new Map() }])]]),
	bytes: new Uint8Array([0, 1, 255]),
	"bytes inside": { of: [new Uint8Array(3000).fill(7)] },
	floats: new Float64Array([1, 2]),
	error: new RangeError("too far"),
	regexp: /a+/gi,
	holes: Object.assign([], { 2: "c", length: 5 }),
	"looks like a form": { $date: "no" },
	"inside a form": [{ $object: { $map: 1 } }, { $: 1, b: 2 }],
	surrogate: "\ud800",
	wide: { "\ud800": 1 },
	line: "a\nb\r\u2028",
	empty: {},
	long: "x".repeat(100_000),
};
VALUES.object = JSON.parse('{"a":{"b":[1,true,null,"c"]},"__proto__":{"own":1}}');
VALUES.cycle = [];
VALUES.cycle.push({ self: VALUES.cycle });

const FORMS = [
	{ format: "snapshot", gzip: false },
	{ format: "snapshot", gzip: true },
	{ format: "ndjson", gzip: false },
	{ format: "ndjson", gzip: true },
];

const bytesOf = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const textOf = (stream) => new Response(stream).text();
const lines = (...rows) => new Blob(rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`));

async function listed(iterable) {
	const list = [];
	for await (const item of iterable) list.push(item);
	return list;
}

export const TRANSFER = {
	async "export and import bring back every value, in both formats, packed or not"({
		store,
		reopen,
		open,
		destroy,
		name,
		options,
	}) {
		const expiresAt = Date.now() + 3_600_000;
		await store.setMany(VALUES);
		await store.set("expires", 1, { expiresAt });
		await store.setMany(Array.from({ length: 5000 }, (_, i) => [`many:${i}`, { i, text: "row" }]));
		const all = await store.entries().toArray();
		for (const form of FORMS) {
			const other = await open(`${name} other`, options);
			try {
				await other.set("before", 1);
				const told = [];
				const report = await other.import(store.export(form), { onProgress: (progress) => told.push(progress) });
				equal(
					[report.format, report.gzip, report.entries, report.expired],
					[form.format, form.gzip, all.length, 0],
					`the report of ${JSON.stringify(form)}`,
				);
				equal(await other.entries().toArray(), all, `what ${JSON.stringify(form)} brings`);
				equal((await other.entry("expires")).expiresAt, expiresAt, "an expiry");
				equal((await other.entry("number")).version, report.seq, "the version of everything");
				equal(await other.count(), all.length, "the count");
				equal(await other.set("behind", 2), { seq: report.seq + 1, level: "os" }, "the write behind it");
			} finally {
				await other.close();
				await destroy(`${name} other`);
			}
		}
		const bytes = await bytesOf(store.export());
		const { seq } = await store.import(bytes);
		await store.set("last", "word");
		store = await reopen();
		equal(store.status.recovered.dataLoss, undefined, "loss");
		equal((await store.entry("last")).version, seq + 1, "the seq after reopening");
		await store.delete("last");
		equal(await store.entries().toArray(), all, "after reopening");
	},

	async "NDJSON is one entry a line that a person can read"({ store }) {
		await store.setMany({ a: { n: 1 }, b: new Date(0), c: /x/, d: { $set: 1 }, e: [new Set([1n])] });
		await store.set("f", "soon gone", { expiresAt: 33_000_000_000_000 });
		const text = await textOf(store.export({ format: "ndjson" }));
		const [head, ...rows] = text.trimEnd().split("\n");
		equal(JSON.parse(head).holdfast, "entries", "the first line");
		equal(
			rows,
			[
				'{"key":"a","value":{"n":1}}',
				'{"key":"b","value":{"$date":"1970-01-01T00:00:00.000Z"}}',
				'{"key":"c","stored":"UmMBeGMA"}',
				'{"key":"d","value":{"$object":{"$set":1}}}',
				'{"key":"e","value":[{"$set":[{"$bigint":"1"}]}]}',
				'{"key":"f","value":"soon gone","expiresAt":33000000000000}',
				'{"entries":6}',
			],
			"lines",
		);
		equal(
			await textOf(store.export({ format: "ndjson", range: { prefix: "a" } })),
			`${head}\n${rows[0]}\n{"entries":1}\n`,
			"a range",
		);
	},

	async "an import of lines that a person wrote: any order, blank lines, the last one of a key counts"({ store }) {
		await store.set("gone", 1);
		const report = await store.import(
			lines(
				{ key: "b", value: 1 },
				"",
				{ key: "a", value: [] },
				"  ",
				{ key: "b", value: 2 },
				{
					key: "over",
					value: 1,
					expiresAt: 1000,
				},
			),
		);
		equal([report.entries, report.expired, report.format], [3, 1, "ndjson"], "the report");
		equal(
			await store.entries().toArray(),
			[
				["a", []],
				["b", 2],
			],
			"entries",
		);
		equal(
			await store.import(lines({ holdfast: "entries", version: 1 }, { entries: 0 })).then(({ entries }) => entries),
			0,
			"nothing",
		);
		equal(await store.count(), 0, "an empty store");
	},

	async "an export is of one moment, whatever is written while it is read"({ store }) {
		await store.setMany(Array.from({ length: 3000 }, (_, i) => [`k${String(i).padStart(4, "0")}`, i]));
		const before = await store.entries().toArray();
		const reader = store.export({ format: "ndjson" }).getReader();
		const pieces = [(await reader.read()).value];
		await store.clear({ start: "k1000", end: "k2000" });
		await store.set("k2500", "changed");
		await store.set("zzz", "new");
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			pieces.push(value);
		}
		await store.import(new Blob(pieces));
		equal(await store.entries().toArray(), before, "what was exported");
	},

	async "an export that nobody reads on ends, and holds nothing"({ store }) {
		await store.setMany(Array.from({ length: 3000 }, (_, i) => [`k${i}`, "x".repeat(100)]));
		const reader = store.export().getReader();
		await reader.read();
		await reader.cancel();
		equal((await failure(() => store.export({ format: "csv" }).getReader().read())).code, "OPTION_INVALID", "a format");
		await store.set("a", 1);
	},

	async "a refused import changes nothing, and the next one works"({ store }) {
		await store.set("kept", { n: 1 });
		const { seq } = await store.stats();
		for (const [source, code] of [
			[new Blob([]), "CORRUPT"],
			[lines({ key: "a", value: 1 }, { key: "a" }), "CORRUPT"],
			[lines({ holdfast: "entries", version: 1 }, { key: "a", value: 1 }), "CORRUPT"],
			[lines({ holdfast: "entries", version: 2 }), "VERSION"],
			[(await bytesOf(store.export())).slice(0, -1), "CORRUPT"],
			[crypto.getRandomValues(new Uint8Array(10_000)), "CORRUPT"],
			[17, "OPTION_INVALID"],
		]) {
			equal((await failure(() => store.import(source))).code, code, `an import of ${source}`);
			equal(await store.entries().toArray(), [["kept", { n: 1 }]], "entries");
			equal((await store.stats()).seq, seq, "the seq");
		}
		equal(
			(await failure(() => store.import(lines({ key: "a", value: "long" }), { maxBytes: 3 }))).code,
			"TOO_LARGE",
			"maxBytes",
		);
		const over = new AbortController();
		over.abort(new TypeError("enough"));
		const refused = await store.import(lines({ key: "a", value: 1 }), { signal: over.signal }).catch((error) => error);
		equal(refused.message, "enough", "the signal's reason");
		const { promise, resolve } = deferred();
		const slow = store.import(
			new ReadableStream({
				async pull(controller) {
					await promise;
					controller.enqueue(new TextEncoder().encode('{"key":"a","value":1}\n'));
					controller.close();
				},
			}),
		);
		equal((await failure(() => store.import(lines({ key: "b", value: 1 })))).code, "LOCKED", "a second one");
		resolve();
		await slow;
		equal(await store.entries().toArray(), [["a", 1]], "after the slow one");
	},

	async "writes and imports take their turns"({ store, reopen }) {
		await store.set("old", 1);
		const conflict = failure(() =>
			store.transaction(async (tx) => {
				await tx.keys().toArray();
				await store.import(lines({ key: "a", value: 1 }));
				tx.set("b", 2);
			}, {}),
		).catch(() => undefined);
		await soon(conflict, "a transaction over an import");
		equal(await store.get("a"), 1, "the import");
		const version = (await store.entry("a")).version;
		const importing = store.import(lines({ key: "a", value: 2 }, { key: "c", value: 3 }));
		const writes = [];
		for (let i = 0; i < 50; i++) writes.push(store.set(`w${i}`, i), new Promise((resolve) => setTimeout(resolve)));
		const { seq } = await importing;
		const written = (await Promise.all(writes)).filter(Boolean);
		equal((await failure(() => store.set("a", 0, { ifVersion: version }))).code, "CONFLICT", "a version from before");
		const expected = [
			["a", 2],
			["c", 3],
			...written.flatMap(({ seq: own }, i) => (own > seq ? [[`w${i}`, i]] : [])),
		].sort(([a], [b]) => (a < b ? -1 : 1));
		equal(await store.entries().toArray(), expected, "what came behind the import");
		store = await reopen();
		equal(await store.entries().toArray(), expected, "after reopening");
	},

	async "an import with frozen values, within a bound, and into a namespace"({
		store,
		reopen,
		open,
		destroy,
		name,
		options,
	}) {
		await store.setMany({ "a:1": 1, "a:2": 2, b: 3 });
		const part = store.namespace("a:");
		equal(
			await textOf(part.export({ format: "ndjson" })).then((text) => text.includes('"a:1"')),
			false,
			"keys without the prefix",
		);
		const other = await open(`${name} frozen`, { ...options, values: "frozen", maxBytes: 200, eviction: "lru" });
		try {
			await other.set("1", { n: 0 });
			other.peek("1");
			await other.import(part.export());
			equal(
				await other.entries().toArray(),
				[
					["1", 1],
					["2", 2],
				],
				"a namespace as a store of its own",
			);
			equal(other.peek("1"), 1, "a value that was shared");
			equal(
				(await failure(() => other.import(lines({ key: "a", value: "x".repeat(300) })))).code,
				"QUOTA",
				"more than the bound",
			);
			await other.set("new", "y".repeat(195));
			equal(await other.keys().toArray(), ["new"], "what made room");
		} finally {
			await other.close();
			await destroy(`${name} frozen`);
		}
		const report = await part.import(lines({ key: "3", value: 33 }, { key: "1", value: 11 }));
		equal(report.entries, 2, "the report");
		equal(
			await store.entries().toArray(),
			[
				["a:1", 11],
				["a:3", 33],
				["b", 3],
			],
			"the others stay",
		);
		store = await reopen();
		equal(
			await store.entries().toArray(),
			[
				["a:1", 11],
				["a:3", 33],
				["b", 3],
			],
			"after reopening",
		);
	},

	async "watch and changes tell of an import"({ store }) {
		await store.set("a", 1);
		const told = awaited("changes");
		store.watch({ prefix: "a" }, (changes) => told.push(...changes));
		const streamed = awaited("changes");
		void (async () => {
			for await (const change of store.changes({})) streamed.push(change);
		})();
		await store.set("a", 2);
		const { seq } = await store.import(lines({ key: "a", value: 3 }));
		await store.set("a", 4);
		const expected = [
			{ key: "a", cause: "set", version: seq - 1, old: 1, value: 2 },
			{ key: "", cause: "reread", version: seq },
			{ key: "a", cause: "set", version: seq + 1, old: 3, value: 4 },
		];
		equal(await told.of(3), expected, "watch");
		equal((await streamed.of(2)).slice(-2), expected.slice(-2), "changes");
	},

	async "changes go on from a seq while the log has it, else say to read again"({ store, reopen }) {
		const first = await store.set("a", 1);
		await store.setMany({ b: 2, c: 3 });
		await store.delete("a");
		const last = await store.set("d", 4);
		store = await reopen();
		const told = awaited("changes");
		const follow = async (since, range = {}) => {
			for await (const change of store.changes(range, { since })) told.push(change);
		};
		void follow(first.seq);
		const expected = [
			{ key: "b", cause: "set", version: first.seq + 1, value: 2 },
			{ key: "c", cause: "set", version: first.seq + 1, value: 3 },
			{ key: "a", cause: "delete", version: first.seq + 2 },
			{ key: "d", cause: "set", version: last.seq, value: 4 },
		];
		equal(await told.of(4), expected, "what was missed");
		const next = await store.set("e", 5);
		equal((await told.of(5))[4], { key: "e", cause: "set", version: next.seq, value: 5 }, "and what follows");
		const from = async (since, range) => {
			for await (const change of store.changes(range, { since })) return change;
		};
		equal(await from(first.seq, { start: "c", end: "d" }), expected[1], "a range");
		equal(await from(first.seq + 2, { prefix: "d" }), expected[3], "a prefix");
		equal((await from(next.seq + 5, {})).cause, "reread", "a seq that is not there yet");
		const cleared = await store.clear({ prefix: "b" }).then(() => store.stats());
		equal((await from(next.seq, {})).cause, "reread", "over a clear");
		const beyond = store.changes({ prefix: "x" }, { since: next.seq })[Symbol.asyncIterator]();
		const pending = beyond.next();
		await store.set("x", 6);
		equal(
			(await soon(pending, "a change")).value,
			{ key: "x", cause: "set", version: cleared.seq + 1, value: 6 },
			"a range that was not cleared",
		);
		await store.checkpoint();
		await store.set("f", 7);
		await store.checkpoint();
		equal((await from(first.seq, {})).cause, "reread", "when the log is gone");
		equal((await failure(() => from(-1, {}))).code, "OPTION_INVALID", "a seq that is none");
	},

	async "log shows one op a line"({ store }) {
		await store.set("user:1", { name: "Ada" });
		const { seq } = await store.set("soon", 1, { expiresAt: 1_900_000_000_000 });
		await store.deleteMany(["user:1"]);
		await store.setMany({ "\u0000odd": new Map([[1, 2]]), long: "x".repeat(300) });
		await store.clear({ prefix: "so" });
		await store.set("a", 1, { durability: "no" });
		await store.clear({ start: "a", end: "b" });
		await store.clear();
		equal(
			await listed(store.log()),
			[
				`${seq - 1} set "user:1" {"name":"Ada"}`,
				`${seq} set "soon" 1 expires 2030-03-17T17:46:40.000Z`,
				`${seq + 1} delete "user:1"`,
				`${seq + 2} set "\\u0000odd" {"$map":[[1,2]]}`,
				`${seq + 2} set "long" "${"x".repeat(199)}... (301 bytes)`,
				`${seq + 3} clear prefix "so"`,
				`${seq + 4} set "a" 1`,
				`${seq + 5} clear from "a" to "b"`,
				`${seq + 6} clear everything`,
			],
			"lines",
		);
		equal((await listed(store.log({ from: seq, to: seq }))).length, 1, "a part");
		equal((await failure(() => listed(store.log({ from: 0 })))).code, "OPTION_INVALID", "a seq that is none");
	},
};
