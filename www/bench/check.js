/**
 * What an engine holds or has read, summed up so that it can be compared: how many, the sum of the keys' numbers, and a SHA-256 of all keys
 * and values in their order.
 */

import { PREFIX } from "./data.js";

/** Entries of one part of the hash, which bounds what is in memory at a time. */
const PART = 10_000;

const encoder = new TextEncoder();

/** Adds up entries in the order they are given in. */
export class Digest {
	#count = 0;
	#keySum = 0;
	#hash = "";
	#texts = [];

	async add(key, value) {
		this.#count++;
		this.#keySum += Number(key.slice(PREFIX.length));
		this.#texts.push(`${key}=${await canonical(value)}`);
		if (this.#texts.length === PART) await this.#fold();
	}

	async end() {
		await this.#fold();
		return { count: this.#count, keySum: this.#keySum, hash: this.#hash };
	}

	async #fold() {
		this.#hash = await sha256(encoder.encode([this.#hash, ...this.#texts].join("\n")));
		this.#texts = [];
	}
}

/** The digest of entries that are all there. */
export async function digestOf(entries) {
	const digest = new Digest();
	for (const [key, value] of entries) await digest.add(key, value);
	return digest.end();
}

/** Throws unless what an engine gave is what it was given. */
export function assertSame(actual, expected) {
	for (const what of ["count", "keySum", "hash"])
		if (actual[what] !== expected[what])
			throw new Error(`the check failed: its ${what} is ${actual[what]}, not ${expected[what]}`);
}

/** A text that is the same for equal values, whatever the order of their properties. */
async function canonical(value) {
	if (value instanceof Uint8Array) return `bytes ${await sha256(value)}`;
	if (value === undefined) return "nothing";
	return JSON.stringify(value, (_, part) =>
		part !== null && typeof part === "object" && !Array.isArray(part)
			? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
			: part,
	);
}

async function sha256(bytes) {
	const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
