// What a page leaves behind without closing anything, and what the page after a reload finds.

import { equal } from "../check.mjs";
import { holdThreadUntil, soon } from "./waiting.mjs";

/** Long enough for the page to begin its reload before. */
const SHORT_MS = 1000;

/** In the first page. */
export async function begin(backend) {
	const entries = await holdfast.open(`entries ${backend}`, { backend });
	const { seq } = await entries.set("stays", 1);
	const long = Date.now() + 3_600_000;
	await entries.set("long", 2, { expiresAt: long });
	await entries.set("taken back", 3, { ttl: 100 });
	await entries.set("taken back", 4);
	await entries.increment("counter", 5);
	await entries.transaction((tx) => tx.set("moved", 1));
	const snapshots = await holdfast.open(`snapshots ${backend}`, { backend, mode: "snapshot", save: [] });
	await snapshots.set("in the snapshot", 1);
	await snapshots.checkpoint();
	await snapshots.set("behind it", 2);
	const short = Date.now() + SHORT_MS;
	await entries.set("short", "value", { expiresAt: short });
	await entries.flush();
	return { seq, long, short };
}

/** In the page after it. */
export async function verify(backend, { seq, long, short }) {
	holdThreadUntil(short);
	const entries = await holdfast.open(`entries ${backend}`, { backend });
	const expired = new Promise((resolve) => entries.on("expired", resolve));
	equal(entries.peek("short"), undefined, "what has ended");
	equal(
		await entries.entries().toArray(),
		[
			["counter", 5],
			["long", 2],
			["moved", 1],
			["stays", 1],
			["taken back", 4],
		],
		"entries",
	);
	equal(
		[(await entries.entry("stays")).version, (await entries.entry("long")).expiresAt],
		[seq, long],
		"version and expiry",
	);
	equal(await soon(expired, "the expired event"), { key: "short", value: "value" }, "the event");
	const snapshots = await holdfast.open(`snapshots ${backend}`, { backend, mode: "snapshot" });
	equal(await snapshots.keys().toArray(), ["in the snapshot"], "the last snapshot");
	for (const store of [entries, snapshots]) {
		equal(store.status.recovered.dataLoss, undefined, "data loss");
		await store.close();
	}
}
