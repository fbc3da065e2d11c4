// Owns the way from a bare machine to one that builds (`start`), tests (`test`) and fuzzes (`fuzz`) Holdfast. Needs Node alone; every
// step first looks for what is there and runs only when it is missing. What it compiles goes to a per-user cache, keyed by
// version, so that a second clone does not compile again. What it found is left in target/toolchain.json.
//
// Versions: npm packages, wasm-pack and cargo-fuzz in package.json, wasm-bindgen in Cargo.lock; nowhere else.
// Environment: CHROME_PATH, CHROMEDRIVER, FIREFOX_PATH name browsers it should use; HOLDFAST_WASM_RUST=debian skips rustup.
// Deliberately absent: downloads of browser builds or of Rust itself. Those are the user's to install, and the message says how.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	accessSync,
	constants,
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { elapsed, run, SetupError, Steps } from "./progress.mjs";
import { CARGO_REGISTRY, ROOT, readToolchain, TARGET, writeToolchain } from "./toolchain.mjs";

const NODE_MAJOR_MIN = 20;
// The first whose panics can abort at once (build.mjs).
const RUSTC_MINOR_MIN = 92;
const WASM_TARGET = "wasm32-unknown-unknown";
const RUSTUP_TIMEOUT_MS = 180_000;
const EXE = process.platform === "win32" ? ".exe" : "";
const DEBIAN_RUSTLIB = "/usr/lib/rustlib";
const CACHE = join(
	process.env.XDG_CACHE_HOME ||
		(process.platform === "win32" ? process.env.LOCALAPPDATA : undefined) ||
		join(homedir(), ".cache"),
	"holdfast",
);

const steps = new Steps();

// ---- small questions to the machine ---------------------------------------------------------------------------

function isExecutable(path) {
	try {
		accessSync(path, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

function onPath(...names) {
	for (const name of names) {
		for (const dir of (process.env.PATH ?? "").split(delimiter)) {
			const path = join(dir, name + EXE);
			if (dir && isExecutable(path)) return path;
		}
	}
	return null;
}

/** Standard output of a quick program, or null when it is not there or fails. */
function ask(command, args, options = {}) {
	const { status, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 20_000, ...options });
	return status === 0 ? stdout.trim() : null;
}

/** Runs commands with root's rights, `what` begins the message when this user has none. */
function rootRunner(what, detail) {
	const isRoot = process.getuid?.() === 0;
	if (!isRoot && ask("sudo", ["-n", "true"]) === null) {
		throw new SetupError(
			`${what}, which takes root's rights, and sudo would ask for a password`,
			"sudo -v   # asks for it once; then run the same command again",
		);
	}
	return ([program, ...args]) => {
		const env = { DEBIAN_FRONTEND: "noninteractive" };
		return isRoot ? run(program, args, { detail, env }) : run("sudo", ["-n", program, ...args], { detail, env });
	};
}

const hasApt = () => process.platform === "linux" && onPath("apt-get") !== null;

// ---- Debian and Ubuntu packages --------------------------------------------------------------------------------

let aptUpdated = false;
// apt takes one lock for the machine: two of our own steps must queue, not fail.
let aptQueue = Promise.resolve();

function apt(packages, detail) {
	const result = aptQueue.then(() => aptNow(packages, detail));
	aptQueue = result.catch(() => {});
	return result;
}

async function aptNow(packages, detail) {
	const runAsRoot = rootRunner(`packages have to be installed: ${packages.join(" ")}`, detail);
	const lockWait = ["-o", "DPkg::Lock::Timeout=300"];
	try {
		if (!aptUpdated) await runAsRoot(["apt-get", "update", ...lockWait]);
		aptUpdated = true;
		if (packages.length === 0) return;
		// Nothing that the user has may have to go for it.
		await runAsRoot(["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", ...lockWait, ...packages]);
	} catch (error) {
		throw new SetupError(
			error.message,
			`sudo apt-get update && sudo apt-get install --no-install-recommends ${packages.join(" ")}`,
		);
	}
}

/** Newest `lld-N` that apt offers: Debian's rustc comes without a wasm linker, and the number moves. */
function newestLld() {
	const names = (ask("apt-cache", ["search", "--names-only", "^lld-[0-9]+$"]) ?? "").match(/^lld-\d+/gm) ?? [];
	return names.sort((a, b) => Number(b.slice(4)) - Number(a.slice(4)))[0] ?? null;
}

function debianWasmLinker() {
	const found = existsSync("/usr/bin") ? readdirSync("/usr/bin").filter((name) => /^wasm-ld(-\d+)?$/.test(name)) : [];
	const version = (name) => Number(name.slice("wasm-ld-".length) || 0);
	const best = found.sort((a, b) => version(b) - version(a))[0];
	return best ? join("/usr/bin", best) : null;
}

// ---- steps -----------------------------------------------------------------------------------------------------

async function nodeModules() {
	const lock = join(ROOT, "package-lock.json");
	// A worktree may borrow those of another checkout. They are not for this one to replace.
	if (lstatSync(join(ROOT, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) return;
	// Kept inside node_modules so that deleting the folder forgets it too.
	const stamp = join(ROOT, "node_modules", ".holdfast-lock-sha256");
	const hash = () => createHash("sha256").update(readFileSync(lock)).digest("hex");
	if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash()) return;
	await steps.step("npm packages", async (detail) => {
		// No package here needs its install script, and running none keeps `npm ci` from downloading anything else.
		const args = ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
		try {
			await run("npm", args, { detail, cwd: ROOT });
		} catch (error) {
			throw new SetupError(error.message, `npm ${args.join(" ")}`);
		}
		writeFileSync(stamp, hash());
	});
}

/** True when this rustc can compile for wasm32 with the standard library it finds there. */
function compilesWasm(rustc) {
	const dir = mkdtempSync(join(tmpdir(), "holdfast-probe-"));
	try {
		const args = [
			"--target",
			WASM_TARGET,
			"--crate-type",
			"lib",
			"--crate-name",
			"probe",
			"--emit",
			"metadata",
			"--out-dir",
			dir,
			"-",
		];
		return ask(rustc, args, { cwd: ROOT, input: "pub fn probe() -> Vec<u8> { vec![1] }\n" }) !== null;
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}

/** True when this compiler knows the options of the release build and has the library's source, which they rebuild. */
function canRebuildLibrary(rustc) {
	const minor = Number(ask(rustc, ["--version"], { cwd: ROOT })?.match(/^rustc 1\.(\d+)/)?.[1] ?? 0);
	const sysroot = ask(rustc, ["--print", "sysroot"], { cwd: ROOT });
	return minor >= RUSTC_MINOR_MIN && existsSync(join(sysroot, "lib", "rustlib", "src", "rust", "library"));
}

const plainWasm = { source: "installed", rustc: "rustc", env: {} };

const plainIsReady = () => canRebuildLibrary("rustc") && compilesWasm("rustc");

const DEBIAN_TOOLS = ["cargo", "rustc", "rustdoc", "cargo-clippy", "clippy-driver"];

/** Debian's compiler under names that win on PATH, without putting all of /usr/bin before the user's own tools. */
function debianWasm() {
	const bin = join(CACHE, "debian-rust", "bin");
	mkdirSync(bin, { recursive: true });
	for (const tool of DEBIAN_TOOLS) {
		if (!existsSync(join(bin, tool))) symlinkSync(join("/usr/bin", tool), join(bin, tool));
	}
	return {
		source: "debian",
		rustc: "/usr/bin/rustc",
		env: { PATH: [bin], CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: debianWasmLinker() },
	};
}

const debianIsInstalled = () =>
	DEBIAN_TOOLS.every((tool) => isExecutable(join("/usr/bin", tool))) &&
	canRebuildLibrary("/usr/bin/rustc") &&
	debianWasmLinker() !== null;

const debianIsReady = () => debianIsInstalled() && compilesWasm("/usr/bin/rustc");

async function wasmTarget() {
	// 1. There already: the user's own toolchain, or Debian's from an earlier run.
	const debianOnly = process.env.HOLDFAST_WASM_RUST === "debian";
	if (!debianOnly && plainIsReady()) return plainWasm;
	if (debianIsReady()) return debianWasm();

	// 2. rustup fetches it, where it can reach its server.
	if (!debianOnly && onPath("rustup")) {
		const add = (what, detail) => run("rustup", what, { detail, cwd: ROOT, timeout_ms: RUSTUP_TIMEOUT_MS });
		try {
			await steps.step(`Rust target ${WASM_TARGET} and the library's source, from rustup`, async (detail) => {
				await add(["target", "add", WASM_TARGET], detail);
				await add(["component", "add", "rust-src"], detail);
			});
			if (plainIsReady()) return plainWasm;
		} catch (error) {
			steps.note("-- ", "rustup cannot add the target here, so something else has to", error.message.split("\n")[0]);
		}
	}

	// 3. Debian and Ubuntu: their compiler and a standard library built once from their source package.
	if (hasApt()) return debianTarget();

	// 4. Nothing left to try.
	throw new SetupError(
		`no Rust compiler here, 1.${RUSTC_MINOR_MIN} or newer, can build for ${WASM_TARGET}`,
		`rustup update stable && rustup target add ${WASM_TARGET} && rustup component add rust-src\n  (without rustup: install it from https://rustup.rs first)`,
	);
}

async function debianTarget() {
	if (!debianIsInstalled()) {
		await steps.step("Debian's Rust compiler and linker", async (detail) => {
			// The name of the linker package is only known once apt has its lists.
			await apt([], detail);
			const lld = newestLld();
			if (!lld)
				throw new SetupError(
					"apt offers no lld-N package, the linker for wasm",
					"install a package that provides wasm-ld",
				);
			await apt(["rustc-web", "rust-web-src", "rust-web-clippy", "cargo-web", lld], detail);
		});
	}
	if (!compilesWasm("/usr/bin/rustc")) await steps.step(`standard library for ${WASM_TARGET}`, buildDebianStd);
	if (!debianIsReady()) {
		throw new SetupError(
			"Debian's rustc does not accept the standard library built for it",
			`rm -rf ${DEBIAN_RUSTLIB}/${WASM_TARGET}   # then run the same command again`,
		);
	}
	return debianWasm();
}

async function buildDebianStd(detail) {
	const dir = mkdtempSync(join(tmpdir(), "holdfast-std-"));
	try {
		mkdirSync(join(dir, "src"));
		writeFileSync(join(dir, "src", "lib.rs"), "");
		writeFileSync(
			join(dir, "Cargo.toml"),
			'[package]\nname = "empty_crate"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n',
		);
		const env = {
			PATH: `${debianWasm().env.PATH[0]}${delimiter}${process.env.PATH}`,
			RUSTC_BOOTSTRAP: "1",
			// Without bitcode in the library a later link with `lto = true` fails. The library's panic messages must not carry
			// this machine's paths into the published wasm.
			CARGO_ENCODED_RUSTFLAGS: `-Cembed-bitcode=yes\x1f--remap-path-prefix=${CARGO_REGISTRY}=`,
			CARGO_TARGET_DIR: join(dir, "target"),
		};
		const buildStd = "-Zbuild-std=std,test,panic_abort,panic_unwind,proc_macro";
		await run("/usr/bin/cargo", ["build", "--release", buildStd, "--target", WASM_TARGET], { detail, env, cwd: dir });

		const built = join(dir, "target", WASM_TARGET, "release", "deps");
		const libraries = readdirSync(built).filter((name) => name.endsWith(".rlib") && !name.startsWith("libempty_crate"));
		const lib = join(DEBIAN_RUSTLIB, WASM_TARGET, "lib");
		const runAsRoot = rootRunner(`the library has to be copied to ${DEBIAN_RUSTLIB}`, detail);
		// A compiler upgrade leaves libraries of the old version, which the new one would trip over.
		await runAsRoot(["rm", "-rf", lib]);
		await runAsRoot(["mkdir", "-p", lib]);
		await runAsRoot(["cp", ...libraries.map((name) => join(built, name)), lib]);
		// cargo cannot tell this library from one built before it, and would link against what is gone.
		rmSync(join(TARGET, "wasm"), { recursive: true, force: true });
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}

function lockedVersion(crate) {
	const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
	const found = lock.match(new RegExp(`name = "${crate}"\\r?\\nversion = "([^"]+)"`));
	if (!found) throw new SetupError(`Cargo.lock does not name ${crate}`, "cargo generate-lockfile");
	return found[1];
}

/** Directory that holds `program` of exactly this version: on PATH, in the cache, or compiled into the cache now. */
async function cargoTool(crate, program, version, installArgs) {
	const matches = (path) => path && isExecutable(path) && ask(path, ["--version"])?.split(" ")[1] === version;
	const there = onPath(program);
	if (matches(there)) return dirname(there);
	const root = join(CACHE, `${crate}-${version}`);
	const bin = join(root, "bin");
	if (!matches(join(bin, program + EXE))) {
		await steps.step(`${crate} ${version}, compiled into the cache`, async (detail) => {
			const args = ["install", crate, "--version", `=${version}`, "--root", root, "--force", ...installArgs];
			// A tool used for seconds is not worth minutes of optimizing.
			const env = {
				CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
				CARGO_PROFILE_RELEASE_LTO: "off",
				CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
				CARGO_PROFILE_RELEASE_DEBUG: "0",
			};
			try {
				// Outside the project: its configuration is not for tools.
				await run("cargo", args, { detail, env, cwd: tmpdir() });
			} catch (error) {
				throw new SetupError(error.message, `cargo ${args.join(" ")}`);
			}
		});
	}
	return bin;
}

const BROWSERS = {
	chromium: {
		variable: "CHROME_PATH",
		names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
		places: {
			darwin: [
				"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
				"/Applications/Chromium.app/Contents/MacOS/Chromium",
			],
			win32: [
				"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
				"C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe",
			],
		},
		packages: ["chromium"],
		fix: "install Chrome or Chromium, or set CHROME_PATH to it",
	},
	chromedriver: {
		variable: "CHROMEDRIVER",
		names: ["chromedriver"],
		places: {},
		packages: ["chromium-driver"],
		fix: "install the chromedriver of the same version as Chrome and put it on PATH, or set CHROMEDRIVER to it",
	},
	firefox: {
		variable: "FIREFOX_PATH",
		names: ["firefox-esr", "firefox"],
		places: {
			darwin: ["/Applications/Firefox.app/Contents/MacOS/firefox"],
			win32: ["C:\\Program Files\\Mozilla Firefox\\firefox.exe"],
		},
		packages: ["firefox-esr"],
		fix: "install Firefox, or set FIREFOX_PATH to it",
	},
	webkitDriver: { names: ["WebKitWebDriver"], places: {}, packages: ["webkit2gtk-driver"], optional: "WebKit" },
	xvfbRun: { names: ["xvfb-run"], places: {}, packages: ["xvfb", "xauth"], optional: "WebKit" },
};

function findBrowser({ variable, names, places }) {
	const named = variable && process.env[variable];
	if (named) {
		if (isExecutable(named)) return named;
		throw new SetupError(
			`${variable} is ${named}, which is not a program`,
			`unset ${variable}   # or set it to the program`,
		);
	}
	return onPath(...names) ?? places[process.platform]?.find(isExecutable) ?? null;
}

/** The browser that WebKitWebDriver starts; its folder carries the processor's and the library's name. */
function miniBrowser() {
	const lib = "/usr/lib";
	if (!existsSync(lib)) return null;
	for (const arch of readdirSync(lib).filter((name) => name.includes("-linux-gnu"))) {
		for (const api of ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"]) {
			const path = join(lib, arch, api, "MiniBrowser");
			if (isExecutable(path)) return path;
		}
	}
	return null;
}

async function browsers() {
	const missing = () => Object.values(BROWSERS).filter((browser) => !findBrowser(browser));
	if (missing().length > 0 && hasApt()) {
		await steps.step("browsers and their drivers, from apt", async (detail) => {
			await apt([], detail);
			const offered = (name) => /Candidate: \d/.test(ask("apt-cache", ["policy", name]) ?? "");
			const wanted = missing()
				.flatMap(({ packages }) => packages)
				.filter(offered);
			if (wanted.length > 0) await apt(wanted, detail);
		});
	}
	for (const browser of missing()) {
		if (!browser.optional) throw new SetupError(`the tests need ${browser.names[0]}`, browser.fix);
	}
	const found = Object.fromEntries(Object.entries(BROWSERS).map(([name, browser]) => [name, findBrowser(browser)]));
	found.miniBrowser = miniBrowser();
	if (!found.webkitDriver || !found.xvfbRun || !found.miniBrowser) {
		steps.note(
			"-- ",
			"WebKitWebDriver, its MiniBrowser or xvfb-run is not to be had here: the WebKit tests will be reported as skipped",
		);
	}
	return found;
}

// ---- the whole -------------------------------------------------------------------------------------------------

function requirements(goal) {
	if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
		throw new SetupError(
			`Node ${process.versions.node} is too old`,
			`install Node ${NODE_MAJOR_MIN} or newer from https://nodejs.org`,
		);
	}
	if (!onPath("cargo") || !onPath("rustc")) {
		throw new SetupError(
			"there is no Rust here: neither cargo nor rustc is on PATH",
			process.platform === "win32"
				? "winget install Rustlang.Rustup   # then open a new terminal"
				: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh   # then open a new terminal",
		);
	}
	if (goal === "test" && ["fmt", "clippy"].some((name) => ask("cargo", [name, "--version"], { cwd: ROOT }) === null)) {
		throw new SetupError("this cargo has no rustfmt or no clippy", "rustup component add rustfmt clippy");
	}
}

async function cargoTools(goal, packageJson) {
	// Side by side they would only share the same processors, so one after the other.
	const wasmBindgenBin = await cargoTool("wasm-bindgen-cli", "wasm-bindgen", lockedVersion("wasm-bindgen"), []);
	if (goal === "start") return { wasmBindgenBin };
	return {
		wasmBindgenBin,
		wasmPackBin: await cargoTool("wasm-pack", "wasm-pack", packageJson.config["wasm-pack"], ["--locked"]),
	};
}

/** What the fuzz targets need, which is nothing of what the others do. */
async function setUpFuzz({ config }) {
	if (!onPath("c++", "g++", "clang++")) {
		throw new SetupError("libFuzzer needs a C++ compiler", "sudo apt-get install --no-install-recommends g++");
	}
	const bin = await cargoTool("cargo-fuzz", "cargo-fuzz", config["cargo-fuzz"], ["--locked"]);
	writeToolchain({ ...readToolchain(), cargoFuzz: join(bin, `cargo-fuzz${EXE}`) });
}

async function setUp(goal) {
	requirements(goal);
	const packageJson = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
	if (goal === "fuzz") return setUpFuzz(packageJson);
	const settled = await Promise.allSettled([
		nodeModules(),
		wasmTarget(),
		cargoTools(goal, packageJson),
		goal === "test" ? browsers() : {},
	]);
	const failures = settled.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
	if (failures.length > 0) throw new AggregateError(failures);

	const [, wasm, { wasmBindgenBin, wasmPackBin }, found] = settled.map(({ value }) => value);
	wasm.env.PATH = [...(wasm.env.PATH ?? []), wasmBindgenBin];
	writeToolchain({
		// Building must not forget the browsers that an earlier set-up for tests has found.
		...readToolchain(),
		wasm,
		wasmBindgen: join(wasmBindgenBin, `wasm-bindgen${EXE}`),
		...(wasmPackBin && { wasmPack: join(wasmPackBin, `wasm-pack${EXE}`) }),
		...found,
	});
	return wasm;
}

function report(error) {
	const text = [error.message];
	if (error.fix) text.push("", "To put it right, type:", `  ${error.fix}`);
	console.error(`\nset-up failed: ${text.join("\n")}`);
}

const goal = process.argv[2];
const GOALS = { start: "build", test: "build and test", fuzz: "fuzz" };
if (!Object.hasOwn(GOALS, goal)) {
	console.error(`usage: node scripts/setup.mjs ${Object.keys(GOALS).join("|")}`);
	process.exit(2);
}
const started = Date.now();
console.log(`Setting up to ${GOALS[goal]}`);
try {
	const wasm = await setUp(goal);
	const by = wasm && ` (wasm by ${wasm.source === "debian" ? "Debian's Rust" : "the installed Rust"})`;
	console.log(`Set-up ready in ${elapsed(Date.now() - started)}${by ?? ""}`);
} catch (error) {
	for (const one of error instanceof AggregateError ? error.errors : [error]) report(one);
	process.exit(1);
}
