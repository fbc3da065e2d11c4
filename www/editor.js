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
 * `onSaved()` is called when a note was acknowledged.
 * What was typed here and is not acknowledged yet is never replaced: it is the newest, and the store gets it after whatever another
 * tab wrote meanwhile.
 */
export function createEditor({ notes, onSaved }) {
	const title = element("title");
	const text = element("text");
	const moment = element("changed");
	const saveState = element("save-state");
	const saveText = element("save-text");
	let current;
	// The store has, or had, the note that is open.
	let isStored = false;
	let shown = { state: "none" };
	let isFramePending = false;
	let isComposing = false;

	const autosave = createAutosave(
		(note) => notes.put(note),
		(report) => {
			show(report);
			if (report.state === "saved") onSaved();
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

	for (const field of [title, text]) {
		field.addEventListener("compositionstart", () => {
			isComposing = true;
		});
		field.addEventListener("compositionend", () => {
			isComposing = false;
		});
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
		open(note, { isStored: isKnown }) {
			if (note.id === current?.id) return;
			current = note;
			isStored = isKnown;
			title.value = note.title;
			text.value = note.text;
			text.scrollTop = 0;
			showMoment();
			element("delete-note").disabled = !isKnown;
			show({ state: "none" });
		},

		currentId() {
			return current?.id;
		},

		/** Shows what another tab made of the open note; gives the note as it was here if that removed it. */
		takeStored() {
			if (!current || isComposing || autosave.isUnsaved(current.id)) return undefined;
			const stored = notes.find(current.id);
			if (!stored) return isStored ? current : undefined;
			isStored = true;
			element("delete-note").disabled = false;
			if (stored.title === current.title && stored.text === current.text) return undefined;
			current = stored;
			replaceText(title, stored.title);
			replaceText(text, stored.text);
			showMoment();
			return undefined;
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

/** Leaves the caret, and what is selected, where it was. */
function replaceText(field, value) {
	if (field.value === value) return;
	const { selectionStart, selectionEnd } = field;
	field.value = value;
	field.setSelectionRange(selectionStart, selectionEnd);
}

function labelOf({ state, level, error }) {
	if (state === "saving") return ["Saving…", "Sent to the store, not acknowledged yet."];
	if (state === "saved") return savedTexts[level];
	if (state === "failed") return [`Not saved (${error.code ?? error.name})`, error.message];
	return ["", ""];
}
