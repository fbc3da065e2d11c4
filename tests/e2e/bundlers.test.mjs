// The packed package in two of the apps of tests/bundlers: those whose tools are in the repository. `npm run test:bundlers` has all.

import { after, before, test } from "node:test";
import { proveApp } from "../bundlers/bundlers.mjs";
import { startBrowser } from "./browser.mjs";
import { packTarball } from "./site.mjs";

let tarball;
let browser;
before(async () => {
	[tarball, browser] = await Promise.all([packTarball(), startBrowser("chromium")]);
});
after(() => browser?.end());

for (const app of ["import-map", "esbuild"]) {
	test(`${app}: installed, built, opened on OPFS, and after a reload what was written is there`, () =>
		proveApp(app, tarball, browser));
}
