// A dedicated worker that has a store open as a tab has: runs what the page sends it as source, with what tab.mjs gives. Import
// maps do not reach workers, so the package has its URL here.

import * as holdfast from "/package/dist/index.js";
import { failure } from "../check.mjs";
import * as tab from "./tab.mjs";

Object.assign(globalThis, { holdfast, failure }, tab);

addEventListener("message", async ({ data: { id, source, args } }) => {
	try {
		postMessage({ id, value: await new Function(`return (${source})`)()(...args) });
	} catch (error) {
		postMessage({ id, error: `${error?.code ?? ""} ${error?.stack ?? error}` });
	}
});
