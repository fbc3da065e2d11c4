// A stream of writes whose state after any number of them is known, so that what a killed browser left behind can be
// judged: it must be the state after exactly `last` writes, for some `last` that is not below what was acknowledged.
//
// Write i (1, 2, 3...) is one atomic batch: "last" = i, and slot i mod SLOTS = { i, text }.

const SLOTS = 50;
const BURST = 5;

/**
 * Writes for ever, some at a time; `report(count)` after each acknowledged burst. Flushes once, after write `flushAfter`,
 * when that is given.
 */
export async function writeForEver(store, flushAfter, report) {
	for (let first = 1; ; first += BURST) {
		const burst = Array.from({ length: BURST }, (_, at) => first + at);
		await Promise.all(burst.map((i) => writeOne(store, i)));
		if (flushAfter >= first && flushAfter < first + BURST) await store.flush();
		report(burst.at(-1));
		// Where a write resolves at once, nothing else of this thread would ever run.
		await new Promise((resolve) => setTimeout(resolve));
	}
}

function writeOne(store, i) {
	return store.setMany([
		["last", i],
		[`slot:${i % SLOTS}`, { i, text: textOf(i) }],
	]);
}

/** Judges the store: `{ last, wrong }`, where `wrong` says what contradicts the state after `last` writes, or is null. */
export async function written(store) {
	const last = (await store.get("last")) ?? 0;
	const entries = await store.entries({ prefix: "slot:" }).toArray();
	const expected = Math.min(last, SLOTS);
	const found = { last, recovered: store.status.recovered };
	if (entries.length !== expected) return { ...found, wrong: `${entries.length} slots after ${last} writes` };
	for (const [key, { i, text }] of entries) {
		const slot = Number(key.slice("slot:".length));
		const newest = last - ((last - slot + SLOTS) % SLOTS);
		if (i !== newest) return { ...found, wrong: `${key} is of write ${i}, not of ${newest}` };
		if (text !== textOf(i)) return { ...found, wrong: `the text of write ${i} is not what was written` };
	}
	return { ...found, wrong: null };
}

// Mostly small; now and then more than one IndexedDB record, so that a kill can fall between its parts.
function textOf(i) {
	const length = i % 40 === 0 ? 150_000 : (i * 37) % 900;
	return `${i}:`.repeat(Math.ceil(length / 3)).slice(0, length);
}
