// The writes of a storm, known in advance: op n (1, 2, 3...) of a seed is the same in the page that makes it and in the
// driver that judges what a kill left of it.
//
// An op is one call of the public API, so one batch: `{ kind, entries | keys, level }`. `entries` are [key, length of the
// text] pairs; `level` is the durability that this call is raised to, or undefined. Pure.

const KEYS = 60;
/** Of texts. The longest take more than one IndexedDB record, so that a kill can fall between its parts. */
const LENGTHS_MAX = [...Array(20).fill(900), ...Array(4).fill(12_000), 200_000];
/** In batches, which stay in the order of the calls only below a quarter of a MiB. */
const BATCH_LENGTHS_MAX = LENGTHS_MAX.slice(0, -1);
const BATCH_MAX = 12;

/** Numbers in [0, 1), the same for the same seeds. */
export function randomOf(...seeds) {
	let state = seeds.reduce((hash, seed) => mix(hash ^ (seed | 0)), 0x2545f491);
	return () => {
		state = mix(state + 0x6d2b79f5);
		return (state >>> 0) / 2 ** 32;
	};
}

// Three rounds of multiply and shift: every bit of the input changes about half of those of the result.
function mix(bits) {
	let x = bits | 0;
	for (const factor of [0x7feb352d, 0x846ca68b, 0x9e3779b1]) x = Math.imul(x ^ (x >>> 15), factor);
	return x ^ (x >>> 16);
}

export function opOf(seed, n) {
	const random = randomOf(seed, n);
	const below = (end) => Math.floor(random() * end);
	const key = () => `key:${below(KEYS)}`;
	const keys = () => [...new Set(Array.from({ length: 1 + below(BATCH_MAX) }, key))];
	const length = (lengthsMax) => below(lengthsMax[below(lengthsMax.length)]);
	const level = random() < 0.02 ? "always" : undefined;
	const choice = random();
	if (choice < 0.78) return { kind: "set", entries: [[key(), length(LENGTHS_MAX)]], level };
	if (choice < 0.88) return { kind: "setMany", entries: keys().map((key) => [key, length(BATCH_LENGTHS_MAX)]), level };
	if (choice < 0.96) return { kind: "delete", keys: [key()], level };
	if (choice < 0.995) return { kind: "deleteMany", keys: keys(), level };
	return { kind: "clear", level };
}

/** What op n writes under a key, as a value of the store. */
export function valueMade(seed, n, key, length) {
	return { n, text: `${seed}:${n}:${key}:`.repeat(length / 8 + 1).slice(0, length) };
}

/** Whether the value is, whole, what the op it says it is of wrote under the key. */
export function isWhole(seed, key, value) {
	if (!Number.isSafeInteger(value?.n)) return false;
	const entry = opOf(seed, value.n).entries?.find(([other]) => other === key);
	return entry !== undefined && value.text === valueMade(seed, value.n, key, entry[1]).text;
}

/** Changes a model, key to n, as op n changes the store; gives the keys it may have changed. */
export function applyOp(model, seed, n) {
	const { kind, entries = [], keys = [] } = opOf(seed, n);
	const touched = kind === "clear" ? [...model.keys()] : [...keys, ...entries.map(([key]) => key)];
	for (const key of touched) model.delete(key);
	for (const [key] of entries) model.set(key, n);
	return touched;
}
