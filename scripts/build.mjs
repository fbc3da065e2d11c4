// Owns dist/: the Rust core compiled, bound, optimized and bundled with the TypeScript into the published files.
//
//   cargo -> wasm-bindgen -> wasm-opt -> dist/holdfast.wasm
//   src/ts/{index,worker}.ts -> esbuild, shared chunks; src/ts/{slim,inline}.ts -> esbuild, self-contained; tsc -> *.d.ts
//   src/ts/cli.ts -> esbuild, self-contained, for Node
//
// dist/ is emptied first, so it never holds a file that this build did not make. The wasm steps are skipped while their input
// is the same. Ends with a table of sizes (bytes) and fails above GZIP_BYTES_MAX. Needs what setup.mjs found.
// Deliberately absent: source maps, CommonJS, a development build.

import { createHash } from "node:crypto";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { elapsed, run, Steps } from "./progress.mjs";
import { CARGO_REGISTRY, ROOT, readToolchain, TARGET, wasmEnv } from "./toolchain.mjs";

const GZIP_BYTES_MAX = 60 * 1024;
const DIST = join(ROOT, "dist");
const BINDGEN = join(TARGET, "bindgen");
const OPTIMIZED = join(BINDGEN, "holdfast.wasm");
/** The short names of the exports, by the names that `src/wasm.rs` gives them. */
const EXPORT_NAMES = join(BINDGEN, "exports.json");
const WORKER_TEXT = join(BINDGEN, "worker.txt");

const BINDGEN_ARGS = [
	...["--target", "web", "--out-name", "holdfast"],
	// The glue's own fallback would make bundlers look for a file that is not in the package.
	"--omit-default-module-path",
	"--remove-producers-section",
];
const WASM_OPT_ARGS = [
	"-Oz",
	"--converge",
	// The first kilobyte is the far end of the stack.
	"--low-memory-unused",
	// Large functions number more locals, which compresses worse: merging functions that have one caller, and keeping common
	// subexpressions in locals, makes the wasm smaller and its gzip 3 % larger.
	...["--one-caller-inline-max-function-size=20", "--always-inline-max-function-size=5", "--skip-pass=local-cse"],
	"--dealign",
];
// What Rust's wasm32 target emits by default; wasm-opt refuses what it was not told to expect.
const FEATURE_ARGS = [
	...["--enable-bulk-memory", "--enable-multivalue", "--enable-mutable-globals", "--enable-nontrapping-float-to-int"],
	...["--enable-reference-types", "--enable-sign-ext"],
];
const STRIP_ARGS = ["--strip-debug", "--strip-producers", "--strip-target-features"];
/** In the table, but called by nobody. */
const DEAD_FUNCTIONS = /::convert::closures::_::invoke::|^\$"js_sys\S*::futures::|-> Externref"$|::WasmRet</;
/** Of a closure that can be called more than once: how it were called if only once. Nobody does. */
const ONLY_ONCE = /^\$"<(.*) as core\S*::FnOnce<.*>>::call_once::\{shim:vtable#0\}"$/;
const UNREAD_TEXTS = ["closure invoked recursively or after being dropped"];
/** What wasm-opt calls the one module that it merges all imports into. */
const IMPORT_MODULE = "a";
/** The glue that the wasm imports, with its short names, is the one that everything else uses. */
const ONE_GLUE = {
	name: "one glue",
	setup({ onResolve }) {
		onResolve({ filter: /\/glue\.js$/ }, ({ importer }) =>
			importer.startsWith(BINDGEN) ? undefined : { path: snippet("glue.js") },
		);
	},
};
/** What calls the exports calls them by their short names. */
const SHORT_NAMES = {
	name: "short names",
	setup({ onLoad }) {
		onLoad({ filter: /\/src\/ts\/wasm\.ts$/ }, ({ path }) => ({
			contents: shortened(readFileSync(path, "utf8"), JSON.parse(readFileSync(EXPORT_NAMES, "utf8"))),
			loader: "ts",
		}));
	},
};
/**
 * What `more.ts` has of the backends is a copy of those functions: a file of its own that both share were asked for only once this one
 * has come, and a second tab waits for it.
 */
const NOT_SHARED = {
	name: "not shared",
	setup({ onResolve }) {
		onResolve({ filter: /\/(opfs|rows)\.js$/ }, ({ importer, path }) =>
			/\/(queue|stores)\.js$/.test(importer) ? { path: resolve(dirname(importer), path), suffix: "?copy" } : undefined,
		);
	},
};
const ESBUILD_OPTIONS = {
	bundle: true,
	format: "esm",
	target: "es2022",
	minify: true,
	legalComments: "none",
	metafile: true,
	outdir: DIST,
	logLevel: "silent",
	loader: { ".txt": "text", ".wasm": "base64" },
	plugins: [ONE_GLUE, SHORT_NAMES, NOT_SHARED],
};

const nodeModule = (...path) => join(ROOT, "node_modules", ...path);
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");

/** RUSTFLAGS that keep this machine's paths, which panic messages carry, out of the published wasm. */
function remapFlags() {
	const indexes = existsSync(CARGO_REGISTRY)
		? readdirSync(CARGO_REGISTRY).map((name) => join(CARGO_REGISTRY, name))
		: [];
	return [...indexes, ROOT].map((path) => `--remap-path-prefix=${path}=`);
}

/**
 * Flags for a library without panic messages: a panic ends in a trap either way, and what would print it is a tenth of the
 * wasm. They rebuild the standard library from its source with the compiler's unstable options, which every compiler has.
 */
const SMALL_RUSTFLAGS = [
	...["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none", "-Zfmt-debug=none"],
	// With either, wasm-bindgen puts a shim in front of every import and export.
	"-Ctarget-feature=-reference-types,-multivalue",
	...["-Zmir-opt-level=1", "-Cllvm-args=-inline-threshold=20"],
];
const SMALL_CARGO_ARGS = ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];

async function compile(detail) {
	const env = wasmEnv();
	const flags = [...remapFlags(), ...SMALL_RUSTFLAGS].join("\x1f");
	// A directory of its own: these flags would rebuild everything that the browser tests have built, and the reverse.
	const CARGO_TARGET_DIR = join(TARGET, "release");
	const args = ["build", "--release", "--lib", "--target", "wasm32-unknown-unknown", ...SMALL_CARGO_ARGS];
	await run("cargo", args, {
		detail,
		env: { ...env, CARGO_TARGET_DIR, CARGO_ENCODED_RUSTFLAGS: flags, RUSTC_BOOTSTRAP: "1" },
		cwd: ROOT,
	});
	return join(CARGO_TARGET_DIR, "wasm32-unknown-unknown", "release", "holdfast.wasm");
}

/**
 * What wasm-bindgen's glue has for browsers without `encodeInto` (2018), for `using`, for old callers, and for long texts; what frees objects that
 * are collected (all are freed or kept, and one of an instance that failed must not be); what keeps to the first instance; what takes
 * anything but a compiled module; and what cannot happen: two gigabytes of names and messages, an import that is not there, `instanceof` that throws, a memory that was detached and is the same, modules named as what every
 * object inherits.
 */
const UNNEEDED_GLUE = [
	/^ *if \(wasm !== undefined\) return wasm;$/gm,
	/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{\n[\s\S]*?^\}$/m,
	/ else \{\s*console\.warn\('using deprecated .*\s*\}/g,
	/^ {4}if \(module !== undefined\) \{\n[\s\S]*?^ {4}\}$/m,
	/^ {4}if \(!\(module instanceof WebAssembly\.Module\)\) \{\n[\s\S]*?^ {4}\}$/m,
	// Two ways to hand over a text; the shorter one is left.
	/^ {4}if \(realloc === undefined\) \{$/m,
	/^ {4}\}\n\n {4}let len = arg\.length;[\s\S]*?^ {4}return ptr;\n(?=\})/m,
	/^ {4}numBytesDecoded \+= [\s\S]*?^ {4}\}\n(?= +return cachedTextDecoder)/m,
	/, wasm\.__wbindgen_realloc/,
	/typeof thread\.\w+ == 'function' \? /g,
	/ : notDefined\('[\w.]+'\)/g,
	/(?<=let result;\s+)try \{|\} catch \(_\) \{\s+result = false;\s+\}/g,
	/cachedDataViewMemory0\.buffer\.detached === (true \|\| (?=\()|undefined && )/g,
	/^ +__proto__: null,$/gm,
];

/** Code that knows the exports as `wasm`, with their short names. */
const shortened = (code, exportNames) => code.replace(/(?<=\bwasm\.)\w+/g, (name) => exportNames[name] ?? name);

/**
 * Gives imports and exports the short names that wasm-opt chose, in the glue too: wasm-bindgen's are a tenth of what is
 * downloaded. `mapping` is what wasm-opt prints: `[module, name, short]` of each import, `[name, short]` of each export.
 */
function shortenNames(mapping, files) {
	const { imports, exports } = JSON.parse(mapping.slice(mapping.indexOf("{")));
	const importNames = new Map(imports.map(([, name, short]) => [name, short]));
	const exportNames = Object.fromEntries(exports);
	const missing = new Set(importNames.keys());
	const [glue] = files;
	let text = readFileSync(glue, "utf8");
	for (const unneeded of UNNEEDED_GLUE) {
		if (text.search(unneeded) < 0)
			throw new Error(`the glue has nothing like ${unneeded}: delete it from UNNEEDED_GLUE`);
		text = text.replace(unneeded, "");
	}
	writeFileSync(glue, text);
	for (const file of files) {
		const text = readFileSync(file, "utf8")
			.replace(`"./holdfast_bg.js":`, `${IMPORT_MODULE}:`)
			.replace(/(?<=^\s+)\w+(?=: )/gm, (name) => {
				missing.delete(name);
				return importNames.get(name) ?? name;
			})
			// What wasm-opt found nobody to call.
			.replace(/^ {8}__wbg_\w+: function[\s\S]*?^ {8}\},\n/gm, "");
		writeFileSync(file, shortened(text, exportNames));
	}
	if (missing.size > 0) throw new Error(`the glue lacks ${[...missing].join(", ")}`);
	writeFileSync(EXPORT_NAMES, JSON.stringify(exportNames));
}

/**
 * The module, as text, without the functions through which JavaScript would call Rust's closures: nothing makes one (`task.rs`),
 * but js-sys leaves the address of each kind in the table.
 */
function withoutClosures(text) {
	const line = text.match(/^ \(elem .*$/m)[0];
	const names = line.match(/\$"[^"]*"/g);
	const known = new Set(names);
	const isDead = (name) => DEAD_FUNCTIONS.test(name) || known.has(`$"${name.match(ONLY_ONCE)?.[1]}"`);
	const dead = new Set(names.filter(isDead));
	const stub = names.find((name) => name.includes("::mem::drop::<"));
	if (dead.size === 0 || !stub) throw new Error("the table has no closures of js-sys; delete withoutClosures");
	return text.replace(
		line,
		line.replace(/\$"[^"]*"/g, (name) => (dead.has(name) ? stub : name)),
	);
}

/** The module, as text, without what only the glue's longer way to hand over a text uses. */
const withoutRealloc = (text) => text.replace(/^ \(export "__wbindgen_realloc" .*$/m, "");

/** The module, as text, with spaces for what wasm-bindgen says of closures, which there are none of. */
const withoutTexts = (text) =>
	UNREAD_TEXTS.reduce((rest, unread) => rest.replaceAll(unread, " ".repeat(unread.length)), text);

/** Glue and optimized wasm into BINDGEN, unless they were made from this very wasm by these very options. */
async function bindAndOptimize(steps, compiled) {
	const stamp = join(BINDGEN, ".made-from");
	const { wasmBindgen } = readToolchain();
	const binaryen = readFileSync(nodeModule("binaryen", "package.json"));
	const thisScript = readFileSync(fileURLToPath(import.meta.url));
	const inputs = sha256(readFileSync(compiled), binaryen, wasmBindgen, thisScript);
	if (existsSync(stamp) && existsSync(OPTIMIZED) && readFileSync(stamp, "utf8") === inputs) return;

	rmSync(BINDGEN, { recursive: true, force: true });
	await steps.step("bind (wasm-bindgen)", (detail) =>
		run(wasmBindgen, [...BINDGEN_ARGS, "--out-dir", BINDGEN, compiled], { detail }),
	);
	const binaryenTool = (tool, args, detail) =>
		run(process.execPath, [nodeModule("binaryen", "bin", tool), ...FEATURE_ARGS, ...args], { detail });
	const wasmOpt = (args, detail) => binaryenTool("wasm-opt", [...args, "-o", OPTIMIZED], detail);
	const mapping = await steps.step("optimize (wasm-opt)", async (detail) => {
		const [bound, text] = ["holdfast_bg.wasm", "holdfast_bg.wat"].map((name) => join(BINDGEN, name));
		await binaryenTool("wasm-dis", [bound, "-o", text], detail);
		writeFileSync(text, withoutRealloc(withoutTexts(withoutClosures(readFileSync(text, "utf8")))));
		await binaryenTool("wasm-as", [text, "-o", bound], detail);
		await wasmOpt([...WASM_OPT_ARGS, bound], detail);
		return wasmOpt(["--minify-imports-and-exports-and-modules", ...STRIP_ARGS, OPTIMIZED], detail);
	});
	shortenNames(mapping, [join(BINDGEN, "holdfast.js"), snippet("glue.js")]);
	writeFileSync(stamp, inputs);
}

/** Where wasm-bindgen puts a module of src/backend. */
function snippet(name) {
	const [directory] = readdirSync(join(BINDGEN, "snippets"));
	return join(BINDGEN, "snippets", directory, "src", "backend", name);
}

/** What terser may do beyond its defaults; a tenth less than esbuild's own minifier leaves. */
const TERSER_OPTIONS = {
	module: true,
	ecma: 2022,
	compress: { passes: 3, unsafe_arrows: true, keep_fargs: false },
	// Of our own objects that neither users nor the browser see, nor other tabs, which may have another build, nor the storage.
	mangle: {
		properties: {
			regex:
				/^(acknowledgements|answer|answered|arrived|asked|attach|bounds|broken|copies|counter|database|detach|distrusted|end_scan|engines|valueAt|forget|fulfilled|get_many|handle|isReverse|leads|listed|live_bytes|opening|outcome|owe|raw|record_changes|releases|schedule|scratch|need|ask|keep|frozen|current|baseBytes|copy|own|progress|settle|linked|instance|keyRow|entryRow|room|failed|out|settings|sizes|spare|tell|touch|waiting|writingMs|tab|table|tellStatus|drain|park|openStorage|channelOf|progressed|away|follows|reached|inside|release)$/,
		},
	},
};

/** Minifies what esbuild bundled, in place. */
async function minify(paths) {
	const { minify } = await import("terser");
	const nameCache = {};
	for (const path of paths) {
		const { code } = await minify(readFileSync(path, "utf8"), { ...TERSER_OPTIONS, nameCache });
		writeFileSync(path, code);
	}
}

async function bundle() {
	const esbuild = await import("esbuild");
	const source = (name) => join(ROOT, "src", "ts", `${name}.ts`);
	// embedded.ts carries the worker as text.
	await esbuild.build({ ...ESBUILD_OPTIONS, entryPoints: [source("worker")], outdir: undefined, outfile: WORKER_TEXT });
	await minify([WORKER_TEXT]);
	const shared = await esbuild.build({
		...ESBUILD_OPTIONS,
		entryPoints: ["index", "worker"].map(source),
		splitting: true,
		chunkNames: "c-[hash]",
	});
	await minify(Object.keys(shared.metafile.outputs).map((path) => join(ROOT, path)));
	const apart = await esbuild.build({ ...ESBUILD_OPTIONS, entryPoints: ["slim", "inline"].map(source) });
	await minify(Object.keys(apart.metafile.outputs).map((path) => join(ROOT, path)));
	await esbuild.build({ ...ESBUILD_OPTIONS, entryPoints: [source("cli")], platform: "node", target: "node20" });
	chmodSync(join(DIST, "cli.js"), 0o755);
	return shared.metafile;
}

async function declare(detail) {
	await run(process.execPath, [nodeModule("typescript", "bin", "tsc"), "-p", "tsconfig.build.json"], {
		detail,
		cwd: ROOT,
	});
	for (const name of readdirSync(DIST, { recursive: true }).filter((name) => name.endsWith(".d.ts"))) {
		// The glue's types stay in target/, so a published type that needs them would be broken for every user.
		if (readFileSync(join(DIST, name), "utf8").includes("target/bindgen"))
			throw new Error(`dist/${name} refers to the generated glue`);
	}
}

/**
 * Files of dist/ that a page with a store in OPFS downloads: the entries, every chunk they import, the wasm; and those that are loaded
 * with the first call that needs them.
 */
function coreFiles({ outputs }) {
	const core = new Set();
	const reach = (path) => {
		if (core.has(path)) return;
		core.add(path);
		for (const { path: next, kind } of outputs[path].imports) if (kind === "import-statement") reach(next);
	};
	for (const entry of ["dist/index.js", "dist/worker.js"]) reach(entry);
	const names = (paths) => [...paths].map((path) => path.slice("dist/".length)).sort();
	return {
		core: ["holdfast.wasm", ...names(core)],
		onDemand: names(Object.keys(outputs).filter((path) => !core.has(path))),
	};
}

/** Prints every size and returns the core's, in bytes gzip. */
function printSizes({ core, onDemand }) {
	const measure = (name) => {
		const bytes = readFileSync(join(DIST, name));
		return {
			name,
			raw: bytes.length,
			gzip: gzipSync(bytes, { level: 9 }).length,
			brotli: brotliCompressSync(bytes).length,
		};
	};
	const print = ({ name, raw, gzip, brotli }) =>
		console.log(`  ${name.padEnd(24)}${[raw, gzip, brotli].map((n) => n.toLocaleString("en").padStart(10)).join("")}`);
	const rows = core.map(measure);
	const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
	const total = { name: "core", raw: sum("raw"), gzip: sum("gzip"), brotli: sum("brotli") };

	console.log(`\n  ${"bytes".padEnd(24)}${["raw", "gzip", "brotli"].map((name) => name.padStart(10)).join("")}`);
	rows.forEach(print);
	print(total);
	console.log("  loaded with the first call that needs it:");
	onDemand.map(measure).forEach(print);
	console.log("  other entry points:");
	["slim.js", "inline.js", "cli.js"].map(measure).forEach(print);
	const share = Math.round((total.gzip / GZIP_BYTES_MAX) * 100);
	console.log(
		`\n  core: ${total.gzip.toLocaleString("en")} of ${GZIP_BYTES_MAX.toLocaleString("en")} bytes gzip (${share} %)`,
	);
	return total.gzip;
}

/** Throws when the core, in bytes gzip, is larger than promised. */
export function checkBudget(gzipBytes) {
	if (gzipBytes > GZIP_BYTES_MAX)
		throw new Error(`the core is ${gzipBytes - GZIP_BYTES_MAX} bytes gzip over its budget`);
}

/** Builds everything and resolves to the core's size in bytes gzip; throws an Error whose message is what the failing tool said. */
export async function build() {
	const started = Date.now();
	console.log("Building");
	const steps = new Steps();
	const compiled = await steps.step("compile (cargo, wasm32, release)", compile);
	await bindAndOptimize(steps, compiled);
	rmSync(DIST, { recursive: true, force: true });
	mkdirSync(DIST);
	copyFileSync(OPTIMIZED, join(DIST, "holdfast.wasm"));
	const metafile = await steps.step("bundle (esbuild)", bundle);
	const gzipBytes = printSizes(coreFiles(metafile));
	await steps.step("declare types (tsc)", declare);
	console.log(`Built dist/ in ${elapsed(Date.now() - started)}`);
	return gzipBytes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	process.chdir(ROOT);
	build()
		.then(checkBudget)
		.catch((error) => {
			console.error(`\nbuild failed: ${error.message}`);
			process.exit(1);
		});
}
