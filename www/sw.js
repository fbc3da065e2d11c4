// Offline: keeps one complete copy of the app's files and serves it when the network does not.
//
// Online the network always wins, so a changed file is seen on the next load. After each such load the copy
// is taken again, as a whole into a new cache, and replaces the old one only when complete: files of two versions
// never meet. There is no list of files to maintain: starting from the pages, every relative path with an extension
// that follows `from`, `import`, a bracket, `=` or `:` in what arrives (imports, `new URL()`, links, the import map, the
// manifest) is a file of the app and must be there.

const scope = self.registration.scope;
const cachePrefix = `shell ${scope} `;
const pages = ["./", "./tabs.html", "./tab.html"].map((path) => new URL(path, scope).href);
const entryPoints = [...pages, new URL("./dist/holdfast.wasm", scope).href];
const patienceMs = 3000;

// Pages that were served from the copy: all their other files come from it too.
const offlineClients = new Set();

self.addEventListener("install", (event) => {
	self.skipWaiting();
	event.waitUntil(navigator.locks.request(cachePrefix, takeCopy));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
	const { request } = event;
	if (request.method !== "GET" || !request.url.startsWith(scope)) return;
	if (request.mode !== "navigate") event.respondWith(file(event));
	else if (pages.includes(addressOf(request.url))) event.respondWith(page(event));
});

/** Under which the copy has it. */
function addressOf(url) {
	return url.replace(/[?#].*/, "").replace(/\/index\.html$/, "/");
}

async function page(event) {
	try {
		const response = await fetch(event.request, { signal: AbortSignal.timeout(patienceMs) });
		if (response.status >= 500) throw new Error(`HTTP ${response.status}`);
		// Not once a frame.
		if (event.request.destination === "document")
			event.waitUntil(navigator.locks.request(cachePrefix, { ifAvailable: true }, (lock) => lock && takeCopy()));
		return response;
	} catch (error) {
		const copy = await copyOf(addressOf(event.request.url));
		if (!copy) throw error;
		offlineClients.add(event.resultingClientId);
		return copy;
	}
}

async function file({ request, clientId, resultingClientId }) {
	const offline = offlineClients.has(clientId);
	if (offline && resultingClientId) offlineClients.add(resultingClientId);
	if (offline) return (await copyOf(request.url)) ?? fetch(request);
	try {
		return await fetch(request);
	} catch (error) {
		const copy = await copyOf(request.url);
		if (!copy) throw error;
		return copy;
	}
}

/** Caches are searched in the order they were made, and the oldest is always complete. */
function copyOf(url) {
	return caches.match(url, { ignoreSearch: true, ignoreVary: true });
}

async function takeCopy() {
	const name = cachePrefix + Date.now();
	const cache = await caches.open(name);
	try {
		await follow(cache, entryPoints);
	} catch (error) {
		// The network went away or the files changed half-way: an earlier copy stays, and the next load tries again.
		await caches.delete(name);
		if (!(await copyOf(scope))) throw error;
		return;
	}
	for (const other of await caches.keys()) {
		if (other.startsWith(cachePrefix) && other !== name) await caches.delete(other);
	}
}

async function follow(cache, urls, seen = new Set()) {
	const fresh = [...new Set(urls)].filter((url) => url.startsWith(scope) && !seen.has(url));
	for (const url of fresh) seen.add(url);
	await Promise.all(
		fresh.map(async (url) => {
			const response = await fetch(url, { cache: "no-cache" });
			if (!response.ok) throw new Error(`HTTP ${response.status} for ${url}`);
			await cache.put(url, response.clone());
			if (/html|javascript|css|json/.test(response.headers.get("content-type"))) {
				await follow(cache, referencesIn(await response.text(), url), seen);
			}
		}),
	);
}

function referencesIn(text, base) {
	const references = text.matchAll(/(?:\bfrom|\bimport|[(=:])\s*["'](\.{1,2}\/[^"'\s]*\.\w+)["']/g);
	return Array.from(references, ([, path]) => new URL(path, base).href);
}
