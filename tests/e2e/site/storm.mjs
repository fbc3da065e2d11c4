// A storm of writes on an open store, which tells the driver of every acknowledgement as soon as there is one.
//
// Runs in a page and in a dedicated worker. The driver's journal is at `/journal`: a POST of `{ storm, issued, promised,
// acknowledged, checkpoints, failure }` (issued: the newest op that was called; promised: the newest that was acknowledged
// at a level which outlives a killed browser; acknowledged: how many more were; checkpoints: how many more ended) is
// answered by `{ granted }`. No op above that is called, so the driver knows what may be in the store before it can be.

import { isWhole, opOf, randomOf, valueMade } from "./storm-ops.mjs";

/** How far calls may be ahead of what is promised. */
const AHEAD_MAX = 200;
const BURST_MAX = 24;
const FLUSH_EVERY = 40;
const CHECKPOINT_EVERY = 250;

/** What is in the store: `[key, n]` of every entry, n being null where the value is not what op n wrote. */
export async function imageOf(store, seed) {
	const entries = await store.entries().toArray();
	return entries.map(([key, value]) => [key, isWhole(seed, key, value) ? value.n : null]);
}

/** Calls ops from `first` on until the thread dies; `storm` is the number the driver knows this by. */
export async function writeForEver(store, { storm, seed, first }) {
	const { durability } = store.status;
	const random = randomOf(seed, first, storm);
	const news = new News(first - 1);
	let next = first;
	let granted = 0;

	const tell = async () => {
		for (;;) {
			const told = { storm, issued: next - 1, ...news.take() };
			const answer = await fetch("/journal", { method: "POST", body: JSON.stringify(told) });
			({ granted } = await answer.json());
			news.wake();
			while (!news.isUntold() && next <= granted) await news.more();
		}
	};
	const call = (n) => {
		const { level } = opOf(seed, n);
		apply(store, seed, n)
			.then((answer) => {
				// A removal that found nothing wrote nothing. Under "no" only what was asked for more is promised.
				const wrote = answer !== false && answer !== 0;
				if (wrote && (durability !== "no" || level)) news.promise(n, 1);
			})
			.catch(news.fail);
		if (n % FLUSH_EVERY === 0) store.flush().then(() => durability === "no" && news.promise(n), news.fail);
		if (n % CHECKPOINT_EVERY === 0) store.checkpoint().then(news.countCheckpoint, news.fail);
	};

	store.on("error", news.fail);
	tell();
	for (;;) {
		for (let left = 1 + random() * BURST_MAX; left > 0 && next <= granted; left--) call(next++);
		while (next > granted || next - news.promised > AHEAD_MAX) await news.more();
		await turn();
	}
}

/** What the driver does not know yet. */
class News {
	/** The newest op that is. */
	promised;
	#acknowledged = 0;
	#checkpoints = 0;
	#failure;
	#waiting = [];

	constructor(promised) {
		this.promised = promised;
	}

	/** Op n and all before it are promised; how many of them are so only now, where that is known. */
	promise(n, acknowledged = Math.max(0, n - this.promised)) {
		this.promised = Math.max(this.promised, n);
		this.#acknowledged += acknowledged;
		this.wake();
	}

	countCheckpoint = () => {
		this.#checkpoints++;
	};

	fail = (error) => {
		this.#failure ??= `${error.code}: ${error.message} ${error.cause?.message ?? ""}`;
		this.wake();
	};

	isUntold() {
		return this.#acknowledged > 0 || this.#failure !== undefined;
	}

	take() {
		const told = { promised: this.promised, acknowledged: this.#acknowledged, checkpoints: this.#checkpoints };
		const failure = this.#failure;
		this.#acknowledged = 0;
		this.#checkpoints = 0;
		this.#failure = undefined;
		return { ...told, failure };
	}

	/** Resolves at the next change. */
	more() {
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	wake() {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}
}

function apply(store, seed, n) {
	const { kind, entries, keys, level } = opOf(seed, n);
	const options = level && { durability: level };
	const values = entries?.map(([key, length]) => [key, valueMade(seed, n, key, length)]);
	if (kind === "set") return store.set(...values[0], options);
	if (kind === "setMany") return store.setMany(values, options);
	if (kind === "delete") return store.delete(keys[0], options);
	if (kind === "deleteMany") return store.deleteMany(keys, options);
	return store.clear(undefined, options);
}

/** Lets everything else of this thread have its turn. */
function turn() {
	const { port1, port2 } = new MessageChannel();
	return new Promise((resolve) => {
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(null);
	});
}
