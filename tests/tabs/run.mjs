// Runs the simulation of many tabs: `node tests/tabs/run.mjs --schedules N --seed S`.
//
// Owns the bundle of the sources with the simulation, the two threads that run the schedules, their progress, and what is printed of
// failures: the seed of each, with which `--schedules 1` repeats it. Needs what `scripts/build.mjs` leaves in target/.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { elapsed } from "../../scripts/progress.mjs";
import { ROOT, TARGET } from "../../scripts/toolchain.mjs";
import { FIGURES } from "./figures.mjs";

const SCHEDULES = 50_000;
const THREADS = 2;
/** A schedule that takes so long never ends. */
const STUCK_MS = 20_000;
const PROGRESS_MS = 5000;
const FAILURES_SHOWN = 5;

/** Bundles the simulation; `edit(path, text)` may change sources of src/ts. Gives the path. */
export async function bundle(outfile = join(TARGET, "tabs", "thread.mjs"), edit) {
	await build({
		entryPoints: [join(ROOT, "tests", "tabs", "thread.mjs")],
		...{
			outfile,
			bundle: true,
			minifySyntax: true,
			format: "esm",
			platform: "node",
			target: "node20",
			sourcemap: "inline",
			logLevel: "warning",
		},
		loader: { ".txt": "text", ".wasm": "base64" },
		plugins: [sources(edit)],
	});
	return outfile;
}

/** Large buffers cost more than all else in a schedule, which needs none. */
const SMALL = { BATCH_BYTES_MIN: 128, SCRATCH_BYTES_MIN: 2048 };

/** What calls the exports of the wasm, which have short names. */
const CALLERS = /\/src\/(ts\/wasm\.ts|backend\/glue\.js)$/;

/** What the glue keeps for an instance, nobody takes out of it when that one is let go of. */
const FORGET = "const unused = heap.length;\nexport function forget() { heap_next = heap.length = unused; }";

/** The sources, with what `edit` changes; there is one glue, also for what was generated. */
function sources(edit) {
	const bindgen = join(TARGET, "bindgen");
	const names = JSON.parse(readFileSync(join(bindgen, "exports.json"), "utf8"));
	return {
		name: "sources",
		setup({ onResolve, onLoad }) {
			onResolve({ filter: /\/glue\.js$/ }, () => ({ path: join(ROOT, "src", "backend", "glue.js") }));
			onLoad({ filter: /\/bindgen\/holdfast\.js$/ }, ({ path }) => ({
				contents: `${readFileSync(path, "utf8")}\n${FORGET}`,
			}));
			onLoad({ filter: /\/src\/(ts|backend)\/[^/]*\.(ts|js)$/ }, ({ path }) => {
				const source = readFileSync(path, "utf8");
				let contents = edit?.(path.slice(ROOT.length + 1), source) ?? source;
				if (path.endsWith("/numbers.ts"))
					for (const [name, bytes] of Object.entries(SMALL))
						contents = contents.replace(new RegExp(`(?<=export const ${name} = ).*(?=;)`), String(bytes));
				return {
					contents: CALLERS.test(path)
						? contents.replace(/(?<=\bwasm\.)\w+/g, (name) => names[name] ?? name)
						: contents,
					loader: path.endsWith("ts") ? "ts" : "js",
				};
			});
		},
	};
}

/** Runs schedules; gives figures, as numbers and as lines, and failures. `told` hears of progress. */
export async function simulate({
	script,
	schedules,
	seed,
	threads = THREADS,
	failuresMax = FAILURES_SHOWN,
	isTraced,
	told = () => {},
}) {
	const module = await WebAssembly.compile(readFileSync(join(TARGET, "bindgen", "holdfast.wasm")));
	const started = Date.now();
	const cpu = process.cpuUsage();
	const failures = [];
	const runs = Array.from({ length: threads }, (_, i) => {
		const shared = new Float64Array(new SharedArrayBuffer(8 * 64));
		const count = Math.ceil((schedules - i) / threads);
		const worker = new Worker(script, {
			workerData: { module, first: seed + i, step: threads, count, shared, failuresMax, isTraced },
			resourceLimits: { maxYoungGenerationSizeMb: 64 },
			execArgv: isTraced ? ["--enable-source-maps"] : [],
		});
		worker.on("message", (failure) => {
			failures.push(failure);
			told(textOf(failure));
		});
		return { shared, worker, count, at: -1, since: Date.now() };
	});
	const timer = setInterval(() => {
		for (const run of runs) {
			if (run.shared[0] !== run.at) Object.assign(run, { at: run.shared[0], since: Date.now() });
			else if (Date.now() - run.since > STUCK_MS && !run.isStuck) {
				run.isStuck = true;
				failures.push({ seed: run.at, faults: ["it never ends"] });
				void run.worker.terminate();
			}
		}
		const done = runs.reduce((sum, { shared }) => sum + shared[1], 0);
		told(`${done} of ${schedules} schedules, ${failures.length} failed, ${elapsed(Date.now() - started)}`);
	}, PROGRESS_MS);
	await Promise.all(
		runs.map(
			({ worker, shared, count }) =>
				new Promise((resolve, reject) => {
					worker.on("error", reject);
					worker.on("exit", () => {
						if (shared[1] < count && failures.length === 0)
							failures.push({ seed: shared[0], faults: ["its thread ended"] });
						resolve();
					});
				}),
		),
	).finally(() => clearInterval(timer));
	const figures = Object.fromEntries(
		Object.keys(FIGURES).map((name, at) => [name, runs.reduce((sum, { shared }) => sum + shared[1 + at], 0)]),
	);
	failures.sort((one, other) => one.seed - other.seed);
	return { figures, failures, lines: linesOf(figures, started, process.cpuUsage(cpu)) };
}

/** The figures as lines of text. */
function linesOf(figures, started, { user, system }) {
	const words = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
	return [
		...Object.entries(figures).map(([name, count]) => `${words(name)}: ${count.toLocaleString("en")}`),
		`${elapsed(Date.now() - started)}, ${((user + system) / 1e6).toFixed(1)} s of CPU`,
	];
}

/** A failure as text. */
export const textOf = ({ seed, faults }) => `seed ${seed} fails:\n  ${faults.slice(0, 6).join("\n  ")}`;

async function main() {
	const text = { type: "string" };
	const { values } = parseArgs({ options: { schedules: text, seed: text, threads: text, trace: { type: "boolean" } } });
	const schedules = Number(values.schedules ?? SCHEDULES);
	const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
	console.log(`Seeds from ${seed}.`);
	const { lines, failures } = await simulate({
		...{ script: await bundle(), schedules, seed, isTraced: values.trace },
		threads: Math.min(schedules, Number(values.threads ?? THREADS)),
		told: (line) => console.log(`  ... ${line}`),
	});
	console.log(lines.join("\n"));
	process.exitCode = failures.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
