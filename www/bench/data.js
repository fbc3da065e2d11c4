/**
 * The keys and values of all workloads. An entry's value is up to its number and its round: what it was first loaded with is round 0, each
 * workload that overwrites takes a round of its own.
 */

import { randomOf } from "./random.js";

/** Bytes of a value: of its JSON text, of a blob itself. */
export const VALUE_BYTES = { S: 100, M: 1000, L: 10_000, B: 65_536 };

export const PREFIX = "user:";
const DIGITS = 11;
const NAMES = ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "John", "Leslie", "Margaret"];
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

export function keyOf(number) {
	return PREFIX + String(number).padStart(DIGITS, "0");
}

/** A fresh value of that size class. */
export function makeValue(size, number, round = 0) {
	const random = randomOf(Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b));
	if (size === "B") return blob(random);
	const value = {
		id: number,
		round,
		name: NAMES[Math.floor(random() * NAMES.length)],
		score: Math.floor(random() * 1e6) / 100,
		active: random() < 0.5,
		text: "",
	};
	value.text = text(random, VALUE_BYTES[size] - JSON.stringify(value).length);
	return value;
}

/** Entries `first` to `first + count - 1`. */
export function entriesOf(size, first, count, round = 0) {
	return Array.from({ length: count }, (_, at) => [keyOf(first + at), makeValue(size, first + at, round)]);
}

function text(random, length) {
	let letters = "";
	while (letters.length < length) {
		// Six letters of one number.
		let bits = Math.floor(random() * 26 ** 6);
		for (let left = Math.min(6, length - letters.length); left > 0; left--) {
			letters += LETTERS[bits % 26];
			bits = Math.floor(bits / 26);
		}
	}
	return letters;
}

function blob(random) {
	const words = new Uint32Array(VALUE_BYTES.B / 4);
	for (let at = 0; at < words.length; at++) words[at] = random() * 2 ** 32;
	return new Uint8Array(words.buffer);
}
