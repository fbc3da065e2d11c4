// One window of tabs.html, in a frame of it or on its own: opens the store that all of them share, shows what it has and what
// it is (`<body data-state>`: opening, leader, follower, single, frozen, resuming, closing, closed or failed), and tells the page that opened it.
//
// What it tells is an event named "tab" on that page's window, whose detail is `{ id, kind, state, target, … }`: dispatched in the same task, so that
// nothing is on its way when the window is taken away. `window.tab` is for that page, too: `{ store, unanswered }`.

import { open } from "holdfast";
import { explain, explainDataLoss } from "./advice.js";
import { createAutosave } from "./autosave.js";
import { element, setText } from "./element.js";
import { formatCount, formatDuration } from "./format.js";
import { settingsIn } from "./settings.js";
import { backendNames } from "./store-panel.js";

// Slow enough to watch, and to leave the thread, which the frames of a page share, to people.
const paceMs = 20;
const refreshIntervalMs = 250;
const faultMs = 10_000;

const id = new URLSearchParams(location.search).get("window") ?? "";
const outer = window.parent === window ? window.opener : window.parent;
const settings = settingsIn(location, "tabs");
const keepWriting = element("keep-writing");
const pad = element("pad");

let store;
let unanswered = 0;
let latencyMs;
let isFrozen = false;
let isLeaving = false;
let isWriting = false;
let faultTimer;

function tell(kind, detail) {
	if (!outer || outer.closed) return;
	const { state } = document.body.dataset;
	outer.dispatchEvent(new CustomEvent("tab", { detail: { id, kind, state, target: window, ...detail } }));
}

function showState(state) {
	if (document.body.dataset.state === state) return;
	document.body.dataset.state = state;
	setText("tab-state", state);
	tell("state");
}

function showRole() {
	if (!isFrozen && !isLeaving) showState(store.status.role);
}

function showFault(error) {
	showTrouble(explain(error));
}

function showTrouble({ code, title, detail }) {
	element("tab-fault").hidden = false;
	setText("tab-fault", `${title}. ${code}: ${detail}`);
	clearTimeout(faultTimer);
	faultTimer = setTimeout(() => {
		element("tab-fault").hidden = document.body.dataset.state !== "failed";
	}, faultMs);
}

/** Runs a write and takes its time; what it resolves to is told. */
async function write(run) {
	const since = performance.now();
	unanswered++;
	try {
		const written = await run();
		latencyMs = performance.now() - since;
		return written;
	} finally {
		unanswered--;
	}
}

async function addOne() {
	try {
		const sum = await write(() => store.increment("counter"));
		tell("counted", { sum });
	} catch (error) {
		if (error.code !== "CLOSED") showFault(error);
	}
}

async function writeOn() {
	if (isWriting) return;
	isWriting = true;
	while (keepWriting.checked && !isLeaving) {
		await addOne();
		await new Promise((resolve) => setTimeout(resolve, paceMs));
	}
	isWriting = false;
}

const autosave = createAutosave(
	({ text }) => write(() => store.set("pad", text)),
	({ state, error }) => {
		if (state === "saved") showPad();
		if (state === "failed" && error.code !== "CLOSED") showFault(error);
	},
);

/** What is typed here and is not acknowledged yet comes after whatever the store has. */
function showPad() {
	if (isLeaving) return;
	const text = store.peek("pad") ?? "";
	if (pad.value === text || autosave.isUnsaved("pad")) return;
	const { selectionStart, selectionEnd } = pad;
	pad.value = text;
	pad.setSelectionRange(selectionStart, selectionEnd);
}

function showCounter() {
	if (isLeaving) return;
	setText("counter", formatCount(store.peek("counter") ?? 0));
}

async function showFigures() {
	if (isLeaving || isFrozen) return;
	setText("tab-latency", formatDuration(latencyMs));
	try {
		const { seq } = await store.stats();
		setText("tab-seq", formatCount(seq));
	} catch (error) {
		if (error.code !== "CLOSED") showFault(error);
	}
}

/** What the browser says to a tab that it puts aside, said by the page itself; the window does nothing until it is resumed. */
function setFrozen(frozen) {
	isFrozen = frozen;
	if (frozen) showState("frozen");
	document.dispatchEvent(new Event(frozen ? "freeze" : "resume"));
	setText("freeze", frozen ? "Resume" : "Freeze");
	for (const control of [keepWriting, element("add"), pad, element("close")]) control.disabled = frozen;
	if (frozen) return;
	// It comes back as a follower, and says so when it is one.
	if (store.status.role === "single") showRole();
	else showState("resuming");
}

async function close() {
	isLeaving = true;
	showState("closing");
	for (const control of document.querySelectorAll("button, input, textarea")) control.disabled = true;
	try {
		await store.close();
		showState("closed");
	} catch (error) {
		showFault(error);
		showState("failed");
	}
	offerAgain();
	// The button that was pressed is gone.
	element("open-again").focus();
}

function offerAgain() {
	element("freeze").hidden = true;
	element("close").hidden = true;
	const again = element("open-again");
	again.hidden = false;
	again.disabled = false;
	again.addEventListener("click", () => location.reload());
}

async function start() {
	const openedAt = performance.now();
	store = await open(settings.storeName, { backend: settings.backend, durability: settings.durability });
	setText("tab-opening", formatDuration(performance.now() - openedAt));
	setText("tab-backend", backendNames[store.status.backend]);
	window.tab = {
		store,
		get unanswered() {
			return unanswered;
		},
	};

	store.on("status", showRole);
	store.on("error", showFault);
	store.on("dataloss", (loss) => showTrouble(explainDataLoss(loss)));
	store.watch("counter", showCounter);
	store.watch("pad", showPad);
	showCounter();
	showPad();
	showRole();
	await showFigures();
	setInterval(showFigures, refreshIntervalMs);

	pad.addEventListener("input", () => autosave.save({ id: "pad", text: pad.value }));
	element("add").addEventListener("click", addOne);
	keepWriting.addEventListener("change", writeOn);
	element("freeze").addEventListener("click", () => setFrozen(!isFrozen));
	element("close").addEventListener("click", close);
	for (const control of [pad, element("freeze"), element("close")]) control.disabled = false;
	writeOn();
}

if (id) {
	document.title = `Window ${id} – Holdfast`;
	setText("tab-name", `Window ${id}`);
}
addEventListener("pagehide", ({ persisted }) => {
	// A page that is kept comes back.
	if (persisted) return;
	isLeaving = true;
	tell("gone");
});
try {
	await start();
} catch (error) {
	showFault(error);
	showState("failed");
	offerAgain();
	if (!error.code) throw error;
}
