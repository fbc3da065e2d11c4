/**
 * What the package asks of the browser beside storage: each answer bounded in time, each part allowed to be missing.
 *
 * Uses globals only when called, so importing is safe anywhere.
 */

import type { Backend, Status } from "./types.js";

export function storage(): Partial<StorageManager> | undefined {
	return globalThis.navigator?.storage;
}

/** What a listener threw, told as any other event's. */
export function reportThrown(error: unknown): void {
	(globalThis.reportError ?? console.error)(error);
}

/**
 * Lets the thread do something else: everything that waits already, timers and messages too, which `scheduler.yield` would come
 * before again and again.
 */
export function pause(): Promise<void> {
	// Unlike a timer's, its turn is not put off by 4 ms.
	return new Promise((resolve) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(null);
	});
}

/** Calls `hidden` whenever the page may be about to go away; returns what ends that. */
export function onHidden(hidden: () => void): () => void {
	const over = new AbortController();
	const { document } = globalThis;
	const changed = () => {
		if (document.visibilityState === "hidden") hidden();
	};
	document?.addEventListener("visibilitychange", changed, over);
	document?.addEventListener("freeze", hidden, over);
	if (document) globalThis.addEventListener("pagehide", hidden, over);
	return () => over.abort();
}

/** The name of the channel that all tabs of a store hear. */
export const channelName = (name: string) => `holdfast:${name}:`;

/** Calls `away` when the page is put aside, and `back` when it is shown again; returns what ends that. */
export function onAway(away: () => void, back: () => void): () => void {
	const over = new AbortController();
	const { document } = globalThis;
	const hidden = ({ persisted }: PageTransitionEvent) => {
		if (persisted) away();
	};
	document?.addEventListener("freeze", away, over);
	document?.addEventListener("resume", back, over);
	if (document) {
		globalThis.addEventListener("pagehide", hidden, over);
		globalThis.addEventListener("pageshow", back, over);
	}
	return () => over.abort();
}

/**
 * What a write acknowledged at that level (0 applied, 1 os, 2 disk) survives when the power fails. At `os` the last second is
 * open. At `disk` Chromium and Firefox sync as far as the drive is honest; on Apple's systems only Chromium empties the
 * drive's cache; and Chromium gives a new OPFS file a lasting name only about half a minute later.
 */
export function powerCut(level: number, backend: Backend, fresh: boolean): Status["promise"]["powerCut"] {
	if (level === 0) return "no";
	const agent = globalThis.navigator?.userAgent ?? "";
	const isChromium = /Chrom(e|ium)\//.test(agent);
	const isSynced = isChromium || (/Firefox\//.test(agent) && !/Mac OS/.test(agent));
	return level === 2 && isSynced && !(isChromium && fresh && backend === "opfs") ? "yes" : "best-effort";
}
