// What the driver of a storm in many tabs is told, and the judge of it.
//
// Owns the history: for every seq what it changed, as each tab's watcher was told and as the log has it; and the acknowledgements,
// which are promises. An op is named by its writer and a number, and the values that it writes carry that name, so that each can be
// found in the history: once if it was acknowledged, never if it was refused, at most once if nobody knows. Pure.

const textOf = (changes) => JSON.stringify(changes.map((change) => JSON.stringify(change)).sort());

export class History {
	/** By seq: text of the changes to `{ changes, from: [[writer, role]] }`. */
	#seqs = new Map();
	/** By writer: the newest seq of which its watcher was told, and where it was told to read again. */
	#watchers = new Map();
	#acks = new Map();
	#refused = new Map();
	#failures = [];
	#waiting = [];
	errors = [];
	/** By writer, how many acknowledgements. */
	acknowledged = new Map();
	/** Seqs that a watcher was told of after later ones, or twice. */
	#disorder = [];

	/** A report of a tab. */
	take({ writer, acks, refused, failures, told, errors }) {
		for (const ack of acks) this.#acks.set(ack.op, { writer, ...ack });
		for (const each of refused) this.#refused.set(each.op, each);
		this.#failures.push(...failures.map((failure) => ({ writer, ...failure })));
		this.errors.push(...errors.map((error) => `${writer}: ${error}`));
		for (const frame of told) this.#tell(writer, frame);
		this.acknowledged.set(writer, (this.acknowledged.get(writer) ?? 0) + acks.length);
		for (const wake of this.#waiting.splice(0)) wake();
		return {};
	}

	#tell(writer, { seq, role, changes }) {
		const watcher = this.#watchers.get(writer) ?? { newest: 0, rereads: [] };
		this.#watchers.set(writer, watcher);
		if (changes.some(([, cause]) => cause === "reread")) {
			watcher.rereads.push(seq);
			watcher.newest = seq;
			return;
		}
		if (seq <= watcher.newest) this.#disorder.push(`${writer} was told of ${seq} after ${watcher.newest}`);
		watcher.newest = seq;
		this.#say(writer, { seq, role, changes });
	}

	#say(writer, { seq, role, changes }) {
		const variants = this.#seqs.get(seq) ?? new Map();
		this.#seqs.set(seq, variants);
		const text = textOf(changes);
		const variant = variants.get(text) ?? { changes, from: [] };
		variants.set(text, variant);
		variant.from.push([writer, role]);
	}

	get count() {
		return this.#acks.size;
	}

	/** Resolves when so many more ops of these writers are acknowledged. */
	async more(writers, count) {
		const of = () => writers.reduce((sum, writer) => sum + (this.acknowledged.get(writer) ?? 0), 0);
		const end = of() + count;
		while (of() < end) await new Promise((wake) => this.#waiting.push(wake));
	}

	/**
	 * Judges what a tab that came last has: its `image`, and its `log` if that goes back to the beginning: `{ problems, figures }`.

	 */
	judge({ image, log }) {
		const problems = [...this.#disorder];
		for (const frame of log ?? []) this.#say("log", frame);
		const { history, told } = this.#stored(problems);
		const unseen = log
			? 0
			: Array.from({ length: image.seq }, (_, at) => at + 1).filter((seq) => !history.has(seq)).length;
		const isWhole = unseen === 0;
		const { entries, placesOf } = this.#replay(history, problems);

		let lost = 0;
		let twice = 0;
		for (const [op, places] of placesOf) {
			if (places.length > 1) {
				twice++;
				const what = JSON.stringify(
					this.#acks.get(op) ?? this.#failures.find((failure) => failure.op === op) ?? "nobody knows",
				);
				problems.push(`${op} was made ${places.length} times: at ${places}; ${what}`);
			}
			if (this.#refused.has(op) && this.#refused.get(op).kind !== "delete")
				problems.push(`${op} was refused, but made at ${places}`);
		}
		const found = new Map(image.entries.map(([key, version, text]) => [key, { version, text }]));
		for (const ack of this.#acks.values()) {
			const why = this.#missing(ack, { history, placesOf, found, isWhole });
			if (!why) continue;
			lost++;
			problems.push(`acknowledged but ${why}: ${JSON.stringify(ack)}`);
		}
		this.#counters(history, problems);
		if (isWhole) for (const problem of differences(entries, found)) problems.push(problem);
		for (const { writer, kind, role, code, message, op } of this.#failures) {
			const isAllowed = code === "CLOSED" || (role === "leader" && code === "FENCED");
			if (!isAllowed) problems.push(`${writer}, a ${role}, ${kind} ${op}: ${code} ${message}`);
		}
		const rereads = [...this.#watchers.values()].reduce((sum, { rereads }) => sum + rereads.length, 0);
		const figures = { acknowledged: this.#acks.size, refused: this.#refused.size, failed: this.#failures.length };
		return { problems, figures: { ...figures, seqs: image.seq, lost, twice, unseen, unstored: told, rereads } };
	}

	/** By seq the changes that were stored: what the log has, or what any follower was told. */
	#stored(problems) {
		const history = new Map();
		let told = 0;
		for (const [seq, variants] of this.#seqs) {
			const isCertain = ({ from }) => from.some(([, role]) => role !== "leader");
			const certain = [...variants.values()].filter(isCertain);
			if (certain.length > 1) {
				const all = certain.map(({ changes, from }) => `${from.join(" ")}: ${JSON.stringify(changes).slice(0, 200)}`);
				problems.push(`tabs disagree on ${seq}: ${all.join(" | ")}`);
			}
			const stored = certain[0] ?? [...variants.values()].at(-1);
			history.set(seq, stored.changes);
			for (const variant of variants.values()) {
				if (variant === stored) continue;
				told++;
				// What a leader was told and could not store, it has to be told to forget, if it is still there.
				for (const [writer] of variant.from) {
					const { newest, rereads } = this.#watchers.get(writer) ?? { newest: 0, rereads: [] };
					if (newest > seq && !rereads.some((each) => each >= seq - 1))
						problems.push(`${writer} was told of something else at ${seq}, and never to read again`);
				}
			}
		}
		return { history, told };
	}

	#replay(history, problems) {
		const entries = new Map();
		const placesOf = new Map();
		const sums = new Map();
		for (const seq of [...history.keys()].sort((a, b) => a - b)) {
			const ops = new Set();
			for (const [key, cause, id] of history.get(seq)) {
				if (key.startsWith("once:") && entries.has(key)) problems.push(`${key} was set again at ${seq}`);
				if (cause === "set") entries.set(key, { version: seq, id });
				else entries.delete(key);
				if (typeof id === "string" && cause === "set") ops.add(id);
				if (key.startsWith("account:")) sums.set(key, id);
			}
			for (const op of ops) placesOf.set(op, [...(placesOf.get(op) ?? []), seq]);
			const sum = [...sums.values()].reduce((total, each) => total + each, 0);
			if (sum !== 0) problems.push(`half a transfer at ${seq}`);
		}
		return { entries, placesOf };
	}

	/** Why an acknowledged op is not there; nothing if it is. */
	#missing({ op, kind, key, seq, value, removed }, { history, placesOf, found, isWhole }) {
		// In a history with gaps only what the store holds can be said.
		if (!isWhole && !placesOf.has(op) && !["own", "shared"].includes(kind)) {
			if (seq === undefined || history.has(seq)) return;
			if (key && (found.get(key)?.version ?? -1) < seq) return `${key} is older than that`;
			return;
		}
		if (kind === "own" || kind === "shared") {
			const name = kind === "own" ? key : "shared";
			const final = JSON.parse(found.get(name)?.text ?? "0");
			if (final < value) return `the counter is at ${final}`;
			return;
		}
		const places = placesOf.get(op);
		if (!places) return "not made";
		if (seq !== undefined && places[0] !== seq) return `made at ${places}`;
		if (kind !== "delete") return;
		if (!removed) return "said to have found nothing";
		if (found.has(key)) return "still there";
	}

	/** Counters go up by one, and no two increments got the same answer. */
	#counters(history, problems) {
		const values = new Map();
		for (const seq of [...history.keys()].sort((a, b) => a - b))
			for (const [key, , id] of history.get(seq)) {
				if (key !== "shared" && !key.startsWith("n:")) continue;
				const before = values.get(key);
				// Where the history has a gap only the direction is known.
				if (before !== undefined && history.has(seq - 1) && id !== before + 1 && id <= before)
					problems.push(`${key} went from ${before} to ${id} at ${seq}`);
				values.set(key, id);
			}
		const answers = new Map();
		for (const { kind, key = "shared", value, op } of this.#acks.values()) {
			if (kind !== "own" && kind !== "shared") continue;
			const name = `${key} = ${value}`;
			if (answers.has(name)) problems.push(`${op} and ${answers.get(name)} were both told ${name}`);
			answers.set(name, op);
		}
		const counts = new Map();
		for (const { kind, writer } of [...this.#acks.values(), ...this.#failures])
			if (kind === "own" || kind === "shared") {
				const key = kind === "own" ? `n:${writer}` : "shared";
				counts.set(key, (counts.get(key) ?? 0) + 1);
			}
		this.counts = counts;
		this.values = values;
	}

	/** How often the counter of a writer that lives was counted up, and how far it is: the same. */
	counted(writer, { counted }) {
		const value = this.values.get(`n:${writer}`) ?? 0;
		const failed = this.#failures.filter((each) => each.writer === writer && each.kind === "own").length;
		return value >= counted && value <= counted + failed
			? undefined
			: `n:${writer} is ${value} after ${counted} increments`;
	}
}

/** How what is there differs from what the history leaves. */
function* differences(entries, found) {
	for (const [key, { version }] of entries) {
		const there = found.get(key);
		if (!there) yield `${key} of ${version} is missing`;
		else if (there.version !== version) yield `${key} has the version ${there.version}, not ${version}`;
	}
	for (const key of found.keys()) if (!entries.has(key)) yield `${key} should not be there`;
}
