/** The figures of `stats` and of a checkpoint, by name. Loaded with the first of them. The order is that in src/wasm.rs. */

import { reader } from "./figures.js";
import type { CheckpointReport, Stats } from "./types.js";

export function statsOf(figures: number[]): Stats {
	const next = reader(figures);
	const seqs = next("seq osSeq diskSeq");
	next("unsyncedOps unsyncedBytes unsyncedMs row recovered recoveredSnapshot frames tornBytes ms from to writingMs");
	const { entries, liveBytes } = next("entries liveBytes");
	const log = next("bytes segments generation");
	const snapshot = next("bytes seq generation");
	const memory = next("wasmBytes deltaEntries deltaBytes baseBytes");
	const calls = next("appends syncs bytesWritten");
	const { count, running, lastMs } = next("count running lastMs");
	const stats: Stats = {
		entries,
		liveBytes,
		...seqs,
		log,
		memory,
		calls,
		checkpoints: { count, running: running === 1 },
	};
	if (lastMs >= 0) stats.checkpoints.lastMs = lastMs;
	if (snapshot.bytes >= 0) stats.snapshot = snapshot;
	return stats;
}

export function reportOf(figures: number[]): CheckpointReport {
	return reader(figures)("seq generation entries bytes removedBytes ms");
}
