/**
 * The figures of the engine, by name.
 *
 * Owns the order in which `figures`, `checkpoint` and `open_engine` of src/wasm.rs list them: names cost less on this side.
 */

import { FRESH, MISSING } from "./numbers.js";
import { LEVEL_OF, type Settings } from "./options.js";
import type { Backend, Status } from "./types.js";

/** What an engine says of itself. */
export interface Core extends Pick<Status, "unsynced" | "recovered" | "fresh"> {
	osSeq: number;
	diskSeq: number;
	/** How long the storage has taken over the present write, in ms; 0 without one. */
	writingMs: number;
}

type Words<S extends string> = S extends `${infer First} ${infer Rest}` ? First | Words<Rest> : S;

/** Gives the figures in turn, by names. */
export function reader(figures: number[]): <S extends string>(names: S) => Record<Words<S>, number> {
	let at = 0;
	return (names) => Object.fromEntries(names.split(" ").map((name) => [name, figures[at++]])) as never;
}

/** `gone`: the store was here, and nothing is left of it. */
export function coreOf(figures: number[], gone: boolean): Core {
	const next = reader(figures);
	const { osSeq, diskSeq } = next("seq osSeq diskSeq");
	const unsynced = next("ops bytes ms");
	const { row, seq, snapshotSeq, frames, tornBytes, ms, from, to } = next(
		"row seq snapshotSeq frames tornBytes ms from to",
	);
	const fresh = row === FRESH && !gone;
	const recovered: Status["recovered"] = {
		source: gone
			? "primary-missing"
			: fresh
				? "fresh"
				: snapshotSeq < 0
					? "log"
					: frames > 0
						? "snapshot+log"
						: "snapshot",
		seq,
		tornBytes,
		ms,
	};
	if (gone) recovered.dataLoss = { from: 1, to: 1, reason: "missing" };
	if (from >= 0) recovered.dataLoss = { from, to, reason: row === MISSING ? "missing" : "corrupt" };
	const { writingMs } = next("writingMs");
	return { osSeq, diskSeq, unsynced, recovered, fresh, writingMs };
}

/** The options of an engine, as it takes them. */
export function figuresOf({ durability, mode, recovery, rewrite, save }: Settings, backend: Backend): Float64Array {
	return new Float64Array([
		2 - LEVEL_OF[durability],
		["hybrid", "log", "memory", "snapshot"].indexOf(backend === "memory" ? backend : mode),
		+(recovery === "strict"),
		rewrite.percentage,
		rewrite.minBytes,
		...save.flat(),
	]);
}
