// What an error code means to the person in front of the page, and what to do about it.

const advice = {
	UNAVAILABLE: [
		"The browser's storage cannot be reached",
		"Reload the page. In a private window, choose the memory backend: nothing is kept there.",
	],
	LOCKED: [
		"Another tab has the notes and does not answer",
		"Close the other tab, or wait until it answers, then try again.",
	],
	TIMEOUT: [
		"The storage did not answer in time",
		"Reload the page. If another tab has the notes open, close it first.",
	],
	CLOSED: ["The store was closed", "Reload the page to open it again."],
	READONLY: ["The store does not take changes", "Copy what you typed since, then reload the page."],
	POISONED: [
		"A write failed, so the store stopped taking changes",
		"What was acknowledged is safe. Copy what you typed since, then reload the page.",
	],
	FENCED: [
		"Another tab took the store over in the middle of a change",
		"Look whether your last change is there, then go on in whichever tab you like.",
	],
	QUOTA: ["There is no space left", "Copy what you typed since, free space on the device, then reload the page."],
	CORRUPT: [
		"The stored bytes are damaged",
		"Nothing was changed on disk. Keep this browser profile if the notes matter, or erase the store and start again.",
	],
	VERSION: [
		"Another version of this page has the notes",
		"Reload every tab of it while online, so that all of them are the newest.",
	],
	TOO_LARGE: ["This note is too large to store", "Split it into several notes."],
	WASM_BLOCKED: [
		"The page may not run WebAssembly",
		"Its Content-Security-Policy needs script-src 'wasm-unsafe-eval'.",
	],
};

/** `{ code, title, action, detail }` of any error. */
export function explain(error) {
	const code = error?.code ?? "UNEXPECTED";
	const [title, action] = advice[code] ?? ["Something went wrong", "Reload the page. What was acknowledged is safe."];
	return { code, title, action, detail: error?.message ?? String(error) };
}

/** The same four fields for what recovery had to give up: seqs `from` to `to`, both included. */
export function explainDataLoss({ from, to, reason }) {
	return {
		code: "DATA LOSS",
		title: from === to ? `Change ${from} could not be recovered` : `Changes ${from} to ${to} could not be recovered`,
		action: "Everything before them is here. Check your newest notes; a backup may have the rest.",
		detail: reason === "missing" ? "A part of the op log is missing." : "The stored bytes were damaged.",
	};
}
