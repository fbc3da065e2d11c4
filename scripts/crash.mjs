// Owns `npm run test:crash`: the crash tests, tier by tier, then the same tests against each mutant of the engine (mutants.mjs),
// which they have to find. One table says what was run.
//
//   npm run test:crash -- [--mutant <part of its name>]
//
// It works on a copy of the crate in target/crash, so that mutants never touch the sources; whatever cargo built there stays for the
// next run. Ends with 1 if a tier found a violation, or if a mutant could not be built, was found by no tier, or runs without end.
// Deliberately absent: the schedules in a browser (tests/web_crash.rs).

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkMutants, MUTANTS, mutate } from "./mutants.mjs";
import { elapsed, run, Steps } from "./progress.mjs";
import { ROOT, TARGET } from "./toolchain.mjs";

const TREE = join(TARGET, "crash", "tree");
const COPIED = ["Cargo.toml", "Cargo.lock", "src", "tests"];
/** Ten times what the longest takes. */
const RUN_MS_MAX = 300_000;

const crashes = (...tests) => tests.map((test) => ({ binary: "crash", args: [test, "--exact"] }));
/** What is run. A mutant meets the tests that are about it first, then what finds most of them in the shortest time. */
const TIERS = [
	...crashes("random_always"),
	// Tests of one situation each, for what crashes alone do not show: damage.
	{ binary: "recovery_table", args: [] },
	...crashes("random_everysec", "random_no"),
	{ binary: "crash_faults", args: [] },
	...crashes("exhaustive", "errors", "nested"),
	{ binary: "histories", args: [] },
	{ binary: "following", args: [] },
];

const { values: given } = parseArgs({ options: { mutant: { type: "string" } } });
const env = {
	CARGO_TARGET_DIR: join(TARGET, "crash", "build"),
	CARGO_PROFILE_DEV_DEBUG: "0",
	RUST_BACKTRACE: "0",
};

/** Builds a test binary of the copy; resolves to its path. */
async function build(name) {
	const args = ["test", "--test", name, "--no-run", "--quiet", "--message-format=json"];
	const messages = await run("cargo", args, { cwd: TREE, env });
	const artifacts = messages.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
	return artifacts.find(({ target, executable }) => executable && target.name === name).executable;
}

/** Runs a tier; resolves to its figures, with what its output says of a violation, if there is one. */
async function runTier({ binary, args }) {
	const path = await build(binary);
	const started = Date.now();
	let output;
	let violation;
	try {
		output = await run(path, [...args, "--test-threads=1"], { env, timeout_ms: RUN_MS_MAX });
	} catch ({ message }) {
		output = violation = message;
	}
	const ms = Date.now() - started;
	const figures = /figures: (\{.*\})/.exec(output)?.[1];
	// The last list of the harness.
	const failed = /failures:\s+(\S+)\s(?!.*failures:)/s.exec(output)?.[1];
	const runs = Number(/running (\d+) tests/.exec(output)?.[1]);
	// It did not get to its end, or had nothing to run.
	if (figures === undefined && (violation ? failed === undefined : !(runs > 0))) throw new Error(output);
	const counted = figures ? JSON.parse(figures) : { tier: binary, runs, violations: Number(violation !== undefined) };
	return {
		...counted,
		foundBy: figures ? counted.tier : `${binary} ${failed}`,
		after: figures && counted.runs,
		ms,
		violation,
	};
}

/** Breaks the copy and looks for the break, tier by tier; resolves to what found it. */
async function find(mutant) {
	const started = Date.now();
	const heal = mutate(TREE, mutant);
	try {
		const isAbout = ({ binary }) => binary === mutant.binary;
		for (const tier of [...TIERS.filter(isAbout), ...TIERS.filter((tier) => !isAbout(tier))]) {
			const result = await runTier(tier);
			if (result.violation) return { ...result, mutant, ms: Date.now() - started };
		}
		return { mutant, missed: "SURVIVES", ms: Date.now() - started };
	} catch ({ message }) {
		console.error(`\n${message}`);
		return { mutant, missed: "FAILED TO RUN", ms: Date.now() - started };
	} finally {
		heal();
	}
}

/** A table: columns are as wide as they need to be, those of numbers aligned to the right. */
function table(...rows) {
	const texts = rows.map((row) => row.map((value) => value?.toLocaleString("en") ?? ""));
	const columns = texts[0].map((_, at) => {
		const cells = texts.slice(1).map((row) => row[at] ?? "");
		const width = Math.max(...texts.map((row) => (row[at] ?? "").length));
		return cells.every((cell) => /^[\d,.]*$/.test(cell))
			? (text) => text.padStart(width)
			: (text) => text.padEnd(width);
	});
	return texts.map((row) => `  ${row.map((text, at) => columns[at](text)).join("  ")}`.trimEnd()).join("\n");
}

const seconds = (ms) => (ms / 1000).toFixed(1);
const sum = (rows, key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);

const started = Date.now();
checkMutants(ROOT);
const mutants = MUTANTS.filter(({ name }) => name.includes(given.mutant ?? ""));
rmSync(TREE, { recursive: true, force: true });
// With new times: cargo would take what it built of the last mutant for what it finds here.
for (const name of COPIED) cpSync(join(ROOT, name), join(TREE, name), { recursive: true });

const steps = new Steps();
const tiers = [];
const found = [];
try {
	for (const binary of new Set(TIERS.map(({ binary }) => binary))) {
		await steps.step(`${binary}, compiled`, () => build(binary));
	}
	for (const tier of TIERS) {
		const name = [tier.binary, ...tier.args.slice(0, 1)].join(" ");
		tiers.push(await steps.step(name, () => runTier(tier)));
	}
	// Only tests that pass can find anything.
	const violated = tiers.some(({ violation }) => violation);
	for (const mutant of violated ? [] : mutants)
		found.push(await steps.step(`mutant: ${mutant.name}`, () => find(mutant)));
} catch ({ message }) {
	console.error(`\n${message}`);
	process.exit(1);
}

for (const { violation } of tiers) if (violation) console.error(`\n${violation}`);
const columns = ["runs", "crashPoints", "recoveries", "nested", "faults", "swept", "violations"];
const heads = [
	"tier",
	"runs",
	"crash points",
	"recoveries",
	"nested",
	"errors",
	"sweeps",
	"violations",
	"seconds",
	"seed",
];
const figures = tiers.map((row) => [row.tier, ...columns.map((key) => row[key]), seconds(row.ms), row.seed]);
const total = ["total", ...columns.map((key) => sum(tiers, key)), seconds(sum(tiers, "ms"))];
console.log(`\n${table(heads, ...figures, total)}\n`);
const rows = found.map(({ mutant, missed, foundBy, after, ms }) => [
	mutant.name,
	seconds(ms),
	after,
	missed ?? foundBy,
]);
const all = ["total", seconds(sum(found, "ms"))];
console.log(`${table(["mutant", "seconds", "after runs", "found by"], ...rows, all)}\n`);

const violations = sum(tiers, "violations");
const missed = found.filter((result) => result.missed).length;
console.log(
	`${violations} violations; ${found.length - missed} of ${found.length} mutants found; ${elapsed(Date.now() - started)}`,
);
process.exit(violations + missed > 0 ? 1 : 0);
