// Web Locks of an origin: one holder a name, a queue in order of arrival, `ifAvailable`, `signal` and `steal`.
//
// A frozen tab holds what it was granted, also what it does not know of yet. Those of a tab that crashed are free a while later.

export class Locks {
	steals = 0;
	#clock;
	#names = new Map();

	constructor(clock) {
		this.#clock = clock;
	}

	/** The lock manager of a tab. */
	of(tab) {
		return { request: (name, options, run) => this.#request(tab, name, options, run) };
	}

	/** Somebody who is no tab of the store takes a lock and holds it for a while. */
	stealFor(name, heldMs) {
		this.#request(
			undefined,
			name,
			{ steal: true },
			() => new Promise((resolve) => this.#clock.after(heldMs, undefined, resolve)),
		).catch(() => {});
	}

	/** Whoever holds a lock, or undefined. */
	holder(name) {
		return this.#names.get(name)?.holder?.tab;
	}

	/** A tab has crashed; what it holds is free after that long. */
	release(tab, delayMs) {
		for (const lock of this.#names.values()) {
			lock.queue = lock.queue.filter((request) => request.tab !== tab);
			const { holder } = lock;
			if (holder?.tab === tab) this.#clock.after(delayMs, undefined, () => this.#free(lock, holder));
		}
	}

	#request(tab, name, { ifAvailable = false, steal = false, signal }, run) {
		return new Promise((resolve, reject) => {
			if (signal?.aborted) return reject(aborted());
			if (!this.#names.has(name)) this.#names.set(name, { holder: undefined, queue: [] });
			const lock = this.#names.get(name);
			const request = { tab, run, resolve, reject };
			// To be asked takes a while, but what is asked first comes first.
			if (ifAvailable && lock.holder) {
				this.#later(tab, () => resolve(run(null)));
			} else if (steal) {
				this.steals++;
				const { holder } = lock;
				// Whoever was to hear that it has the lock hears that first.
				if (holder) holder.granted = this.#later(holder.tab, () => holder.reject(aborted()), holder.granted);
				this.#grant(lock, request);
			} else {
				lock.queue.push(request);
				signal?.addEventListener("abort", () => {
					if (!lock.queue.includes(request)) return;
					lock.queue.splice(lock.queue.indexOf(request), 1);
					reject(aborted());
				});
				this.#serve(lock);
			}
		});
	}

	/** Runs something a little later, and behind `first`. */
	#later(tab, run, first) {
		const { now } = this.#clock;
		return this.#clock.after(Math.max(now, first?.at ?? now) - now + this.#clock.between(0.1, 2), tab, run);
	}

	#serve(lock) {
		if (!lock.holder && lock.queue.length > 0) this.#grant(lock, lock.queue.shift());
	}

	#grant(lock, request) {
		lock.holder = request;
		this.#clock.trace?.("lock to", request.tab?.number);
		request.granted = this.#later(request.tab, () => {
			const ended = async () => {
				try {
					request.resolve(await request.run({ name: "" }));
				} catch (error) {
					request.reject(error);
				}
				this.#free(lock, request);
			};
			void ended();
		});
	}

	#free(lock, request) {
		if (lock.holder !== request) return;
		lock.holder = undefined;
		this.#serve(lock);
	}
}

function aborted() {
	const error = new Error("the request was aborted");
	error.name = "AbortError";
	return error;
}
