/**
 * One store in many tabs: who leads. Loaded in a tab that finds the store open elsewhere, and in one that is found.
 *
 * Owns the roles. The leader holds the Web Lock of the store and its storage; everybody else waits for that lock, and whoever gets it
 * goes on from the map it has with what the storage has beyond it. A leader that is put aside, or whose lock is taken because it does
 * not answer, comes back as a follower. Errors: `VERSION` where another version of Holdfast leads, `LOCKED` where whoever has
 * the store does not share it, `FENCED` for writes of a leader that lost the store before they were stored.
 */

import { homeOf, link, sleep } from "../backend/glue.js";
import type { JsStorage } from "../backend/opfs.js";
import { mark, readOnly } from "../backend/queue.js";
import { Aside } from "./aside.js";
import { drainMarked, drainQueue } from "./drain.js";
import type { RawEngine } from "./engine.js";
import { fromWasm, HoldfastError } from "./error.js";
import { Following, POLL_MS, recoverAgain } from "./following.js";
import { Leading, request } from "./leading.js";
import { Channels, hello, type Message, PROTOCOL, type Progress } from "./messages.js";
import { FOLLOWING, SYNCING } from "./numbers.js";
import type { Seat } from "./open.js";
import { asked, newClient, writeFor } from "./slots.js";
import type { Inside, Remote } from "./store.js";
import type { Backend } from "./types.js";

/** How often a newcomer asks who leads, and for how long. */
const HELLO_MS = 200;
const JOIN_MS_MAX = 8000;
/** How long a tab that could not lead waits before it tries again. */
const RETRY_MS = 500;
/** How often files are read that nobody should be writing, before it is told that they cannot be. */
const READ_TRIES = 3;
/** How often to look whether an engine rests. */
const REST_MS = 5;

/** Whether this context can have the files of a store in OPFS: itself, or through a worker. */
const hasFiles = () =>
	!("WorkerGlobalScope" in globalThis) || "DedicatedWorkerGlobalScope" in globalThis || "Worker" in globalThis;

/** A seat of an open store. */
type Open<T> = Seat<T> & { inside: Inside<T>; linked: JsStorage };

/** What a newcomer that follows has. */
export interface Joined {
	readonly raw: RawEngine;
	readonly linked: JsStorage;
	readonly backend: Backend;
}

export class Tabs<T> {
	readonly #seat: Seat<T>;
	readonly #me = newClient();
	readonly #channels: Channels;
	#terms = 0;
	#leading: Leading<T> | undefined;
	#following: Following<T>;
	/** Ends the wait for the lock. */
	#waits: AbortController | undefined;
	/** The lock is ours. */
	#holds = false;
	#stole = false;
	#ended = false;
	/** Counts how often the store was let go of: what began before that goes on no more. */
	#round = 0;
	/** What this tab holds behind it, it applied when it led, and it may never have been stored. */
	#storedSeq: number | undefined;
	/** Told when something about who leads is known. */
	#news: (() => void)[] = [];
	/** Why this tab cannot take part. */
	#refused: HoldfastError | undefined;
	#backend: Backend | undefined;
	/** The lock is free, and this context cannot lead. */
	#unled = false;
	#aside: Aside<T> | undefined;
	/** On its way to follow, from aside. */
	#isLeaving = false;
	#greets: ReturnType<typeof setInterval> | undefined;

	constructor(seat: Seat<T>) {
		this.#seat = seat;
		this.#channels = new Channels(seat.name, seat.channelOf);
		this.#following = this.#newFollowing(0);
		this.#listen();
		seat.tab.end = (error) => this.#end(error);
		seat.tab.progressed = (isCheckpoint) => this.#leading?.progressed(isCheckpoint);
		seat.tab.away = () => this.#away();
	}

	#newFollowing(number = this.#following.number): Following<T> {
		return new Following<T>(this.#me, this.#channels, number, () => this.#steal());
	}

	#listen(): void {
		this.#channels.hear("", (message) => this.#hear(message));
		this.#channels.hear(this.#me, (message) => this.#hear(message));
	}

	#hear(message: Message): void {
		if (message.kind === "hello") this.#leading?.welcome(message.from);
		else if (this.#leading || this.#ended) return;
		else if (message.kind === "lead" || message.kind === "progress") this.#progressed(message);
		else this.#following.hear(message);
	}

	#progressed(progress: Progress): void {
		if (progress.protocol !== PROTOCOL) {
			this.#refused = new HoldfastError(
				"VERSION",
				"Another tab has the store open with another version of Holdfast; reload it, or close it.",
			);
		} else if (!this.#holds) {
			this.#backend = progress.backend;
			this.#following.progressed(progress);
			if (this.#following.leader) this.#endAside();
		}
		this.#tellNews();
	}

	#tellNews(): void {
		for (const told of this.#news.splice(0)) told();
	}

	// ------------------------------------------------------------------------------------------------ joining

	/** Loads the store from whoever leads it; nothing when it is this tab. Rejects with `VERSION` and `LOCKED`. */
	async join(open: (linked: JsStorage) => Promise<RawEngine>): Promise<Joined | undefined> {
		if (this.#cannotLead()) await mark(this.#seat.name).catch(() => {});
		this.#waitForLock();
		let tries = 0;
		try {
			for (;;) {
				const following = this.#following;
				// Reading begins while whoever leads is asked for.
				const blobs = following.storage(readDirectly(this.#seat.name), "begun");
				await this.#found();
				if (this.#holds) {
					following.pause();
					return;
				}
				const backend = this.#backend as Backend;
				const linked = this.#unled ? await readOnly(this.#seat.name) : blobs;
				// Nothing that such an engine writes is stored.
				if (this.#cannotLead()) this.#seat.backend = "memory";
				try {
					const raw = await this.#unlessNews(open(linked));
					if (raw) return { raw, linked, backend };
				} catch (thrown) {
					const error = fromWasm(thrown) as HoldfastError;
					const isLast = this.#unled && ++tries === READ_TRIES;
					if (isLast || (error.code !== "UNAVAILABLE" && error.code !== "CORRUPT")) throw error;
				}
				following.end(new HoldfastError("UNAVAILABLE", "The leader has changed."));
				this.#following = this.#newFollowing();
				if (this.#unled) {
					this.#unled = false;
					this.#waitForLock();
				}
			}
		} catch (error) {
			this.#end(error);
			throw error;
		}
	}

	/** What opening gives; nothing once the leader is another. */
	async #unlessNews(opening: Promise<RawEngine>): Promise<RawEngine | undefined> {
		const { leader } = this.#following;
		const unled = this.#unled;
		const changed = new Promise<undefined>((resolve) => {
			const look = () => {
				if (this.#holds || this.#following.leader !== leader || this.#unled !== unled) resolve(undefined);
				else this.#news.push(look);
			};
			look();
		});
		return Promise.race([opening, changed]);
	}

	/** Resolves when somebody leads, be it this tab. */
	async #found(): Promise<void> {
		const since = performance.now();
		while (!this.#holds && !this.#following.leader && !this.#unled) {
			if (this.#refused) throw this.#refused;
			if (this.#ended) throw closed();
			if (performance.now() - since > JOIN_MS_MAX && !this.#seat.inside)
				throw new HoldfastError(
					"LOCKED",
					`"${this.#seat.name}" is open in another tab or worker, which does not share it or does not answer; close it there.`,
				);
			this.#channels.to().postMessage(hello(this.#me));
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, HELLO_MS);
				this.#news.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
	}

	/** Follows from now on, with an engine that was loaded or was stopped; resolves when it does. */
	async follow(): Promise<void> {
		const { inside, tab } = this.#seat;
		if (!inside) return;
		this.#become("follower");
		if (this.#unled) {
			await this.#goAside(true);
			return;
		}
		tab.follows = this.#following;
		this.#following.begin(inside);
		// What was granted meanwhile.
		if (this.#holds) void this.#lead();
	}

	/** What a follower loads from. */
	#blobs(): JsStorage {
		return this.#following.storage(readDirectly(this.#seat.name));
	}

	#become(role: "leader" | "follower"): void {
		const { tab, inside } = this.#seat;
		tab.role = role;
		inside?.tellStatus();
	}

	// ------------------------------------------------------------------------------------------------ the lock

	#waitForLock(options: LockOptions = {}): void {
		const waits = new AbortController();
		this.#waits = waits;
		const { locks, name } = this.#seat;
		const signal = options.steal ? {} : { signal: waits.signal };
		const held = () =>
			new Promise<void>((resolve) => {
				if (waits.signal.aborted || this.#ended) return resolve();
				if (this.#cannotLead()) {
					resolve();
					this.#unled = true;
					this.#tellNews();
					if (this.#isLeaving) this.#following.pause();
					else if (this.#seat.inside) void this.#goAside();
					return;
				}
				this.#holds = true;
				this.#seat.releases.push(() => {
					this.#holds = false;
					resolve();
				});
				this.#tellNews();
				if (this.#seat.inside) void this.#lead();
			});
		locks.request(`holdfast:${name}`, { ...options, ...signal }, held).catch(() => {
			if (!waits.signal.aborted && this.#holds) this.#seat.tab.lost?.();
		});
	}

	/** Takes the lock of a leader that does not answer. */
	#steal(): void {
		// Whoever has yet to open the store gives up after a while.
		if (!this.#seat.inside || this.#holds || this.#ended || this.#stole || this.#cannotLead()) return;
		this.#stole = true;
		this.#waits?.abort();
		this.#waitForLock({ steal: true });
	}

	// ------------------------------------------------------------------------------------------------ leading

	/** Leads from now on, with an engine that has the storage already; `queued`: and may have a queue. */
	async serve(queued = false): Promise<void> {
		const { inside, linked, backend, releases, name } = this.#seat;
		this.#holds = true;
		releases.push(() => {
			this.#holds = false;
		});
		if (!inside || !linked) return;
		if (queued) await drainQueue(inside, name);
		if (this.#holds) this.#leading = new Leading<T>(inside, linked, this.#channels, backend, this.#nextTerm());
	}

	#nextTerm(): string {
		return `${this.#me}.${++this.#terms}`;
	}

	/** Takes the store over: waits for the storage, reads what this tab lacks, and goes on. */
	async #lead(): Promise<void> {
		const { inside, linked, backend, tab } = this.#seat;
		if (!inside || !linked) return;
		const following = this.#following;
		const round = this.#round;
		following.pause();
		if (this.#stole) this.#fence();
		try {
			const storage = link((await this.#seat.openStorage(backend)) as never) as JsStorage;
			await this.#claim(storage, backend);
			if (!this.#holds || this.#ended || round !== this.#round) throw closed();
			Object.assign(linked, storage);
			await this.#recover(2, following);
			// Some writes are answered by what was read, at whatever level they asked for.
			const seq = asked(inside, (raw) => raw.write(0, 0, SYNCING));
			await inside.acknowledgements.wait(seq, 2, undefined);
			if (backend === "opfs") await drainMarked(inside, this.#seat.name);
			if (round !== this.#round) return;
		} catch (error) {
			if (this.#ended || round !== this.#round) return;
			inside.told(inside.instance.error(error));
			if (!inside.instance.broken) await this.#retry();
			return;
		}
		this.#stole = false;
		tab.follows = undefined;
		this.#become("leader");
		this.#leading = new Leading<T>(inside, linked, this.#channels, backend, this.#nextTerm());
		following.lead({
			write: (asked) => writeFor(inside, asked, (seq, removed) => [seq, removed]),
			flush: async () => (await inside.flush()).seq,
			checkpoint: async () => (await inside.raw.run(0)) as number[],
		});
	}

	/** Has the I/O worker of a leader that does not answer let go of its files. */
	#fence(): void {
		const channel = this.#seat.channelOf(`holdfast-fence:${this.#seat.name}`);
		channel.postMessage(hello(this.#me));
		channel.close();
	}

	/** Takes the next term in the database before it is read, so that nobody else writes to it any more. */
	async #claim(storage: JsStorage, backend: Backend): Promise<void> {
		if (backend !== "idb" || this.#seat.inside?.raw.seq() === 0) return;
		await storage.ask(request(3));
	}

	/** The page is put aside: nothing is said or waited for any more. */
	#away(): void {
		this.#round++;
		this.#leading?.end();
		this.#leading = undefined;
		this.#following.pause();
		this.#waits?.abort();
		this.#channels.closeAll();
	}

	/** Takes part again, as a follower, after the store was let go of. */
	back(): Following<T> {
		const { tab } = this.#seat;
		if (tab.follows !== this.#following) {
			this.#following = this.#newFollowing();
			this.#storedSeq ??= Number.MAX_VALUE;
		}
		tab.follows = this.#following;
		this.#stole = false;
		this.#become("follower");
		void this.#rejoin();
		return this.#following;
	}

	async #rejoin(): Promise<void> {
		const { inside, linked } = this.#seat;
		const following = this.#following;
		const round = this.#round;
		if (!inside || !linked || this.#ended) return;
		try {
			// Of a leader; a follower has nothing there.
			inside.acknowledgements.detach()(
				new HoldfastError("FENCED", "Another tab took the store over; whether this was written is not known: read it."),
			);
			// What was under way fails, because the storage is gone.
			await rest(inside);
			if (round !== this.#round) return;
			if (this.#storedSeq === Number.MAX_VALUE) this.#storedSeq = inside.acknowledgements.reached[1];
			Object.assign(linked, { copy: undefined, keep: undefined, ...this.#blobs() });
			this.#channels.closeAll();
			this.#listen();
			this.#waitForLock();
			await this.#found();
			if (this.#holds || round !== this.#round) return;
			await this.#recover(3, following);
			if (!this.#holds && round === this.#round) void this.follow();
		} catch (thrown) {
			if (this.#ended || this.#holds || round !== this.#round) return;
			inside.told(inside.instance.error(thrown));
			if (!inside.instance.broken) await this.#retry();
		}
	}

	/** Reads what this tab lacks: everything, if it may hold what was never stored. */
	async #recover(work: 2 | 3, following: Following<T>): Promise<void> {
		const inside = this.#seat.inside as Inside<T>;
		const storedSeq = this.#storedSeq;
		await recoverAgain(inside, work, storedSeq === undefined && work === 2 ? following.newest : []);
		if (storedSeq === undefined) return;
		this.#storedSeq = undefined;
		inside.instance.rejections++;
		following.refuse(storedSeq);
	}

	/** Another tab may have the store, or it is to be had a little later. */
	async #retry(): Promise<void> {
		this.#away();
		this.#seat.park();
		const round = this.#round;
		await sleep(RETRY_MS);
		if (!this.#ended && round === this.#round) this.back();
	}

	// ------------------------------------------------------------------------------------------------ aside

	/** The role of a context that cannot lead the store, because it cannot have its files; undefined for others. */
	async apart(): Promise<"follower" | undefined> {
		const [home] = await homeOf(this.#seat.name).catch((): [] => []);
		// Another one that is asked for is refused.
		if (home === "opfs" && !["idb", "memory"].includes(this.#seat.backend)) this.#backend = home;
		return this.#cannotLead() ? "follower" : undefined;
	}

	#cannotLead(): boolean {
		return this.#backend === "opfs" && !hasFiles();
	}

	/** Goes on without a leader; `isRead`: with what the engine has already. */
	#goAside(isRead = false): Promise<Remote> {
		this.#unled = true;
		this.#following.pause();
		const aside = this.#toAside(isRead);
		this.#seat.tab.follows = aside;
		aside.catch(() => {});
		return aside;
	}

	async #toAside(isRead: boolean): Promise<Remote> {
		const { inside, linked, name, tab } = this.#seat as Open<T>;
		const following = this.#following;
		await mark(name).catch((error) => inside.told(fromWasm(error)));
		for (let read = isRead, tries = 1; !read; tries++)
			try {
				Object.assign(linked, await readOnly(name));
				await recoverAgain(inside, 2, following.newest);
				read = true;
			} catch (error) {
				// Somebody may write the files: then there is a leader soon.
				if (this.#ended) throw closed();
				if (following.leader) return this.#toFollow();
				if (tries === READ_TRIES) inside.told(fromWasm(error));
				await sleep(RETRY_MS);
			}
		const aside = this.#aside ?? new Aside<T>(inside, name, this.#me, () => ++following.number);
		await aside.begin().catch((error) => inside.told(fromWasm(error)));
		aside.adopt(following.leave());
		this.#aside = aside;
		if (this.#ended) throw closed();
		if (following.leader) return this.#toFollow();
		tab.follows = aside;
		const greet = () => this.#channels.to().postMessage(hello(this.#me));
		greet();
		this.#greets = setInterval(greet, POLL_MS);
		inside.tellStatus();
		return aside;
	}

	/** Follows who has just said that it leads. */
	#endAside(): void {
		if (this.#seat.tab.follows !== this.#aside || !this.#aside) return;
		const following = this.#toFollow();
		this.#seat.tab.follows = following;
		following.catch(() => {});
	}

	async #toFollow(): Promise<Remote> {
		const { inside, linked, tab } = this.#seat as Open<T>;
		const following = this.#following;
		clearInterval(this.#greets);
		this.#unled = false;
		this.#isLeaving = true;
		try {
			await this.#aside?.end();
			await rest(inside);
			Object.assign(linked, this.#blobs());
			// Tells when it leads no more.
			this.#waitForLock();
			const outcomes = await following.call("queue", [...(this.#aside?.undecided.keys() ?? [])]);
			await recoverAgain(inside, 3, []);
			if (this.#unled) throw closed();
			this.#aside?.tell(outcomes);
			this.#isLeaving = false;
			tab.follows = following;
			following.begin(inside);
			this.#become("follower");
			return following;
		} catch {
			this.#isLeaving = false;
			if (this.#ended) throw closed();
			this.#waits?.abort();
			return this.#goAside();
		}
	}

	/** Lets go of everything, for good. */
	#end(error: unknown): void {
		this.#ended = true;
		clearInterval(this.#greets);
		void this.#aside?.end();
		this.#aside?.close(error);
		this.#leading?.end();
		this.#following.end(error);
		this.#waits?.abort();
		this.#tellNews();
		this.#channels.closeAll();
	}
}

/** What a store has stored, wherever it is, for who only reads it. */
async function readDirectly(name: string): Promise<JsStorage> {
	const [home] = await homeOf(name);
	return home === "idb" ? (await import("../backend/idb.js")).openStored(name) : readOnly(name);
}

/** Has an engine follow; resolves when what was under way has ended. */
async function rest<T>(inside: Inside<T>): Promise<void> {
	while (asked(inside, (raw) => raw.write(0, 0, FOLLOWING))) await sleep(REST_MS);
}

function closed(): HoldfastError {
	return new HoldfastError("CLOSED", "The store was closed.");
}
