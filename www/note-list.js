// The list of notes: one button a note, arrow keys between them. Rows are kept and moved rather than made
// anew, so that focus and scroll position survive the re-ordering that every save brings.

import { element, setText } from "./element.js";
import { formatMoment, formatWhen, plural } from "./format.js";
import { wordsOf } from "./notes.js";

const excerptLength = 140;

/** `onOpen(id)` and `onDelete(id)` are called for the row that was chosen. */
export function createNoteList({ onOpen, onDelete }) {
	const list = element("note-list");
	const rows = new Map();

	list.addEventListener("click", (event) => {
		const row = event.target.closest("button");
		if (row) onOpen(row.dataset.id);
	});
	list.addEventListener("keydown", (event) => {
		const row = event.target.closest("button");
		if (!row) return;
		const next = {
			ArrowDown: () => row.parentElement.nextElementSibling,
			ArrowUp: () => row.parentElement.previousElementSibling,
			Home: () => list.firstElementChild,
			End: () => list.lastElementChild,
		}[event.key];
		if (next) {
			event.preventDefault();
			next()?.firstElementChild.focus();
		} else if (event.key === "Delete") {
			onDelete(row.dataset.id);
		}
	});

	function rowFor(id) {
		let row = rows.get(id);
		if (!row) {
			row = createRow(id);
			rows.set(id, row);
		}
		return row;
	}

	return {
		/** Shows these notes in this order; `total` counts those that the query left out as well. */
		show(notes, { query, total, currentId }) {
			const words = wordsOf(query);
			const shown = new Set(notes.map(({ id }) => id));
			for (const [id, row] of rows) {
				if (shown.has(id)) continue;
				row.item.remove();
				rows.delete(id);
			}
			notes.forEach((note, index) => {
				const row = rowFor(note.id);
				fillRow(row, note, words, note.id === currentId);
				if (list.children[index] !== row.item) moveInto(list, row.item, index);
			});
			const empty = element("note-list-empty");
			empty.hidden = notes.length > 0;
			empty.textContent = total > 0 ? "No note has these words." : "No notes yet.";
			setText("note-count", words.length > 0 ? `${notes.length} of ${plural(total, "note")}` : plural(total, "note"));
		},

		focusFirst() {
			list.querySelector("button")?.focus();
		},
	};
}

/** Moving a focused element blurs it: focus is given back. */
function moveInto(list, item, index) {
	const focused = item.contains(document.activeElement) ? document.activeElement : undefined;
	list.insertBefore(item, list.children[index] ?? null);
	focused?.focus();
}

function createRow(id) {
	const item = document.createElement("li");
	const button = document.createElement("button");
	button.type = "button";
	button.dataset.id = id;
	const [title, when, excerpt] = ["strong", "time", "span"].map((tag) => document.createElement(tag));
	title.className = "note-title";
	when.className = "note-when";
	excerpt.className = "note-excerpt";
	button.append(title, when, excerpt);
	item.append(button);
	return { item, button, title, when, excerpt };
}

function fillRow({ button, title, when, excerpt }, note, words, isCurrent) {
	mark(title, note.title.trim() || "Untitled", words);
	title.classList.toggle("untitled", !note.title.trim());
	mark(excerpt, excerptOf(note.text, words), words);
	when.dateTime = note.changedAt.toISOString();
	when.title = formatMoment(note.changedAt);
	when.textContent = formatWhen(note.changedAt);
	if (isCurrent) button.setAttribute("aria-current", "true");
	else button.removeAttribute("aria-current");
}

/** The start of the text, or the part around the first word that was searched for. */
function excerptOf(text, words) {
	const line = text.replace(/\s+/g, " ").trim();
	if (!line) return "No text";
	const found = words.map((word) => line.toLowerCase().indexOf(word)).filter((at) => at >= 0);
	const from = found.length > 0 ? Math.max(0, Math.min(...found) - 30) : 0;
	return (from > 0 ? "…" : "") + line.slice(from, from + excerptLength);
}

/** Text with every found word in a `<mark>`. */
function mark(node, text, words) {
	if (words.length === 0) {
		if (node.childElementCount > 0 || node.textContent !== text) node.textContent = text;
		return;
	}
	const pattern = new RegExp(`(${words.map((word) => word.replace(/[^\p{L}\p{N}]/gu, "\\$&")).join("|")})`, "giu");
	node.replaceChildren(
		...text.split(pattern).map((part, index) => {
			if (index % 2 === 0) return part;
			const found = document.createElement("mark");
			found.textContent = part;
			return found;
		}),
	);
}
