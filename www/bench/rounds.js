/** The order of a run: in each round every engine has its turn at each of its durabilities, and each round begins with another engine. */

import { stepsOf } from "./session.js";

/** Yields `{ round, engine, level, steps }` for each sample that there is something to do in. */
export function* turnsOf({ engines, levels, plan, workloads }) {
	for (let round = 0; round < plan.samples; round++) {
		for (const engine of engines.map((_, at) => engines[(at + round) % engines.length])) {
			for (const level of Object.keys(engine.levels).filter((one) => levels.includes(one))) {
				const steps = stepsOf(engine, level, plan, workloads);
				if (steps.length > 0) yield { round, engine, level, steps };
			}
		}
	}
}
