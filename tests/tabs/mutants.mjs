// Ways to break what many tabs rely on, one at a time, each of which the simulation has to find: `node tests/tabs/mutants.mjs`.
// A mutant is a name and an edit that replaces a text which a source has exactly once. Deliberately absent: mutants that something
// else makes up for, such as frames out of order, which the engine refuses too.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT, TARGET } from "../../scripts/toolchain.mjs";
import { bundle, simulate } from "./run.mjs";

/** Schedules in which each has to be found. */
const SCHEDULES = 3000;
const SEED = 1;

/** `[name, file in src/ts/, text, what takes its place]` */
const MUTANTS = [
	["a follower's write leaves no slot", "slots.ts", "slot ? batchOf(ops, slot) : batchOf(ops),", "batchOf(ops),"],
	[
		"a new leader does not look for writes that were made",
		"leading.ts",
		"if (seqOf(this.#inside, from, number))",
		"if (number < 0)",
	],
	["the numbers of writes are not checked", "leading.ts", "if (number < client.next) {", "if (number < 0) {"],
	[
		"frames are told before the storage has them",
		"leading.ts",
		"const value = await this.#ask.call(this.#storage, request);\n\t\tif (copy) this.#appended(name, copy, synced);",
		"if (copy) this.#appended(name, copy, synced);\n\t\tconst value = await this.#ask.call(this.#storage, request);",
	],
	[
		"the versions that were read are not sent",
		"following.ts",
		"given?.bytes.slice(0, given.at)",
		"given?.bytes.slice(0, 0)",
	],
	[
		"what is not answered is not sent to the next leader",
		"following.ts",
		"this.#loseLeader();\n\t\t\tthis.#sendFrom(0);",
		"this.#loseLeader();\n\t\t\tthis.#pending.clear();",
	],
	["a lock that is lost while opening is not noticed", "open.ts", "if (isLost) tab.lost();", ""],
	[
		"a leader that lost its lock goes on",
		"open.ts",
		"tab.lost = () => {\n\t\t\t\taway();",
		"tab.lost = () => {\n\t\t\t\tif (!tab.role) away();",
	],
	["a tab that follows again numbers its writes anew", "tabs.ts", "number = this.#following.number", "number = 0"],
	[
		"reads do not wait for the tab's own writes",
		"store.ts",
		"if (tab.follows) await seen();\n\t\t\t\treturn peek(own(key));",
		"return peek(own(key));",
	],
	["writes rest on what was never stored", "tabs.ts", "following.refuse(storedSeq);", ""],
	[
		"what waits for a leader is forgotten when the tab leads itself",
		"following.ts",
		"for (const { message, resolve, reject } of this.#waiting.values()) this.#askOwn(message).then(resolve, reject);",
		"",
	],
];

/** A source with a mutant in it; throws where it does not fit. */
function broken(source, [name, file, text, replacement]) {
	const times = source.split(text).length - 1;
	if (times !== 1) throw new Error(`mutant "${name}": src/ts/${file} has its text ${times} times, not once`);
	return source.replace(text, () => replacement);
}

/** Throws where a mutant no longer fits the sources. */
export function checkMutants() {
	for (const mutant of MUTANTS) broken(readFileSync(join(ROOT, "src", "ts", mutant[1]), "utf8"), mutant);
}

async function main() {
	const wanted = process.argv[2];
	let missed = 0;
	for (const [i, mutant] of MUTANTS.entries()) {
		const [name, file] = mutant;
		if (wanted && !name.includes(wanted)) continue;
		const script = await bundle(join(TARGET, "tabs", `mutant-${i}.mjs`), (path, source) =>
			path === `src/ts/${file}` ? broken(source, mutant) : undefined,
		);
		const { failures, figures } = await simulate({ script, schedules: SCHEDULES, seed: SEED, failuresMax: 1 });
		if (failures.length === 0) missed++;
		const [{ seed, faults } = {}] = failures;
		console.log(
			`${failures.length > 0 ? "found " : "MISSED"} ${name}${seed ? `: seed ${seed}, after ${figures.schedules}: ${faults[0].slice(0, 140)}` : ""}`,
		);
	}
	console.log(`${missed} missed`);
	process.exitCode = missed > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
