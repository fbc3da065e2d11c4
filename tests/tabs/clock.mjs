// Virtual time: everything that happens in a schedule is an event of a tab, and between two events all microtasks run.
//
// Owns the order of events, the schedule's random numbers, and the globals through which code asks for time, timers, randomness and
// the state of its page, which `install` puts in place for good. What is asked for during an event is asked by the event's tab: the
// events of a frozen tab wait until it goes on, those of a tab that is gone are dropped. Times are in ms.
// Deliberately absent: what happens (the other files).

/** Browsers put off nested timers to this. */
const TIMER_MS_MIN = 4;
/** Virtual time begins here, in ms since 1970. */
const EPOCH_MS = 1_800_000_000_000;

/** Random numbers in [0, 1) from a seed: mulberry32. */
export function generator(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

export class Clock {
	now = 0;
	/** Events so far: orders what happens at the same time. */
	index = 0;
	/** The tab whose event runs. */
	tab;
	/** Told what happens, to follow a schedule. */
	trace;
	#heap = [];
	#order = 0;

	constructor(seed) {
		this.random = generator(seed);
	}

	/** A random number in [least, most). */
	between(least, most) {
		return least + (most - least) * this.random();
	}

	/** An integer in [0, below). */
	below(below) {
		return Math.floor(this.random() * below);
	}

	chance(probability) {
		return probability > 0 && this.random() < probability;
	}

	pick(list) {
		return list[this.below(list.length)];
	}

	/** Runs something in the name of a tab (none: nothing stops it) after a delay. */
	after(delayMs, tab, run) {
		const event = { at: this.now + delayMs, order: this.#order++, tab, run };
		this.#push(event);
		return event;
	}

	/** The events that waited for a tab that was frozen, in their order. */
	goOn(tab) {
		tab.isFrozen = false;
		for (const event of tab.parked.splice(0)) {
			event.at = this.now;
			event.order = this.#order++;
			this.#push(event);
		}
	}

	/** Runs events until there are none or `isOver`; `thrown` is told of what they throw. */
	run(isOver, thrown) {
		return new Promise((resolve) => {
			const turn = () => {
				if (isOver()) return resolve();
				const event = this.#next();
				if (!event) return resolve();
				this.now = event.at;
				this.tab = event.tab;
				this.index++;
				try {
					event.run();
				} catch (error) {
					thrown(error);
				}
				settledAlready.then(settled);
			};
			// What is due at the next tick runs when the last microtask has run.
			const settled = () => process.nextTick(turn);
			turn();
		});
	}

	#next() {
		for (;;) {
			const event = this.#pop();
			if (!event) return;
			const { tab, run } = event;
			if (!run || tab?.isGone) continue;
			if (!tab?.isFrozen) return event;
			tab.parked.push(event);
		}
	}

	#push(event) {
		const heap = this.#heap;
		let at = heap.length;
		while (at > 0) {
			const parent = (at - 1) >> 1;
			if (!isBefore(event, heap[parent])) break;
			heap[at] = heap[parent];
			at = parent;
		}
		heap[at] = event;
	}

	#pop() {
		const heap = this.#heap;
		const first = heap[0];
		const last = heap.pop();
		if (heap.length === 0) return first;
		let at = 0;
		for (;;) {
			let child = 2 * at + 1;
			if (child >= heap.length) break;
			if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
			if (!isBefore(heap[child], last)) break;
			heap[at] = heap[child];
			at = child;
		}
		heap[at] = last;
		return first;
	}
}

const isBefore = (one, other) => one.at < other.at || (one.at === other.at && one.order < other.order);

/** An AbortController; Node's own costs as much as ten events. */
class Abort {
	signal = { aborted: false, listeners: [], addEventListener: (_, run) => this.signal.listeners.push(run) };

	abort() {
		if (this.signal.aborted) return;
		this.signal.aborted = true;
		for (const run of this.signal.listeners) run();
	}
}

const settledAlready = Promise.resolve();

/** Has the globals of this thread follow the clock that `current` gives. */
export function install(current) {
	const define = (name, value) =>
		Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
	const later = (run, delayMs, args) =>
		current().after(Math.max(TIMER_MS_MIN, delayMs || 0), current().tab, () => run(...args));
	const clear = (event) => {
		if (event) event.run = undefined;
	};
	define("setTimeout", (run, delayMs, ...args) => later(run, delayMs, args));
	define("clearTimeout", clear);
	define("setInterval", (run, delayMs, ...args) => {
		const interval = { run };
		const again = () => {
			if (!interval.run) return;
			later(again, delayMs, []);
			run(...args);
		};
		later(again, delayMs, []);
		return interval;
	});
	define("clearInterval", clear);
	// Node's own costs ten times as much.
	define("queueMicrotask", (run) => void settledAlready.then(run));
	Date.now = () => EPOCH_MS + Math.floor(current().now);
	define("performance", { now: () => current().now });
	define("crypto", {
		getRandomValues(bytes) {
			for (let i = 0; i < bytes.length; i++) bytes[i] = current().below(256);
			return bytes;
		},
	});
	define(
		"MessageChannel",
		class {
			port1 = { close() {} };
			port2 = { postMessage: () => current().after(0, current().tab, () => this.port1.onmessage()) };
		},
	);
	define("AbortController", Abort);
	define("AbortSignal", {
		timeout(ms) {
			const control = new Abort();
			setTimeout(() => control.abort(), ms);
			return control.signal;
		},
	});
	// The page that asks is the one whose event runs.
	const page = {
		addEventListener: (...args) => current().tab.page.addEventListener(...args),
		visibilityState: "visible",
	};
	define("document", page);
	define("addEventListener", page.addEventListener);
}
