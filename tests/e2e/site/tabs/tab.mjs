// What a tab does with its store, in a page and in a dedicated worker: opens it, keeps what it is told, shows what it holds, writes
// in a storm. Uses `holdfast` on `globalThis`; puts the open store there as `store`.
//
// Times are `Date.now()`, which is the same clock in every tab and in the driver.

import { randomOf } from "../storm-ops.mjs";

const POLL_MS = 5;

/** `[role, at]` whenever the role has changed. */
export const roles = [];
/** What `error` listeners were told, as text. */
export const errors = [];
/** What watchers were told and nobody has taken yet: `{ seq, role, changes: [[key, cause, id]] }` of each call. */
const told = [];
const waiting = [];

/** Opens the store; resolves to the parts of its status that tests look at, and how long it took. */
export async function openTab(name, options) {
	const began = performance.now();
	const store = await holdfast.open(name, options);
	const ms = performance.now() - began;
	globalThis.store = store;
	for (const list of [told, roles, errors]) list.splice(0);
	const { role, backend, recovered, fresh, fallback } = store.status;
	roles.push([role, Date.now()]);
	store.on("status", ({ role }) => {
		if (roles.at(-1)[0] !== role) roles.push([role, Date.now()]);
		wake();
	});
	store.on("error", (error) =>
		errors.push(`${error.code} ${error.message} ${error.cause?.message ?? error.cause ?? ""}`),
	);
	store.watch({}, (changes) => {
		const [{ version }] = changes;
		told.push({ seq: version, role: store.status.role, changes: changes.map(said) });
		wake();
	});
	return { role, backend, recovered, fresh, fallback, ms };
}

const said = ({ key, cause, value }) => [key, cause, idOf(value)];

/** What tells a value from every other: the name of the op that wrote it, or itself. */
const idOf = (value) => value?.op ?? value ?? null;

function wake() {
	for (const resolve of waiting.splice(0)) resolve();
}

/** What watchers were told since this was last asked. */
export const takeTold = () => told.splice(0);

/** Resolves when the role is that. */
export async function becomes(role) {
	while (globalThis.store.status.role !== role) await new Promise((resolve) => waiting.push(resolve));
	return roles.findLast(([each]) => each === role)?.[1] ?? Date.now();
}

/** Resolves when this tab has come to lead after that moment; to when that was. */
export async function leadsSince(moment) {
	for (;;) {
		const [role, at] = roles.at(-1);
		if (role === "leader" && at >= moment) return at;
		await new Promise((resolve) => waiting.push(resolve));
	}
}

/** What watchers were told, once that includes a change of that key (`""` for `reread`): `[[seq, [key, cause, id]...]...]`. */
export async function toldUpTo(key) {
	while (!told.some(({ changes }) => changes.some(([each]) => each === key)))
		await new Promise((resolve) => waiting.push(resolve));
	return takeTold().map(({ seq, changes }) => [seq, ...changes]);
}

/** Resolves when everything up to a seq is to be seen here. */
export async function reached(seq) {
	while ((await globalThis.store.stats()).seq < seq) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Everything in the store, `{ seq, entries: [[key, version, text of the value]] }`. */
export async function image() {
	const { store } = globalThis;
	const keys = await store.keys().toArray();
	const entries = keys.map(async (key) => {
		const { value, version, expiresAt } = await store.entry(key);
		return [key, version, JSON.stringify(value), ...(expiresAt ? [expiresAt] : [])];
	});
	return { entries: await Promise.all(entries), seq: (await store.stats()).seq };
}

/**
 * What the log has since the store was new, as `takeTold` has it; nothing if it does not have everything. Writes a last entry, by which
 * the end is known.
 */
export async function wholeLog(end) {
	const frames = [];
	await globalThis.store.set("end", end);
	for await (const change of globalThis.store.changes({}, { since: 0 })) {
		if (change.cause === "reread") return;
		if (change.key === "end" && change.value === end) return frames;
		if (frames.at(-1)?.seq !== change.version) frames.push({ seq: change.version, role: "log", changes: [] });
		frames.at(-1).changes.push(said(change));
	}
}

// ------------------------------------------------------------------------------------------------ figures

let stopAnswers;

/** Answers every message on a channel, and every write of `ping` on that, until it is stopped. */
export function startAnswering(name) {
	const channel = new BroadcastChannel(name);
	const answer = () => channel.postMessage("answer");
	channel.onmessage = ({ data }) => {
		if (data === "message") answer();
	};
	const stop = globalThis.store.watch("ping", answer);
	stopAnswers = () => {
		stop();
		channel.close();
	};
}

export const stopAnswering = () => stopAnswers();

/** The clock of some browsers goes in steps of a ms: so many repetitions are measured together. */
const TOGETHER = 20;

/**
 * ms of a message to the tab that answers and back, of a write here until that tab says it has seen it, and of a write here until it
 * is acknowledged: one after the other.
 */
export async function measureAnswers(name) {
	const { store } = globalThis;
	const channel = new BroadcastChannel(name);
	const answered = (ask) =>
		new Promise((resolve) => {
			channel.onmessage = resolve;
			void ask();
		});
	const calls = {
		message: () => answered(() => channel.postMessage("message")),
		seen: (n) => answered(() => store.set("ping", n)),
		write: (n) => store.set("other", n),
	};
	const figures = {};
	for (const [figure, call] of Object.entries(calls)) {
		const began = performance.now();
		for (let n = 0; n < TOGETHER; n++) await call(n);
		figures[figure] = (performance.now() - began) / TOGETHER;
	}
	channel.close();
	return figures;
}

/** Opens the store and reads; gives how many ms that took. */
export async function openAndGet(name, options, key) {
	const began = performance.now();
	globalThis.store = await holdfast.open(name, options);
	if ((await globalThis.store.get(key)) === undefined) throw new Error(`${key} is not there`);
	return performance.now() - began;
}

/** Holds a lock for as long as the page lives. */
export const holdLock = (name) =>
	new Promise((resolve) => {
		navigator.locks.request(name, () => new Promise(() => resolve()));
	});

/** Resolves when that lock is granted here, to the moment; lets go of it then. */
export const lockGranted = (name) => navigator.locks.request(name, () => Date.now());

// ------------------------------------------------------------------------------------------------ the storm

/** Writes under way at once. */
const LANES = 4;
const KEYS = 40;
const ONCE = 400;
const LENGTHS_MAX = [...Array(12).fill(60), ...Array(4).fill(900), 9000];

let running;

/**
 * Writes until it is stopped or the thread dies, and tells the driver at `/tabs` of everything that was answered and that watchers
 * were told. `storm` is the number the driver knows this by, `writer` the name of this tab in it.
 */
export function startStorm({ storm, writer, seed, lanes: lanesMax = LANES }) {
	const stop = { asked: false };
	const random = randomOf(seed, storm, writer);
	const report = new Report(storm, writer);
	let number = 0;
	let counted = 0;
	const lane = async (isFirst) => {
		while (!stop.asked) {
			const op = `${writer}.${++number}`;
			const [kind, call] = opOf(random, op, isFirst ? `n:${writer}` : undefined);
			const { role } = globalThis.store.status;
			try {
				const answer = await call(globalThis.store);
				if (kind === "own") counted++;
				report.add("acks", { op, kind, ...answer });
			} catch (error) {
				const { code, message } = error;
				report.add(code === "CONFLICT" ? "refused" : "failures", { op, kind, role, code, message });
				if (code === "CLOSED") return;
				// A store that refuses everything would be asked for ever without a pause.
				if (code !== "CONFLICT") await new Promise((resolve) => setTimeout(resolve, POLL_MS));
			}
		}
	};
	const lanes = Promise.all(Array.from({ length: lanesMax }, (_, at) => lane(at === 0)));
	running = {
		async stop() {
			stop.asked = true;
			await lanes;
			await report.end();
			return { writer, number, counted };
		},
	};
	void report.tell();
}

/** Has no more writes called; resolves when all that were are answered and told. */
export const stopStorm = () => running.stop();

/** A write of a storm: its kind, and what makes it; that resolves to what the driver can check of the answer. */
function opOf(random, op, own) {
	const below = (end) => Math.floor(random() * end);
	const value = () => ({ op, text: "x".repeat(below(LENGTHS_MAX[below(LENGTHS_MAX.length)])) });
	const options = random() < 0.05 ? { durability: "always" } : undefined;
	const choice = random();
	if (own && choice < 0.5) return ["own", async (store) => ({ value: await store.increment(own), key: own })];
	if (choice < 0.4) {
		const key = `k:${below(KEYS)}`;
		return ["set", async (store) => ({ key, seq: (await store.set(key, value(), options)).seq })];
	}
	if (choice < 0.5) {
		const entries = Array.from({ length: 3 }, () => [`k:${below(KEYS)}`, value()]);
		return ["setMany", async (store) => ({ seq: (await store.setMany(entries, options)).seq })];
	}
	if (choice < 0.65) return ["shared", async (store) => ({ value: await store.increment("shared", 1, options) })];
	if (choice < 0.8) {
		const by = 1 + below(100);
		return ["transaction", (store) => store.transaction((tx) => transfer(tx, op, by), options)];
	}
	if (choice < 0.9) {
		const key = `once:${below(ONCE)}`;
		return ["once", async (store) => ({ key, seq: (await store.set(key, value(), { ifAbsent: true })).seq })];
	}
	const key = `x:${op}`;
	return [
		"delete",
		async (store) => {
			await store.set(key, value());
			return { key, removed: await store.delete(key, options) };
		},
	];
}

async function transfer(tx, op, by) {
	const [one = 0, other = 0] = [await tx.get("account:a"), await tx.get("account:b")];
	tx.set("account:a", one + by);
	tx.set("account:b", other - by);
	tx.set("transfer", { op });
	return {};
}

/** Tells the driver everything, in order. */
class Report {
	#who;
	#lists = { acks: [], refused: [], failures: [] };
	#added = () => {};
	#isOver = false;
	#telling;

	constructor(storm, writer) {
		this.#who = { storm, writer };
	}

	add(list, item) {
		this.#lists[list].push(item);
		this.#added();
	}

	/** Until `end`. */
	tell() {
		this.#telling = this.#tell();
	}

	async #tell() {
		for (;;) {
			const isLast = this.#isOver;
			const lists = this.#lists;
			this.#lists = { acks: [], refused: [], failures: [] };
			const body = JSON.stringify({
				...this.#who,
				...lists,
				told: takeTold(),
				errors: errors.splice(0),
				role: globalThis.store.status.role,
			});
			await fetch("/tabs", { method: "POST", body });
			if (isLast) return;
			if (Object.values(this.#lists).every((list) => list.length === 0) && !this.#isOver)
				await new Promise((resolve) => {
					this.#added = resolve;
				});
		}
	}

	async end() {
		this.#isOver = true;
		this.#added();
		await this.#telling;
	}
}
