// The benchmark's arithmetic: medians, ratios, what counts as an aim reached, as a fault, and as a regression.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { performanceFile } from "../../scripts/bench/performance.mjs";
import { verdictsOf } from "../../www/bench/aims.js";
import { comparisonsOf, regressionsOf } from "../../www/bench/guard.js";
import { markdownOf } from "../../www/bench/markdown.js";
import { PLANS } from "../../www/bench/plan.js";
import { zipf } from "../../www/bench/random.js";
import { faultsOf, rowsOf } from "../../www/bench/ratios.js";
import { turnsOf } from "../../www/bench/rounds.js";
import { stepsOf } from "../../www/bench/session.js";
import { median, quantile } from "../../www/bench/statistics.js";
import { workloadsOf } from "../../www/bench/workloads.js";

const OURS = { id: "holdfast", name: "Holdfast", version: "1", place: "page", levels: { D2: "default" } };
const PEER = { id: "idb-keyval", name: "idb-keyval", version: "2", place: "page", levels: { D2: "default" } };
const plan = { samples: 3, sizes: ["10k"] };

/** A run in which these engines took so many microseconds for each `set`, by round. */
function runOf(figures, engines = [OURS, PEER]) {
	const samples = Object.entries(figures).flatMap(([engine, values]) =>
		values.map((steady, round) => ({
			round,
			engine,
			level: "D2",
			results: [{ workload: "set-seq", figures: { steady }, check: { count: 1, keySum: 0, hash: "same" } }],
		})),
	);
	return { userAgent: "a browser", kind: "a run", at: "now", machine: "a machine", plan, engines, samples };
}

const steadyRow = (run) => rowsOf(run).find(({ workload, figure }) => workload === "set-seq" && figure === "steady");
const cellOf = (run, id) => steadyRow(run).cells.find(({ engine }) => engine === id);

test("medians and quantiles lie between what they fall between", () => {
	assert.equal(median([9, 1, 5]), 5);
	assert.equal(median([1, 2, 3, 10]), 2.5);
	assert.equal(quantile([0, 10], 0.99), 9.9);
});

test("the same seed chooses the same, and some keys much more often than others", () => {
	const numbers = zipf(1, 10_000, 1000);
	assert.deepEqual(zipf(1, 10_000, 1000), numbers);
	assert.notDeepEqual(zipf(2, 10_000, 1000), numbers);
	const counts = new Map();
	for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
	// The most frequent of a thousand has 1 / (sum of 1 / rank^0.99) of all, 12.9 %.
	assert.ok(Math.abs(Math.max(...counts.values()) / 10_000 - 0.129) < 0.02);
});

describe("ratios", () => {
	test("are of the medians; their spread is that within each round", () => {
		const run = runOf({ holdfast: [10, 20, 30], "idb-keyval": [100, 400, 150] });
		assert.deepEqual(cellOf(run, "idb-keyval").ratio, { median: 150 / 20, min: 5, max: 20 });
		assert.equal(cellOf(run, "holdfast").ratio, undefined);
	});

	test("an engine that failed, and one that cannot, still has a line that says so", () => {
		const run = runOf({ holdfast: [10] });
		run.samples.push({
			round: 0,
			engine: "idb-keyval",
			level: "D2",
			results: [{ workload: "set-seq", error: "broke" }],
		});
		assert.equal(cellOf(run, "idb-keyval").without, "failed: broke");
		assert.deepEqual(faultsOf(run), ["idb-keyval D2: set-seq: broke"]);
		const unable = { ...PEER, without: { "set-seq": "no writes" } };
		assert.equal(cellOf({ ...runOf({ holdfast: [10] }), engines: [OURS, unable] }, "idb-keyval").without, "no writes");
	});

	test("two engines with other data are a fault", () => {
		const run = runOf({ holdfast: [10], "idb-keyval": [10] });
		assert.deepEqual(faultsOf(run), []);
		run.samples[1].results[0].check = { count: 1, keySum: 0, hash: "other" };
		assert.equal(faultsOf(run).length, 1);
	});

	test("the Markdown has every row and every engine's settings", () => {
		const text = markdownOf(runOf({ holdfast: [10, 20, 30], "idb-keyval": [100, 400, 150] }));
		assert.match(text, /\| idb-keyval \| 150 µs \(100\.\.400 µs\) \| 7\.5x \(5x\.\.20x\) \|/);
		assert.match(text, /\| Holdfast \| 20 µs \(10\.\.30 µs\) \|/);
		assert.match(text, /\| idb-keyval \| 2 \| page \| D2: default \|/);
	});
});

describe("an aim", () => {
	const aimOf = (run) => verdictsOf(run, rowsOf(run)).find(({ aim }) => aim === "at least 5x idb-keyval");

	test("is reached only if the worst ratio reaches it", () => {
		assert.equal(aimOf(runOf({ holdfast: [10, 10], "idb-keyval": [50, 90] })).verdict, "reached");
		assert.equal(aimOf(runOf({ holdfast: [10, 10], "idb-keyval": [49, 90] })).verdict, "missed");
		assert.equal(aimOf(runOf({ holdfast: [10, 10] }, [OURS])).verdict, "not measured");
	});
});

describe("the guard", () => {
	const compare = (before, now) => {
		const [old, rows] = [before, now].map((figures) => rowsOf(runOf(figures)));
		return { worse: regressionsOf(old, rows), comparisons: comparisonsOf(old, rows) };
	};
	const steady = { holdfast: [10, 10, 10], "idb-keyval": [100, 110, 120] };

	test("reports a ratio whose best is below the worst that was recorded", () => {
		const { worse, comparisons } = compare(steady, { holdfast: [20, 20, 20], "idb-keyval": [100, 110, 120] });
		assert.equal(comparisons, 1);
		assert.deepEqual(
			worse.map(({ title, peer }) => ({ title, peer })),
			[{ title: "set, one after the other, D2", peer: "idb-keyval" }],
		);
	});

	test("says nothing of noise, of a slower machine, nor of too few samples", () => {
		assert.equal(compare(steady, { holdfast: [9, 14, 20], "idb-keyval": [100, 110, 120] }).worse.length, 0);
		assert.equal(compare(steady, { holdfast: [50, 50, 50], "idb-keyval": [500, 550, 600] }).worse.length, 0);
		assert.deepEqual(compare(steady, { holdfast: [90], "idb-keyval": [100] }), { worse: [], comparisons: 0 });
	});

	test("reports our own bytes without a peer", () => {
		const withBytes = (bytes) => {
			const run = runOf({ holdfast: [1, 1, 1] }, [OURS]);
			for (const { results } of run.samples)
				results[0] = { workload: "load", size: "10k", figures: { diskPerEntry: bytes } };
			return rowsOf(run);
		};
		assert.equal(regressionsOf(withBytes(140), withBytes(150)).length, 0);
		assert.equal(regressionsOf(withBytes(140), withBytes(160)).length, 1);
	});
});

describe("a plan", () => {
	const workloads = workloadsOf(PLANS.full, "");
	const idsOf = (engine, level) =>
		stepsOf(engine, level, PLANS.full, workloads).map(({ workload, size }) => [workload.id, size].join(" "));
	const three = { ...OURS, levels: { D1: "", D2: "", D3: "" } };

	test("has writes at every durability, reads at one, large sizes only loaded, opened again and looked into", () => {
		assert.ok(idsOf(three, "D1").includes("set-seq "));
		assert.ok(!idsOf(three, "D1").includes("get-hot 100k"));
		assert.ok(idsOf(three, "D2").includes("get-hot 100k"));
		assert.deepEqual(
			idsOf(three, "D2").filter((id) => id.endsWith("1m")),
			["load 1m", "reopen 1m", "get-uniform 1m"],
		);
	});

	test("is cut down to the workloads whose ids have one of the parts that are asked for", () => {
		assert.deepEqual(
			workloadsOf(PLANS.full, "reopen,get-m").map(({ id }) => id),
			["reopen", "get-miss", "get-many"],
		);
	});

	test("gives every engine its turn at each durability, the first of a round being another each time", () => {
		const turns = [
			...turnsOf({
				engines: [three, PEER],
				levels: ["D1", "D2", "D3"],
				plan: { ...PLANS.full, samples: 2 },
				workloads,
			}),
		];
		assert.deepEqual(
			turns.map(({ round, engine, level }) => `${round} ${engine.id} ${level}`),
			[
				...["0 holdfast D1", "0 holdfast D2", "0 holdfast D3", "0 idb-keyval D2"],
				...["1 idb-keyval D2", "1 holdfast D1", "1 holdfast D2", "1 holdfast D3"],
			],
		);
	});
});

test("PERFORMANCE.md has the tables of the recorded runs: npm run bench:tables", () => {
	const { text, wanted } = performanceFile();
	assert.match(text, /<!-- run latest\/chromium -->/);
	assert.equal(text, wanted);
});
