// Holdfast itself as the benchmark serves it: dist/, built again when a source is newer.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../progress.mjs";
import { ROOT } from "../toolchain.mjs";

const SOURCES = ["src", "Cargo.toml", "Cargo.lock", "scripts/build.mjs"];

/** Whether dist/ is missing or older than what it is made from. */
export function isStale() {
	const built = modifiedAt(join(ROOT, "dist", "index.d.ts"));
	return SOURCES.some((source) => newest(join(ROOT, source)) > built);
}

/** `npm run build`; `detail` gets its output. */
export function buildPackage(detail) {
	return run("npm", ["run", "build"], { cwd: ROOT, detail });
}

function newest(path) {
	const names = statSync(path).isDirectory() ? readdirSync(path, { recursive: true }) : [];
	return Math.max(modifiedAt(path), ...names.map((name) => modifiedAt(join(path, name))));
}

function modifiedAt(path) {
	return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
