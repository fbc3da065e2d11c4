// A user's dedicated worker that opens stores itself. Import maps do not reach workers, so the package has its URL here.

import { open } from "/package/dist/index.js";
import { runCheck } from "./checks.mjs";
import { writeForEver, written } from "./writer.mjs";

addEventListener("message", async ({ data: { do: what, check, name, options, flushAfter } }) => {
	// On a worker's own thread OPFS needs no second worker; one that is made all the same fails.
	const ownThread = {
		...options,
		worker: () => {
			throw new Error("an I/O worker was started from a dedicated worker");
		},
	};
	try {
		if (what === "check") {
			await runCheck((store, given) => open(store, { ...ownThread, ...given }), check, name, options);
			postMessage({});
		} else if (what === "read") {
			postMessage({ value: await written(await open(name, ownThread)) });
		} else {
			await writeForEver(await open(name, ownThread), flushAfter, (acknowledged) => postMessage({ acknowledged }));
		}
	} catch (error) {
		// Firefox's stacks are without the message.
		const stack = error.stack?.includes(error.message) ? error.stack : `${error.message}\n${error.stack}`;
		postMessage({ error: `${error.code ?? ""} ${stack}` });
	}
});
