// Where a sample runs: a browser with a new profile on disk, and pages of it on the benchmark's site.

import { startBrowser } from "../../tests/e2e/browser.mjs";

const PHASE_MS = 900_000;

/** Browsers by the names that a run is asked for. */
export const BROWSERS = { chromium: "chromium-measured", firefox: "firefox" };

/** Runs `body(host)`, see www/bench/session.js, in a browser that is new and is gone afterwards. */
export async function withHost(browserName, origin, body) {
	const browser = await startBrowser(BROWSERS[browserName]);
	const host = {
		async page() {
			const page = await browser.open(`${origin}/bench/sample.html`);
			return {
				async phase(name, spec) {
					try {
						return await page.runFor(PHASE_MS, (name, spec) => globalThis.phase(name, spec), name, spec);
					} catch (error) {
						throw page.explained(error);
					}
				},
				userAgent: () => page.run(() => navigator.userAgent),
				close: () => page.close(),
			};
		},
	};
	try {
		return await body(host);
	} finally {
		await browser.end();
	}
}
