// What every engine's store must do, the same for all: run on a fresh database, then on the same database in another page.
//
// Shapes: `write(store, without)` makes the data and gives `[check, failure]` pairs, a failure being a text or null;
// `read(store, without)` finds that data again. A model `Map` of the same calls says what is right. Errors of a store are failures.
// Deliberately absent: durability (classes.mjs) and speed.

const MANY = 1000;
const SCANNED = 300;
/** As large as the blobs of the benchmark. */
const BLOB_BYTES = 64 * 1024;

/** What a benchmark's record looks like. */
function record(n) {
	return {
		id: n,
		name: `user ${n}`,
		tags: ["a", "b"],
		active: n % 2 === 0,
		balance: n / 8,
		note: null,
		deep: { list: [n, [n]] },
	};
}

function key(n, prefix = "user") {
	return `${prefix}:${String(n).padStart(11, "0")}`;
}

function bytes(length, seed) {
	return Uint8Array.from({ length }, (_, index) => (index * 31 + seed) % 256);
}

const TEXTS = [
	"",
	" ",
	"plain",
	"quotes \" and \\ and ' and `",
	"line\nbreak\ttab",
	"äöü ß",
	"日本語",
	"🦀🧪",
	"%_$1;--",
];

/** The checks of a fresh database, in order; each works on keys of its own. */
const CHECKS = {
	async "a missing key is undefined"(store) {
		equal(await store.get("nobody"), undefined);
		equal(await store.getMany(["nobody", "no one"]), [undefined, undefined]);
		equal(await store.scan("nobody", 10), []);
		equal(await store.count(), 0);
	},
	async "set, get and overwrite"(store, model) {
		for (const value of [record(1), record(2), { short: true }, "text", {}]) {
			await store.set(key(1, "one"), value);
			equal(await store.get(key(1, "one")), value);
		}
		model.set(key(1, "one"), {});
	},
	async "what get gives is a copy"(store, model) {
		await store.set(key(7, "copy"), record(7));
		const got = await store.get(key(7, "copy"));
		equal(got, record(7));
		got.deep.list.push("later");
		got.name = "other";
		equal(await store.get(key(7, "copy")), record(7));
		model.set(key(7, "copy"), record(7));
	},
	async "setMany, getMany in the order asked, with gaps and repeats"(store, model) {
		const entries = Array.from({ length: MANY }, (_, n) => [key(n), record(n)]);
		await store.setMany(entries);
		for (const [name, value] of entries) model.set(name, value);
		const asked = [key(500), "nobody", key(3), key(999), key(3), key(MANY), key(0)];
		equal(await store.getMany(asked), [
			record(500),
			undefined,
			record(3),
			record(999),
			record(3),
			undefined,
			record(0),
		]);
		const all = entries.map(([name]) => name).reverse();
		equal(
			await store.getMany(all),
			all.map((name) => model.get(name)),
		);
	},
	async "setMany overwrites, and adds at the same time"(store, model) {
		const entries = Array.from({ length: 100 }, (_, n) => [key(MANY - 50 + n), { again: n }]);
		await store.setMany(entries);
		for (const [name, value] of entries) model.set(name, value);
		equal(
			await store.getMany(entries.map(([name]) => name)),
			entries.map(([, value]) => value),
		);
	},
	async "sets in flight together"(store, model) {
		const entries = Array.from({ length: 200 }, (_, n) => [key(n, "flight"), record(n)]);
		await Promise.all(entries.map(([name, value]) => store.set(name, value)));
		for (const [name, value] of entries) model.set(name, value);
		equal(
			await store.getMany(entries.map(([name]) => name)),
			entries.map(([, value]) => value),
		);
	},
	async "of sets of one key in flight the last one stays"(store, model) {
		await Promise.all([1, 2, 3, 4].map((n) => store.set("last", { n })));
		equal(await store.get("last"), { n: 4 });
		model.set("last", { n: 4 });
	},
	async "delete and deleteMany"(store, model) {
		await store.delete(key(10));
		await store.delete("nobody");
		await store.deleteMany([key(11), key(12), "nobody", key(900)]);
		for (const n of [10, 11, 12, 900]) model.delete(key(n));
		equal(
			await store.getMany([9, 10, 11, 12, 13, 900].map((n) => key(n))),
			[9, 10, 11, 12, 13, 900].map((n) => model.get(key(n))),
		);
		await store.set(key(11), { back: true });
		model.set(key(11), { back: true });
		equal(await store.get(key(11)), { back: true });
	},
	async "scan: in order of keys, whole, within its bounds and its limit"(store, model) {
		const random = shuffled(SCANNED);
		await store.setMany(random.map((n) => [key(n, "scan"), record(n)]));
		for (const n of random) model.set(key(n, "scan"), record(n));
		for (const near of ["scam:zzz", "scan", "scan;", "scao:0"]) {
			await store.set(near, { near });
			model.set(near, { near });
		}
		const all = random.toSorted((a, b) => a - b).map((n) => [key(n, "scan"), record(n)]);
		equal(await store.scan("scan:", 10_000), all);
		equal(await store.scan("scan:"), all);
		equal(await store.scan("scan:", 25), all.slice(0, 25));
		equal(await store.scan("scan:0000000001", 10_000), all.slice(10, 20));
		equal(await store.scan("scan:x", 10), []);
	},
	async "unicode and odd keys"(store, model) {
		const names = [
			...TEXTS.filter((text) => text !== "").map((text) => `text:${text}`),

			"$dollar",

			"constructor",
		];
		await store.setMany(names.map((name, n) => [name, { text: TEXTS[n % TEXTS.length], n }]));
		names.forEach((name, n) => {
			model.set(name, { text: TEXTS[n % TEXTS.length], n });
		});
		equal(
			await store.getMany(names),
			names.map((name) => model.get(name)),
		);
		const texts = names.filter((name) => name.startsWith("text:")).sort();
		equal(
			await store.scan("text:", 100),
			texts.map((name) => [name, model.get(name)]),
		);
		for (const [n, text] of TEXTS.entries()) {
			await store.set(key(n, "string"), text);
			model.set(key(n, "string"), text);
			equal(await store.get(key(n, "string")), text);
		}
	},
	async "a text with a NUL"(store, model) {
		const value = { text: "a\0b" };
		await store.setMany([["nul", value]]);
		model.set("nul", value);
		equal(await store.get("nul"), value);
	},
	async "a large value"(store, model) {
		const value = { text: "0123456789".repeat(30_000), list: Array.from({ length: 1000 }, (_, n) => n) };
		await store.set("large", value);
		model.set("large", value);
		equal(await store.get("large"), value);
	},
	async blobs(store, model) {
		const lengths = [0, 1, 255, 4096, BLOB_BYTES, BLOB_BYTES + 1];
		const entries = lengths.map((length, n) => [key(n, "blob"), bytes(length, n)]);
		await store.setMany(entries);
		await store.set("blob", bytes(BLOB_BYTES, 99));
		equal(entries[4][1], bytes(BLOB_BYTES, 4));
		for (const [name, value] of entries) model.set(name, value);
		model.set("blob", bytes(BLOB_BYTES, 99));
		equal(
			await store.getMany(entries.map(([name]) => name)),
			entries.map(([, value]) => value),
		);
		equal(await store.get("blob"), bytes(BLOB_BYTES, 99));
		equal(await store.scan("blob:", 10), entries);
		const part = bytes(300, 5).subarray(100, 200);
		await store.set("blob part", part);
		model.set("blob part", part.slice());
		equal(await store.get("blob part"), part);
		await store.set("blob part", { now: "an object" });
		model.set("blob part", { now: "an object" });
		equal(await store.get("blob part"), { now: "an object" });
	},
	async count(store, model) {
		equal(await store.count(), model.size);
	},
	async settle(store, model) {
		await store.settle();
		equal(await store.count(), model.size);
	},
};

/** Checks a fresh database and leaves what it was given in it. */
export async function write(store, without) {
	const model = new Map();
	const results = [];
	for (const [name, check] of Object.entries(CHECKS)) {
		if (without[name] === undefined) results.push([name, await failureOf(() => check(store, model))]);
	}
	// What the second part expects, for it is in another page. Keys that no library should be asked to keep are not needed.
	return { results, kept: [...model].map(([name, value]) => [name, portable(value)]) };
}

/** Checks, in another page, that what `write` left is there. */
export async function read(store, kept) {
	const entries = kept.map(([name, value]) => [name, imported(value)]);
	const names = entries.map(([name]) => name);
	return [
		[
			"reopened: every value",
			await failureOf(async () =>
				equal(
					await store.getMany(names),
					entries.map(([, value]) => value),
				),
			),
		],
		["reopened: count", await failureOf(async () => equal(await store.count(), entries.length))],
		[
			"reopened: scan",
			await failureOf(async () => {
				const users = entries.filter(([name]) => name.startsWith("user:")).sort(([a], [b]) => (a < b ? -1 : 1));
				equal(await store.scan("user:", 10_000), users);
			}),
		],
		[
			"reopened: writes and deletes",
			await failureOf(async () => {
				await store.setMany([
					[key(0), { after: "reopening" }],
					["new", record(1)],
				]);
				await store.deleteMany(names.filter((name) => name.startsWith("scan")));
				equal(await store.getMany([key(0), key(1), "new"]), [{ after: "reopening" }, record(1), record(1)]);
				equal(await store.scan("scan", 10), []);
				equal(await store.count(), entries.filter(([name]) => !name.startsWith("scan")).length + 1);
			}),
		],
	];
}

/** Checks that a database that was removed is empty when it is opened again. */
export async function empty(store) {
	return [
		[
			"removed: empty",
			await failureOf(async () => equal([await store.count(), await store.get(key(1))], [0, undefined])),
		],
	];
}

/** A fixed order of the numbers below `count` that is not sorted. */
function shuffled(count) {
	return Array.from({ length: count }, (_, n) => (n * 7919 + 13) % count);
}

async function failureOf(body) {
	try {
		await body();
		return null;
	} catch (error) {
		return error?.stack ?? String(error);
	}
}

function equal(found, expected) {
	const path = differenceOf(found, expected);
	if (path === undefined) return;
	throw new Error(`${path}: ${shown(found)} instead of ${shown(expected)}`);
}

/** Where the two differ, as a path; undefined if nowhere. */
function differenceOf(found, expected, path = "value") {
	if (Object.is(found, expected)) return;
	if (typeof expected !== "object" || expected === null || typeof found !== "object" || found === null) return path;
	if (Object.getPrototypeOf(found) !== Object.getPrototypeOf(expected)) return `${path} (its class)`;
	if (expected instanceof Uint8Array) {
		const at = expected.findIndex((byte, index) => byte !== found[index]);
		return found.length !== expected.length ? `${path}.length` : at < 0 ? undefined : `${path}[${at}]`;
	}
	const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
	for (const name of names) {
		const inside = Object.hasOwn(found, name)
			? differenceOf(found[name], expected[name], `${path}.${name}`)
			: `${path}.${name}`;
		if (inside !== undefined) return inside;
	}
}

function shown(value) {
	const text = JSON.stringify(value) ?? String(value);
	return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

/** Bytes as something that survives JSON. */
function portable(value) {
	return value instanceof Uint8Array ? { bytes: [...value] } : { value };
}

function imported({ bytes, value }) {
	return bytes === undefined ? value : Uint8Array.from(bytes);
}
