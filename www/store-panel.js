// The store, live: what status and stats() say, four times a second, and only while someone can see it.

import { element, setText } from "./element.js";
import { formatBytes, formatCount, formatDuration, nothing, plural } from "./format.js";

const refreshIntervalMs = 250;
const roomBeside = matchMedia("(min-width: 1100px)");

export const backendNames = { opfs: "OPFS", idb: "IndexedDB", memory: "Memory" };
const roleMeanings = {
	leader: "This tab writes to the storage, for the others too.",
	follower: "Another tab writes to the storage; this one has everything and takes over when that is gone.",
	single: "Nothing keeps other tabs out, or there is nothing to share.",
};
const powerCutNames = { yes: "yes", "best-effort": "best effort", no: "no" };

export function createStorePanel(store) {
	const panel = element("store");
	const toggle = element("toggle-store");
	let timer;
	let refreshing = false;

	async function refresh() {
		if (refreshing) return;
		refreshing = true;
		try {
			const stats = await store.stats();
			showStatus(store.status);
			showStats(stats);
		} catch (error) {
			// The page closes the store on its way to another one.
			if (error.code !== "CLOSED") throw error;
			clearInterval(timer);
		} finally {
			refreshing = false;
		}
	}

	function watchWhileVisible() {
		clearInterval(timer);
		if (panel.hidden || document.hidden) return;
		timer = setInterval(refresh, refreshIntervalMs);
		refresh();
	}

	function setOpen(isOpen) {
		panel.hidden = !isOpen;
		document.body.dataset.store = isOpen ? "open" : "closed";
		toggle.setAttribute("aria-expanded", String(isOpen));
		watchWhileVisible();
	}

	toggle.addEventListener("click", () => setOpen(panel.hidden));
	element("close-store").addEventListener("click", () => {
		setOpen(false);
		toggle.focus();
	});
	panel.addEventListener("keydown", (event) => {
		if (event.key === "Escape") element("close-store").click();
	});
	document.addEventListener("visibilitychange", watchWhileVisible);
	// The summary is there while the panel is not.
	store.on("status", showStatus);

	return {
		refresh,

		/** On a screen too narrow for it the panel waits behind its button. */
		openIfRoom() {
			setOpen(roomBeside.matches);
		},
	};
}

function showStatus({ state, role, backend, durability, promise, unsynced, recovered, fallback, fresh }) {
	element("store-light").dataset.state = state;
	const summary = [backendNames[backend] ?? backend, durability];
	if (role === "follower") summary.push(role);
	setText("store-summary", summary.join(" · "));
	for (const item of element("levels").children) {
		item.toggleAttribute("data-promised", item.dataset.level === promise.level);
	}
	setText(
		"status-unsynced",
		unsynced.ops === 0 ? "nothing" : `${plural(unsynced.ops, "op")}, ${formatBytes(unsynced.bytes)}`,
	);
	setText("status-unsynced-ms", unsynced.ops === 0 ? nothing : formatDuration(unsynced.ms));
	setText("status-power-cut", powerCutNames[promise.powerCut] ?? promise.powerCut);
	setText("status-state", state);
	setText("status-backend", backend);
	setText("status-durability", durability);
	setText("status-promise", promise.level);
	setText("status-role", role);
	element("status-role").title = roleMeanings[role];
	setText("status-fallback", fallback ?? "none");
	element("status-fallback").title = fallback ?? "";

	setText("recovered-source", fresh ? "a new store" : recovered.source);
	setText("recovered-seq", formatCount(recovered.seq));
	setText("recovered-torn", recovered.tornBytes === 0 ? "none" : formatBytes(recovered.tornBytes));
	setText("recovered-loss", recovered.dataLoss ? `seq ${recovered.dataLoss.from} to ${recovered.dataLoss.to}` : "none");
	setText("recovered-ms", formatDuration(recovered.ms));
}

function showStats({ entries, seq, osSeq, diskSeq, log, snapshot, memory, calls, checkpoints }) {
	setText("seq-applied", formatCount(seq));
	setText("seq-os", formatCount(osSeq));
	setText("seq-disk", formatCount(diskSeq));
	setText("stats-entries", formatCount(entries));
	setText("stats-seq", formatCount(seq));
	setText("stats-log", `${formatBytes(log.bytes)} in ${plural(log.segments, "segment")}`);
	setText(
		"stats-snapshot",
		snapshot ? `${formatBytes(snapshot.bytes)} at seq ${formatCount(snapshot.seq)}` : "none yet",
	);
	setText("stats-calls", `${formatCount(calls.appends)} / ${formatCount(calls.syncs)}`);
	setText("stats-written", formatBytes(calls.bytesWritten));
	setText("stats-checkpoints", checkpointText(checkpoints));
	setText("stats-memory", formatBytes(memory.wasmBytes));
}

function checkpointText({ count, running, lastMs }) {
	if (running) return "running";
	return lastMs === undefined ? formatCount(count) : `${formatCount(count)}, last ${formatDuration(lastMs)}`;
}
