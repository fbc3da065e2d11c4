// The simulation of many tabs: always the same schedules; `npm run test:tabs-sim` runs others.

import assert from "node:assert/strict";
import test from "node:test";
import { checkMutants } from "./mutants.mjs";
import { bundle, simulate, textOf } from "./run.mjs";

const SEED = 1;
const SCHEDULES = 50_000;

test("the mutants of the simulation fit the sources", () => checkMutants());

test("many tabs of one store", async (t) => {
	const { figures, failures, lines } = await simulate({
		...{ script: await bundle(), schedules: SCHEDULES, seed: SEED },
		told: (line) => t.diagnostic(line),
	});
	for (const line of lines) t.diagnostic(line);
	assert.equal(failures.length, 0, failures.map(textOf).join("\n"));
	assert.equal(figures.schedules, SCHEDULES);
	// A simulation in which nothing happens proves nothing.
	for (const [name, count] of Object.entries(figures)) assert.ok(count > 0, `no ${name}`);
});
