// What a checkpoint of a large store costs the page: `npm run test:slices`, in Chromium and Firefox.
//
// A store of 100 MB on OPFS and on IndexedDB is written to at a steady pace: during a checkpoint that finds all of it new, then in
// turn without a checkpoint and during one that finds what was written since. Prints how long calls of `set` waited and, in Chromium,
// the longest task of the page's main thread, how much CPU time the one with the most of it took and how much of that the browser's
// garbage collection, and how many took more than 8 ms. CPU time, because the wall clock also counts the time that other programs had.
// What a phase leaves for the collector is collected before the next one begins, so that each pays for itself.
//
//   npm run test:slices -- [--browser chromium,firefox] [--backend opfs,idb] [--entries 100000] [--value-bytes 1000] [--profile]
//
// `--profile` shows where the longest tasks spent their time; starting the profiler is a long task itself. Units: ms, MB of 10^6
// bytes; `load` is what the system says of the last minute. Ends with 1 when a task during a checkpoint took more than 8 ms of CPU
// time in Chromium, or when the p99 of `set` was more than twice that of the phase in front of it in more than half of the checkpoints.

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { Steps } from "../../scripts/progress.mjs";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const TASK_MS_MAX = 8;
const P99_FACTOR_MAX = 2;
const NORMAL_MS = 6000;
const CHECKPOINTS = 5;
const STEP_MS = 300_000;

const TRACED = ["__metadata", "v8", "devtools.timeline", "disabled-by-default-devtools.timeline"];
const PROFILED = ["disabled-by-default-v8.cpu_profiler", "disabled-by-default-v8.cpu_profiler.hires"];
/** Of a profile: tasks, parts of each, and functions of each call stack that are shown. */
const SHOWN = { tasks: 5, parts: 10, stack: 5 };

/** One phase: its row of the table, and what to show of its longest tasks. */
async function measurePhase(page, title, msMin, { isTraced, profile }) {
	const run = () => page.runFor(STEP_MS, (msMin) => measure(msMin), msMin);
	if (isTraced) await (await page.cdp()).send("HeapProfiler.collectGarbage");
	const categories = profile ? [...TRACED, ...PROFILED] : TRACED;
	const { value: report, events } = isTraced ? await page.trace(categories, run) : { value: await run() };
	const latenciesMs = (await page.run(() => latencies())).sort((a, b) => a - b);
	const { thread, tasks } = isTraced ? mainThread(events) : {};
	const most = tasks?.reduce((most, task) => (task.cpuMs > most.cpuMs ? task : most));
	const row = {
		title,
		load: loadavg()[0],
		ms: report?.ms ?? msMin,
		bytes: report?.bytes ?? 0,
		sets: latenciesMs.length,
		p50: quantile(latenciesMs, 0.5),
		p99: quantile(latenciesMs, 0.99),
		slowest: latenciesMs.at(-1),
		longestMs: tasks && Math.max(...tasks.map(({ ms }) => ms)),
		mostCpuMs: most?.cpuMs,
		collectorMs: most && collectorMs(events, thread, most),
		long: tasks?.filter(({ cpuMs }) => cpuMs > TASK_MS_MAX).length,
	};
	return { row, shown: profile ? profileOf(tasks, events, thread) : [] };
}

/** The CPU time that the garbage collector took in a task. */
const collectorMs = (events, { pid, tid }, { start, end }) =>
	events
		.filter((event) => ["MajorGC", "MinorGC"].includes(event.name) && event.pid === pid && event.tid === tid)
		.filter(({ ts }) => ts >= start && ts < end)
		.reduce((sum, { tdur = 0 }) => sum + tdur / 1000, 0);

const quantile = (sorted, q) => sorted[Math.floor((sorted.length - 1) * q)];

/** Of all main threads in the trace the one with the most tasks, and these. */
function mainThread(events) {
	const threads = events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
	const withTasks = threads.map((thread) => ({ thread, tasks: tasksOf(events, thread) }));
	return withTasks.sort((a, b) => b.tasks.length - a.tasks.length)[0];
}

// Traces count in microseconds. The clock of CPU time goes in steps on some machines: no task takes more of it than it lasts.
function tasksOf(events, { pid, tid }) {
	return events
		.filter((event) => event.name === "RunTask" && event.ph === "X" && event.pid === pid && event.tid === tid)
		.map(({ ts, dur, tdur = 0 }) => ({ start: ts, end: ts + dur, ms: dur / 1000, cpuMs: Math.min(dur, tdur) / 1000 }));
}

/** Lines that tell what the longest tasks did: events inside them in brackets, and call stacks, innermost first. */
function profileOf(tasks, events, { pid, tid }) {
	const samples = samplesOf(events, { pid, tid });
	const longest = tasks.toSorted((a, b) => b.cpuMs - a.cpuMs).slice(0, SHOWN.tasks);
	return longest.flatMap(({ start, end, ms, cpuMs }) => {
		const parts = new Map();
		const add = (part, us) => parts.set(part, (parts.get(part) ?? 0) + us / 1000);
		for (const event of events) {
			const isInside = event.pid === pid && event.tid === tid && event.ts >= start && event.ts < end;
			if (isInside && event.dur > 1000 && !event.name.endsWith("RunTask")) add(`[${event.name}]`, event.dur);
		}
		for (const { at, us, stack } of samples) if (at >= start && at < end) add(stack, us);
		const sorted = [...parts].sort(([, a], [, b]) => b - a).slice(0, SHOWN.parts);
		return [
			`a task of ${round(ms)} ms, ${round(cpuMs)} ms of CPU time`,
			...sorted.map(([part, ms]) => `  ${round(ms).padStart(6)}  ${part}`),
		];
	});
}

/** What the profiler saw on that thread: when, for how long, and the call stack. */
function samplesOf(events, { pid, tid }) {
	const ordered = events.filter((event) => event.pid === pid).sort((a, b) => a.ts - b.ts);
	const profile = ordered.find(({ name, tid: thread }) => name === "Profile" && thread === tid);
	const nodes = new Map();
	const stackOf = (id) => {
		const stack = [];
		for (let node = nodes.get(id); node && stack.length < SHOWN.stack; node = nodes.get(node.parent)) {
			const { functionName, url } = node.callFrame;
			stack.push(`${functionName || "?"}${url ? ` ${url.split("/").at(-1)}` : ""}`);
		}
		return stack.join(" < ");
	};
	let at = profile.args.data.startTime;
	return ordered
		.filter(({ name, id }) => name === "ProfileChunk" && id === profile.id)
		.flatMap(({ args: { data } }) => {
			for (const node of data.cpuProfile?.nodes ?? []) nodes.set(node.id, node);
			return (data.timeDeltas ?? []).map((us, i) => {
				at += us;
				return { at, us, stack: stackOf(data.cpuProfile.samples[i]) };
			});
		});
}

const round = (ms) => ms?.toFixed(ms < 10 ? 1 : 0) ?? "-";

const COLUMNS = {
	"": ({ title }) => title,
	load: ({ load }) => load.toFixed(1),
	ms: ({ ms }) => ms.toFixed(0),
	MB: ({ bytes }) => (bytes / 1e6).toFixed(0),
	sets: ({ sets }) => String(sets),
	p50: ({ p50 }) => round(p50),
	p99: ({ p99 }) => round(p99),
	slowest: ({ slowest }) => round(slowest),
	"longest task": ({ longestMs }) => round(longestMs),
	"most CPU time": ({ mostCpuMs }) => round(mostCpuMs),
	"of it collector": ({ collectorMs }) => round(collectorMs),
	[`over ${TASK_MS_MAX}`]: ({ long }) => String(long ?? "-"),
};

function printTable(rows) {
	const table = [Object.keys(COLUMNS), ...rows.map((row) => Object.values(COLUMNS).map((cell) => cell(row)))];
	const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
	console.log("");
	for (const cells of table) console.log(cells.map((cell, column) => cell.padStart(widths[column])).join("  "));
}

const { values: given } = parseArgs({
	options: {
		browser: { type: "string", default: "chromium,firefox" },
		backend: { type: "string", default: "opfs,idb" },
		entries: { type: "string", default: "100000" },
		"value-bytes": { type: "string", default: "1000" },
		profile: { type: "boolean", default: false },
	},
});
const site = await startSite(await packPackage());
const steps = new Steps();
const rows = [];
const results = [];
const failures = [];

/** All phases in one page of a browser. */
async function measureStore(name, backend) {
	const isTraced = name === "chromium";
	const title = `${name}, ${backend}`;
	const phase = (page, what, msMin) =>
		steps.step(`${title}: ${what}`, async () => {
			const how = { isTraced, profile: given.profile && isTraced };
			const { row, shown } = await measurePhase(page, `${title}, ${what}`, msMin, how);
			for (const line of shown) console.log(`      ${line}`);
			rows.push(row);
			return row;
		});
	const measured = async (page) => {
		const sizes = [Number(given.entries), Number(given["value-bytes"])];
		await steps.step(`${title}: fill`, () => page.runFor(STEP_MS, (...given) => fill(...given), backend, ...sizes));
		const checkpoints = [await phase(page, "checkpoint of all of it", 0)];
		const factors = [];
		for (let n = 0; n < CHECKPOINTS; n++) {
			const normal = await phase(page, "no checkpoint", NORMAL_MS);
			checkpoints.push(await phase(page, "checkpoint", 0));
			factors.push(checkpoints.at(-1).p99 / normal.p99);
		}
		factors.sort((a, b) => a - b);
		const factor = quantile(factors, 0.5);
		results.push(`${title}: p99 during a checkpoint ${factors.map(round).join(", ")} times that without one`);
		if (!isTraced) return;
		for (const { title, mostCpuMs } of checkpoints)
			if (mostCpuMs > TASK_MS_MAX) failures.push(`${title}: a task took ${round(mostCpuMs)} ms of CPU time`);
		if (factor > P99_FACTOR_MAX)
			failures.push(`${title}: p99 during a checkpoint ${round(factor)} times that without one`);
	};
	const browser = await startBrowser(name);
	try {
		await browser.page(`${site.origin}/slices`, measured);
	} finally {
		await browser.end();
	}
}

for (const name of given.browser.split(","))
	for (const backend of given.backend.split(",")) await measureStore(name, backend);
await site.stop();
printTable(rows);
for (const result of results) console.log(result);
for (const failure of failures) console.error(failure);
process.exit(failures.length > 0 ? 1 : 0);
