/** The stored bytes as this side reads them, against the golden files that the engine wrote; `tests/format.rs` says what is in them. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { Incoming } from "./incoming.js";
import { framesOf, type Op, readBlocks, readSnapshotHeader, type Segment, segmentOf } from "./stored.js";

const FOLDER = "tests/fixtures/v1";
const LONGEST_KEY = "k".repeat(1024);
const LARGE = Uint8Array.from({ length: 33_000 }, (_, i) => Math.floor(i / 100));
const SEVENS = new Uint8Array(300).fill(7);
const YEAR_2100_MS = 4_102_444_800_000;

/** Texts of one byte a character. */
const bytesOf = (text: string) => Uint8Array.from(text, (unit) => unit.charCodeAt(0));
const golden = (name: string) => new Uint8Array(readFileSync(`${FOLDER}/${name}.bin`));
const set = (key: string, value: string | Uint8Array, expiresAt?: number): Op => ({
	key: bytesOf(key) as Uint8Array<ArrayBuffer>,
	value: (typeof value === "string" ? bytesOf(value) : value) as Uint8Array<ArrayBuffer>,
	...(expiresAt === undefined ? {} : { expiresAt }),
});
const remove = (key: string, end?: string): Op => ({
	key: bytesOf(key),
	...(end === undefined ? {} : { end: bytesOf(end) }),
});

/** The UTF-8 of müller. */
const MUELLER = "m\xc3\xbcller";
const SEGMENTS: Record<string, { segment: Omit<Segment, "salt">; frames: Op[][] }> = {
	"log-1": {
		segment: { generation: 1, epoch: 1, firstSeq: 1 },
		frames: [
			[set("user:1", "\x01Alice")],
			[set("session:9", "\x01open", 1_800_000_000_000)],
			[
				set("user:2", ""),
				set("\xffcursor", "\x01engine's own"),
				remove("user:1"),
				remove("session:", "session;"),
				// Of u64::MAX, the nearest number.
				set("user:3", "\x01Carol", 2 ** 64),
			],
			[remove("user:3")],
			[remove("", "\xff")],
			[set(LONGEST_KEY, SEVENS)],
			[set("large", LARGE)],
			[set(MUELLER, "\0"), set("session:10", "\x01open", YEAR_2100_MS), set("user:4", "\x01Dave")],
		],
	},
	"log-2": {
		segment: { generation: 2, epoch: 1, firstSeq: 9 },
		frames: [[set("user:4", "\x01David")], [remove("large")]],
	},
	"log-3": {
		segment: { generation: 3, epoch: 2, firstSeq: 11 },
		frames: [[set("user:5", "\x01Eve")], [set("user:6", ""), remove("session:10")]],
	},
};

it("knows every golden file", () => {
	assert.deepEqual(
		readdirSync(FOLDER).sort(),
		[...Object.keys(SEGMENTS), "snap-2"].map((name) => `${name}.bin`),
	);
});

for (const [name, { segment, frames }] of Object.entries(SEGMENTS)) {
	it(`reads ${name} to its end`, () => {
		const bytes = golden(name);
		const found = segmentOf(bytes);
		assert.ok(found);
		const { salt, ...rest } = found;
		assert.deepEqual(rest, segment);
		const read = [...framesOf(bytes, found)];
		assert.deepEqual(
			read.map(({ seq, ops }) => ({ seq, ops })),
			frames.map((ops, i) => ({ seq: segment.firstSeq + i, ops })),
		);
		assert.equal(read.at(-1)?.end, bytes.length);
	});
}

it("reads snap-2 to its end, the engine's own entry too, which it refuses in a foreign one", async () => {
	const { seq, entries } = await snapshot("store");
	assert.equal(seq, 8);
	const entry = (version: number, op: Op) => ({ expiresAt: 0, ...op, version });
	assert.deepEqual(entries, [
		entry(6, set(LONGEST_KEY, SEVENS)),
		entry(7, set("large", LARGE)),
		entry(8, set(MUELLER, "\0")),
		entry(8, set("session:10", "\x01open", YEAR_2100_MS)),
		entry(8, set("user:4", "\x01Dave")),
		entry(3, set("\xffcursor", "\x01engine's own")),
	]);
	await assert.rejects(snapshot("foreign"), { code: "CORRUPT" });
});

async function snapshot(origin: "foreign" | "store") {
	const incoming = new Incoming(new Blob([golden("snap-2")]).stream());
	const { salt, seq } = await readSnapshotHeader(incoming);
	const entries = [];
	for await (const block of readBlocks(incoming, salt, origin)) {
		for (const { key, value, ...rest } of block) entries.push({ key: key.slice(), value: value.slice(), ...rest });
	}
	return { seq, entries };
}

it("ends before a frame that contradicts: one that is left out, and one of a segment's other session", () => {
	const bytes = golden("log-1");
	const segment = segmentOf(bytes) as Segment;
	const [first, second] = [...framesOf(bytes, segment)];
	assert.ok(first && second);
	const without = new Uint8Array([...bytes.subarray(0, 128), ...bytes.subarray(first.end)]);
	assert.deepEqual([...framesOf(without, segment)], []);
	assert.deepEqual([...framesOf(bytes, { ...segment, epoch: 2 })], []);
});
