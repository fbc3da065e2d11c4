// Writes the recorded runs into PERFORMANCE.md: `npm run bench:tables`.
//
// What stands between `<!-- run latest/chromium -->` and `<!-- end -->` there is the run of that name and browser in www/bench/results.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { summaryOf } from "../../www/bench/markdown.js";
import { ROOT } from "../toolchain.mjs";
import { recorded } from "./record.mjs";

const FILE = join(ROOT, "PERFORMANCE.md");
const SECTION = /(<!-- run (\w+)\/(\w+) -->\n).*?(<!-- end -->)/gs;

/** The file as it is, and as the recorded runs would have it. */
export function performanceFile() {
	const text = readFileSync(FILE, "utf8");
	const wanted = text.replace(SECTION, (_, begin, name, browser, end) => {
		const run = recorded(name, browser);
		if (!run) throw new Error(`no run ${name} of ${browser} is recorded`);
		return `${begin}\n${summaryOf(run)}\n\n${end}`;
	});
	return { text, wanted };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FILE, performanceFile().wanted);
