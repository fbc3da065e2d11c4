/**
 * The benchmark's page: what to run is chosen, runs in frames, and is shown.
 *
 * `?engines=holdfast,indexeddb&levels=D2&workloads=scan&plan=quick` chooses beforehand; an engine that is named there is offered even if the page does not know it.
 * What needs a profile that nothing was ever opened in is left to `npm run bench`. When a run has ended, `document.body.dataset.run` is
 * "passed" or "failed".
 */

import { host } from "./frames.js";
import { markdownOf } from "./markdown.js";
import { PLANS } from "./plan.js";
import { faultsOf } from "./ratios.js";
import { element, show } from "./report.js";
import { turnsOf } from "./rounds.js";
import { runSample } from "./session.js";
import { WORKLOADS, workloadsOf } from "./workloads.js";

const LEVELS = { D1: "in memory", D2: "with the system", D3: "synced" };
const CHOSEN_FIRST = ["holdfast", "indexeddb", "map-json"];

const wanted = new URLSearchParams(location.search);
const built = await (await fetch("./built/engines.json")).json();
const chartOf = built.hasCharts ? (await import("./built/charts.js")).chartOf : undefined;
const engines = await aboutEngines([...new Set([...built.ids, ...listOf("engines")])]);
const workloads = WORKLOADS.filter(({ data }) => data !== "none");

const form = document.querySelector("#choice");
const progress = document.querySelector("#progress");
const now = document.querySelector("#now");
let isStopped = false;
let last;

function listOf(name) {
	return wanted.get(name)?.split(",") ?? [];
}

/** Each in a frame of its own, since some libraries do not bear one another. */
async function aboutEngines(ids) {
	const engines = [];
	for (const engine of ids) {
		const page = await host.page();
		engines.push(await page.phase("about", { engine }));
		await page.close();
	}
	return engines;
}

// ---- what to run -------------------------------------------------------------------------------------------------

function offer(id, choices) {
	const boxes = choices.map(({ value, text, title, isChosen }) =>
		element("label", { title }, element("input", { type: "checkbox", name: id, value, checked: isChosen }), text),
	);
	document.querySelector(`#${id}`).append(...boxes);
}

const chosenFirst = wanted.has("engines") ? listOf("engines") : CHOSEN_FIRST;
offer(
	"engines",
	engines.map(({ id, name, version, levels }) => ({
		value: id,
		text: name,
		title: [version, ...Object.entries(levels).map(([level, settings]) => `${level}: ${settings}`)].join("\n"),
		isChosen: chosenFirst.includes(id),
	})),
);
offer(
	"levels",
	Object.entries(LEVELS).map(([value, meaning]) => ({
		value,
		text: `${value} ${meaning}`,
		isChosen: !wanted.has("levels") || listOf("levels").includes(value),
	})),
);
offer(
	"workloads",
	workloads.map(({ id, title }) => ({ value: id, text: title, isChosen: listOf("workloads").includes(id) })),
);
if (wanted.get("plan") in PLANS) form.elements.plan.value = wanted.get("plan");
if (!wanted.has("workloads")) choosePlanned();
form.elements.plan.addEventListener("change", choosePlanned);

/** Chooses the workloads that the plan has. */
function choosePlanned() {
	const ids = workloadsOf(PLANS[form.elements.plan.value], "").map(({ id }) => id);
	for (const box of form.querySelectorAll("input[name=workloads]")) box.checked = ids.includes(box.value);
}

form.elements.run.disabled = false;

const chosen = (name) => [...form.querySelectorAll(`input[name=${name}]:checked`)].map(({ value }) => value);

// ---- running -----------------------------------------------------------------------------------------------------

form.addEventListener("submit", async (event) => {
	event.preventDefault();
	isStopped = false;
	form.elements.run.disabled = true;
	form.elements.stop.disabled = false;
	delete document.body.dataset.run;
	const run = beginning();
	try {
		await runAll(run);
		document.body.dataset.run = faultsOf(run).length > 0 ? "failed" : "passed";
		now.textContent = isStopped ? "Stopped." : "Done.";
	} catch (error) {
		document.body.dataset.run = "failed";
		now.textContent = `It failed: ${error.message}`;
	}
	form.elements.run.disabled = false;
	form.elements.stop.disabled = true;
});

form.elements.stop.addEventListener("click", () => {
	isStopped = true;
});

/** A run with what is chosen and no samples yet. */
function beginning() {
	const name = form.elements.plan.value;
	return {
		browser: "page",
		userAgent: navigator.userAgent,
		kind: `${name} run in one page`,
		at: new Date().toISOString().slice(0, 16),
		machine: `${navigator.hardwareConcurrency} cores`,
		plan: PLANS[name],
		engines: engines.filter(({ id }) => chosen("engines").includes(id)),
		samples: [],
	};
}

async function runAll(run) {
	const of = workloads.filter(({ id }) => chosen("workloads").includes(id));
	const turns = [...turnsOf({ engines: run.engines, levels: chosen("levels"), plan: run.plan, workloads: of })];
	progress.max = turns.reduce((sum, { steps }) => sum + steps.length, 0);
	progress.value = 0;
	const known = new Map();
	for (const { round, engine, level, steps } of turns) {
		if (isStopped) break;
		const report = (step, result) => {
			if (result) progress.value++;
			else now.textContent = `${engine.name} ${level}: ${[step.workload.title, step.size].filter(Boolean).join(", ")}`;
		};
		const results = await runSample({ host, engine, level, plan: run.plan, steps, known, report });
		run.samples.push({ round, engine: engine.id, level, results });
		show(document.querySelector("#report"), run, chartOf);
		last = run;
	}
	for (const button of document.querySelectorAll("#saving button")) button.disabled = !last;
}

// ---- saving ------------------------------------------------------------------------------------------------------

const save = (name, text) => {
	const link = element("a", { href: URL.createObjectURL(new Blob([text])), download: name });
	link.click();
	URL.revokeObjectURL(link.href);
};
document.querySelector("#save-json").addEventListener("click", () => save("run.json", JSON.stringify(last)));
document.querySelector("#save-markdown").addEventListener("click", () => save("run.md", markdownOf(last)));
