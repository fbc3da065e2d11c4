// The system calls by which a browser brings files to the disk, counted by strace.
//
// Owns: the strace process, which ends with the count. Units: ms. Errors: plain `Error`s; whoever may not trace learns it from
// `straceMissing`.

import { spawn, spawnSync } from "node:child_process";
import { bounded } from "./browser.mjs";

const ATTACH_MS = 20_000;
const DETACH_MS = 20_000;

/** Why nothing can be traced here, for a skipped test; undefined when it can. */
export function straceMissing() {
	const { error, status, stderr } = spawnSync("strace", ["-e", "trace=fsync", "true"], { encoding: "utf8" });
	if (error) return "strace is not installed";
	return status === 0 ? undefined : `strace may not trace: ${stderr.trim()}`;
}

/** How many syncs of files whose path has `area` in it the browser makes while `body()` runs. */
export async function syncsDuring(browser, area, body) {
	const pids = browser.processes();
	const args = ["-f", "-y", "-e", "trace=fsync,fdatasync", ...pids.flatMap((pid) => ["-p", pid])];
	const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
	const ended = new Promise((resolve) => strace.on("close", resolve));
	let output = "";
	// Of a process that has ended since, strace says that it cannot attach.
	const heardOf = (pid) => new RegExp(`Process ${pid} attached|PTRACE_SEIZE, ${pid}\\b`).test(output);
	const attached = new Promise((resolve) => {
		strace.stderr.on("data", (text) => {
			output += text;
			if (pids.every(heardOf)) resolve();
		});
	});
	try {
		await bounded(attached, ATTACH_MS, "strace to attach");
		output = "";
		await body();
	} finally {
		strace.kill("SIGINT");
		await bounded(ended, DETACH_MS, "strace to end");
	}
	// A call that another thread's interrupts has two lines, the first of which has the path.
	return output.split("\n").filter((line) => /\bf(data)?sync\(/.test(line) && line.includes(area)).length;
}
