import { callsOf, mapOf, promised, removeMap } from "./map-store.js";

const same = (value) => value;

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "map-async",
	name: "async Map",
	version: "browser",
	place: "page",
	memory: true,
	levels: { D1: "values shared, nothing stored" },
	async open(database) {
		const calls = promised(callsOf(mapOf(database), same, same));
		return { ...calls, getShared: calls.get };
	},
	remove: removeMap,
};
