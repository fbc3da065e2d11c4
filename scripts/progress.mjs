// Owns how scripts show long work: named steps with elapsed time, and child processes whose last output
// line is the step's live detail. On a terminal running steps share one rewritten line; elsewhere a heartbeat
// line every HEARTBEAT_MS proves that the work is alive. Times are milliseconds; shown as `1m 05s`.
// Deliberately absent: colours, log files, retries.

import { spawn } from "node:child_process";

const HEARTBEAT_MS = 20_000;
const SPINNER_MS = 200;
const OUTPUT_KEPT = 200;

export function elapsed(ms) {
	if (ms < 10_000) return `${(ms / 1000).toFixed(1)}s`;
	const seconds = Math.round(ms / 1000);
	return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`;
}

/** A failure the user can act on: `message` says what is missing, `fix` exactly what to type. */
export class SetupError extends Error {
	constructor(message, fix) {
		super(message);
		this.fix = fix;
	}
}

/** Shows steps that may run side by side. `step(name, body)` resolves to what `body(detail)` returns. */
export class Steps {
	#running = new Map();
	#tty = process.stdout.isTTY && !process.env.CI;
	#timer;

	async step(name, body) {
		const entry = { started: Date.now(), detail: "" };
		this.#running.set(name, entry);
		this.#timer ??= setInterval(() => this.#tick(), this.#tty ? SPINNER_MS : HEARTBEAT_MS);
		if (!this.#tty) console.log(`  ... ${name}`);
		let mark = "ok ";
		try {
			return await body((text) => {
				entry.detail = text;
			});
		} catch (error) {
			mark = "ERR";
			throw error;
		} finally {
			this.#running.delete(name);
			this.note(mark, name, elapsed(Date.now() - entry.started));
			if (this.#running.size === 0) {
				clearInterval(this.#timer);
				this.#timer = undefined;
			}
		}
	}

	/** One finished line, above the live one. */
	note(mark, name, text) {
		if (this.#tty) process.stdout.write("\r\x1b[K");
		console.log(`  ${mark} ${name}${text ? `  (${text})` : ""}`);
	}

	#tick() {
		const lines = [...this.#running].map(
			([name, { started, detail }]) => `${name} ${elapsed(Date.now() - started)}${detail ? `: ${detail}` : ""}`,
		);
		if (this.#tty) {
			const width = (process.stdout.columns ?? 80) - 6;
			process.stdout.write(`\r\x1b[K  ... ${lines.map((l) => l.slice(0, width / lines.length)).join(" | ")}`);
		} else {
			for (const line of lines) console.log(`  ... ${line.slice(0, 160)}`);
		}
	}
}

/**
 * Runs a program to its end and resolves to its standard output; `detail` gets its latest output line.
 * Rejects with an Error that carries the last lines when it cannot start, exits non-zero or exceeds `timeout_ms`.
 */
export function run(command, args, { detail = () => {}, env, cwd, input, timeout_ms } = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, {
			env: { ...process.env, ...env },
			cwd,
			stdio: ["pipe", "pipe", "pipe"],
			shell: process.platform === "win32" && command === "npm",
		});
		const last = [];
		let stdout = "";
		let timedOut = false;
		const timer =
			timeout_ms &&
			setTimeout(() => {
				timedOut = true;
				child.kill("SIGKILL");
				child.stdout.destroy();
				child.stderr.destroy();
			}, timeout_ms);
		const onText = (text) => {
			for (const line of text.split(/[\r\n]+/)) {
				const trimmed = line.trim();
				if (!trimmed) continue;
				detail(trimmed);
				last.push(trimmed);
				if (last.length > OUTPUT_KEPT) last.shift();
			}
		};
		child.stdout.setEncoding("utf8").on("data", (text) => {
			stdout += text;
			onText(text);
		});
		child.stderr.setEncoding("utf8").on("data", onText);
		child.stdin.on("error", () => {});
		child.stdin.end(input);
		const fail = (why) => reject(new Error([`${command} ${args.join(" ")}: ${why}`, ...last].join("\n    ")));
		child.on("error", (error) => {
			clearTimeout(timer);
			fail(error.message);
		});
		child.on("close", (code, signal) => {
			clearTimeout(timer);
			if (timedOut) fail(`no end after ${elapsed(timeout_ms)}`);
			else if (code === 0) resolve(stdout);
			else fail(`ended with ${signal ?? code}`);
		});
	});
}
