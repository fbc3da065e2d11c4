// One store's blobs, and the I/O workers of tabs that ask for them (src/backend/remote.rs says how).
//
// Owns two kinds of storage. `opfs`: one worker at a time has the files, another waits for up to 5 s; appends are torn when their
// worker is terminated. `idb`: everybody has a connection, each write is whole or not there, and is refused with `FENCED` if the
// stored term is not the connection's; the first write of a connection also needs the blobs to be as it listed them, and takes the
// next term. A worker whose page is frozen goes on; one that is terminated may end the call it is at, up to 2 s later, and has the
// files until then. Blobs that were removed are kept aside for whoever wants to know what was written. Requests are carried out in
// turn. `faults`: the probabilities of `QUOTA` and `UNAVAILABLE` for a call, and of one that takes up to `slowMsMax`.

const HANDLE_WAIT_MS = 5000;
const HANDLE_POLL_MS = 40;
/** How long a terminated worker goes on. */
export const DYING_MS_MAX = 2000;

const [LIST, READ, APPEND, SYNC, REMOVE, CLOSE] = [0, 1, 2, 3, 4, 5];
/** The least and the most ms of a call of each kind. */
const CALL_MS = [
	[0.3, 3],
	[0.2, 1],
	[0.2, 3],
	[1, 8],
	[1, 8],
	[0.2, 2],
];

/** The engine's reserve: it is there from the first write on, because to write it costs more than everything else. */
const RESERVE = ["reserve", 65_536];

const unavailable = (message) => ({ code: "UNAVAILABLE", message });
const LOCKED = { code: "LOCKED", message: "another tab or worker holds the store: close it there first" };
const CLOSED = { code: "CLOSED", message: "the storage is closed" };
const FENCED = { code: "FENCED", message: "another writer took over: open the store again" };
const QUOTA = { code: "QUOTA", message: "the origin's quota or the disk is full" };

/** Bytes that grow, and which event brought each part. */
class Blob {
	bytes = new Uint8Array(256);
	length = 0;
	/** `[length, event]` after each append. */
	appends = [];

	append(bytes, event) {
		const length = this.length + bytes.length;
		if (length > this.bytes.length) {
			const grown = new Uint8Array(2 * length);
			grown.set(this.bytes.subarray(0, this.length));
			this.bytes = grown;
		}
		this.bytes.set(bytes, this.length);
		this.length = length;
		this.appends.push([length, event]);
	}
}

export class Image {
	blobs = new Map();
	/** Segments that were removed, by name. */
	removed = new Map();
	term = 0;
	/** The worker that has the files. */
	holder;
	/** Who waits for them. */
	waiting = [];
	/** Something was stored that no log has: a snapshot took the place of a segment that failed. */
	hasGaps = false;

	rows() {
		const rows = [...this.blobs].map(([name, { length }]) => [name, length]);
		return rows.length > 0 ? [...rows, RESERVE] : rows;
	}
}

export class Storage {
	calls = 0;
	failures = 0;
	zombies = 0;
	torn = 0;
	fences = 0;
	image = new Image();
	#clock;
	#faults;
	#network;
	#name;
	#kind;

	constructor(clock, network, faults, name, kind) {
		this.#clock = clock;
		this.#network = network;
		this.#faults = faults;
		this.#name = name;
		this.#kind = kind;
	}

	/** `[backend, gone]` as `homeOf` gives it. */
	home() {
		return this.image.blobs.size > 0 ? [this.#kind, false] : [];
	}

	/** What a tab opens the storage with, as `openStorage` does. */
	opener(tab) {
		return async (taken) => {
			const worker = new Worker(this, this.#clock, this.#faults, tab, this.#kind);
			tab.workers.add(worker);
			taken.releases.push(() => worker.terminate());
			await taken.step(worker.open());
			if (this.#kind === "opfs") worker.listen(this.#network.channelOf(undefined)(`holdfast-fence:${this.#name}`));
			return { ask: (request) => worker.ask(request) };
		};
	}
}

class Worker {
	#storage;
	#image;
	#clock;
	#faults;
	#tab;
	#kind;
	#queue = [];
	/** The call under way. */
	#call;
	#isOpen = false;
	/** Nobody listens any more. */
	#isTerminated = false;
	#channel;
	#waits = new Set();
	// Of a connection of idb.
	#term = 0;
	#leads = false;
	#listed;

	constructor(storage, clock, faults, tab, kind) {
		this.#storage = storage;
		this.#image = storage.image;
		this.#clock = clock;
		this.#faults = faults;
		this.#tab = tab;
		this.#kind = kind;
	}

	/** Resolves when it serves. */
	async open() {
		await this.#answer((settle) => this.#clock.after(this.#clock.between(1, 15), undefined, settle));
		if (this.#kind === "idb") this.#term = this.#image.term;
		else await this.#answer((settle, fail) => this.#take(settle, fail));
		this.#isOpen = !this.#isTerminated;
	}

	/** Asks; the answer comes as an event of the tab. */
	ask({ call, name, offset, bytesMax, bytes, names }) {
		if (this.#isTerminated) return Promise.reject(unavailable("the storage worker failed: open the store again"));
		// They belong to the worker from now on.
		const own = bytes.slice();
		bytes.fill(0xee);
		return this.#answer((settle, fail) => {
			this.#queue.push({ call, name, offset, bytesMax, bytes: own, names, settle, fail, event: undefined });
			this.#serve();
		});
	}

	/** Lets go of the files when it is told to. */
	listen(channel) {
		this.#channel = channel;
		channel.onmessage = () => {
			this.#storage.fences++;
			this.#letGo();
		};
	}

	/** The page ends it: what waits fails at once, what it is at may still be done. */
	terminate() {
		if (this.#isTerminated) return;
		this.#clock.trace?.("storage of", this.#tab.number, "is terminated", this.#call?.call, this.#call?.name);
		this.#isTerminated = true;
		this.#channel?.close();
		// In a page that is gone nobody waits.
		if (!this.#tab.isGone)
			for (const fail of this.#waits) fail(unavailable("the storage worker failed: open the store again"));
		this.#waits.clear();
		this.#queue = [];
		this.#tab.workers.delete(this);
		const call = this.#call;
		const clock = this.#clock;
		const dyingMs = clock.chance(0.5) ? clock.between(0, 20) : clock.between(0, DYING_MS_MAX);
		if (call) {
			this.#call = undefined;
			call.event.run = undefined;
			if (clock.chance(0.6))
				clock.after(clock.between(0, dyingMs), undefined, () => {
					this.#storage.zombies++;
					this.#cut(call);
				});
		}
		clock.after(dyingMs, undefined, () => this.#letGo());
	}

	/** Does a part of a call, or all of it. */
	#cut(call) {
		const { bytes } = call;
		const isTorn = this.#kind === "opfs" && call.call === APPEND && this.#clock.chance(0.6);
		if (isTorn) this.#storage.torn++;
		try {
			this.#carryOut(isTorn ? { ...call, bytes: bytes.subarray(0, this.#clock.below(bytes.length)) } : call);
		} catch {
			// There is nobody to tell.
		}
	}

	/** A promise that settles in an event of the tab, and fails when the worker is terminated. */
	#answer(begin) {
		return new Promise((resolve, reject) => {
			const fail = (error) => reject(error);
			this.#waits.add(fail);
			const settled = (how) => (value) => {
				if (!this.#waits.delete(fail)) return;
				this.#clock.after(this.#clock.between(0.05, 0.3), this.#tab, () => how(value));
			};
			begin(settled(resolve), settled(reject));
		});
	}

	/** Takes the files, as soon as nobody has them. */
	#take(settle, fail) {
		const image = this.#image;
		const attempt = () => {
			if (this.#isTerminated || image.holder) return;
			image.waiting.splice(image.waiting.indexOf(attempt), 1);
			image.holder = this;
			settle();
		};
		image.waiting.push(attempt);
		attempt();
		if (image.holder !== this)
			this.#clock.after(HANDLE_WAIT_MS, undefined, () => {
				if (!image.waiting.includes(attempt)) return;
				image.waiting.splice(image.waiting.indexOf(attempt), 1);
				fail(LOCKED);
			});
	}

	#letGo() {
		this.#isOpen = false;
		this.#channel?.close();
		const image = this.#image;
		if (image.holder !== this) return;
		image.holder = undefined;
		// There is no queue: all of them ask again and again.
		for (const attempt of image.waiting) this.#clock.after(this.#clock.between(0, HANDLE_POLL_MS), undefined, attempt);
	}

	#serve() {
		if (this.#call || this.#queue.length === 0) return;
		const call = this.#queue.shift();
		this.#call = call;
		this.#storage.calls++;
		const { slow, slowMsMax } = this.#faults;
		const clock = this.#clock;
		const [least, most] = CALL_MS[call.call];
		const ms = clock.chance(slow) ? clock.between(most, slowMsMax) : clock.between(least, most);
		call.event = clock.after(ms, undefined, () => {
			this.#call = undefined;
			const { call: kind, name, bytes, names = "" } = call;
			try {
				const value = this.#carryOutOrFail(call);
				clock.trace?.(
					"storage of",
					this.#tab.number,
					kind,
					name,
					bytes.length,
					String(names),
					kind === LIST ? String(value) : "",
				);
				call.settle(value);
			} catch (error) {
				clock.trace?.(
					"storage of",
					this.#tab.number,
					kind,
					name,
					bytes.length,
					String(names),
					error.code ?? error.stack,
				);
				call.fail(error);
			}
			this.#serve();
		});
	}

	#carryOutOrFail(call) {
		const clock = this.#clock;
		const { quota, unavailable: fails } = this.#faults;
		const isWrite = call.call === APPEND || call.call === SYNC || call.call === REMOVE;
		if (isWrite && this.#isOpen && clock.chance(fails)) {
			this.#storage.failures++;
			if (clock.chance(0.5)) this.#cut(call);
			if (call.name.startsWith("log-")) this.#image.hasGaps = true;
			throw unavailable("the storage cannot be reached");
		}
		if (call.call === APPEND && this.#isOpen && clock.chance(quota)) {
			this.#storage.failures++;
			throw QUOTA;
		}
		return this.#carryOut(call);
	}

	#carryOut({ call, name, offset, bytesMax, bytes, names }) {
		const { blobs } = this.#image;
		if (!this.#isOpen && call !== CLOSE) throw CLOSED;
		if (call === LIST) {
			const rows = this.#image.rows();
			this.#listed ??= String(rows);
			return rows;
		}
		if (call === READ) {
			const blob = blobs.get(name);
			return blob
				? blob.bytes.slice(Math.min(offset, blob.length), Math.min(offset + bytesMax, blob.length))
				: new Uint8Array();
		}
		if (call === CLOSE) return this.#letGo();
		this.#claim();
		if (call === APPEND && bytes.length > 0) {
			if (!blobs.has(name)) blobs.set(name, new Blob());
			blobs.get(name).append(bytes, this.#clock.index);
		}
		if (call === REMOVE)
			for (const name of names) {
				if (name.startsWith("log-") && blobs.has(name)) this.#image.removed.set(name, blobs.get(name));
				blobs.delete(name);
			}
	}

	/** Whether this connection may write. */
	#claim() {
		if (this.#kind !== "idb") return;
		const image = this.#image;
		if (image.term !== this.#term) throw FENCED;
		if (this.#leads) return;
		// Without a list of its own the first write makes one.
		if (this.#listed !== undefined && this.#listed !== String(image.rows())) throw FENCED;
		this.#term = ++image.term;
		this.#leads = true;
	}
}
