// Two windows of one store beside each other, and what happens to them: frames of tab.html, and more windows of it on request.
//
// Owns which windows there are, which of them leads, and the journal of what they were acknowledged; has no store itself. A frame that
// is removed from the page is gone as after a crash: its engine, its lock and its I/O worker with it, and nobody was told.

import { element, setText } from "./element.js";
import { formatCount, formatDuration, plural } from "./format.js";
import { createJournal } from "./journal.js";
import { prepareOffline } from "./offline.js";

const compareIntervalMs = 250;
const historyMax = 20;
const alive = ["opening", "resuming", "leader", "follower"];
const partings = { crashed: "crashed", frozen: "was frozen", closing: "was closed", gone: "went away" };

/** By name: `{ state, target, remove() }`, target being the window. */
const windows = new Map();
const journal = createJournal();
const takeoversMs = [];
let leader;
/** How the last leader went, while nobody leads: `{ what, at }`. */
let parting;
let happened;

function addressOf(id) {
	const query = new URLSearchParams(location.search);
	query.set("window", id);
	return `./tab.html?${query}`;
}

// ---------------------------------------------------------------------------------------------------- windows

/** A place for a window in this page, and the window in it. */
function addFrame(id) {
	const place = document.createElement("section");
	place.className = "window";
	place.setAttribute("aria-label", `Window ${id}`);
	element("windows").append(place);

	function open() {
		const frame = document.createElement("iframe");
		frame.title = `Window ${id}`;
		frame.src = addressOf(id);
		const isAgain = windows.has(id);
		place.replaceChildren(frame);
		// The button that was pressed is gone.
		if (isAgain) frame.focus();
		windows.set(id, {
			state: "opening",
			target: frame.contentWindow,
			remove() {
				frame.remove();
				place.replaceChildren(...remains(id, open));
			},
		});
	}

	open();
}

function remains(id, open) {
	const text = document.createElement("p");
	text.textContent = `Window ${id} crashed.`;
	const button = document.createElement("button");
	button.type = "button";
	button.className = "primary";
	button.textContent = "Open it again";
	button.addEventListener("click", () => {
		open();
	});
	return [text, button];
}

function addPopup() {
	const id = ["C", "D", "E", "F", "G", "H"].find((name) => windows.get(name)?.target.closed ?? true);
	const target = id && window.open(addressOf(id), "", "popup,width=480,height=640");
	if (!target) return tellOutcome(id ? "The browser did not let a window open." : "That is enough of them.");
	windows.set(id, { state: "opening", target, remove: () => target.close() });
}

function othersThan(id) {
	return [...windows].filter(([other, { state }]) => other !== id && alive.includes(state));
}

// ---------------------------------------------------------------------------------------------------- who leads

function crashLeader() {
	if (leader === undefined) return;
	const id = leader;
	const { target, remove } = windows.get(id);
	leaves(id, "crashed", target.tab.unanswered);
	remove();
}

function leaves(id, what, unanswered) {
	const known = windows.get(id);
	// A window that is taken away still says that it goes.
	if (!known || known.state === "crashed") return;
	known.state = what;
	if (id !== leader) return;
	leader = undefined;
	const said = `Window ${id}, which led, ${partings[what]}${unanswered ? ` with ${plural(unanswered, "write")} unanswered` : ""}.`;
	parting = othersThan(id).length > 0 ? { said, at: performance.now() } : undefined;
	tellOutcome(parting ? said : `${said} No window is left to take over.`);
	showTools();
}

async function leads(id) {
	leader = id;
	if (!parting) return;
	const { said, at } = parting;
	parting = undefined;
	const ms = performance.now() - at;
	takeoversMs.push(ms);
	setText("takeovers", formatCount(takeoversMs.length));
	setText("takeover-ms", formatDuration(medianOf(takeoversMs)));
	const { acknowledged, missing } = await compare();
	const found = `Of ${plural(acknowledged, "acknowledged write")} ${missing === 0 ? "none is" : `${formatCount(missing)} are`} missing`;
	tellMore(`${said} Window ${id} leads after ${formatDuration(ms)}. ${found}.`);
}

function showTools() {
	// Disabled for good it would lose the focus while another window takes over.
	element("crash-leader").setAttribute("aria-disabled", String(leader === undefined));
}

function medianOf(values) {
	const sorted = [...values].sort((a, b) => a - b);
	return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// ---------------------------------------------------------------------------------------------------- what is shown

/** Compares the journal with what the leader has. */
async function compare() {
	const { store } = windows.get(leader).target.tab;
	const found = await journal.compare(async () => (await store.get("counter")) ?? 0);
	document.body.dataset.missing = found.missing;
	setText("journal-missing", formatCount(found.missing));
	return found;
}

/** What happened last stays in sight; `tellMore` says how it went on. */
function tellOutcome(text) {
	if (happened) {
		const item = document.createElement("li");
		item.textContent = happened;
		element("history").prepend(item);
		while (element("history").children.length > historyMax) element("history").lastElementChild.remove();
	}
	tellMore(text);
}

function tellMore(text) {
	happened = text;
	setText("outcome", text);
}

addEventListener("tab", ({ detail: { id, kind, state, target, sum } }) => {
	if (!windows.has(id)) {
		// It was opened before this page was loaded again.
		windows.set(id, { state, target, remove: () => target.close() });
		if (kind !== "gone") stateChanged(id, state);
	}
	if (kind === "counted") {
		journal.acknowledged(sum);
		setText("journal-acknowledged", formatCount(journal.count()));
	}
	if (kind === "gone") leaves(id, "gone");
	if (kind === "state") stateChanged(id, state);
});

function stateChanged(id, state) {
	if (state in partings) return leaves(id, state);
	windows.get(id).state = state;
	if (state === "leader") leads(id);
	else if (id === leader) leader = undefined;
	showTools();
}

element("crash-leader").addEventListener("click", crashLeader);
element("open-third").addEventListener("click", addPopup);
setInterval(() => {
	if (leader !== undefined) compare().catch(() => {});
}, compareIntervalMs);
addFrame("A");
addFrame("B");
prepareOffline(element("offline-state"));
