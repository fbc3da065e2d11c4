// The example that each page of docs/ begins with, run in a real browser: what it prints is what its comments say.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { transform } from "esbuild";
import { ROOT } from "../../scripts/toolchain.mjs";
import { blocksOf, pages } from "../../scripts/types.mjs";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

let browser;
let site;
before(async () => {
	site = await startSite(await packPackage());
	browser = await startBrowser("chromium");
});
after(async () => {
	await browser?.end();
	await site?.stop();
});

for (const path of pages().filter((path) => path !== "README.md")) {
	test(`${path}: its example prints what it says`, async () => {
		const [{ code: source }] = blocksOf(readFileSync(join(ROOT, path), "utf8"));
		const expected = [...source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
		assert.notEqual(expected.length, 0);
		const { code } = await transform(source, { loader: "ts", target: "es2022" });
		await browser.page(`${site.origin}/imports`, async (page) => {
			assert.deepEqual(await page.run(printed, code), expected);
			assert.deepEqual(page.errors(), []);
		});
	});
}

/** In the page: what a module prints. */
async function printed(code) {
	const lines = [];
	console.log = (what) => lines.push(typeof what === "string" ? what : JSON.stringify(what));
	await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
	return lines;
}
