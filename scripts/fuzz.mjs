// Owns the long run of the fuzz targets in fuzz/: `npm run test:fuzz`. Each target gets its time, one after the other; what it found
// worth keeping is kept in target/fuzz/corpus, so that the next run goes on from there. An input that fails stays in fuzz/artifacts.
//
//   npm run test:fuzz -- [--seconds 60] [--target batch,segment,snapshot,directory]
//
// Without a sanitizer: what is fuzzed has no unsafe code, and so any stable compiler will do. Debug assertions, overflow checks and a
// limit on memory are on. Ends with 1 if an input failed or a target did not run. Deliberately absent: the codec of values
// (src/ts/value.test.ts).

import { mkdirSync, readdirSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { run, SetupError, Steps } from "./progress.mjs";
import { ROOT, readToolchain, TARGET } from "./toolchain.mjs";

const TARGETS = ["batch", "segment", "snapshot", "directory"];
const SECONDS = 60;
/** One input takes well under a millisecond, or some for a directory. */
const INPUT_SECONDS_MAX = 10;
/** The run may end later than its time by one input, and by what the machine takes to begin. */
const LATE_SECONDS_MAX = 120;

const type = "string";
const { values: given } = parseArgs({ options: { seconds: { type }, target: { type } } });
const seconds = Number(given.seconds ?? SECONDS);
const targets = given.target?.split(",") ?? TARGETS;
const unknown = targets.filter((target) => !TARGETS.includes(target));
if (!Number.isInteger(seconds) || seconds < 1 || unknown.length > 0) {
	console.error(`usage: npm run test:fuzz -- [--seconds ${SECONDS}] [--target ${TARGETS.join(",")}]`);
	process.exit(2);
}

const cargo = (args, options) => {
	const { cargoFuzz } = readToolchain();
	const env = { PATH: `${dirname(cargoFuzz)}${delimiter}${process.env.PATH}` };
	const [command, ...others] = args;
	const build = ["--sanitizer", "none", "--target-dir", join(TARGET, "fuzz")];
	return run("cargo", ["fuzz", command, ...build, ...others], { cwd: ROOT, env, ...options });
};

/** What libFuzzer says of itself, as far as it has said it. */
class Statistics {
	executions = 0;
	perSecond = 0;
	coverage = 0;
	inputs = 0;

	take(line) {
		const number = (pattern) => Number(pattern.exec(line)?.[1] ?? Number.NaN);
		this.executions = number(/^(?:#|stat::number_of_executed_units:\s+)(\d+)/) || this.executions;
		this.perSecond = number(/(?:exec\/s:|stat::average_exec_per_sec:)\s+(\d+)/) || this.perSecond;
		this.coverage = number(/\bcov: (\d+)/) || this.coverage;
		this.inputs = number(/\bcorp: (\d+)/) || this.inputs;
	}

	toString() {
		return `${this.executions} executions, ${this.perSecond} a second, ${this.coverage} edges, ${this.inputs} inputs`;
	}
}

/** Runs a target for its time; resolves to its statistics and to what went wrong, if something did. */
async function fuzz(target, detail) {
	const kept = join(TARGET, "fuzz", "corpus", target);
	const seeds = join(ROOT, "fuzz", "corpus", target);
	mkdirSync(kept, { recursive: true });
	const statistics = new Statistics();
	let artifact;
	const options = [`-max_total_time=${seconds}`, `-timeout=${INPUT_SECONDS_MAX}`, "-print_final_stats=1"];
	try {
		await cargo(["run", target, kept, seeds, "--", ...options], {
			timeout_ms: (seconds + LATE_SECONDS_MAX) * 1000,
			detail: (line) => {
				statistics.take(line);
				artifact = /Test unit written to (\S+)/.exec(line)?.[1] ?? artifact;
				detail(String(statistics));
			},
		});
		// A target that ran nothing proves nothing.
		if (statistics.executions <= readdirSync(seeds).length) throw new Error(`${target} went no further than its seeds`);
		return { target, statistics };
	} catch ({ message }) {
		return { target, statistics, problem: message, artifact };
	}
}

const steps = new Steps();
try {
	await run(process.execPath, [join(ROOT, "scripts", "setup.mjs"), "fuzz"], { detail: (line) => console.log(line) });
	await steps.step("the fuzz targets, compiled", (detail) => cargo(["build"], { detail }));
} catch (error) {
	console.error(`\n${error.message}${error instanceof SetupError ? `\n  ${error.fix}` : ""}`);
	process.exit(1);
}

const results = [];
for (const target of targets) {
	const result = await steps.step(`${target}, ${seconds} s`, (detail) => fuzz(target, detail));
	results.push(result);
	if (result.problem === undefined) continue;
	console.error(`\n${result.problem}\n`);
	if (result.artifact === undefined) continue;
	console.error(`The input is ${relative(ROOT, result.artifact)}. To keep it as a test and to run it again:`);
	console.error(`  cp ${relative(ROOT, result.artifact)} fuzz/corpus/${target}/`);
	console.error("  cargo test --test fuzz_smoke the_corpus_survives\n");
}

console.log("");
for (const { target, statistics, problem } of results) {
	console.log(`  ${(problem === undefined ? "passed" : "failed").padEnd(8)}${target.padEnd(11)}${statistics}`);
}
const failed = results.filter(({ problem }) => problem !== undefined).length;
const executions = results.reduce((sum, { statistics }) => sum + statistics.executions, 0);
console.log(`\n${executions} executions, ${results.length - failed} targets passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
