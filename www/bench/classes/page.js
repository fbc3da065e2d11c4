// The page's side of the proof of durability classes (classes.mjs): writes that report each acknowledgement, and finds them again.
//
// Shapes: key number n of a round is `<round>:<n>` with the value `{ round, n }`; `acknowledged` has for each earlier round how many
// keys, from 1 on, the driver has heard of. Deliberately absent: judging; the driver counts.

/** After so many writes that took no task of their own, reports get the chance to leave. */
const WRITES_AT_ONCE = 16;

const keyOf = (round, n) => `${round}:${String(n).padStart(9, "0")}`;

async function opened(id, level, database) {
	const { engine } = await import(`/engines/${id}.js`);
	return engine.open(database, level);
}

/** How many of the acknowledged keys of each round are there with their values. */
export async function findAll(id, level, database, acknowledged) {
	globalThis.store = await opened(id, level, database);
	const found = [];
	for (const [round, count] of acknowledged.entries()) {
		const keys = Array.from({ length: count }, (_, index) => keyOf(round, index + 1));
		const values = keys.length === 0 ? [] : await store.getMany(keys);
		found.push(values.filter((value, index) => value?.round === round && value.n === index + 1).length);
	}
	return found;
}

/** Writes key after key until the browser is killed; each acknowledgement is reported, the newest one when there are several. */
export function startStorm(round) {
	let newest = 0;
	let isReporting = false;
	const report = async () => {
		isReporting = true;
		for (let sent = 0; sent < newest; ) {
			sent = newest;
			await fetch("/acknowledged", { method: "POST", body: JSON.stringify({ round, count: sent }) });
		}
		isReporting = false;
	};
	const storm = async () => {
		for (let n = 1; ; n++) {
			await store.set(keyOf(round, n), { round, n });
			newest = n;
			if (!isReporting) report();
			if (n % WRITES_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
		}
	};
	storm().catch((error) => {
		fetch("/acknowledged", { method: "POST", body: JSON.stringify({ failure: String(error?.stack ?? error) }) });
	});
}

/** Opens a fresh database and writes once, so that what only a first write does is done. */
export async function prepare(id, level, database) {
	globalThis.store = await opened(id, level, database);
	await store.set("first", { n: 0 });
}

/** So many acknowledged writes, one after the other. */
export async function writeInTurn(writes) {
	for (let n = 1; n <= writes; n++) await store.set(keyOf(0, n), { round: 0, n });
}
