// Compares the last run with the recorded one, browser by browser: `npm run bench:guard`, after `npm run bench`.
//
//   npm run bench:guard -- [--browser chromium,firefox]
//
// Prints what became worse beyond noise, as www/bench/guard.js defines it. Ends with 1 when something did, with 2 when there was nothing to
// compare.

import { parseArgs } from "node:util";
import { comparisonsOf, regressionsOf } from "../../www/bench/guard.js";
import { rowsOf } from "../../www/bench/ratios.js";
import { BROWSERS } from "./host.mjs";
import { recorded } from "./record.mjs";

const { values: given } = parseArgs({
	options: { browser: { type: "string", default: Object.keys(BROWSERS).join() } },
});

const spread = ({ median, min, max }) => [median, min, max].map((value) => value.toPrecision(3)).join(", ");
let comparisons = 0;
let regressions = 0;
for (const browser of given.browser.split(",")) {
	const runs = [recorded("latest", browser), recorded("last", browser)];
	if (runs.includes(undefined)) {
		console.log(`${browser}: ${runs[0] ? "no last run" : "nothing recorded"}`);
		continue;
	}
	const [before, now] = runs.map(rowsOf);
	const worse = regressionsOf(before, now);
	comparisons += comparisonsOf(before, now);
	regressions += worse.length;
	for (const { title, peer, recorded, now } of worse)
		console.log(
			`${browser}: ${title}: ${peer ? `ratio to ${peer}` : "ours"} was ${spread(recorded)}, is ${spread(now)} (median, least, most)`,
		);
}
console.log(`${comparisons} comparisons, ${regressions} worse`);
process.exit(comparisons === 0 ? 2 : regressions > 0 ? 1 : 0);
