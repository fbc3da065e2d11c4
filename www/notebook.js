// The notes on the screen: the list, the sheet, the search and the address joined together. The address names the
// open note (`#<id>`), so the browser's back button and a reload keep working.

import { createEditor } from "./editor.js";
import { element } from "./element.js";
import { attempt, showToast } from "./messages.js";
import { createNoteList } from "./note-list.js";
import { blankNote, notesIn } from "./notes.js";

const roomForTwo = matchMedia("(min-width: 720px)");

/** Resolves once the notes are on the screen. */
export async function startNotebook(store) {
	const notes = notesIn(store);
	const list = createNoteList({ onOpen: openNote, onDelete: deleteNote });
	const editor = createEditor({ notes, onSaved: showOpenNote });
	const search = element("search");
	let showing;
	let isStale = false;

	/** Single-flight: a burst of saves re-orders the list once it is over, not once a save. */
	function showNotes() {
		isStale = true;
		showing ??= Promise.resolve()
			.then(async () => {
				while (isStale) {
					isStale = false;
					const found = await notes.list(search.value);
					const total = await notes.count();
					list.show(found, { query: search.value, total, currentId: editor.currentId() });
				}
			})
			.finally(() => {
				showing = undefined;
			});
		return showing;
	}

	/** The open note as the store has it, be it that another tab has changed or deleted it. */
	async function showOpenNote() {
		const gone = editor.takeStored();
		if (!gone) return;
		const hadFocus = document.activeElement?.closest(".sheet");
		editor.forget(gone.id);
		await showNewest();
		// What is typed on is not meant for the note that came in its place.
		if (hadFocus) list.focusFirst();
		showToast(`“${titleOf(gone)}” was deleted in another tab.`, () => restoreNote(gone));
	}

	function showNoteOfAddress() {
		const id = location.hash.slice(1);
		document.body.dataset.view = id ? "note" : "list";
		const stored = id ? notes.find(id) : undefined;
		editor.open(stored ?? blankNote(id), { isStored: stored !== undefined });
		return showNotes();
	}

	function openNote(id) {
		if (location.hash !== `#${id}`) history.pushState(null, "", `#${id}`);
		showNoteOfAddress();
		// On a phone the keyboard would cover the note that one came to read.
		if (roomForTwo.matches) editor.focus();
	}

	function newNote() {
		search.value = "";
		openNote(crypto.randomUUID());
		editor.focus();
	}

	function deleteNote(id) {
		return attempt(async () => {
			const note = notes.find(id);
			if (!note) return;
			const wasOpen = editor.currentId() === id;
			editor.forget(id);
			await notes.remove(id);
			if (wasOpen) await showNewest();
			await showNotes();
			list.focusFirst();
			showToast(`“${titleOf(note)}” deleted.`, () => restoreNote(note));
		});
	}

	function restoreNote(note) {
		return attempt(async () => {
			await notes.put(note);
			openNote(note.id);
		});
	}

	/** With room for one thing only, that is the list. */
	async function showNewest() {
		const [newest] = roomForTwo.matches ? await notes.list(search.value) : [];
		const id = newest?.id ?? (roomForTwo.matches ? crypto.randomUUID() : "");
		history.replaceState(null, "", `#${id}`);
		await showNoteOfAddress();
	}

	notes.watch(() => {
		showNotes();
		showOpenNote();
	});
	element("new-note").addEventListener("click", newNote);
	element("delete-note").addEventListener("click", () => deleteNote(editor.currentId()));
	element("back").addEventListener("click", () => {
		location.hash = "";
	});
	search.addEventListener("input", showNotes);
	search.addEventListener("keydown", (event) => {
		if (event.key === "ArrowDown") list.focusFirst();
		if (event.key !== "Escape") return;
		search.value = "";
		showNotes();
	});
	addEventListener("hashchange", showNoteOfAddress);
	addEventListener("keydown", (event) => {
		const isTyping = event.target.matches("input, textarea, select");
		if (event.key === "/" && !isTyping) search.focus();
		else if (event.code === "KeyN" && event.altKey) newNote();
		else return;
		event.preventDefault();
	});

	if (location.hash.length > 1) await showNoteOfAddress();
	else await showNewest();
	if (roomForTwo.matches) editor.focus();
}

function titleOf(note) {
	return note.title.trim() || "Untitled";
}
