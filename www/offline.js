// Registers the service worker and says when the app no longer needs the network:
// `<html data-offline>` becomes "ready", or "unavailable" where the browser has no service workers.

export async function prepareOffline(element) {
	try {
		const { serviceWorker } = navigator;
		const registered = serviceWorker.register("./sw.js");
		// One that is there already serves, however long it takes to look for a newer one.
		await Promise.race([serviceWorker.ready, registered.then(() => serviceWorker.ready)]);
		document.documentElement.dataset.offline = "ready";
		element.textContent = "Works offline";
	} catch (error) {
		document.documentElement.dataset.offline = "unavailable";
		element.textContent = "Needs the network";
		element.title = error.message;
	}
	element.hidden = false;
}
