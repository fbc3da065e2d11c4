// Owns where the tools are: the one reader and writer of target/toolchain.json, which setup.mjs fills in and
// every other script reads. Paths are absolute; an optional tool that this machine lacks is null.
//
//   { wasm: { source, rustc, env }, wasmBindgen, wasmPack, chromium, chromedriver, firefox,
//     webkitDriver, miniBrowser, xvfbRun, cargoFuzz }
//
// `wasm.env` is laid over process.env for anything that compiles to wasm32; its PATH puts the chosen cargo and rustc and
// the matching wasm-bindgen first. Run as a program, it prints those variables for `eval` in a POSIX shell.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const TARGET = join(ROOT, "target");
/** Where cargo unpacks crates: their panic messages carry this path. */
export const CARGO_REGISTRY = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry", "src");
const FILE = join(TARGET, "toolchain.json");

/** What setup.mjs found; an empty object before the first set-up. */
export function readToolchain() {
	try {
		return JSON.parse(readFileSync(FILE, "utf8"));
	} catch {
		return {};
	}
}

export function writeToolchain(found) {
	mkdirSync(TARGET, { recursive: true });
	writeFileSync(FILE, `${JSON.stringify(found, null, "\t")}\n`);
}

/** Environment for wasm32 builds. Throws when set-up has not run. */
export function wasmEnv() {
	const { wasm } = readToolchain();
	if (!wasm) throw new Error("no wasm toolchain recorded: run `node scripts/setup.mjs start`");
	const { PATH, ...others } = wasm.env;
	// Two builds with two compilers in one target directory would rebuild everything each time.
	return {
		...others,
		PATH: PATH.join(delimiter) + delimiter + process.env.PATH,
		CARGO_TARGET_DIR: join(TARGET, "wasm"),
	};
}

/**
 * Environment for `wasm-pack test`: the wasm toolchain, the driver it would otherwise download, and more seconds than the
 * 20 that a test file gets by default, which a busy machine needs.
 */
export function wasmTestEnv() {
	const { chromedriver } = readToolchain();
	return { ...wasmEnv(), WASM_BINDGEN_TEST_TIMEOUT: "120", ...(chromedriver && { CHROMEDRIVER: chromedriver }) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	for (const [name, value] of Object.entries(wasmTestEnv())) console.log(`export ${name}='${value}'`);
}
