// Saving as you type without a timer: the store's answer is the clock. While a write is under way only the
// newest state of each note waits; it goes out as soon as the store has acknowledged the one before.

/**
 * `write(note)` resolves to `{ seq, level }`. `report` is told `{ state: "saving" }`,
 * `{ state: "saved", level }` or `{ state: "failed", error }`.
 */
export function createAutosave(write, report) {
	const waiting = new Map();
	const unsaved = new Set();
	let draining = false;

	async function drain() {
		if (draining) return;
		draining = true;
		for (const [id, note] of waiting) {
			waiting.delete(id);
			report({ state: "saving" });
			try {
				const { level } = await write(note);
				if (!waiting.has(id)) unsaved.delete(id);
				if (waiting.size === 0) report({ state: "saved", level });
			} catch (error) {
				report({ state: "failed", error });
			}
		}
		draining = false;
	}

	return {
		save(note) {
			waiting.set(note.id, note);
			unsaved.add(note.id);
			drain();
		},

		/** Whether the store has not acknowledged the newest state of this note, be it that it refused it. */
		isUnsaved(id) {
			return unsaved.has(id);
		},

		/** A deleted note must not come back by a save that was still waiting. */
		forget(id) {
			waiting.delete(id);
			unsaved.delete(id);
		},
	};
}
