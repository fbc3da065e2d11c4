/**
 * The figures of the engine, by name.
 *
 * Owns the order in which `figures`, `checkpoint` and `open_engine` of src/wasm.rs list them: names cost less on this side.
 */

import type { EngineOptions } from "./options.js";
import type { CheckpointReport, Stats, Status } from "./types.js";

/** What an engine says of itself. */
export interface Core extends Pick<Status, "unsynced" | "recovered" | "fresh"> {
	stats: Stats;
}

// The rows of the recovery table that mean a loss are 4 (corrupt) and 5 (missing); 0 is a fresh store.
const FRESH = 0;
const MISSING = 5;

export function coreOf(figures: number[]): Core {
	let at = 0;
	const next = (): number => figures[at++] as number;
	const [seq, osSeq, diskSeq] = [next(), next(), next()];
	const unsynced = { ops: next(), bytes: next(), ms: next() };
	const row = next();
	const recoveredSeq = next();
	const snapshotSeq = next();
	const frames = next();
	const recovered: Status["recovered"] = {
		source: row === FRESH ? "fresh" : snapshotSeq < 0 ? "log" : frames > 0 ? "snapshot+log" : "snapshot",
		seq: recoveredSeq,
		tornBytes: next(),
		ms: next(),
	};
	const [from, to] = [next(), next()];
	if (from >= 0) recovered.dataLoss = { from, to, reason: row === MISSING ? "missing" : "corrupt" };
	const entries = next();
	const log = { bytes: next(), segments: next(), generation: next() };
	const snapshot = { bytes: next(), seq: next(), generation: next() };
	const memory = { wasmBytes: next(), deltaEntries: next(), deltaBytes: next(), baseBytes: next() };
	const calls = { appends: next(), syncs: next(), bytesWritten: next() };
	const checkpoints: Stats["checkpoints"] = { count: next(), running: next() === 1 };
	const lastMs = next();
	if (lastMs >= 0) checkpoints.lastMs = lastMs;
	const stats: Stats = { entries, seq, osSeq, diskSeq, log, memory, calls, checkpoints };
	if (snapshot.bytes >= 0) stats.snapshot = snapshot;
	return { unsynced, recovered, fresh: row === FRESH, stats };
}

/** The options of an engine, as it takes them. */
export function figuresOf({ durability, mode, recovery, rewrite, save }: EngineOptions): Float64Array {
	return new Float64Array([
		["always", "everysec", "no"].indexOf(durability),
		mode === "log" ? 1 : 0,
		recovery === "strict" ? 1 : 0,
		rewrite.percentage,
		rewrite.minBytes,
		...save.flat(),
	]);
}

export function reportOf(figures: number[]): CheckpointReport {
	const [seq = 0, generation = 0, entries = 0, bytes = 0, removedBytes = 0, ms = 0] = figures;
	return { seq, generation, entries, bytes, removedBytes, ms };
}
