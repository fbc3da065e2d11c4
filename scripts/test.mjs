// Owns `npm test`: sets the machine up, then runs every stage below in order, even after one has failed, and sums up.
// `npm test -- cargo e2e` runs only the stages named. Nothing after a failed build can say anything, so that one stops the run.
//
// A stage fails by throwing. The last line is `N passed, N failed, N skipped`, counted in stages; skipped are those that a failed
// build left without anything to test. Deliberately absent: retries.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, checkBudget } from "./build.mjs";
import { checkMutants } from "./mutants.mjs";
import { elapsed } from "./progress.mjs";
import { ROOT, readToolchain, TARGET, wasmEnv, wasmTestEnv } from "./toolchain.mjs";
import { prepareTypes } from "./types.mjs";

const WASM_TARGET = ["--target", "wasm32-unknown-unknown"];
const WARNINGS_ARE_ERRORS = ["--", "-D", "warnings"];

const STAGES = [
	{
		name: "format",
		about: "rustfmt and biome agree with the layout of the code",
		run: () =>
			inTurn(
				() => show("cargo", ["fmt", "--all", "--check"]),
				() => biome("format"),
			),
	},
	{
		name: "lint",
		about: "clippy natively and for wasm32, biome; the mutants of the crash tests fit the sources",
		run: () =>
			inTurn(
				async () => checkMutants(ROOT),
				() => biome("lint"),
				() => show("cargo", ["clippy", "--all-targets", ...WARNINGS_ARE_ERRORS]),
				() => show("cargo", ["clippy", "--all-targets", ...WASM_TARGET, ...WARNINGS_ARE_ERRORS], wasmEnv()),
			),
	},
	{
		name: "cargo",
		about: "cargo test, native",
		run: () => show("cargo", ["test"]),
	},
	{
		name: "wasm",
		about: "wasm-pack test in headless Chromium",
		run: () => {
			const browser = ["--headless", "--chrome", "--mode", "no-install"];
			// The crash tests tell their figures and seeds.
			const shown = ["--", "--", "--nocapture"];
			return show(readToolchain().wasmPack, ["test", ...browser, ...shown], wasmTestEnv());
		},
	},
	{
		name: "build",
		about: "dist/",
		run: buildOnce,
		stopsTheRun: true,
	},
	{
		name: "size",
		about: "the core within its budget",
		run: async () => checkBudget(await buildOnce()),
	},
	{
		name: "types",
		about:
			"tsc on the sources and their tests; on tests of the packed declarations, and on every example of the documentation",
		run: () =>
			inTurn(
				() => tsc("--noEmit"),
				async () => {
					for (const args of prepareTypes()) await tsc(...args);
				},
			),
	},
	{
		name: "ts",
		about: "unit tests of the TypeScript and of the benchmark's arithmetic",
		run: unitTests,
	},
	{
		name: "tabs",
		about: "many tabs of one store, simulated",
		run: () => nodeTests(testFiles(join(ROOT, "tests", "tabs"), ".test.mjs")),
	},
	{
		name: "e2e",
		about: "the built package and the demo in real browsers",
		// Two files at a time: most of it waits, for pages to load and for deadlines. Each has its own browsers, profiles and server.
		run: () => nodeTests(testFiles(join(ROOT, "tests", "e2e"), ".test.mjs"), ["--test-concurrency=2"]),
	},
];

/** Runs a program with its output on ours; rejects unless it ends with 0. */
function show(command, args, env = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, {
			cwd: ROOT,
			stdio: ["ignore", "inherit", "inherit"],
			env: { ...process.env, ...env },
		});
		child.on("error", reject);
		child.on("close", (code, signal) => {
			if (code === 0) resolve();
			else reject(new Error(`${[command, ...args].join(" ")}: ended with ${signal ?? code}`));
		});
	});
}

/** Runs every part, so that one failure does not hide the next, and throws what failed. */
async function inTurn(...parts) {
	const failures = [];
	for (const part of parts) await part().catch(({ message }) => failures.push(message));
	if (failures.length > 0) throw new Error(failures.join("\n"));
}

function biome(command) {
	const program = join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome");
	return show(process.execPath, [program, command, "--error-on-warnings", "--no-errors-on-unmatched"]);
}

function tsc(...args) {
	return show(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), ...args]);
}

let built;
function buildOnce() {
	built ??= build();
	return built;
}

/** Paths of the files below `directory` that end in `suffix`: Node 20's test runner takes no patterns. */
function testFiles(directory, suffix) {
	if (!existsSync(directory)) return [];
	const names = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith(suffix));
	return names.sort().map((name) => join(directory, name));
}

function nodeTests(files, options = []) {
	// A stage without a single test proves nothing and must not look as if it did.
	if (files.length === 0) throw new Error("no test files");
	return show(process.execPath, ["--test", "--test-reporter=spec", "--enable-source-maps", ...options, ...files]);
}

async function unitTests() {
	const outdir = join(TARGET, "ts-tests");
	rmSync(outdir, { recursive: true, force: true });
	const esbuild = await import("esbuild");
	await esbuild.build({
		entryPoints: testFiles(join(ROOT, "src", "ts"), ".test.ts"),
		outbase: join(ROOT, "src", "ts"),
		outdir,
		outExtension: { ".js": ".mjs" },
		bundle: true,
		packages: "external",
		platform: "node",
		format: "esm",
		target: "node20",
		sourcemap: "inline",
		loader: { ".txt": "text", ".wasm": "base64" },
		logLevel: "warning",
	});
	return nodeTests([...testFiles(outdir, ".test.mjs"), ...testFiles(join(ROOT, "tests", "bench"), ".test.mjs")]);
}

function stagesNamed(names) {
	const unknown = names.filter((name) => !STAGES.some((stage) => stage.name === name));
	if (unknown.length > 0) {
		console.error(`no stage is called ${unknown.join(", ")}; there are: ${STAGES.map(({ name }) => name).join(" ")}`);
		process.exit(2);
	}
	return names.length > 0 ? STAGES.filter(({ name }) => names.includes(name)) : STAGES;
}

async function runStage({ name, about, run }) {
	console.log(`\n=== ${name}: ${about} ===\n`);
	const started = Date.now();
	let failure = null;
	try {
		await run();
	} catch (error) {
		failure = error.message.split("\n")[0];
		console.error(`\n${error.message}`);
	}
	const outcome = failure === null ? "passed" : "failed";
	const ms = Date.now() - started;
	console.log(`\n--- ${name} ${outcome} in ${elapsed(ms)} ---`);
	return { name, outcome, note: failure ?? "", ms };
}

const started = Date.now();
const stages = stagesNamed(process.argv.slice(2));
process.chdir(ROOT);
try {
	await show(process.execPath, [join(ROOT, "scripts", "setup.mjs"), "test"]);
} catch {
	process.exit(1);
}

const results = [];
let stopped = false;
for (const stage of stages) {
	if (stopped) {
		results.push({ name: stage.name, outcome: "skipped", note: "the build failed", ms: 0 });
		continue;
	}
	const result = await runStage(stage);
	results.push(result);
	stopped = stage.stopsTheRun && result.outcome === "failed";
}

console.log(`\n=== summary, ${elapsed(Date.now() - started)} ===\n`);
for (const { name, outcome, note, ms } of results) {
	console.log(`  ${outcome.padEnd(8)}${name.padEnd(8)}${elapsed(ms).padStart(8)}${note && `   ${note}`}`);
}
const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
console.log(`\n${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`);
process.exit(count("failed") > 0 ? 1 : 0);
