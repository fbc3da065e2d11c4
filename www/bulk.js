// Ten thousand entries under `bulk:00001` and up, each its own set() and its own acknowledgement.

export const bulkEntries = 10_000;
const prefix = "bulk:";
const waveEntries = 500;

/**
 * Calls `onProgress({ acknowledged, ms, level })` after every wave and rejects with the first write's error.
 * The store commits a wave as one group; the pause between waves keeps the page answering even at
 * durability "no", where an acknowledgement needs no I/O and would never let the browser paint.
 */
export async function writeBulk(store, onProgress) {
	const startedAt = performance.now();
	for (let first = 1; first <= bulkEntries; first += waveEntries) {
		const written = await Promise.all(
			Array.from({ length: waveEntries }, (_, offset) => writeEntry(store, first + offset)),
		);
		onProgress({
			acknowledged: first - 1 + waveEntries,
			ms: performance.now() - startedAt,
			level: written.at(-1).level,
		});
		await new Promise((resolve) => setTimeout(resolve));
	}
}

/** Resolves to how many there were. */
export function removeBulk(store) {
	return store.clear({ prefix });
}

export function countBulk(store) {
	return store.count({ prefix });
}

function writeEntry(store, n) {
	return store.set(prefix + String(n).padStart(5, "0"), { n, square: n * n, writtenAt: new Date() });
}
