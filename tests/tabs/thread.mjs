// A thread that runs schedules: bundled with the sources (`run.mjs`). Gets the compiled engine, the seeds and a shared array of
// numbers: the schedule it is at, and then its figures.

import { parentPort, workerData } from "node:worker_threads";
import { thread } from "../../src/backend/glue.js";
import { forget } from "../../target/bindgen/holdfast.js";
import { install } from "./clock.mjs";
import { FIGURES } from "./figures.mjs";
import { runSchedule } from "./schedule.mjs";

/** What tabs that crashed leave in an instance of the engine goes with it. */
const SCHEDULES_PER_INSTANCE = 20;

const { module, first, step, count, shared, failuresMax, isTraced } = workerData;
const figures = { ...FIGURES };
const names = Object.keys(FIGURES);
const turn = () => new Promise((resolve) => setImmediate(resolve));

let clock;
let trouble = () => {};
process.on("unhandledRejection", (error) => trouble(`nobody waits for ${error?.stack ?? JSON.stringify(error)}`));
install(() => clock);
// Errors are made all the time, and where is known from the seed.
if (!isTraced) Error.stackTraceLimit = 0;

let failures = 0;
for (let i = 0; i < count && failures < failuresMax; i++) {
	const seed = first + i * step;
	shared[0] = seed;
	const faults = await runSchedule({
		...{ seed, module, figures, isTraced },
		enter: (own, told) => {
			clock = own;
			trouble = told;
		},
	});
	await turn();
	if (faults.length > 0) {
		failures++;
		parentPort.postMessage({ seed, faults });
	}
	trouble = () => {};
	if (i % SCHEDULES_PER_INSTANCE === SCHEDULES_PER_INSTANCE - 1) {
		thread.failed(new Error("the next instance"));
		await turn();
		forget();
	}
	names.forEach((name, at) => {
		shared[1 + at] = figures[name];
	});
}
