// `holdfast log`, the command of the packed package: on the golden files, on the worked examples of FORMAT.md, and on files that are
// made here: torn, damaged, in a pool, behind gzip. Needs no browser.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { ROOT } from "../../scripts/toolchain.mjs";
import { packPackage, packTarball } from "./site.mjs";

const FIXTURES = join(ROOT, "tests", "fixtures", "v1");
const SALT = 0x0123456789abcdefn;
const POOL_HEADER_BYTES = 4096;

const execFileAsync = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
let command;
let xxh64;
let SnapshotWriter;

before(async () => {
	command = join(await packPackage(), "dist", "cli.js");
	const contents = `export * from "./xxh64.js"; export { SnapshotWriter } from "./stored.js";`;
	const { outputFiles } = await build({
		stdin: { contents, resolveDir: join(ROOT, "src", "ts") },
		...{ bundle: true, format: "esm", write: false },
	});
	({ xxh64, SnapshotWriter } = await import(
		`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`
	));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** How the command ends, and what it prints. */
async function holdfast(...args) {
	const run = execFileAsync(process.execPath, [command, ...args], { maxBuffer: 1 << 28 });
	return run.then(
		({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
		({ code, stdout, stderr }) => ({ code, stdout, stderr }),
	);
}

/** The lines it prints of these bytes, which it takes without complaint. */
async function linesOf(bytes, ...args) {
	const { code, stdout, stderr } = await holdfast("log", stored(bytes), ...args);
	assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
	assert.ok(stdout.endsWith("\n"));
	return stdout.slice(0, -1).split("\n");
}

function stored(bytes) {
	const path = join(directory, "stored");
	writeFileSync(path, bytes);
	return path;
}

/** What it says of bytes that it cannot read. */
async function refusalOf(bytes) {
	const { code, stdout, stderr } = await holdfast("log", stored(bytes));
	assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
	assert.equal(stderr.split("\n").length, 2, stderr);
	return stderr;
}

// ---------------------------------------------------------------------------------------------------- bytes

/** The bytes of a code block of FORMAT.md, which begins with these; its comments are no bytes. */
function example(start) {
	const blocks = readFileSync(join(ROOT, "FORMAT.md"), "utf8").split("```");
	const block = blocks.find((text) => text.startsWith(`\n${start}`));
	assert.ok(block, `FORMAT.md has no example that begins with ${start}`);
	const bytes = block.split("\n").map((line) => /^(?: *[0-9a-f]{2}(?![^ ]))*/.exec(line)[0]);
	return Buffer.from(bytes.join("").replaceAll(" ", ""), "hex");
}

function numbers(bytes, fields) {
	const buffer = Buffer.alloc(bytes);
	for (const [at, value] of fields) {
		if (typeof value === "bigint") buffer.writeBigUInt64LE(value, at);
		else if (typeof value === "number") buffer.writeUInt32LE(value, at);
		else buffer.write(value, at, "latin1");
	}
	return buffer;
}

function varint(value) {
	const bytes = [];
	let rest = value;
	for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
	return Buffer.from([...bytes, rest]);
}

const text = (of) => [varint(Buffer.byteLength(of)), Buffer.from(of)];
/** The value is a string, tagged `S`. */
const set = (key, value) => Buffer.concat([Buffer.of(0), ...text(key), ...text(`S${value}`), Buffer.of(0)]);
const remove = (key) => Buffer.concat([Buffer.of(1), ...text(key)]);

function frame(seq, ops, epoch = 2n) {
	const payload = Buffer.concat([Buffer.of(0), varint(ops.length), ...ops]);
	const header = numbers(40, [
		[0, payload.length],
		[8, BigInt(seq)],
		[16, epoch],
		[32, xxh64(payload, 0, payload.length, SALT)],
	]);
	const checked = Buffer.concat([header.subarray(0, 4), header.subarray(8)]);
	header.writeUInt32LE(Number(xxh64(checked, 0, 36, SALT) & 0xffffffffn), 4);
	return Buffer.concat([header, payload]);
}

function headerOf(fields) {
	const header = numbers(64, [[8, 1], ...fields, [32, SALT]]);
	header.writeBigUInt64LE(xxh64(header, 0, 56, 0n), 56);
	return header;
}

/** Segment 3 of epoch 2, from seq 17 on. */
function segment(...frames) {
	const header = headerOf([
		[0, "HFLOG\r\n\x1a"],
		[16, 3n],
		[24, 2n],
		[40, 17n],
	]);
	return Buffer.concat([header, header, ...frames]);
}

/** A snapshot at seq 42, as an export has it. */
function snapshot(entries) {
	const writer = new SnapshotWriter(42);
	for (const [key, value] of entries) {
		writer.add({ key: Buffer.from(key), value: Buffer.from(`S${value}`), expiresAt: 0 });
	}
	writer.finish();
	return Buffer.concat(writer.ready);
}

/** A slot of the header of a pool's file. */
function slot(counter, name, version = 1) {
	const bytes = numbers(72, [
		[0, "HFPF"],
		[4, version],
		[8, counter],
		[17, name],
	]);
	bytes[16] = name.length;
	bytes.writeBigUInt64LE(xxh64(bytes, 0, 64, 0n), 64);
	return bytes;
}

function poolFile(slots, blob = Buffer.alloc(0)) {
	const header = Buffer.alloc(POOL_HEADER_BYTES);
	slots.forEach((bytes, i) => {
		bytes.copy(header, 2048 * i);
	});
	return Buffer.concat([header, blob]);
}

const FIRST_LINE = "# segment 3, epoch 2, from seq 17";
const twoFrames = () => segment(frame(17, [set("user:1", "Ada"), remove("user:2")]), frame(18, [set("user:3", "Eve")]));
const TWO_FRAMES = ['17 set "user:1" "Ada"', '17 delete "user:2"', '18 set "user:3" "Eve"'];

// ---------------------------------------------------------------------------------------------------- what it reads

test("the worked example of FORMAT.md", async () => {
	const header = example("48 46 4c 4f 47");
	const bytes = Buffer.concat([header, header, example("23 00 00 00")]);
	assert.deepEqual(await linesOf(bytes), [
		"# segment 1, epoch 1, from seq 1",
		'1 set "user:1" (damaged)',
		'1 set "k" (damaged) expires 2027-01-15T08:00:00.000Z',
		'1 delete "gone"',
		"# ends",
	]);
});

test("the golden files, whose values are not of the codec", async () => {
	const longest = "k".repeat(1024);
	const expected = {
		"log-1": [
			"# segment 1, epoch 1, from seq 1",
			'1 set "user:1" (damaged)',
			'2 set "session:9" (damaged) expires 2027-01-15T08:00:00.000Z',
			'3 set "user:2" (damaged)',
			'3 set "\ufffdcursor" (damaged)',
			'3 delete "user:1"',
			'3 clear from "session:" to "session;"',
			'3 set "user:3" (damaged) expires never',
			'4 delete "user:3"',
			"5 clear everything",
			`6 set "${longest}" (damaged)`,
			'7 set "large" (damaged)',
			'8 set "müller" (damaged)',
			'8 set "session:10" (damaged) expires 2100-01-01T00:00:00.000Z',
			'8 set "user:4" (damaged)',
			"# ends",
		],
		"log-2": ["# segment 2, epoch 1, from seq 9", '9 set "user:4" (damaged)', '10 delete "large"', "# ends"],
		"log-3": [
			"# segment 3, epoch 2, from seq 11",
			'11 set "user:5" (damaged)',
			'12 set "user:6" (damaged)',
			'12 delete "session:10"',
			"# ends",
		],
		"snap-2": [
			"# snapshot at seq 8",
			`6 set "${longest}" (damaged)`,
			'7 set "large" (damaged)',
			'8 set "müller" (damaged)',
			'8 set "session:10" (damaged) expires 2100-01-01T00:00:00.000Z',
			'8 set "user:4" (damaged)',
			'3 set "\ufffdcursor" (damaged)',
			"# ends",
		],
	};
	for (const [name, lines] of Object.entries(expected)) {
		assert.deepEqual(await linesOf(readFileSync(join(FIXTURES, `${name}.bin`))), lines, name);
	}
});

test("a segment: whole, with zeros behind it, and with one good copy of its header", async () => {
	const bytes = twoFrames();
	assert.deepEqual(await linesOf(bytes), [FIRST_LINE, ...TWO_FRAMES, "# ends"]);
	const zeros = Buffer.concat([bytes, Buffer.alloc(9)]);
	assert.deepEqual(await linesOf(zeros), [FIRST_LINE, ...TWO_FRAMES, `# zeros from byte ${bytes.length}`]);
	assert.deepEqual(await linesOf(bytes.fill(0, 0, 64)), [FIRST_LINE, ...TWO_FRAMES, "# ends"]);
});

test("a segment that is torn at any byte of its last frame, or has a bit flipped in it", async () => {
	const bytes = segment(frame(17, [remove("k")]), frame(18, [set("k", "v")]));
	const last = frame(18, [set("k", "v")]).length;
	const lastAt = bytes.length - last;
	const before = [FIRST_LINE, '17 delete "k"'];
	assert.deepEqual(await linesOf(bytes), [...before, '18 set "k" "v"', "# ends"]);
	assert.deepEqual(await linesOf(bytes.subarray(0, lastAt)), [...before, "# ends"]);
	for (let left = 1; left < last; left++) {
		const end = `# torn or damaged at byte ${lastAt}: ${left} bytes left out`;
		assert.deepEqual(await linesOf(bytes.subarray(0, lastAt + left)), [...before, end], `${left} bytes left`);
	}
	const end = `# torn or damaged at byte ${lastAt}: ${last} bytes left out`;
	// In each field of its header, and in its first and last op bytes.
	for (const at of [0, 4, 8, 16, 24, 32, 40, last - 1]) {
		const flipped = Buffer.from(bytes);
		flipped[lastAt + at] ^= 1 << (at % 8);
		assert.deepEqual(await linesOf(flipped), [...before, end], `byte ${at} of the frame`);
	}
});

test("a frame that is whole but does not belong there, or is no batch, ends it", async () => {
	const first = frame(17, [set("k", "v")]);
	for (const second of [frame(19, [set("k", "w")]), frame(18, [set("k", "w")], 1n), frame(18, [Buffer.of(9)])]) {
		assert.deepEqual(await linesOf(segment(first, second)), [
			FIRST_LINE,
			'17 set "k" "v"',
			`# torn or damaged at byte ${128 + first.length}: ${second.length} bytes left out`,
		]);
	}
});

test("a snapshot, and an export: whole, packed, with a bit flipped anywhere, torn anywhere", async () => {
	const entries = Array.from({ length: 3 }, (_, i) => [`key ${i}`, String(i).repeat(20_000)]);
	const bytes = snapshot(entries);
	const lines = entries.map(([key, value]) => `42 set "${key}" "${value}"`);
	const whole = ["# snapshot at seq 42", ...lines, "# ends"];
	assert.deepEqual(await linesOf(bytes, "--full"), whole);
	assert.deepEqual(await linesOf(gzipSync(bytes), "--full"), whole);
	const cut = lines.map((line) => `${line.slice(0, line.indexOf('" "') + 2 + 200)}... (20001 bytes)`);
	assert.deepEqual(await linesOf(bytes), ["# snapshot at seq 42", ...cut, "# ends"]);

	// An entry has a block of its own here.
	const blockAts = [64];
	while (blockAts.length < 4) blockAts.push(blockAts.at(-1) + 24 + bytes.readUInt32LE(blockAts.at(-1)));
	assert.equal(blockAts[3] + 24, bytes.length);
	const partly = (good, there) => {
		const rest = there.subarray(blockAts[good]);
		const end = rest.some((byte) => byte !== 0)
			? `# torn or damaged at byte ${blockAts[good]}: ${rest.length} bytes left out`
			: `# zeros from byte ${blockAts[good]}`;
		return ["# snapshot at seq 42", ...cut.slice(0, good), "# not whole: a store takes nothing of it", end];
	};
	for (let good = 0; good < 4; good++) {
		for (const at of [blockAts[good], blockAts[good] + 8, blockAts[good] + 20]) {
			const flipped = Buffer.from(bytes);
			flipped[at] ^= 0x10;
			assert.deepEqual(await linesOf(flipped), partly(good, flipped), `byte ${at}`);
			const torn = bytes.subarray(0, at + 1);
			assert.deepEqual(await linesOf(torn), partly(good, torn), `torn behind byte ${at}`);
		}
	}
	const zeros = Buffer.concat([bytes.subarray(0, blockAts[1]), Buffer.alloc(100)]);
	assert.deepEqual(await linesOf(zeros), partly(1, zeros));
	// Not compressed, so what is cut off is known: gzip's own last 8 bytes, the footer, and the end of the last block.
	const packed = gzipSync(bytes, { level: 0 });
	const unpacked = bytes.subarray(0, bytes.length - 24 - 5);
	assert.deepEqual(await linesOf(packed.subarray(0, packed.length - 8 - 24 - 5)), partly(2, unpacked));
	// How much zlib hands over before it finds damage is its own affair.
	packed[packed.length - 8 - 24 - 5] ^= 1;
	const damaged = await linesOf(packed);
	assert.equal(damaged.at(-2), "# not whole: a store takes nothing of it");
	assert.match(damaged.at(-1), /^# torn or damaged at byte \d+: \d+ bytes left out, and what cannot be unpacked$/);
});

test("a file of a pool, by the newer of its good slots", async () => {
	const blob = twoFrames();
	const named = [`${FIRST_LINE}, blob log-3`, ...TWO_FRAMES];
	assert.deepEqual(await linesOf(poolFile([slot(4n, "log-3")], blob)), [...named, "# ends"]);
	assert.deepEqual(await linesOf(poolFile([slot(4n, "log-2"), slot(5n, "log-3")], blob)), [...named, "# ends"]);
	assert.deepEqual(await linesOf(poolFile([slot(6n, "log-3"), slot(5n, "log-2")], blob)), [...named, "# ends"]);
	const torn = slot(9n, "log-9");
	torn[20] ^= 1;
	assert.deepEqual(await linesOf(poolFile([torn, slot(5n, "log-3")], blob)), [...named, "# ends"]);
	const padded = Buffer.concat([blob, Buffer.alloc(5)]);
	const zerosAt = POOL_HEADER_BYTES + blob.length;
	assert.deepEqual(await linesOf(poolFile([slot(1n, "log-3")], padded)), [...named, `# zeros from byte ${zerosAt}`]);
	const entries = [["k", "v"]];
	assert.deepEqual(await linesOf(poolFile([slot(1n, "snap-4")], snapshot(entries))), [
		"# snapshot at seq 42, blob snap-4",
		'42 set "k" "v"',
		"# ends",
	]);
	// More than is read from a file at once.
	const values = Array.from({ length: 9 }, (_, i) => String(i).repeat(30_000));
	const long = segment(...values.map((value, i) => frame(17 + i, [set("k", value)])));
	const lines = values.map((value, i) => `${17 + i} set "k" "${value}"`);
	assert.deepEqual(await linesOf(poolFile([slot(1n, "log-3")], long), "--full"), [named[0], ...lines, "# ends"]);
	for (const free of [poolFile([slot(7n, "")], blob), poolFile([slot(7n, "log-3")])]) {
		assert.deepEqual(await linesOf(free), ["# a free file of a store in OPFS"]);
	}
	assert.match((await linesOf(poolFile([slot(7n, "reserve")], Buffer.alloc(65_536))))[0], /^# room .* blob reserve$/);
	assert.match(await refusalOf(poolFile([torn], blob)), /its header is damaged/);
	assert.match(await refusalOf(poolFile([slot(1n, "log-3", 2)], blob)), /version 2; it takes a newer Holdfast/);
});

test("only what was written from one seq to another", async () => {
	const bytes = segment(...[17, 18, 19, 20].map((seq) => frame(seq, [set("k", String(seq))])));
	const seqs = async (...args) => (await linesOf(bytes, ...args)).slice(1, -1).map((line) => +line.split(" ")[0]);
	assert.deepEqual(await seqs("--from", "19"), [19, 20]);
	assert.deepEqual(await seqs("--to=18"), [17, 18]);
	assert.deepEqual(await seqs("--from", "18", "--to", "19"), [18, 19]);
	assert.deepEqual(await seqs("--from", "21"), []);
	const golden = await linesOf(readFileSync(join(FIXTURES, "snap-2.bin")), "--from=7", "--to=7");
	assert.deepEqual(golden, ["# snapshot at seq 8", '7 set "large" (damaged)', "# ends"]);
});

test("what is stored cannot drive a terminal or make lines", async () => {
	const hostile = Buffer.concat([Buffer.of(0), ...text("a\u009b\n"), ...text('J"\x1b[2J\x07"'), Buffer.of(0)]);
	const [, line, ...rest] = await linesOf(segment(frame(17, [hostile])));
	assert.equal(line, '17 set "a\\u009b\\n" "\\u001b[2J\\u0007"');
	assert.deepEqual(rest, ["# ends"]);
});

// ---------------------------------------------------------------------------------------------------- how it ends

test("what it cannot read: one line on stderr, and 1", async () => {
	const damaged = twoFrames();
	damaged[16] ^= 1;
	damaged[64 + 16] ^= 1;
	assert.match(await refusalOf(damaged), /its header is damaged/);
	const newer = headerOf([
		[0, "HFLOG\r\n\x1a"],
		[8, 2],
	]);
	assert.match(await refusalOf(newer), /version 2; it takes a newer Holdfast/);
	const flipped = snapshot([]);
	flipped[41] ^= 1;
	assert.match(await refusalOf(flipped), /the checksum of its header does not fit/);
	assert.match(await refusalOf(Buffer.from('{"holdfast":"entries","version":1,"seq":1}\n')), /NDJSON/);
	for (const bytes of [Buffer.alloc(0), Buffer.alloc(5000), Buffer.from("neither")]) {
		assert.match(await refusalOf(bytes), /no segment of an op log, no snapshot/);
	}
	assert.match(await refusalOf(gzipSync(twoFrames())), /behind gzip there is no snapshot/i);
	assert.match(await refusalOf(Buffer.from([0x1f, 0x8b, 1, 2, 3])), /cannot be unpacked/);
	const missing = await holdfast("log", join(directory, "missing"));
	assert.deepEqual({ code: missing.code, stdout: missing.stdout }, { code: 1, stdout: "" });
	assert.match(missing.stderr, /^holdfast: ENOENT.*\n$/);
	assert.equal((await holdfast("log", directory)).code, 1);
});

test("wrong usage: how to use it on stderr, and 2", async () => {
	const path = stored(twoFrames());
	const wrong = [
		[],
		["log"],
		["lag", path],
		["log", path, path],
		["log", path, "--form", "1"],
		...["0", "-1", "1.5", "x", "", "9007199254740992"].map((seq) => ["log", path, `--from=${seq}`]),
		["log", path, "--to"],
	];
	for (const args of wrong) {
		const { code, stdout, stderr } = await holdfast(...args);
		assert.deepEqual({ code, stdout }, { code: 2, stdout: "" }, args.join(" "));
		assert.match(stderr, /^holdfast: .*\n\nUsage: holdfast log <file>/s);
	}
});

test("--help and --version", async () => {
	const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
	assert.deepEqual(await holdfast("--version"), { code: 0, stdout: `${version}\n`, stderr: "" });
	for (const args of [["--help"], ["-h"], ["log", "--help"]]) {
		const { code, stdout, stderr } = await holdfast(...args);
		assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
		assert.match(stdout, /^Usage: holdfast log <file>/);
	}
});

test("a reader that has seen enough is no error", async () => {
	// More than any pipe holds.
	const bytes = segment(...Array.from({ length: 20_000 }, (_, i) => frame(17 + i, [set("k".repeat(900), "v")])));
	const child = spawn(process.execPath, [command, "log", stored(bytes)], { stdio: ["ignore", "pipe", "pipe"] });
	let stderr = "";
	child.stderr.on("data", (piece) => {
		stderr += piece;
	});
	child.stdout.once("data", () => child.stdout.destroy());
	const ended = await new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
	assert.deepEqual({ ...ended, stderr }, { code: 0, signal: null, stderr: "" });
});

test("installed from the tarball, it is the command `holdfast`, by itself and through npx", async () => {
	const app = join(directory, "app");
	const install = ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", app];
	await execFileAsync("npm", [...install, await packTarball()]);
	const bin = join(app, "node_modules", ".bin", "holdfast");
	assert.ok(existsSync(bin) && statSync(bin).mode & 0o100, "it can be run");
	const args = ["log", stored(twoFrames())];
	const expected = [FIRST_LINE, ...TWO_FRAMES, "# ends", ""].join("\n");
	assert.equal((await execFileAsync(bin, args)).stdout, expected);
	assert.equal((await execFileAsync("npx", ["--no", "holdfast", ...args], { cwd: app })).stdout, expected);
});
