import { callsOf, mapOf, removeMap } from "./map-store.js";

const same = (value) => value;

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "map",
	name: "Map",
	version: "browser",
	place: "page",
	memory: true,
	sync: true,
	without: { "set-par": "nothing is in flight" },
	levels: { D1: "no promises, values shared, nothing stored" },
	async open(database) {
		const calls = callsOf(mapOf(database), same, same);
		return { ...calls, getShared: calls.get };
	},
	remove: removeMap,
};
