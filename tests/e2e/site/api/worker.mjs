// A user's dedicated worker in which a check runs. Import maps do not reach workers, so the package has its URL here.

import * as holdfast from "/package/dist/index.js";
import { runCheck } from "./checks.mjs";

globalThis.holdfast = holdfast;

addEventListener("message", async ({ data }) => {
	try {
		postMessage({ told: await runCheck(holdfast, ...data) });
	} catch (error) {
		postMessage({ error: `${error.code ?? ""} ${error.message}\n${error.stack}` });
	}
});
