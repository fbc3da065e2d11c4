/**
 * One sample: everything that a run wants of one engine at one durability, in turn, in a profile of its own.
 *
 * `host` gives pages: `host.page()` resolves to `{ phase(name, spec), close() }`, each a page of its own that holds nothing of the one
 * before; `isUsed` if databases of the same names may be there, and `downloaded()` where it can tell what pages downloaded since the step
 * began, in bytes: `{ raw, gzip, brotli }`. What comes out is one result for each workload and size: `{ workload, size, figures, check, tookMs }`,
 * or with `without` (a reason) or `error` (a message) in place of figures.
 */

import { SIZES, specOf } from "./plan.js";
import { median } from "./statistics.js";
import { mainLevel } from "./workloads.js";

/** Workloads that are run at every size; the others that read what `load` loaded at one. */
const AT_EVERY_SIZE = ["load", "reopen", "get-uniform", "overwrite"];
/** And those that are run beyond that one, at the main durability. */
const AT_LARGE_SIZES = ["load", "reopen", "get-uniform"];

/** Why an engine is not asked for a workload, if it is not. */
export function reasonAgainst(engine, workload) {
	const needsDisk = ["none", "left"].includes(workload.data) || workload.id === "reopen";
	if (engine.memory && needsDisk) return "nothing is stored";
	return engine.without?.[workload.id];
}

/** What a sample consists of, as `{ workload, size }`; `size` only where it reads or makes what `load` loads. */
export function stepsOf(engine, level, plan, workloads) {
	const isMain = level === mainLevel(engine);
	const wanted = workloads.filter(
		(workload) => (workload.levels === "every" || isMain) && !reasonAgainst(engine, workload),
	);
	const isAt = ({ id }, size) => {
		if (SIZES[size] > SIZES[plan.readSize]) return isMain && AT_LARGE_SIZES.includes(id);
		return size === plan.readSize || AT_EVERY_SIZE.includes(id);
	};
	const onLoaded = wanted.filter(({ data }) => data === "loaded");
	return [
		...wanted.filter(({ data }) => data !== "loaded").map((workload) => ({ workload })),
		...plan.sizes.flatMap((size) => onLoaded.filter((one) => isAt(one, size)).map((workload) => ({ workload, size }))),
	];
}

/**
 * Runs the steps. `known` has the digests of earlier samples, which were compared with what was written, and is added to. `report(step)`
 * comes before each, `report(step, result)` behind it.
 */
export async function runSample({ host, engine, level, plan, steps, known, report }) {
	const session = new Session(host, engine, level);
	const results = [];

	async function attempt(step, body) {
		report(step);
		const begun = performance.now();
		const result = { workload: step.workload.id, size: step.size };
		const place = [step.workload.id, step.size].join(" ");
		try {
			Object.assign(result, await body({ ...specOf(plan, step.workload, step.size), known: known.get(place) }));
			if (result.check) known.set(place, result.check);
		} catch (error) {
			result.error = error.message;
		}
		result.tookMs = Math.round(performance.now() - begun);
		results.push(result);
		report(step, result);
	}

	for (const step of steps.filter(({ size }) => !size)) {
		const database = session.database(step.workload.id);
		await attempt(step, (spec) => session.run(step.workload, { ...spec, database }));
	}
	for (const size of plan.sizes) {
		const onSize = steps.filter((step) => step.size === size);
		if (onSize.length === 0) continue;
		const database = session.database(size);
		const loadMs = (SIZES[size] * lastLoad(results)) / 1000;
		if (loadMs > plan.loadMsMax) {
			const without = `its load would take ${Math.round(loadMs / 1000)} s`;
			for (const step of onSize) await attempt(step, async () => ({ without }));
			continue;
		}
		if (host.isUsed) await session.inPage("removeDatabase", { database });
		if (onSize[0].workload.id !== "load") await session.inPage("load", { database, entries: SIZES[size] });
		for (const step of onSize) await attempt(step, (spec) => session.run(step.workload, { ...spec, database }));
		await session.inPage("removeDatabase", { database });
	}
	await session.end();
	return results;
}

/** What the last load took, in microseconds an entry. */
function lastLoad(results) {
	return results.findLast(({ workload, figures }) => workload === "load" && figures)?.figures.perEntry ?? 0;
}

/** The pages of one sample. */
class Session {
	#host;
	#engine;
	#level;
	/** What a ceiling holds is gone with its page. */
	#kept;

	constructor(host, engine, level) {
		this.#host = host;
		this.#engine = engine;
		this.#level = level;
	}

	database(name) {
		return `bench-${this.#engine.id}-${this.#level}-${name}`.toLowerCase();
	}

	/** Runs a phase in a new page. */
	async inPage(name, spec) {
		if (this.#engine.memory) {
			this.#kept ??= await this.#host.page();
			return this.#phase(this.#kept, name, spec);
		}
		const page = await this.#host.page();
		try {
			return await this.#phase(page, name, spec);
		} finally {
			await page.close();
		}
	}

	async run(workload, spec) {
		if (this.#host.isUsed && workload.data !== "loaded") await this.inPage("removeDatabase", spec);
		const result = workload.tabs ? await this.#tabs(spec) : await this.#phases(workload.phases, spec);
		if (workload.data === "none") Object.assign(result.figures, this.#host.downloaded?.());
		if (["left", "none"].includes(workload.data)) await this.inPage("removeDatabase", spec);
		return result;
	}

	async end() {
		await this.#kept?.close();
	}

	#phase(page, name, spec) {
		return page.phase(name, { engine: this.#engine.id, level: this.#level, ...spec });
	}

	/** One after the other; each is told what those before found out. */
	async #phases(names, spec) {
		let result = {};
		for (const name of names) {
			if (name === "readRaw" && !this.#engine.opfs) continue;
			const next = await this.inPage(name, { ...spec, bytesOnDisk: result.bytesOnDisk });
			result = { ...result, ...next, figures: { ...result.figures, ...next.figures } };
			if (result.without) return { without: result.without };
		}
		return result;
	}

	/** Two pages at once: the second one opens what the first one has open, then sees what it writes. */
	async #tabs(spec) {
		const first = await this.#host.page();
		const second = await this.#host.page();
		try {
			await this.#phase(first, "firstTab", spec);
			const { figures, check } = await this.#phase(second, "secondTab", spec);
			const [read, written] = await Promise.all([
				this.#phase(second, "readFromOther", spec),
				this.#phase(first, "writeForOther", spec),
			]);
			const seen = median(read.times.map((time, at) => time - written.times[at]));
			await this.#phase(second, "closeTab", spec);
			await this.#phase(first, "closeTab", spec);
			return { figures: { ...figures, seen }, check };
		} finally {
			await second.close();
			await first.close();
		}
	}
}
