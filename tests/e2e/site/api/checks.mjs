// What the key-value API does, one check for each thing said about it, run by name on a new store.
//
// A check gets `{ store, reopen, open, destroy, name, options, random, tell }`: the store; what closes it and opens it again, with
// other options; the package's functions, for more stores, with where they are to be; random numbers of the seed; and what tells the
// driver something. It waits for events, never for time to pass.

import { opened } from "../check.mjs";
import { randomOf } from "../storm-ops.mjs";
import { CONDITIONS } from "./conditions.mjs";
import { EXPIRY } from "./expiry.mjs";
import { PARTS } from "./parts.mjs";
import { RANGES } from "./ranges.mjs";
import { ROOM } from "./room.mjs";
import { TRANSACTIONS } from "./transactions.mjs";
import { TRANSFER } from "./transfer.mjs";
import { WATCH } from "./watch.mjs";

const WHERE_STORAGE_MATTERS = { ...TRANSACTIONS, ...EXPIRY, ...WATCH, ...PARTS, ...TRANSFER };
const CHECKS = { ...RANGES, ...CONDITIONS, ...ROOM, ...WHERE_STORAGE_MATTERS };

export const CHECK_NAMES = Object.keys(CHECKS);
/** Those that where the store lives, and in which thread, can make a difference to. */
export const STORAGE_CHECK_NAMES = Object.keys(WHERE_STORAGE_MATTERS);

export async function runCheck({ open, destroy }, check, name, options, seed) {
	const told = [];
	const { close, ...given } = await opened(open, name, options);
	try {
		await CHECKS[check]({
			...given,
			open,
			destroy,
			name,
			options,
			random: randomOf(seed),
			tell: (text) => told.push(text),
		});
		return told;
	} finally {
		await close();
		await destroy(name);
	}
}
