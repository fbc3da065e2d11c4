/** Two pages of one database. What the first one has opened stays until its page is closed. */

import { assertSame, digestOf } from "../check.js";
import { keyOf, makeValue } from "../data.js";
import { nextTask, timed, wallTime } from "../measure.js";
import { fill, importEngine, ROUND } from "./store.js";

const LOADED = 10_000;
/** Between one write and the next: longer than it takes to see one. */
const PAUSE_MS = 20;
/** A write that has not been seen by then never will be. */
const PATIENCE_MS = 10_000;

let store;

/** The first page: opens the database and loads it. */
export async function firstTab(spec) {
	store = await (await importEngine(spec.engine)).open(spec.database, spec.level);
	await fill(store, "S", LOADED);
	return {};
}

/** The second page: opens it too and reads. */
export async function secondTab(spec) {
	const engine = await importEngine(spec.engine);
	const key = keyOf(LOADED / 2);
	const { value, ms } = await timed(async () => {
		store = await engine.open(spec.database, spec.level);
		return store.get(key);
	});
	const check = await digestOf([[key, value]]);
	assertSame(check, await digestOf([[key, makeValue("S", LOADED / 2)]]));
	return { figures: { first: ms }, check };
}

/** The first page writes; gives when each call was made. */
export async function writeForOther(spec) {
	const times = [];
	for (let at = 0; at < spec.writes; at++) {
		const end = performance.now() + PAUSE_MS;
		while (performance.now() < end) await nextTask();
		times.push(wallTime());
		await store.set(keyOf(LOADED + at), makeValue("S", LOADED + at, ROUND.written));
	}
	return { times };
}

/** The second page reads until it has each of these; gives when it had it. */
export async function readFromOther(spec) {
	const times = [];
	for (let at = 0; at < spec.writes; at++) {
		const end = performance.now() + PATIENCE_MS;
		while ((await store.get(keyOf(LOADED + at))) === undefined) {
			if (performance.now() > end) throw new Error("a write of the other page was never seen");
			await nextTask();
		}
		times.push(wallTime());
	}
	return { times };
}

export async function closeTab() {
	await store.close();
	return {};
}
