// What the address says: which backend and which durability the notes are opened with. A choice is a
// link, so it can be bookmarked, and the same page in two backends is two stores that never meet.

export const backends = ["auto", "opfs", "idb", "memory"];
export const durabilities = ["always", "everysec", "no"];

/** `{ backend, durability, storeName }` of an address; what is unknown there falls back to the default. `name` is what the store is for. */
export function settingsIn(address, name) {
	const query = new URL(address).searchParams;
	const backend = known(backends, query.get("backend")) ?? "auto";
	const durability = known(durabilities, query.get("durability")) ?? "everysec";
	return { backend, durability, storeName: backend === "auto" ? name : `${name}-${backend}` };
}

/** The same page with other settings and no note chosen. */
export function addressWith(address, { backend, durability }) {
	const url = new URL(address);
	url.searchParams.set("backend", backend);
	url.searchParams.set("durability", durability);
	url.hash = "";
	return url.href;
}

function known(values, value) {
	return values.find((candidate) => candidate === value);
}
