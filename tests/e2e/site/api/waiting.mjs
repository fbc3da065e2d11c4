// How checks wait: for events, each wait bounded, in ms, so that what does not come is named.

const SOON_MS = 10_000;

/** Resolves as the promise does, rejects when that takes too long. */
export function soon(promise, what) {
	const { promise: late, reject } = deferred();
	const timer = setTimeout(() => reject(new Error(`waited ${SOON_MS} ms for ${what}`)), SOON_MS);
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function deferred() {
	const made = {};
	made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
	return made;
}

/** A list that can be waited for: `push` adds to it, `of(count)` resolves to the list once it has so many. */
export function awaited(what) {
	const list = [];
	const waiting = [];
	return {
		list,
		push(...items) {
			list.push(...items);
			for (const { count, resolve } of waiting) if (list.length >= count) resolve(list);
		},
		of(count) {
			const { promise, resolve } = deferred();
			if (list.length >= count) resolve(list);
			waiting.push({ count, resolve });
			return soon(promise, `${count} ${what}, after ${list.length}`);
		},
	};
}

/** Keeps the thread until that time, so that no timer runs before. */
export function holdThreadUntil(ms) {
	while (Date.now() < ms);
}

/** A turn of the event loop. */
export function turn() {
	return new Promise((resolve) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => {
			port1.close();
			resolve();
		};
		port2.postMessage(0);
	});
}
