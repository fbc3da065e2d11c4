// The package as it is published: what publint and "are the types wrong" say of it, its entry points, what each of them fetches, the
// policy that they need, and that importing does nothing.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { startBrowser } from "./browser.mjs";
import { packTarball, startSite, unpack } from "./site.mjs";

let tarball;
let directory;
let site;
before(async () => {
	tarball = await packTarball();
	directory = await unpack(tarball);
	site = await startSite(directory);
});
after(() => site.stop());

test("every file that package.json exports is in the tarball, and there are no dependencies", () => {
	const { exports, dependencies, types } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
	const targets = [
		types,
		...Object.values(exports).flatMap((target) => (typeof target === "string" ? target : Object.values(target))),
	];
	assert.deepEqual(
		targets.filter((target) => !existsSync(join(directory, target))),
		[],
	);
	assert.equal(dependencies, undefined);
});

test("publint finds nothing", async () => {
	const { buffer } = new Uint8Array(readFileSync(tarball));
	const { messages } = await publint({ pack: { tarball: buffer } });
	assert.deepEqual(messages, []);
});

test("the types are right for each entry point and each way of resolving it", async () => {
	const { types, problems } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)), {
		// What its import gives, an address or a module, is up to the tool that bundles it.
		excludeEntrypoints: ["./holdfast.wasm"],
	});
	assert.equal(types.kind, "included");
	// The package has ES modules only, as its `type` says: not for `require` before Node 22.12, nor for what cannot read `exports`.
	const unsupported = ["node10", "node16-cjs"];
	assert.deepEqual(
		problems.filter(({ resolutionKind }) => !unsupported.includes(resolutionKind)),
		[],
	);
});

test("importing is safe where there is no browser, and touches no global", async () => {
	const before = Reflect.ownKeys(globalThis);
	for (const entry of ["index", "inline", "slim"]) {
		const { open, destroy, stores, HoldfastError } = await import(
			pathToFileURL(join(directory, "dist", `${entry}.js`)).href
		);
		for (const called of [open, destroy, stores, HoldfastError]) assert.equal(typeof called, "function");
	}
	assert.deepEqual(Reflect.ownKeys(globalThis), before);
});

for (const name of ["chromium", "firefox"]) {
	describe(`entry points in ${name}`, () => {
		let browser;
		before(async () => {
			browser = await startBrowser(name);
		});
		after(() => browser?.end());

		test(`${name}: "holdfast" fetches engine and worker when a store is opened, not before`, () =>
			browser.page(site.origin, async (page) => {
				const fetched = async () => (await page.run(fetchedNames)).filter((file) => !file.startsWith("c-"));
				assert.deepEqual(await fetched(), ["index.js"]);
				assert.deepEqual(await page.run(writeAndRead, "holdfast", {}), { backend: "opfs", value: 1 });
				assert.deepEqual(await page.run(writeAndRead, "holdfast", {}), { backend: "opfs", value: 1 });
				assert.deepEqual(await fetched(), ["holdfast.wasm", "index.js", "worker.js"]);
			}));

		test(`${name}: "holdfast/inline" opens a store on OPFS from one file`, () =>
			browser.page(`${site.origin}/imports`, async (page) => {
				assert.deepEqual(await page.run(writeAndRead, "holdfast/inline", {}), { backend: "opfs", value: 1 });
				assert.deepEqual(await page.run(fetchedNames), ["inline.js"]);
			}));

		for (const backend of ["opfs", "idb"]) {
			test(`${name}: "holdfast" on ${backend} needs no more than 'self' and 'wasm-unsafe-eval' of a policy`, () =>
				browser.page(`${site.origin}/policy`, async (page) => {
					const entry = "/package/dist/index.js";
					assert.deepEqual(await page.run(writeAndRead, entry, {}, backend), { backend, value: 1 });
					assert.ok((await page.run(fetchedNames)).includes("worker.js"), "it is in the I/O worker");
				}));

			test(`${name}: "holdfast/inline" on ${backend} needs no more than 'wasm-unsafe-eval' and blob: of a policy`, () =>
				browser.page(`${site.origin}/policy-inline`, async (page) => {
					const entry = "/package/dist/inline.js";
					assert.deepEqual(await page.run(writeAndRead, entry, {}, backend), { backend, value: 1 });
				}));
		}

		test(`${name}: "holdfast/slim" takes the engine and the worker it is given, and asks for the engine`, () =>
			browser.page(`${site.origin}/imports`, async (page) => {
				const wasm = "/package/dist/holdfast.wasm";
				const worker = "/package/dist/worker.js";
				const refused = await page.run(() =>
					import("holdfast/slim").then(({ open }) => open("slim")).catch(({ code }) => code),
				);
				assert.equal(refused, "OPTION_INVALID");
				assert.deepEqual(await page.run(writeAndRead, "holdfast/slim", { wasm }), { backend: "idb", value: 1 });
				assert.deepEqual(await page.run(writeAndRead, "holdfast/slim", { wasm, worker }), {
					backend: "opfs",
					value: 1,
				});
			}));
	});
}

/** In the page: what it fetched of the package, by file name. */
function fetchedNames() {
	const names = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
	return [
		...new Set(names.filter((path) => path.startsWith("/package/dist/")).map((path) => path.split("/").at(-1))),
	].sort();
}

/** In the page: through that entry point, with options that are paths, and the backend if one is named. */
async function writeAndRead(entry, paths, backend) {
	const { open, destroy } = await import(entry);
	const given = Object.entries(paths).map(([option, path]) => [option, new URL(path, location.href)]);
	const options = Object.fromEntries(given);
	if (backend) options.backend = backend;
	const name = `${entry} ${Object.keys(paths)}`;
	const store = await open(name, options);
	await store.set("k", 1);
	await store.close();
	const again = await open(name, options);
	const answer = { backend: again.status.backend, value: await again.get("k") };
	await again.close();
	await destroy(name);
	return answer;
}
