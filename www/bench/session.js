/**
 * One sample: everything that a run wants of one engine at one durability, in turn, in a profile of its own.
 *
 * `host` gives pages: `host.page()` resolves to `{ phase(name, spec), close() }`, each a page of its own that holds nothing of the one
 * before. What comes out is one result for each workload and size: `{ workload, size, figures, check }` or `{ workload, size, error }`.
 */

import { SIZES, specOf } from "./plan.js";
import { mainLevel } from "./workloads.js";

/** Phases of a sample, as `{ workload, size }`; `size` only where it reads or makes what `load` loads. */
export function stepsOf(engine, level, plan, workloads) {
	const isWanted = (workload) =>
		(workload.levels === "every" || level === mainLevel(engine)) &&
		!(workload.id in (engine.without ?? {})) &&
		!(engine.memory && workload.data === "none") &&
		!(engine.memory && workload.id === "reopen");
	const wanted = workloads.filter(isWanted);
	const alone = wanted.filter(({ data }) => data !== "loaded").map((workload) => ({ workload }));
	const loaded = plan.sizes.flatMap((size) =>
		wanted
			.filter((workload) => workload.data === "loaded" && hasSize(workload, size, plan))
			.map((workload) => ({ workload, size })),
	);
	return [...alone, ...loaded];
}

/** Reads are made at one size, what tells how cost grows at every size. */
function hasSize({ id }, size, plan) {
	return ["load", "reopen", "overwrite"].includes(id) || size === plan.readSize;
}

/** Runs the steps; `report(step, result)` after each. */
export async function runSample(host, engine, level, plan, steps, report) {
	let kept;
	const database = (name) => `bench-${engine.id}-${level}-${name}`.toLowerCase();
	const inPage = async (name, spec) => {
		// What a ceiling holds is gone with its page.
		const page = (engine.memory && kept) || (await host.page());
		if (engine.memory) kept = page;
		try {
			return await page.phase(name, { engine: engine.id, level, ...spec });
		} finally {
			if (!engine.memory) await page.close();
		}
	};
	const attempt = async (step, body) => {
		let result;
		try {
			result = await body();
		} catch (error) {
			result = { error: error.message };
		}
		report(step, { workload: step.workload.id, size: step.size, ...result });
	};

	for (const step of steps.filter(({ size }) => !size)) {
		const spec = { database: database(step.workload.id), ...specOf(plan, step.workload) };
		await attempt(step, () => inPage(step.workload.phase, spec));
	}
	for (const size of plan.sizes) {
		const on = steps.filter((step) => step.size === size);
		if (on.length === 0) continue;
		await runLoaded(on, size);
	}
	await kept?.close();

	async function runLoaded(on, size) {
		const spec = { database: database(size) };
		if (!on.some(({ workload }) => workload.id === "load")) await inPage("load", { ...spec, entries: SIZES[size] });
		for (const step of on)
			await attempt(step, () => inPage(step.workload.phase, { ...spec, ...specOf(plan, step.workload, size) }));
		await inPage("removeDatabase", spec);
	}
}
