// Whether what the tabs were told can be so, given what was written in which order.
//
// Owns the model: the frames of the log in the order of their seqs are the order of all writes. Each operation that wrote takes place
// when its frame was stored. Then:
//
// - an operation that was acknowledged has one frame, stored between its begin and its end, and got the seq of that; one that was
//   refused (`CONFLICT`, `QUOTA`) has none; any other has one at most. No request of a follower has two;
// - what an operation has read (conditions, updates, sums, transactions with their ranges) is the state in front of its frame, so
//   writes are linearizable, and transactions serializable in the order of seqs. Where it wrote nothing, it is the state at a
//   moment between its begin and its end;
// - what a tab reads is a state that was, never an earlier one than it has seen, and never without its own writes.
//
// What a leader has applied and not stored may be seen in its own tab and be lost: only there, and only where it lost the store.

/** Whether an operation has not taken place. */
const isRefused = ({ code, maySync }) => code === "CONFLICT" || (code === "QUOTA" && !maySync);

/** Every fault that is found, as text; `figures` counts what was looked at. */
export function check({ operations, frames, mayBeLost, figures }) {
	const faults = [];
	const world = {
		frames,
		mayBeLost,
		figures,
		fault: (operation, what) => faults.push(`${nameOf(operation)}: ${what}`),
	};
	const byText = new Map();
	for (const operation of operations) {
		operation.frames = [];
		for (const [attempt, text] of operation.texts?.entries() ?? []) byText.set(text, [operation, attempt]);
	}
	const { histories, removals } = replay(world, operations, byText, faults);
	world.histories = histories;
	for (const operation of operations) checkWrite(world, operation);
	checkRemovals(world, operations, removals);
	checkReads(world, operations);
	return faults;
}

export function nameOf({ number, kind, key, keys, tab, begun, ended, code }) {
	const [what, end] = [key ?? keys ?? "", ended === undefined ? "" : ` to ${ended}`];
	return `operation ${number} (tab ${tab.number}: ${kind} ${what}, events ${begun}${end}${code ? `, ${code}` : ""})`;
}

/** Applies the frames one by one, and gives each operation its own. */
function replay({ frames, fault }, operations, byText, faults) {
	/** By key: `{ seq, value }` for each change. */
	const histories = new Map();
	const removals = [];
	const requests = new Set();
	for (const frame of frames) {
		const { seq, request, ops } = frame;
		if (request && requests.has(request)) faults.push(`frame ${seq}: the request ${request} was made before`);
		requests.add(request);
		const owners = new Set();
		for (const { key, value, end } of ops) {
			if (end !== undefined) faults.push(`frame ${seq}: nobody cleared a range`);
			const old = stateAt(histories, key, seq - 1);
			if (typeof value === "string") {
				const owner = byText.get(value);
				if (!owner) faults.push(`frame ${seq}: nobody wrote ${key} = ${value}`);
				else if (!owners.has(owner[0])) {
					owners.add(owner[0]);
					checkAttempt(owner, frame, histories, fault);
				}
			} else if (typeof value === "number") {
				const owner = operations[value - (old?.value ?? 0) - 1];
				if (owner?.kind !== "sum" || owner.key !== key)
					faults.push(`frame ${seq}: nobody made ${value} of ${key} = ${old?.value}`);
				else {
					owner.frames.push(frame);
					if (owner.isDone && owner.outcome !== value) fault(owner, `gave ${owner.outcome} and wrote ${value}`);
				}
			} else if (ops.length === 1) removals.push({ key, frame, wasThere: old?.value !== undefined });
		}
		for (const { key, value } of ops) {
			if (!histories.has(key)) histories.set(key, []);
			histories.get(key).push({ seq, value });
		}
	}
	return { histories, removals };
}

/** The last change of a key up to a seq. */
function stateAt(histories, key, seq) {
	const history = histories.get(key) ?? [];
	let at = history.length - 1;
	while (at >= 0 && history[at].seq > seq) at--;
	return history[at];
}

const valueAt = (histories, key, seq) => stateAt(histories, key, seq)?.value;

/** A frame that one of an operation's tries wrote: what that had read is the state in front of it. */
function checkAttempt([operation, number], frame, histories, fault) {
	const before = frame.seq - 1;
	operation.frames.push(frame);
	if (operation.kind === "condition") {
		const state = stateAt(histories, operation.key, before);
		const version = state?.value === undefined ? 0 : state.seq;
		if (version !== operation.version)
			fault(operation, `was made on version ${version} instead of ${operation.version}`);
	}
	const attempt = operation.tries?.[number];
	if (attempt) {
		const wrong = differs(attempt, histories, before);
		if (wrong) fault(operation, `frame ${frame.seq}: ${wrong}`);
	}
}

/** Where what was read is not the state after a frame; undefined if it is. */
function differs({ reads, rows }, histories, seq) {
	for (const [key, value] of reads) {
		const state = valueAt(histories, key, seq);
		if (state !== value) return `read ${key} = ${value} where ${seq} has ${state}`;
	}
	if (!rows) return;
	const state = [...histories.keys()]
		.filter((key) => key.startsWith("k") && valueAt(histories, key, seq) !== undefined)
		.sort()
		.map((key) => [key, valueAt(histories, key, seq)]);
	if (String(state) !== String(rows)) return `read ${rows} where ${seq} has ${state}`;
}

/** The newest seq that was stored before an event. */
function storedBefore(frames, event) {
	let seq = 0;
	for (const frame of frames) if (frame.stored < event) seq = frame.seq;
	return seq;
}

function checkWrite(world, operation) {
	const { fault, figures, frames } = world;
	const { kind, isDone, ended, begun, code, outcome, isKept, thrown, isReadOnly } = operation;
	const [frame, again] = operation.frames;
	if (thrown) fault(operation, `threw ${thrown.stack}`);
	if (again) fault(operation, `was made twice, ${frame.seq} and ${again.seq}`);
	if (isRefused(operation) && frame) fault(operation, `was refused and is frame ${frame.seq}`);
	if (code === "CONFLICT") figures.conflicts++;
	if (!isDone || ["read", "flush", "checkpoint", "delete"].includes(kind)) return;
	figures.acknowledged++;
	if (kind === "transaction") figures.transactions++;
	if (isReadOnly) {
		// What is not kept may have read what is not.
		if (!isKept) return;
		const attempt = operation.tries.at(-1);
		if (!between(world, operation, (seq) => !differs(attempt, world.histories, seq)) && !world.mayBeLost(operation))
			fault(operation, `read what never was: ${JSON.stringify(attempt)}`);
		return;
	}
	if (!frame) {
		if (isKept) fault(operation, "was acknowledged and is lost");
		return;
	}
	if (outcome?.seq !== undefined && outcome.seq !== frame.seq)
		fault(operation, `gave ${outcome.seq} and is frame ${frame.seq}`);
	if (frame.stored < begun) fault(operation, `is frame ${frame.seq}, stored before it began, ${frame.stored}`);
	if (isKept && frame.stored > ended)
		fault(operation, `was acknowledged before ${frame.seq} was stored, ${frame.stored}`);
	if (frames.length === 0) fault(operation, "there is no log");
}

/** Whether something holds at a moment between begin and end of an operation. */
function between({ frames }, { begun, ended }, holds) {
	for (let seq = storedBefore(frames, begun); seq <= storedBefore(frames, ended); seq++) if (holds(seq)) return true;
	return false;
}

/** Each removal that was acknowledged is a frame of its own, and each frame one that may have been made. */
function checkRemovals(world, operations, removals) {
	const { fault, figures, histories } = world;
	const deletes = operations.filter(({ kind }) => kind === "delete");
	const free = new Set(removals);
	for (const { frame, wasThere, key } of removals)
		if (!wasThere) fault({ ...(deletes[0] ?? operations[0]), key }, `frame ${frame.seq} removes nothing`);
	// Those that can be few frames choose first.
	const inTurn = (one, other) => other.isKept - one.isKept || one.ended - other.ended;
	for (const operation of [...deletes].sort(inTurn)) {
		const { isDone, outcome, key, begun, ended, isKept } = operation;
		if (!isDone) continue;
		figures.acknowledged++;
		if (!outcome) {
			const isAbsent = (seq) => valueAt(histories, key, seq) === undefined;
			// What is not kept may rest on what is not.
			const mayDiffer = !isKept || world.mayBeLost(operation);
			if (!mayDiffer && !between(world, operation, isAbsent)) fault(operation, "was there all the time");
			continue;
		}
		const own = [...free].find(
			({ key: other, frame }) => other === key && frame.stored >= begun && (frame.stored <= ended || !isKept),
		);
		if (own) {
			free.delete(own);
			operation.frames.push(own.frame);
		} else if (isKept) fault(operation, "was acknowledged and is lost");
	}
	for (const { key, frame } of free) {
		const may = deletes.find(
			(operation) => operation.key === key && !operation.isDone && !operation.isUsed && operation.begun <= frame.stored,
		);
		if (!may || isRefused(may))
			world.fault({ ...(deletes[0] ?? operations[0]), key }, `nobody made the removal ${frame.seq}`);
		else may.isUsed = true;
	}
}

/** What each tab saw, in its order. */
function checkReads(world, operations) {
	const { histories, fault, figures } = world;
	const byTab = new Map();
	for (const operation of operations) {
		// Which removal is whose is not always known.
		if (!operation.isDone || operation.kind === "delete") continue;
		if (!byTab.has(operation.tab)) byTab.set(operation.tab, []);
		byTab.get(operation.tab).push(operation);
	}
	for (const own of byTab.values()) {
		let seen = 0;
		const sets = own.filter(({ kind, frames }) => kind === "set" && frames.length > 0);
		for (const operation of own.sort((one, other) => one.order - other.order)) {
			const { kind, key, outcome, frames, begun, how, number, version } = operation;
			if (kind === "flush") {
				const earlier = own.filter(({ ended, frames }) => ended < begun && frames.length > 0);
				const last = Math.max(0, ...earlier.map(({ frames: [frame] }) => frame.seq));
				if (outcome.seq < last) fault(operation, `gave ${outcome.seq} after ${last}`);
				continue;
			}
			if (kind !== "read") {
				seen = Math.max(seen, frames[0]?.seq ?? 0);
				continue;
			}
			figures.reads++;
			// What was asked for before is to be seen, acknowledged or not; `peek` does not wait for it.
			const earlier = how === 1 ? [] : sets.filter((set) => set.begun <= begun && set.number < number);
			const least = Math.max(seen, ...earlier.map(({ frames: [frame] }) => frame.seq));
			const found = firstSeq(histories.get(key) ?? [], outcome, least);
			if (found === undefined || (version && stateAt(histories, key, found)?.seq !== version)) {
				if (world.mayBeLost(operation)) figures.lostReads++;
				else
					fault(
						operation,
						`read ${outcome} (version ${version}) after ${least}, where there is ${JSON.stringify(histories.get(key))}`,
					);
			} else seen = Math.max(seen, found);
		}
	}
}

/** The first seq from `least` on at which a key has a value; undefined where there is none. */
function firstSeq(history, value, least) {
	const at = history.findLastIndex(({ seq }) => seq <= least);
	if (history[at]?.value === value) return least;
	return history.slice(at + 1).find((change) => change.value === value)?.seq;
}
