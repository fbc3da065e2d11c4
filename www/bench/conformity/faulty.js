// Engines that are wrong in one way each, to see that the checks find it; and the right one they are made from.
//
// Shapes: `faulty` has for the name of a fault a function that makes a store with it. A store of `right()` keeps its data in the
// `Map` it is given, as JSON text or bytes.

const saved = (value) => (value instanceof Uint8Array ? value.slice() : JSON.stringify(value));
const loaded = (data) => (typeof data === "string" ? JSON.parse(data) : data?.slice());
const order = ([a], [b]) => (a < b ? -1 : 1);

/** A store that does everything right. */
export function right(data = new Map()) {
	const set = (key, value) => data.set(key, saved(value));
	return {
		get: async (key) => loaded(data.get(key)),
		getMany: async (keys) => keys.map((key) => loaded(data.get(key))),
		set: async (key, value) => void set(key, value),
		async setMany(entries) {
			for (const [key, value] of entries) set(key, value);
		},
		delete: async (key) => void data.delete(key),
		async deleteMany(keys) {
			for (const key of keys) data.delete(key);
		},
		async scan(prefix, limit) {
			const found = [...data].filter(([key]) => key.startsWith(prefix)).sort(order);
			return found.slice(0, limit).map(([key, value]) => [key, loaded(value)]);
		},
		count: async () => data.size,
		settle: async () => {},
	};
}

/** A right store with some calls made of those it had. */
function changed(change) {
	return () => {
		const store = right();
		return { ...store, ...change(store) };
	};
}

export const faulty = {
	"null for what is missing": changed(({ get }) => ({ get: async (key) => (await get(key)) ?? null })),
	"getMany leaves out what is missing": changed(({ getMany }) => ({
		getMany: async (keys) => (await getMany(keys)).filter((value) => value !== undefined),
	})),
	"getMany in the order of keys": changed(({ getMany }) => ({ getMany: (keys) => getMany(keys.toSorted()) })),
	"getMany without repeats": changed(({ getMany }) => ({ getMany: (keys) => getMany([...new Set(keys)]) })),
	"setMany loses the last entry": changed(({ setMany }) => ({ setMany: (entries) => setMany(entries.slice(0, -1)) })),
	"setMany does not overwrite": changed(({ get, set }) => ({
		async setMany(entries) {
			for (const [key, value] of entries) if ((await get(key)) === undefined) await set(key, value);
		},
	})),
	"set merges objects": changed(({ get, set }) => ({
		set: async (key, value) => set(key, typeof value === "object" ? { ...(await get(key)), ...value } : value),
	})),
	"get gives the object that was set": changed(({ get, set }) => {
		const cache = new Map();
		return {
			set: (key, value) => set(key, cache.set(key, value).get(key)),
			get: async (key) => cache.get(key) ?? get(key),
		};
	}),
	"delete keeps the entry": changed(() => ({ delete: async () => {} })),
	"deleteMany deletes the first only": changed((store) => ({ deleteMany: ([key]) => store.delete(key) })),
	"scan in order of writing": () => {
		const data = new Map();
		return {
			...right(data),
			scan: async (prefix, limit) =>
				[...data]
					.filter(([key]) => key.startsWith(prefix))
					.slice(0, limit)
					.map(([key, value]) => [key, loaded(value)]),
		};
	},
	"scan without a limit": changed(({ scan }) => ({ scan: (prefix) => scan(prefix) })),
	"scan one entry short": changed(({ scan }) => ({
		scan: async (prefix, limit) => (await scan(prefix, limit)).slice(1),
	})),
	"scan beyond the prefix": changed(({ scan }) => ({ scan: (prefix, limit) => scan(prefix.slice(0, -1), limit) })),
	"count of what was ever set": changed(({ count }) => ({ count: async () => (await count()) + 1 })),
	"bytes as an array": changed(({ get }) => ({
		async get(key) {
			const value = await get(key);
			return value instanceof Uint8Array ? [...value] : value;
		},
	})),
	"bytes of the whole buffer": changed(({ set }) => ({
		set: (key, value) => set(key, value instanceof Uint8Array ? new Uint8Array(value.buffer) : value),
	})),
	"blobs cut at 64 KiB": changed(({ setMany }) => ({
		setMany: (entries) =>
			setMany(entries.map(([key, value]) => [key, value instanceof Uint8Array ? value.subarray(0, 65536) : value])),
	})),
	"keys in Latin-1": changed(({ set, setMany, getMany }) => {
		const narrow = (key) => key.replace(/[^\0-\xff]/g, "?");
		return {
			set: (key, value) => set(narrow(key), value),
			setMany: (entries) => setMany(entries.map(([key, value]) => [narrow(key), value])),
			getMany: (keys) => getMany(keys.map(narrow)),
		};
	}),
	"the empty string is missing": changed(({ get }) => ({ get: async (key) => (await get(key)) || undefined })),
	"a call that throws": changed(() => ({
		settle: async () => {
			throw new Error("no");
		},
	})),
};
