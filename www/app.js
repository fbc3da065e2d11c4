// The notes app: opens the store that the address asks for, joins the views to it, and says when it is ready
// (`<html data-ready="true">`). Everything a person or a test drives is in index.html.

import { open } from "holdfast";
import { explain } from "./advice.js";
import { element } from "./element.js";
import { hideStart, showStart } from "./messages.js";
import { startNotebook } from "./notebook.js";
import { prepareOffline } from "./offline.js";
import { settingsIn } from "./settings.js";
import { startStoreActions } from "./store-actions.js";
import { showHealth, showRecovered } from "./store-health.js";
import { createStorePanel } from "./store-panel.js";

const settings = settingsIn(location, "notes");
let ioWorker;

/** The app starts the worker itself only to be able to kill it; leave the option out and the package does. */
function startIoWorker() {
	ioWorker = new Worker(import.meta.resolve("holdfast/worker"), { type: "module" });
	return ioWorker;
}

async function start() {
	const openedAt = performance.now();
	const store = await open(settings.storeName, {
		backend: settings.backend,
		durability: settings.durability,
		worker: startIoWorker,
	});
	const openMs = performance.now() - openedAt;

	const panel = createStorePanel(store);
	startStoreActions({ store, settings, ioWorker: () => ioWorker, panel });
	await showRecovered(store, settings, openMs);
	await panel.refresh();
	showHealth(store);
	hideStart();
	panel.openIfRoom();
	await startNotebook(store);
	document.documentElement.dataset.ready = "true";
}

try {
	await start();
} catch (error) {
	showStart(explain(error), () => location.reload());
	// The other tab may have been closed meanwhile: coming back to this one is reason enough to look.
	if (error.code === "LOCKED")
		document.addEventListener("visibilitychange", () => document.hidden || location.reload());
	if (!error.code) throw error;
} finally {
	prepareOffline(element("offline-state"));
}
