// The page for the checks of the key-value API: puts what tests call through `page.run` on `globalThis`.

import * as holdfast from "holdfast";
import { runCheck } from "./checks.mjs";
import { begin, verify } from "./reload.mjs";
import { fillScan, measureScan } from "./scan.mjs";
import { beginSoak, soakMore } from "./soak.mjs";

// Where `failure` of check.mjs looks for the class.
globalThis.holdfast = holdfast;

Object.assign(globalThis, { begin, verify, beginSoak, soakMore, fillScan, measureScan });

/** One check, in this page; resolves to what it has to tell. */
globalThis.checkInPage = (...given) => runCheck(holdfast, ...given);

/** The same in a dedicated worker. */
globalThis.checkInWorker = async (...given) => {
	const worker = new Worker("/site/api/worker.mjs", { type: "module" });
	try {
		const { told, error } = await new Promise((resolve, reject) => {
			worker.onmessage = ({ data }) => resolve(data);
			worker.onerror = ({ message }) => reject(new Error(`worker: ${message}`));
			worker.postMessage(given);
		});
		if (error) throw new Error(error);
		return told;
	} finally {
		worker.terminate();
	}
};
