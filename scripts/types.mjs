// Owns the check of the published types: that the tests in tests/types, every example of the reference and every code block of
// README.md and docs/ compile against the declarations as they are packed, under the strictest options and without Node's types.
// That each export and each member of a store has an example.
//
// The declarations are made anew into target/types/node_modules/holdfast, beside the package.json whose `exports` lead to them, so no
// built dist/ is needed. An example is a module of its own whose line numbers are those of its source; `store` is there, and what the
// package exports unless it imports that itself. Blocks of other languages than ts and js are left out. Throws when something is
// missing; what tsc finds is printed.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, TARGET } from "./toolchain.mjs";

const TYPES = join(TARGET, "types");
const PACKAGE = join(TYPES, "node_modules", "holdfast");
/** Where what `holdfast` exports is declared. */
const SOURCES = ["index", "error", "types"].map((name) => join("src", "ts", `${name}.ts`));
const DECLARATION = /^export (?:async )?(?:interface|type|class|function) (\w+)/;
/** Of an interface, one level deep. */
const MEMBER = /^\t(?:readonly )?(\w+)[(<:]/;
/** What is exported by its file but not by the package. */
const INTERNAL = ["ErrorDetail", "fromWasm"];
const STORE = 'declare const store: import("holdfast").Store<any>;\n';

const COMPILER_OPTIONS = {
	...{ target: "es2023", module: "esnext", moduleResolution: "bundler", noEmit: true, types: [] },
	...{ lib: ["es2023", "esnext.disposable", "dom", "dom.iterable", "dom.asynciterable"] },
	...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
};

/** The code blocks of a text: `{ line, code }`, the line of the first one counted from 0. */
export function blocksOf(markdown) {
	const blocks = [];
	let block;
	for (const [i, line] of markdown.split("\n").entries()) {
		if (block && line === "```") block = undefined;
		else if (block) block.code += `${line}\n`;
		else if (/^```(ts|js)$/.test(line)) {
			block = { line: i + 1, code: "" };
			blocks.push(block);
		}
	}
	return blocks;
}

/** The pages of the guide, by their paths from the root. */
export function pages() {
	const names = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
	return ["README.md", ...names.sort().map((name) => join("docs", name))];
}

/** The `@example`s of a source, as `blocksOf` gives blocks, and the names that are declared without one. */
function examplesOf(source) {
	const examples = [];
	const without = [];
	const exports = [];
	let scope;
	/** Whether the comment just above has one. */
	let hasExample = false;
	let example;
	for (const [i, line] of source.split("\n").entries()) {
		const text = line.match(/^\t? \* ?(.*)$/)?.[1];
		if (text?.startsWith("@example")) {
			hasExample = true;
			example = { line: i, code: `${text.slice("@example".length)}\n` };
			examples.push(example);
		} else if (text === "/" || text === undefined) example = undefined;
		else if (example) example.code += `${text}\n`;
		if (text !== undefined) continue;
		const exported = line.match(DECLARATION)?.[1];
		const member = scope === "Store" ? line.match(MEMBER)?.[1] : undefined;
		if (exported) {
			scope = exported;
			if (!INTERNAL.includes(exported)) exports.push(exported);
		}
		if (((exported && !INTERNAL.includes(exported)) || member) && !hasExample)
			without.push(member ? `Store.${member}` : exported);
		hasExample = false;
	}
	return { examples, without, exports };
}

/** Writes what is to be checked into target/types; resolves to the arguments of tsc, first for the declarations, then for the check. */
export function prepareTypes() {
	rmSync(TYPES, { recursive: true, force: true });
	mkdirSync(join(TYPES, "examples"), { recursive: true });
	mkdirSync(PACKAGE, { recursive: true });
	cpSync(join(ROOT, "package.json"), join(PACKAGE, "package.json"));
	cpSync(join(ROOT, "tests", "types"), join(TYPES, "tests"), { recursive: true });
	const write = (name, text) => writeFileSync(join(TYPES, name), text);
	// Otherwise "holdfast" would be the repository itself.
	write("package.json", JSON.stringify({ private: true, type: "module" }));
	write(
		"tsconfig.json",
		JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ["tests", "examples", "*.d.ts"] }),
	);
	write("store.d.ts", STORE);

	const read = (path) => readFileSync(join(ROOT, path), "utf8");
	const sources = SOURCES.map((path) => ({ path, ...examplesOf(read(path)) }));
	const without = sources.flatMap(({ without }) => without);
	if (without.length > 0) throw new Error(`without an example: ${without.join(", ")}`);
	const prelude = `import { ${sources.flatMap(({ exports }) => exports).join(", ")} } from "holdfast";`;
	const examples = [
		...sources.flatMap(({ path, examples }) => examples.map((example) => ({ path, ...example }))),
		...pages().flatMap((path) => blocksOf(read(path)).map((block) => ({ path, ...block }))),
	];
	for (const { path, line, code } of examples) {
		const imports = code.includes('from "holdfast') ? "" : prelude;
		// The first line is free: what documents something stands behind something.
		const text = imports + "\n".repeat(line) + code;
		write(join("examples", `${path.replaceAll(/[\\/]/g, "-")}.${line + 1}.ts`), `${text}export {};\n`);
	}
	console.log(`${examples.length} examples`);
	return [
		["-p", "tsconfig.build.json", "--outDir", join(PACKAGE, "dist")],
		["-p", join(TYPES, "tsconfig.json")],
	];
}
