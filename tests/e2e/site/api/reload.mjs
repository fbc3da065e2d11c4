// What a page leaves behind without closing anything, and what the page after a reload finds.

import { equal } from "../check.mjs";
import { holdThreadUntil } from "./waiting.mjs";

const SHORT_MS = 50;

/** In the first page. */
export async function begin(backend) {
	const entries = await holdfast.open("entries", { backend });
	const { seq } = await entries.set("stays", 1);
	const long = Date.now() + 3_600_000;
	await entries.set("long", 2, { expiresAt: long });
	await entries.set("taken back", 3, { ttl: SHORT_MS });
	await entries.set("taken back", 4);
	await entries.increment("counter", 5);
	await entries.transaction((tx) => tx.set("moved", 1));
	await entries.set("short", "value", { ttl: SHORT_MS });
	const { expiresAt: short } = await entries.entry("short");
	const snapshots = await holdfast.open("snapshots", { backend, mode: "snapshot", save: [] });
	await snapshots.set("in the snapshot", 1);
	await snapshots.checkpoint();
	await snapshots.set("behind it", 2);
	return { seq, long, short };
}

/** In the page after it. */
export async function verify(backend, { seq, long, short }) {
	holdThreadUntil(short);
	const entries = await holdfast.open("entries", { backend });
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
	equal(await expired, { key: "short", value: "value" }, "the event");
	const snapshots = await holdfast.open("snapshots", { backend, mode: "snapshot" });
	equal(await snapshots.keys().toArray(), ["in the snapshot"], "the last snapshot");
	for (const store of [entries, snapshots]) {
		equal(store.status.recovered.dataLoss, undefined, "data loss");
		await store.close();
	}
}
