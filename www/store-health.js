// What the person should know about the store without looking: what came back, what did not, what the
// browser refused, and what has gone wrong since.

import { explain, explainDataLoss } from "./advice.js";
import { countBulk } from "./bulk.js";
import { element, setText } from "./element.js";
import { formatDuration, plural } from "./format.js";
import { reportFault, showBanner, showToast } from "./messages.js";
import { notesIn } from "./notes.js";
import { outcomeOfRehearsal } from "./rehearsal.js";
import { backendNames } from "./store-panel.js";

/** Shows what is wrong now and keeps watching. */
export function showHealth(store) {
	function check() {
		const { state, cause } = store.status;
		if (state !== "open" && cause) reportFault(explain(cause));
	}

	store.on("status", check);
	store.on("dataloss", (loss) => showBanner(explainDataLoss(loss), { level: "warning" }));
	store.on("error", (error) => reportFault(explain(error)));
	check();
	showFallback(store.status);
}

/** How much came back and how long it took; after a rehearsed disaster, whether anything is missing. */
export async function showRecovered(store, { storeName }, openMs) {
	const noteCount = await notesIn(store).count();
	const bulkCount = await countBulk(store);
	const entryCount = await store.count();
	const { fresh, recovered } = store.status;

	const summary = element("recovered");
	Object.assign(summary.dataset, { notes: noteCount, bulk: bulkCount, entries: entryCount, ms: recovered.ms });
	const found = [plural(noteCount, "note")];
	if (bulkCount > 0) found.push(plural(bulkCount, "entry", "entries"));
	setText("recovered", fresh ? "A new store" : `${found.join(", ")} back in ${formatDuration(recovered.ms)}`);
	setText("recovered-entries", found.join(", "));
	setText("opened-ms", formatDuration(openMs));

	const outcome = outcomeOfRehearsal(store, storeName);
	if (!outcome) return;
	element("rehearsal").hidden = false;
	element("rehearsal").dataset.broken = outcome.broken;
	setText("rehearsal", outcome.text);
	showToast(outcome.text);
}

function showFallback({ fallback, backend }) {
	if (!fallback) return;
	const inMemory = backend === "memory";
	const explanation = {
		code: "FALLBACK",
		title: `The browser offered ${backendNames[backend]} instead of a better place`,
		action: inMemory ? "Notes go with this tab: copy what matters." : "Notes are kept all the same.",
		detail: fallback,
	};
	showBanner(explanation, { level: inMemory ? "warning" : "notice" });
}
