// The note on the right: what is typed goes to the autosave at once, and the line above it says how far the
// store has taken it, in the words of what set() resolved to and no better.

import { explain } from "./advice.js";
import { createAutosave } from "./autosave.js";
import { element } from "./element.js";
import { formatMoment } from "./format.js";
import { reportFault } from "./messages.js";

const savedTexts = {
	applied: ["Saved in memory", "Not handed to the operating system yet: a killed tab would lose it."],
	os: ["Saved with the OS", "Survives a killed tab and a killed browser; a power cut may take it."],
	disk: ["Saved on disk", "Synced: survives a crash of the system too, as far as the platform is honest."],
};

/**
 * `onChange()` is called when a note was acknowledged.
 * The note being edited is never reloaded from the store: what is on the screen is the newest.
 */
export function createEditor({ notes, onChange }) {
	const title = element("title");
	const text = element("text");
	const moment = element("changed");
	const saveState = element("save-state");
	const saveText = element("save-text");
	let current;
	let shown = { state: "none" };
	let isFramePending = false;

	const autosave = createAutosave(
		(note) => notes.put(note),
		(report) => {
			show(report);
			if (report.state === "saved") onChange();
			if (report.state === "failed") reportFault(explain(report.error));
		},
	);

	/** Once a frame: an acknowledgement that comes before the next paint needs no "saving…" first. */
	function show(report) {
		shown = report;
		saveState.dataset.state = report.level ?? report.state;
		if (isFramePending) return;
		isFramePending = true;
		requestAnimationFrame(() => {
			isFramePending = false;
			const [label, meaning] = labelOf(shown);
			saveText.textContent = label;
			saveState.title = meaning;
		});
	}

	function typed() {
		current = { ...current, title: title.value.replace(/\s*\n\s*/g, " "), text: text.value, changedAt: new Date() };
		showMoment();
		element("delete-note").disabled = false;
		autosave.save(current);
	}

	function showMoment() {
		moment.dateTime = current.changedAt.toISOString();
		moment.textContent = formatMoment(current.changedAt);
	}

	title.addEventListener("input", typed);
	text.addEventListener("input", typed);
	title.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || event.isComposing) return;
		event.preventDefault();
		text.focus();
	});

	return {
		/** Puts a note on the sheet; `isStored` says whether the store has it already. */
		open(note, { isStored }) {
			if (note.id === current?.id) return;
			current = note;
			title.value = note.title;
			text.value = note.text;
			text.scrollTop = 0;
			showMoment();
			element("delete-note").disabled = !isStored;
			show({ state: "none" });
		},

		currentId() {
			return current?.id;
		},

		/** Called before a note is deleted, so that no save of it is sent afterwards. */
		forget(id) {
			autosave.forget(id);
			if (current?.id === id) current = undefined;
		},

		focus() {
			(title.value || text.value ? text : title).focus();
		},
	};
}

function labelOf({ state, level, error }) {
	if (state === "saving") return ["Saving…", "Sent to the store, not acknowledged yet."];
	if (state === "saved") return savedTexts[level];
	if (state === "failed") return [`Not saved (${error.code ?? error.name})`, error.message];
	return ["", ""];
}
