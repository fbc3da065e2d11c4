// What the value codec takes beside others, in Chromium and Firefox: `npm run bench:codec`.
//
//   npm run bench:codec -- [--browser chromium,firefox] [--rounds 15]
//
// Encodes values of several shapes to bytes, UTF-8 included, and decodes them again: JSON text, msgpackr, the value codec as it is, and its
// nodes alone; structuredClone, which makes no bytes, for comparison. What a codec brings back has to be equal to what it was given, with
// types, or it has no figures for that shape. Prints tables in Markdown: thousands of operations a second, medians of the rounds, with half
// the distance between the quartiles; bytes of a value; and what each codec adds to a download. Takes one to three
// minutes a browser.
//
// msgpackr is installed into a temporary directory, in the version that package.json names: nothing else here needs it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { run, Steps } from "../../scripts/progress.mjs";
import { ROOT } from "../../scripts/toolchain.mjs";
import { startBrowser } from "./browser.mjs";
import { startSite } from "./site.mjs";

const INSTALL_MS = 120_000;
const SHAPE_MS = 300_000;

const { values: given } = parseArgs({
	options: {
		browser: { type: "string", default: "chromium,firefox" },
		rounds: { type: "string", default: "15" },
	},
});
const rounds = Number(given.rounds);
const { msgpackr } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).config;
const directory = mkdtempSync(join(tmpdir(), "holdfast-codec-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

const steps = new Steps();
await steps.step("install msgpackr", (detail) => {
	// The optional part is native code for Node.
	const args = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--omit=optional"];
	return run("npm", [...args, `msgpackr@${msgpackr}`], { cwd: directory, detail, timeout_ms: INSTALL_MS });
});

/** The text of a bundle of what is given to esbuild as its input. */
async function bundle(input) {
	const { outputFiles } = await build({
		...input,
		bundle: true,
		format: "esm",
		target: "es2022",
		minify: true,
		legalComments: "none",
		outdir: directory,
		write: false,
		logLevel: "warning",
		nodePaths: [join(directory, "node_modules")],
	});
	return outputFiles[0].contents;
}

/** Bytes of gzip that some exports add to a page. The class of errors is there anyway. */
async function download(contents) {
	const text = await bundle({ stdin: { contents, resolveDir: join(ROOT, "src", "ts") }, external: ["./error.js"] });
	return gzipSync(text, { level: 9 }).length;
}

const quantile = (samples, q) => samples.toSorted((a, b) => a - b)[Math.round((samples.length - 1) * q)];
const number = (value) =>
	value.toLocaleString("en", value < 100 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 });
const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);

/** The median of samples of operations a second, in thousands, and their spread. */
function rate(samples) {
	const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(samples, q));
	return `${number(middle / 1000)} ±${Math.ceil(((high - low) / 2 / middle) * 100)} %`;
}

function printRates(title, shapes) {
	const codecs = Object.keys(Object.values(shapes)[0]);
	console.log("");
	row(title, ...codecs);
	row(...["", ...codecs].map(() => "---"));
	for (const [shape, results] of Object.entries(shapes)) {
		const cells = codecs.map((codec) => {
			const { refusal, encode, decode } = results[codec];
			if (refusal) return "no";
			return decode ? `${rate(encode)} / ${rate(decode)}` : rate(encode);
		});
		row(shape, ...cells);
	}
}

function printBytes(shapes, downloads) {
	const codecs = Object.keys(downloads);
	console.log("");
	row("bytes", ...codecs);
	row(...["", ...codecs].map(() => "---"));
	for (const [shape, results] of Object.entries(shapes))
		row(shape, ...codecs.map((codec) => (results[codec].refusal ? "no" : number(results[codec].bytes))));
	row("the codec, gzip", ...Object.values(downloads).map(number));
}

/** All shapes in one page of a browser. */
async function measureIn(name, origin) {
	const browser = await startBrowser(name);
	try {
		return await browser.page(`${origin}/blank`, async (page) => {
			await page.run(async () => void (await import("/package/page.js")));
			const shapes = {};
			for (const shape of await page.run(() => shapeNames())) {
				shapes[shape] = await steps.step(`${name}: ${shape}`, () =>
					page.runFor(SHAPE_MS, (...given) => measureShape(...given), shape, rounds),
				);
				for (const [codec, { refusal }] of Object.entries(shapes[shape]))
					if (refusal) console.log(`      ${codec}: ${refusal.slice(0, 200)}`);
			}
			const [version] = (await page.run(() => navigator.userAgent)).match(/(Chrome|Firefox)\/[\d.]+/);
			return { title: version.replace("/", " "), shapes };
		});
	} finally {
		await browser.end();
	}
}

writeFileSync(join(directory, "page.js"), await bundle({ entryPoints: [join(ROOT, "tests/e2e/site/codec-page.mjs")] }));
const site = await startSite(directory);
const [packr, ours] = await Promise.all([
	download('export { Packr } from "msgpackr"'),
	download('export { decodeValue, encodeValue } from "./value.ts"'),
]);
const downloads = {
	JSON: 0,
	msgpackr: packr,
	"msgpackr, structures kept": packr,
	Holdfast: ours,
	"Holdfast, nodes": ours,
};
const measured = [];
for (const name of given.browser.split(",")) measured.push(await measureIn(name, site.origin));
await site.stop();

const today = new Date().toISOString().slice(0, 10);
console.log(`\n${today}, ${cpus().length} × ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}, ${rounds} rounds;`);
console.log(
	"encode / decode, thousands a second, ± half the distance between the quartiles; structuredClone is both at once",
);
for (const { title, shapes } of measured) printRates(title, shapes);
printBytes(measured[0].shapes, downloads);
