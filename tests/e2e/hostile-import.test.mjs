// Files that want to do harm, imported in real browsers: each is refused with a code, and leaves the store, its seq and its stored
// bytes as they were. `HOLDFAST_SEED` repeats what is random.

import { after, before, describe, test } from "node:test";
import { startBrowser } from "./browser.mjs";
import { packPackage, startSite } from "./site.mjs";

const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PLACES = Number(process.env.HOLDFAST_PLACES ?? 60);
const GROUP_MS_MAX = 120_000;

const FORMS = [
	{ format: "snapshot", gzip: false },
	{ format: "snapshot", gzip: true },
	{ format: "ndjson", gzip: false },
	{ format: "ndjson", gzip: true },
];

let site;
before(async () => {
	site = await startSite(await packPackage());
});
after(() => site.stop());

for (const [name, backend, other] of [
	["chromium", "opfs", "idb"],
	["firefox", "idb", "opfs"],
]) {
	describe(`hostile imports in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		const scenario = (title, body) =>
			test(`${title} (${name})`, (t) =>
				browser.page(`${site.origin}/hostile`, async (page) => {
					t.diagnostic(`HOLDFAST_SEED=${seed}`);
					await body(page, t);
				}));
		/** Attacks a store; it has to be as before in the same page, or after a reload. */
		const unchanged = (title, backend, group, ...given) =>
			scenario(`${backend}: ${title}`, async (page, t) => {
				const [store, options] = [`${backend} ${title}`, { backend }];
				const stored = await page.run((...given) => begin(...given), store, options);
				const counts = await page.runFor(GROUP_MS_MAX, (...given) => attack(...given), group, ...given);
				t.diagnostic(JSON.stringify(counts));
				if (group === "left") await page.reload();
				await page.run((...given) => verify(...given), store, options, stored);
			});
		/** The same where something may be imported. */
		const whole = (title, backend, group, ...given) =>
			scenario(`${backend}: ${title}`, async (page, t) => {
				const [store, options] = [`${backend} ${title}`, { backend }];
				await page.run(async (...given) => void (await begin(...given)), store, options);
				const counts = await page.runFor(GROUP_MS_MAX, (...given) => attack(...given), group, ...given);
				t.diagnostic(JSON.stringify(counts));
				await page.run((...given) => discard(...given), store, options);
			});

		for (const form of FORMS) {
			const what = `${form.format}${form.gzip ? ", packed" : ""}`;
			unchanged(`${what}: cut anywhere`, backend, "cuts", seed, form, PLACES);
			const flipped = form.format === "snapshot" && !form.gzip ? unchanged : whole;
			flipped(`${what}: a bit flipped`, backend, "flips", seed, form, PLACES);
		}
		whole("bits flipped behind checksums that fit", backend, "sealedFlips", seed, PLACES);
		whole("lies behind checksums that fit", backend, "forged");
		unchanged("lines that are no entries", backend, "lines");
		whole("lines that only look like an attack", backend, "oddLines");
		unchanged("10,000,000 random bytes", backend, "noise", seed);
		unchanged("bombs of a gibibyte", backend, "bombed");
		unchanged("streams that fail, and what is no stream of bytes", backend, "streams");
		unchanged("a signal that aborts", backend, "aborted");
		for (const where of [backend, other]) {
			whole("a second import meanwhile", where, "concurrent");
			unchanged("the store is closed in the middle", where, "closed");
			unchanged("the page goes away in the middle", where, "left");
			scenario(`${where}: the page goes away at the end`, async (page, t) => {
				const found = { old: 0, new: 0 };
				for (let i = 0; i < 4; i++) {
					const [store, options] = [`${where} end ${i}`, { backend: where }];
					await page.run(async (...given) => void (await begin(...given)), store, options);
					await page.run((...given) => attack(...given), "leftAtTheEnd", seed + i);
					await page.reload();
					found[await page.run((...given) => oldOrNew(...given), store, options)]++;
				}
				t.diagnostic(JSON.stringify(found));
			});
		}
	});
}
