// BroadcastChannels of tabs, over a network that drops, duplicates, delays and reorders.
//
// Owns who hears which name. What is posted is copied at once, and refused if structured clone would not give the same. It reaches
// every other open channel of the name. `faults`: the probabilities of each fault, and the ms a message takes.

export class Network {
	messages = 0;
	drops = 0;
	duplicates = 0;
	reorders = 0;
	#clock;
	#faults;
	#channels = new Map();
	#sent = 0;

	constructor(clock, faults) {
		this.#clock = clock;
		this.#faults = faults;
	}

	/** What a tab, or a worker that no tab stops (undefined), opens channels with. */
	channelOf(tab) {
		return (name) => {
			const channel = { onmessage: null, isOpen: true, newest: 0, tab };
			if (!this.#channels.has(name)) this.#channels.set(name, new Set());
			const others = this.#channels.get(name);
			others.add(channel);
			channel.postMessage = (message) => {
				if (!channel.isOpen) throw new Error("InvalidStateError: the channel is closed");
				for (const other of others) if (other !== channel) this.#send(other, message);
			};
			channel.close = () => {
				channel.isOpen = false;
				others.delete(channel);
			};
			return channel;
		};
	}

	/** Closes what a tab that is gone had open. */
	leave(tab) {
		for (const others of this.#channels.values())
			for (const channel of others) if (channel.tab === tab) channel.close();
	}

	#send(to, message) {
		const { drop, duplicate, delay, delayMsMax } = this.#faults;
		const number = ++this.#sent;
		this.messages++;
		if (this.#clock.chance(drop)) {
			this.drops++;
			return;
		}
		const copies = this.#clock.chance(duplicate) ? 2 : 1;
		this.duplicates += copies - 1;
		for (let copy = 0; copy < copies; copy++) {
			const data = clone(message);
			const ms = this.#clock.between(0.05, this.#clock.chance(delay) ? delayMsMax : 1);
			this.#clock.after(ms, to.tab, () => this.#deliver(to, number, data));
		}
	}

	#deliver(to, number, data) {
		if (!to.isOpen) return;
		this.#clock.trace?.("message to", to.tab?.number, JSON.stringify(data, shortened));
		if (number < to.newest) this.reorders++;
		else to.newest = number;
		to.onmessage?.({ data });
	}
}

function clone(value) {
	if (typeof value !== "object" || value === null) {
		if (typeof value === "function" || typeof value === "symbol") throw new Error("DataCloneError");
		return value;
	}
	if (value instanceof Uint8Array) return value.slice();
	if (Array.isArray(value)) return value.map(clone);
	if (Object.getPrototypeOf(value) !== Object.prototype)
		throw new Error(`a ${value.constructor?.name} loses its class`);
	const copy = {};
	for (const key in value) copy[key] = clone(value[key]);
	return copy;
}

const shortened = (_, value) => (value instanceof Uint8Array ? `${value.length} bytes` : value);
