// The notes, kept in the store and nowhere else: reads come from memory, so there is no second copy to
// keep in step. A note is `{ id, title, text, createdAt, changedAt }`, of which the last two are Dates; its key is
// `note:<id>`. Errors are the store's own.

const prefix = "note:";

export function notesIn(store) {
	return {
		/** Notes whose title or text has every word of the query, the last changed first. */
		async list(query) {
			const entries = await store.entries({ prefix }).toArray();
			const words = wordsOf(query);
			return entries
				.map(([key, value]) => ({ id: key.slice(prefix.length), ...value }))
				.filter((note) => matches(note, words))
				.sort((a, b) => b.changedAt - a.changedAt);
		},

		find(id) {
			const value = store.peek(prefix + id);
			return value && { id, ...value };
		},

		/** Resolves to what the store promises for it: `{ seq, level }`. */
		put({ id, ...value }) {
			return store.set(prefix + id, value);
		},

		remove(id) {
			return store.delete(prefix + id);
		},

		count() {
			return store.count({ prefix });
		},

		/** Calls `listener()` when notes were changed, in whichever tab. */
		watch(listener) {
			return store.watch({ prefix }, () => {
				// What was acknowledged is told to the last, when there is nothing to ask any more.
				if (store.status.state !== "closed") listener();
			});
		},
	};
}

/** A note that is in no store yet. */
export function blankNote(id) {
	const now = new Date();
	return { id, title: "", text: "", createdAt: now, changedAt: now };
}

export function wordsOf(query) {
	return query.toLowerCase().split(/\s+/).filter(Boolean);
}

function matches(note, words) {
	const haystack = `${note.title}\n${note.text}`.toLowerCase();
	return words.every((word) => haystack.includes(word));
}
