// The store panel's buttons and selectors: everything there that acts on the store.

import { destroy, open } from "holdfast";
import { bulkEntries, removeBulk, writeBulk } from "./bulk.js";
import { element, setText } from "./element.js";
import { formatBytes, formatCount, formatDuration, plural } from "./format.js";
import { attempt, showToast } from "./messages.js";
import { crashWorker, reloadWithoutClosing } from "./rehearsal.js";
import { addressWith } from "./settings.js";

const placeOf = { applied: "in memory only", os: "with the OS", disk: "on disk" };

/** `ioWorker()` is the I/O worker of this tab, undefined where it has none: in a follower, and in memory. */
export function startStoreActions({ store, settings, ioWorker, panel }) {
	/** The button is busy until the action has ended; what the action resolves to is how it went. */
	function onPress(id, action) {
		const button = element(id);
		button.addEventListener("click", async () => {
			button.disabled = true;
			setText("action-result", "");
			await attempt(async () => setText("action-result", (await action()) ?? ""));
			button.disabled = false;
			panel.refresh();
		});
	}

	onPress("bulk-write", async () => {
		let last;
		await writeBulk(store, (progress) => {
			last = progress;
			showProgress(progress);
		});
		return `${formatCount(bulkEntries)} entries in ${formatDuration(last.ms)}, ${placeOf[last.level]}.`;
	});

	onPress("bulk-remove", async () => {
		const removed = await removeBulk(store);
		showProgress({ acknowledged: 0 });
		return `${plural(removed, "entry", "entries")} removed.`;
	});

	onPress("checkpoint", async () => {
		const { entries, seq, bytes, ms } = await store.checkpoint();
		const image = `${plural(entries, "entry", "entries")}, ${formatBytes(bytes)}`;
		return `Snapshot at seq ${formatCount(seq)}: ${image}, in ${formatDuration(ms)}.`;
	});

	onPress("flush", flush);
	onPress("crash-worker", () => crashWorker(store, settings.storeName, ioWorker()));
	onPress("reload", () => reloadWithoutClosing(store, settings.storeName));

	async function flush() {
		const { seq, level } = await store.flush();
		return `Everything up to seq ${formatCount(seq)} is ${placeOf[level]}.`;
	}

	addEventListener("keydown", (event) => {
		if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
		event.preventDefault();
		attempt(async () => showToast(await flush()));
	});

	element("erase").addEventListener("click", () => element("erase-dialog").showModal());
	element("erase-cancel").addEventListener("click", () => element("erase-dialog").close());
	onPress("erase-confirm", async () => {
		await store.close();
		await erase(settings);
		location.replace(addressWith(location, settings));
	});

	for (const id of ["backend", "durability"]) {
		element(id).value = settings[id];
		element(id).addEventListener("change", () =>
			attempt(async () => {
				const chosen = { backend: element("backend").value, durability: element("durability").value };
				await store.close();
				location.assign(addressWith(location, chosen));
			}),
		);
	}

	setText("store-name", settings.storeName);
	const showWorker = () => {
		const hasWorker = store.status.role !== "follower" && ioWorker() !== undefined;
		element("crash-worker").disabled = !hasWorker;
		element("crash-hint").hidden = hasWorker;
	};
	store.on("status", showWorker);
	showWorker();
}

/** Removes the store; where another tab has it open, everything in it. */
async function erase({ storeName, backend, durability }) {
	try {
		await destroy(storeName);
	} catch (error) {
		if (error.code !== "LOCKED") throw error;
		const store = await open(storeName, { backend, durability });
		await store.clear();
		await store.close();
	}
}

function showProgress({ acknowledged, ms }) {
	const count = element("bulk-acknowledged");
	count.dataset.count = acknowledged;
	count.textContent = formatCount(acknowledged);
	element("bulk-progress").value = acknowledged;
	setText("bulk-rate", ms ? `${formatCount(Math.round((acknowledged / ms) * 1000))} per second` : "");
}
