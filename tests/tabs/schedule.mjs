// One schedule: a few tabs, what they do, and what happens to them, all of it from a seed.
//
// Owns the weather (which faults there are, and how often), the phases (work under faults; then everything heals, everybody comes to an
// end; then all tabs and a fresh one are compared), and what is wrong in the end. Times are virtual ms.

import { writeSync } from "node:fs";
import { check, nameOf } from "./check.mjs";
import { Clock } from "./clock.mjs";
import { Locks } from "./locks.mjs";
import { Network } from "./network.mjs";
import { DYING_MS_MAX, Storage } from "./storage.mjs";
import { STORE, Tab } from "./tab.mjs";
import { truthOf } from "./truth.mjs";

/** How long it may take until everything is well again. */
const HEALING_MS_MAX = 60_000;
const LOOK_MS = 250;
const LOCK = `holdfast:${STORE}`;

/** Runs a schedule; gives what is wrong. `enter` is told of its clock, `figures` are added to. */
export async function runSchedule({ seed, module, figures, enter, isTraced }) {
	const schedule = new Schedule(seed, module, figures);
	enter(schedule.clock, schedule.trouble);
	if (isTraced) schedule.follow();
	return schedule.run();
}

class Schedule {
	faults = [];
	trouble = (what) => this.faults.push(what);
	#figures;
	#world;
	#weather;
	#kind;
	#tabs = [];
	#count = 0;
	#isOver = false;
	/** Tabs that are going to open. */
	#due = 0;

	constructor(seed, module, figures) {
		const clock = new Clock(seed);
		this.clock = clock;
		this.#figures = figures;
		const weather = weatherOf(clock);
		this.#weather = weather;
		this.#kind = clock.pick(["opfs", "idb"]);
		const network = new Network(clock, weather.network);
		this.#world = {
			...{ clock, network, locks: new Locks(clock), module, figures, operations: [], ended: 0, trouble: this.trouble },
			storage: new Storage(clock, network, weather.storage, STORE, this.#kind),
			options: {
				backend: this.#kind,
				durability: clock.pick(["everysec", "everysec", "always", "no"]),
				rewrite: { percentage: 100, minBytes: clock.pick([4096, 1 << 20]) },
			},
		};
	}

	/** Prints what happens. */
	follow() {
		const { clock } = this;
		// At once: a schedule that never ends gives the console no turn.
		const print = (...what) => writeSync(1, `${what.join(" ")}\n`);
		clock.trace = (...what) => print(clock.index, clock.now.toFixed(1), ...what);
		print(JSON.stringify(this.#weather), JSON.stringify(this.#world.options));
	}

	async run() {
		const { clock } = this;
		this.#main().catch((error) => {
			this.trouble(`threw ${error?.stack ?? JSON.stringify(error)}`);
			this.#isOver = true;
		});
		await clock.run(
			() => this.#isOver,
			(error) => this.trouble(`an event threw ${error?.stack ?? JSON.stringify(error)}`),
		);
		if (!this.#isOver) this.trouble("everything waits, and nothing is left to happen");
		this.#add();
		return this.faults;
	}

	#add() {
		const { network, locks, storage, operations } = this.#world;
		const figures = this.#figures;
		figures.schedules++;
		figures.events += this.clock.index;
		for (const name of ["messages", "drops", "duplicates", "reorders"]) figures[name] += network[name];
		figures.steals += locks.steals;
		figures.storageCalls += storage.calls;
		figures.storageFailures += storage.failures;
		figures.zombieWrites += storage.zombies;
		figures.tornWrites += storage.torn;
		figures.fences += storage.fences;
		figures.operations += operations.length;
		figures.unknown += operations.filter(
			({ isDone, code }) => !isDone && code !== "CONFLICT" && code !== "QUOTA",
		).length;
	}

	async #main() {
		const { clock } = this;
		const { tabs, workMs, operations, troubles } = this.#weather;
		for (let i = 0; i < tabs; i++)
			clock.after(clock.between(0, clock.pick([1, 60, 1000])), undefined, () => this.#open());
		for (let i = 0; i < operations; i++) clock.after(clock.between(0, workMs), undefined, () => this.#act());
		for (let i = 0; i < troubles; i++) clock.after(clock.between(0, workMs), undefined, () => this.#hurt());
		await this.#wait(workMs);
		this.#heal();
		if (!(await this.#settle())) return this.#end();
		// What a worker that was terminated still does, the next write finds out.
		await this.#wait(DYING_MS_MAX);
		for (const tab of this.#tabs) await this.#in(tab, () => tab.write());
		if (!(await this.#settle())) return this.#end();
		await this.#compare();
		this.#judge();
		await Promise.all(this.#tabs.map((tab) => this.#in(tab, () => tab.close())));
		this.#end();
	}

	#end() {
		this.#isOver = true;
	}

	#wait(ms) {
		return new Promise((resolve) => this.clock.after(ms, undefined, resolve));
	}

	/** Runs something as an event of a tab. */
	#in(tab, run) {
		return new Promise((resolve, reject) =>
			this.clock.after(0, tab, () => Promise.resolve(run()).then(resolve, reject)),
		);
	}

	#open() {
		const tab = new Tab(this.#world, ++this.#count);
		this.#tabs.push(tab);
		void this.#in(tab, () => tab.open()).catch((error) => this.trouble(`opening threw ${error?.stack}`));
		return tab;
	}

	#act() {
		const ready = this.#tabs.filter((tab) => tab.isReady);
		if (ready.length === 0) return;
		const tab = this.clock.pick(ready);
		this.clock.after(0, tab, () => tab.isReady && tab.act());
	}

	// ------------------------------------------------------------------------------------------------ faults

	#hurt() {
		const { clock } = this;
		const { locks } = this.#world;
		const there = this.#tabs.filter((tab) => !tab.isGone);
		if (there.length === 0) return;
		const leader = locks.holder(LOCK);
		const tab = leader && !leader.isGone && clock.chance(0.7) ? leader : clock.pick(there);
		const what = clock.pick(this.#weather.kinds);
		clock.trace?.("trouble", what, tab.number);
		if (what === "crash") this.#crash(tab);
		else if (what === "freeze") this.#freeze(tab, clock.pick([300, 2500, 6000]));
		else if (what === "aside") this.#putAside(tab);
		else if (what === "steal") locks.stealFor(LOCK, clock.between(1, 50));
		else if (tab.isReady) void this.#in(tab, () => tab.close()).then(() => this.#reload(tab));
	}

	/** Another page in the place of one that is gone. */
	#reload(tab) {
		this.#tabs = this.#tabs.filter((other) => other !== tab);
		if (this.#tabs.length > 1 && this.clock.chance(0.3)) return;
		this.#figures.reloads++;
		this.#due++;
		this.clock.after(this.clock.between(0, 800), undefined, () => {
			this.#due--;
			this.#open();
		});
	}

	#crash(tab) {
		this.#figures.crashes++;
		tab.leave(this.clock.pick([0, 20, 1000]) * this.clock.random());
		this.#reload(tab);
	}

	/** The page answers nothing for a while. */
	#freeze(tab, msMax) {
		if (tab.isFrozen) return;
		this.#figures.freezes++;
		tab.isFrozen = true;
		this.clock.after(this.clock.between(0, msMax), undefined, () => this.#thaw(tab));
	}

	#thaw(tab) {
		if (!tab.isFrozen || tab.isGone) return;
		this.clock.trace?.("goes on", tab.number);
		this.clock.goOn(tab);
		if (tab.isAside) this.clock.after(0, tab, () => tab.page.tell("pageshow", { persisted: true }));
		tab.isAside = false;
	}

	/** The page goes into the cache for pages to come back to. */
	#putAside(tab) {
		if (tab.isFrozen) return;
		this.#figures.pagesPutAside++;
		this.clock.after(0, tab, () => {
			tab.page.tell("pagehide", { persisted: true });
			tab.isAside = true;
			tab.isFrozen = true;
		});
		this.clock.after(this.clock.between(1, 3000), undefined, () => this.#thaw(tab));
	}

	#heal() {
		const { network, storage } = this.#weather;
		Object.assign(network, CALM.network);
		Object.assign(storage, CALM.storage);
		this.clock.trace?.("everything heals");
		for (const tab of this.#tabs) this.#thaw(tab);
	}

	// ------------------------------------------------------------------------------------------------ the end

	/** Whether everything came to an end in time. */
	async #settle() {
		const until = this.clock.now + HEALING_MS_MAX;
		for (;;) {
			await this.#wait(LOOK_MS);
			for (const tab of this.#tabs) {
				if (tab.isFrozen) this.#thaw(tab);
				if (!tab.hasFailed) continue;
				this.#figures.reopened++;
				void this.#in(tab, () => tab.close());
				this.#tabs = this.#tabs.filter((other) => other !== tab);
				this.#open();
			}
			if (this.#tabs.length === 0) this.#open();
			const leaders = this.#tabs.filter(({ role }) => role === "leader");
			if (this.#due === 0 && leaders.length === 1 && this.#tabs.every((tab) => tab.isReady && tab.pending === 0))
				return true;
			if (this.clock.now < until) continue;
			const states = this.#tabs.map(
				(tab) => `${tab.number} ${tab.isReady ? `${tab.role}, ${tab.store.status.state}` : "not open"}`,
			);
			this.trouble(`not well after ${HEALING_MS_MAX} ms: ${states.join("; ")}`);
			for (const operation of this.#world.operations)
				if (operation.ended === undefined && this.#tabs.includes(operation.tab))
					this.trouble(`${nameOf(operation)} has not ended`);
			return false;
		}
	}

	/** Every tab and a fresh one hold the same. */
	async #compare() {
		const deadline = this.clock.after(HEALING_MS_MAX, undefined, () => {
			this.trouble("comparing does not end");
			this.#end();
		});
		// The first one may tell of a write that was taken back.
		for (const tab of this.#tabs) await this.#in(tab, () => tab.store.flush()).catch(() => {});
		const fresh = this.#open();
		while (!fresh.isReady) await this.#wait(LOOK_MS);
		const states = [];
		for (const tab of this.#tabs) {
			await this.#in(tab, () => tab.store.flush()).catch((error) => this.trouble(`tab ${tab.number}: flush: ${error}`));
			states.push(await this.#in(tab, () => stateOf(tab.store)));
		}
		this.#figures.comparisons += states.length - 1;
		this.#state = states.at(-1);
		states.forEach((state, i) => {
			if (JSON.stringify(state) !== JSON.stringify(this.#state))
				this.trouble(
					`tab ${this.#tabs[i].number} holds ${JSON.stringify(state)}, a fresh one ${JSON.stringify(this.#state)}`,
				);
		});
		deadline.run = undefined;
	}

	#state;

	#judge() {
		const { operations, storage, locks } = this.#world;
		const figures = this.#figures;
		const { image } = storage;
		if (image.hasGaps) {
			figures.withGaps++;
			this.#judgeSums();
			return;
		}
		const { frames, faults } = truthOf(image);
		figures.frames += frames.length;
		const isCalm = locks.steals === 0 && storage.failures === 0 && !this.#weather.troubles;
		const mayBeLost = ({ tab }) => tab.hasLed && !isCalm;
		this.faults.push(...faults, ...check({ operations, frames, mayBeLost, figures }));
		const entries = new Map();
		for (const { seq, ops } of frames)
			for (const { key, value } of ops) value === undefined ? entries.delete(key) : entries.set(key, [key, value, seq]);
		const expected = [...entries.values()].sort(([one], [other]) => (one < other ? -1 : 1));
		const { seq, rows } = this.#state;
		if (JSON.stringify(rows) !== JSON.stringify(expected) || seq !== frames.length)
			this.trouble(
				`the tabs hold ${seq} ${JSON.stringify(rows)}, the log ${frames.length} ${JSON.stringify(expected)}`,
			);
	}

	/** Where no log has everything: sums lie between what was acknowledged and that with what may have been made. */
	#judgeSums() {
		for (const [key, value] of this.#state.rows) {
			if (typeof value !== "number") continue;
			const own = this.#world.operations.filter((operation) => operation.kind === "sum" && operation.key === key);
			const total = (some) => some.reduce((sum, { number }) => sum + number, 0);
			const [least, most] = [
				total(own.filter(({ isDone, isKept }) => isDone && isKept)),
				total(own.filter(({ code }) => code !== "CONFLICT" && code !== "QUOTA")),
			];
			if (value < least || value > most) this.trouble(`${key} is ${value}, not between ${least} and ${most}`);
		}
	}
}

async function stateOf(store) {
	const rows = [];
	for (const [key, value] of await store.entries().toArray()) rows.push([key, value, (await store.entry(key)).version]);
	return { seq: (await store.stats()).seq, rows };
}

const CALM = {
	network: { drop: 0, duplicate: 0, delay: 0, delayMsMax: 1 },
	storage: { slow: 0, slowMsMax: 1, quota: 0, unavailable: 0 },
};

/** The faults of a schedule; each kind is there in some of them. */
function weatherOf(clock) {
	const often = (most) => (clock.chance(0.4) ? clock.between(0, most) : 0);
	return {
		network: { drop: often(0.2), duplicate: often(0.2), delay: often(0.3), delayMsMax: clock.pick([20, 300, 2500]) },
		storage: {
			...{ slow: often(0.2), slowMsMax: clock.pick([50, 400, 3000]) },
			...{ quota: clock.chance(0.15) ? 0.05 : 0, unavailable: clock.chance(0.08) ? 0.03 : 0 },
		},
		tabs: clock.pick([2, 2, 3, 3, 4]),
		workMs: clock.pick([200, 1500, 6000]),
		operations: 8 + clock.below(30),
		troubles: clock.below(5),
		kinds: clock.pick([
			["crash"],
			["close"],
			["crash", "close", "freeze", "aside", "steal"],
			["freeze"],
			["aside", "close"],
			["steal", "freeze", "crash"],
		]),
	};
}
