// Platform faults of IndexedDB in this thread.
//
// Owns the prototypes of IndexedDB, a list of the connections that are open, and how fast time goes.

const connections = new Set();
{
	const { open } = IDBFactory.prototype;
	IDBFactory.prototype.open = function (...given) {
		const request = open.apply(this, given);
		request.addEventListener("success", () => connections.add(request.result));
		return request;
	};
}

const thrown = (name) => () => {
	throw new DOMException("injected", name);
};
/** A request or transaction that says nothing any more. */
const EVENTS = ["success", "error", "blocked", "upgradeneeded", "complete", "abort"];
const silent = (target) => {
	for (const type of EVENTS) target.addEventListener(type, (event) => event.stopImmediatePropagation());
	return target;
};
const isWrite = ([, mode]) => mode === "readwrite";

/** The methods that each fault replaces, and what by, given the original. */
const FAULTS = {
	"puts fail": {
		"IDBObjectStore.add": () => thrown("UnknownError"),
		"IDBObjectStore.put": () => thrown("UnknownError"),
	},
	/** As in Firefox without room: deletes are admitted. */
	"puts are not admitted": {
		"IDBObjectStore.add": () => thrown("InvalidStateError"),
		"IDBObjectStore.put": () => thrown("InvalidStateError"),
	},
	/** Without room the requests of a transaction that stores something succeed, and then it aborts. */
	"commits find no room": { "IDBObjectStore.add": abortForRoom, "IDBObjectStore.put": abortForRoom },
	/** As when the browser drops the connection; also the next transactions of those that are open already. */
	"connections close": {
		now() {
			for (const connection of connections) {
				connection.close();
				connection.dispatchEvent(new Event("close"));
			}
		},
	},
	/** The same without the event: it shows at the next transaction. */
	"connections are lost": {
		now() {
			for (const connection of connections) connection.close();
		},
	},
	/** The next transaction that writes is never heard of again, and nothing of it is stored. */
	"a transaction hangs": {
		"IDBDatabase.transaction": hangOnce((transaction) => queueMicrotask(() => transaction.abort())),
	},
	/** The same, and all of it is stored. */
	"a transaction hangs after its commit": { "IDBDatabase.transaction": hangOnce(() => {}) },
	"opens hang": {
		"IDBFactory.open": (open) =>
			function (...given) {
				return silent(open.apply(this, given));
			},
	},
	/** As where the user's settings forbid it. */
	"opens are refused": { "IDBFactory.open": () => thrown("SecurityError") },
	/** As when the backing store cannot be opened. */
	"opens fail": { "IDBFactory.open": () => failingOpen },
	"two opens fail": {
		"IDBFactory.open": (open) => {
			let left = 2;
			return function (...given) {
				return left-- > 0 ? failingOpen() : open.apply(this, given);
			};
		},
	},
};

/** `then` is told the transaction as soon as its requests were made. */
function hangOnce(then) {
	return (transaction) => {
		let isNext = true;
		return function (...given) {
			const made = transaction.apply(this, given);
			if (!isNext || !isWrite(given)) return made;
			isNext = false;
			then(made);
			return silent(made);
		};
	};
}

function failingOpen() {
	const request = { error: new DOMException("Internal error opening backing store", "UnknownError") };
	setTimeout(() => request.onerror());
	return request;
}

function abortForRoom(store) {
	return function (...given) {
		const { transaction } = this;
		if (!Object.hasOwn(transaction, "error")) {
			const value = new DOMException("injected", "QuotaExceededError");
			Object.defineProperty(transaction, "error", { value });
			queueMicrotask(() => transaction.abort());
		}
		return store.apply(this, given);
	};
}

/** Has the fault begin; gives what ends it. */
export function strikeIdb(fault) {
	const { now, ...methods } = FAULTS[fault];
	const undo = Object.entries(methods).map(([path, replace]) => {
		const [kind, method] = path.split(".");
		const { prototype } = globalThis[kind];
		const original = prototype[method];
		prototype[method] = replace(original);
		return () => {
			prototype[method] = original;
		};
	});
	now?.();
	return () => {
		for (const restore of undo) restore();
	};
}

/** Has timers run that many times as fast; gives what ends it. */
export function hurryTimers(factor) {
	const { setTimeout } = globalThis;
	globalThis.setTimeout = (run, delayMs, ...given) => setTimeout(run, delayMs / factor, ...given);
	return () => {
		globalThis.setTimeout = setTimeout;
	};
}
