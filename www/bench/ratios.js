/**
 * From the samples of a run to its rows: medians, spreads, and ratios to Holdfast.
 *
 * A run: `{ engines: Engine[], samples: { round, engine, level, results }[] }`. A row: one figure of one workload at one size and, where
 * acknowledgements count, one durability: `{ workload, size, level, figure, unit, about, title, cells }`, a cell for each engine:
 * `{ engine, samples, median, min, max, ratio? }` or `{ engine, without }`. `ratio` is the engine's figure divided by ours, larger is better
 * for us: of the medians; its spread is that of the ratios within each round, in which both ran one after the other.
 */

import { reasonAgainst } from "./session.js";
import { spread } from "./statistics.js";
import { WORKLOADS } from "./workloads.js";

/** Engines that are measured, not compared with. */
export const OURS = "holdfast";

const LEVELS = ["D1", "D2", "D3"];

export function rowsOf(run) {
	const measured = new Map();
	const failed = new Map();
	for (const { round, engine, level, results } of run.samples) {
		for (const { workload, size, figures, error, without } of results) {
			const { levels } = WORKLOADS.find(({ id }) => id === workload);
			const place = [workload, size ?? "", levels === "every" ? level : ""].join("/");
			if (error) failed.set(`${place}/${engine}`, `failed: ${error}`);
			if (without) failed.set(`${place}/${engine}`, without);
			for (const [figure, value] of Object.entries(figures ?? {})) {
				const row = upsert(measured, `${place}/${figure}`, () => new Map());
				upsert(row, engine, () => new Map()).set(round, value);
			}
		}
	}
	return WORKLOADS.flatMap((workload) =>
		Object.entries(workload.figures).flatMap(([figure, { unit, title }], at) =>
			sizesOf(run, workload.id).flatMap((size) =>
				(workload.levels === "every" ? LEVELS : [""]).flatMap((level) => {
					const place = [workload.id, size, level].join("/");
					const byEngine = measured.get(`${place}/${figure}`);
					const engines = run.engines.filter((engine) => level === "" || level in engine.levels);
					const hasAny = byEngine || (at === 0 && engines.some(({ id }) => failed.has(`${place}/${id}`)));
					if (!hasAny) return [];
					const cells = engines.map((engine) => {
						const samples = byEngine?.get(engine.id);
						if (!samples)
							return { engine: engine.id, without: reasonOf(engine, workload, failed.get(`${place}/${engine.id}`)) };
						return { engine: engine.id, ...measuredCell(samples, byEngine.get(OURS)) };
					});
					return [
						{
							workload: workload.id,
							size,
							level: level || undefined,
							figure,
							unit,
							about: workload.title,
							title,
							cells,
						},
					];
				}),
			),
		),
	);
}

function measuredCell(samples, ours) {
	const values = [...samples.values()];
	const cell = { samples: values, ...spread(values) };
	if (!ours || ours === samples) return cell;
	const rounds = [...samples.keys()].filter((round) => ours.has(round));
	const ratios = spread(rounds.map((round) => samples.get(round) / ours.get(round)));
	return {
		...cell,
		ratio: { median: cell.median / spread([...ours.values()]).median, min: ratios.min, max: ratios.max },
	};
}

function reasonOf(engine, workload, error) {
	if (error) return error;
	return reasonAgainst(engine, workload) ?? "not known";
}

/** Sizes at which the run has something of that workload, the smallest first; "" where it has no size. */
function sizesOf(run, id) {
	const sizes = new Set();
	for (const { results } of run.samples)
		for (const { workload, size } of results) if (workload === id) sizes.add(size ?? "");
	return run.plan.sizes.filter((size) => sizes.has(size)).concat(sizes.has("") ? [""] : []);
}

function upsert(map, key, make) {
	if (!map.has(key)) map.set(key, make());
	return map.get(key);
}

/** What is wrong with a run: failed workloads, and checks that are not the same for every engine. As lines of text. */
export function faultsOf(run) {
	const faults = [];
	const checks = new Map();
	for (const { engine, level, results } of run.samples) {
		for (const { workload, size, check, error } of results) {
			const name = size ? `${workload} ${size}` : workload;
			if (error) faults.push(`${engine} ${level}: ${name}: ${error}`);
			else if (check) {
				const text = JSON.stringify(check);
				const first = upsert(checks, name, () => ({ engine, text }));
				if (first.text !== text) faults.push(`${name}: ${engine} has ${text}, ${first.engine} ${first.text}`);
			}
		}
	}
	return faults;
}
