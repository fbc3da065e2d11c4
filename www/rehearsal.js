// Rehearsed disasters: kill the I/O worker, or leave without closing, and say after the reload whether anything
// that survives by promise is missing. What was there before is noted in sessionStorage, which is the
// tab's own and no part of the store.

import { element } from "./element.js";
import { formatCount, plural } from "./format.js";

const noteName = "holdfast-rehearsal";
const probeKey = "demo:after-crash";
const probeMs = 1500;
const showMs = 5000;

/** Terminates the worker in mid-flight, shows what that does, then reloads. */
export async function crashWorker(store, storeName, worker) {
	worker.terminate();
	const stats = await store.stats();
	remember("The I/O worker was killed", storeName, stats);
	element("crash-acknowledged").textContent = `up to seq ${formatCount(stats.osSeq)}`;
	element("crash-unanswered").textContent = plural(stats.seq - stats.osSeq, "change");
	element("crash-reload").addEventListener("click", () => location.reload());
	element("crash-dialog").showModal();
	element("crash-write").textContent = await fateOfWrite(store);
	setTimeout(() => location.reload(), showMs);
}

export async function reloadWithoutClosing(store, storeName) {
	remember("The page left without closing the store", storeName, await store.stats());
	location.reload();
}

/** After a rehearsal in this store: `{ text, broken }`, broken being whether a promise was; else undefined. */
export function outcomeOfRehearsal(store, storeName) {
	const noted = JSON.parse(sessionStorage.getItem(noteName) ?? "null");
	sessionStorage.removeItem(noteName);
	if (noted?.storeName !== storeName) return undefined;
	const { backend, recovered } = store.status;
	const before = `${noted.what} at seq ${formatCount(noted.seq)}`;
	if (backend === "memory")
		return { text: `${before}. The store was in memory only, so it began anew.`, broken: false };
	const broken = recovered.seq < noted.osSeq;
	return { text: `${before}; recovered up to ${formatCount(recovered.seq)}: ${verdict(noted, recovered)}.`, broken };
}

function verdict({ seq, osSeq }, recovered) {
	if (recovered.seq < osSeq) return `${plural(osSeq - recovered.seq, "change")} that the OS had taken missing`;
	if (recovered.seq < seq)
		return `${plural(seq - recovered.seq, "change")} that had not left the page gone, the rest is here`;
	return "nothing is missing";
}

async function fateOfWrite(store) {
	const write = store.set(probeKey, new Date()).then(
		({ level }) => `answered: ${level}`,
		(error) => `refused: ${error.code}`,
	);
	const patience = new Promise((resolve) => setTimeout(resolve, probeMs, "not acknowledged"));
	return Promise.race([write, patience]);
}

function remember(what, storeName, { seq, osSeq }) {
	sessionStorage.setItem(noteName, JSON.stringify({ what, storeName, seq, osSeq }));
}
