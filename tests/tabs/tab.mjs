// A tab: a page with the store open, and what its program does with it.
//
// Owns the record of every operation: what was asked, when, and how it ended, in events of the clock. An operation that wrote is known
// again in the log by what it wrote: texts with its number and try, and sums that grow by its number.

import { openStore } from "../../src/ts/open.ts";

export const STORE = "store";
const OPEN_AGAIN_MS = 200;
/** Keys of texts, and of sums. */
const TEXTS = ["k0", "k1", "k2", "k3", "k4"];
const SUMS = ["n0", "n1"];

/** What a page hears of its own life. */
class Page {
	#listeners = new Map();

	addEventListener(type, run, { signal } = {}) {
		if (!this.#listeners.has(type)) this.#listeners.set(type, []);
		this.#listeners.get(type).push({ run, signal });
	}

	tell(type, event = {}) {
		for (const { run, signal } of this.#listeners.get(type) ?? []) if (!signal?.aborted) run(event);
	}
}

export class Tab {
	isFrozen = false;
	/** Events that wait until it goes on. */
	parked = [];
	/** It was closed or has crashed. */
	isGone = false;
	workers = new Set();
	page = new Page();
	store;
	/** It has led. */
	hasLed = false;
	/** Operations that have not ended. */
	pending = 0;
	#world;
	#isClosing = false;

	/** `world`: the schedule's clock, network, locks, storage, module, options and record of operations. */
	constructor(world, number) {
		this.#world = world;
		this.number = number;
	}

	/** Opens the store, again and again until it is open. */
	async open() {
		const { clock, network, locks, storage, module, options, trouble, figures } = this.#world;
		for (;;) {
			try {
				const opened = await openStore(
					STORE,
					{ ...options, wasm: module },
					{
						wasm: () => module,
						world: {
							locks: locks.of(this),
							channelOf: network.channelOf(this),
							home: async () => storage.home(),
							storage: storage.opener(this),
						},
					},
				);
				opened.on("dataloss", ({ from, to, reason }) => trouble(`tab ${this.number}: ${from} to ${to} are ${reason}`));
				opened.on("error", (error) => clock.trace?.("error of", this.number, error.stack, String(error.cause)));
				opened.on("status", ({ role }) => this.#became(role));
				this.#became(opened.status.role);
				this.store = opened;
				return;
			} catch (error) {
				if (typeof error?.code !== "string") throw error;
				figures.failedOpens++;
				clock.trace?.("opening", this.number, "failed:", error.stack);
				await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
			}
		}
	}

	#role;
	#became(role) {
		if (role === this.#role) return;
		this.#world.clock.trace?.("role of", this.number, role);
		if (role === "leader") {
			if (this.#role) this.#world.figures.takeovers++;
			this.hasLed = true;
		}
		this.#role = role;
	}

	get role() {
		return this.#role;
	}

	/** Whether the program can ask something. */
	get isReady() {
		return !this.isGone && !this.isFrozen && !this.#isClosing && this.store !== undefined;
	}

	/** Whether the store has failed for good, so that only opening it again helps. */
	get hasFailed() {
		return this.isReady && this.store.status.state !== "open";
	}

	async close() {
		this.#world.clock.trace?.("closing", this.number);
		this.#isClosing = true;
		await this.store?.close().catch(() => {});
		this.leave(0);
	}

	/** The page is gone, and its locks are free a while later. */
	leave(delayMs) {
		const { network, locks } = this.#world;
		this.isGone = true;
		this.parked = [];
		network.leave(this);
		locks.release(this, delayMs);
		for (const worker of [...this.workers]) worker.terminate();
	}

	// ------------------------------------------------------------------------------------------------ operations

	/** Does something at random. */
	act() {
		const { clock } = this.#world;
		const kinds = [
			"set",
			"set",
			"setMany",
			"condition",
			"delete",
			"update",
			"sum",
			"sum",
			"transaction",
			"transaction",
		];
		kinds.push("read", "read", "read", "flush");
		if (clock.chance(0.06)) kinds.push(...Array(8).fill("checkpoint"));
		this[`_${clock.pick(kinds)}`]();
	}

	/** Writes something that is kept. */
	write() {
		this.#set("always");
	}

	/** Records an operation: `run` gives its outcome; what it adds to the record itself is what it wrote. */
	async #record(kind, more, run) {
		const { clock, operations, options } = this.#world;
		const durability = more.durability ?? options.durability;
		const operation = { ...{ number: operations.length + 1, tab: this, kind, begun: clock.index, ...more } };
		operation.isKept = durability !== "no";
		// No room for a later write ends the wait for a sync, too: what waits for that is stored.
		operation.maySync = durability === "always" && options.durability !== "always";
		operations.push(operation);
		clock.trace?.("operation", operation.number, kind, more.key ?? "", "of", this.number);
		this.pending++;
		try {
			operation.outcome = await run(operation);
			operation.isDone = true;
		} catch (error) {
			operation.code = error?.code;
			if (typeof error?.code !== "string") operation.thrown = error;
		}
		this.pending--;
		operation.ended = clock.index;
		clock.trace?.("operation", operation.number, operation.isDone ? JSON.stringify(operation.outcome) : operation.code);
		operation.order = this.#world.ended++;
	}

	#wanted(more) {
		const { clock } = this.#world;
		const durability = clock.pick([undefined, undefined, "always", "everysec"]);
		return { options: { ...(durability && { durability }), ...more }, durability };
	}

	#text() {
		return this.#world.clock.pick(TEXTS);
	}

	_set() {
		this.#set();
	}

	#set(wanted) {
		const key = this.#text();
		const { options, durability } = wanted ? { options: { durability: wanted }, durability: wanted } : this.#wanted();
		void this.#record("set", { key, durability }, (own) => {
			own.texts = [`${own.number}.`];
			return this.store.set(key, own.texts[0], options);
		});
	}

	_setMany() {
		const keys = [this.#text(), this.#text(), this.#text()];
		const { options, durability } = this.#wanted();
		void this.#record("setMany", { keys, durability }, (own) => {
			own.texts = [`${own.number}.`];
			return this.store.setMany(
				keys.map((key) => [key, own.texts[0]]),
				options,
			);
		});
	}

	_condition() {
		const key = this.#text();
		const { options, durability } = this.#wanted();
		void this.#record("condition", { key, durability }, async (own) => {
			own.version = this.#world.clock.chance(0.4) ? 0 : ((await this.store.entry(key))?.version ?? 0);
			own.texts = [`${own.number}.`];
			return this.store.set(key, own.texts[0], {
				...options,
				...(own.version ? { ifVersion: own.version } : { ifAbsent: true }),
			});
		});
	}

	_delete() {
		const key = this.#text();
		const { options, durability } = this.#wanted();
		void this.#record("delete", { key, durability }, () => this.store.delete(key, options));
	}

	_update() {
		const key = this.#text();
		const { options, durability } = this.#wanted();
		void this.#record("update", { key, durability }, (own) => {
			own.texts = [];
			own.tries = [];
			return this.store.update(
				key,
				(old) => {
					const text = `${own.number}.${own.texts.length}`;
					own.texts.push(text);
					own.tries.push({ reads: [[key, old]] });
					return text;
				},
				options,
			);
		});
	}

	_sum() {
		const key = this.#world.clock.pick(SUMS);
		const { options, durability } = this.#wanted();
		void this.#record("sum", { key, durability }, (own) => this.store.increment(key, own.number, options));
	}

	_transaction() {
		const { clock } = this.#world;
		const { options, durability } = this.#wanted();
		const [reads, writes] = [clock.below(3), clock.below(3)].map((count) =>
			Array.from({ length: count }, () => this.#text()),
		);
		const [first, removed] = [this.#text(), clock.chance(0.2) ? this.#text() : undefined];
		const [ranges, waitMs] = [clock.chance(0.3), clock.chance(0.2) ? clock.between(1, 40) : 0];
		const isReadOnly = clock.chance(0.15);
		void this.#record("transaction", { durability, isReadOnly }, (own) => {
			own.texts = [];
			own.tries = [];
			return this.store.transaction(async (tx) => {
				const text = `${own.number}.${own.texts.length}`;
				const attempt = { reads: [], rows: undefined };
				own.texts.push(text);
				own.tries.push(attempt);
				for (const key of [first, ...reads]) attempt.reads.push([key, await tx.get(key)]);
				if (ranges) attempt.rows = await tx.entries({ prefix: "k" }).toArray();
				if (waitMs) await new Promise((resolve) => setTimeout(resolve, waitMs));
				if (isReadOnly) return;
				for (const key of [...writes, first]) tx.set(key, text);
				if (removed && removed !== first) tx.delete(removed);
			}, options);
		});
	}

	_read() {
		const { clock } = this.#world;
		const key = clock.chance(0.7) ? this.#text() : clock.pick(SUMS);
		const how = clock.below(3);
		void this.#record("read", { key, how }, async (own) => {
			if (how === 0) return this.store.get(key);
			if (how === 1) return this.store.peek(key);
			const entry = await this.store.entry(key);
			own.version = entry?.version ?? 0;
			return entry?.value;
		});
	}

	_flush() {
		void this.#record("flush", {}, () => this.store.flush());
	}

	_checkpoint() {
		void this.#record("checkpoint", {}, () => this.store.checkpoint());
	}
}
