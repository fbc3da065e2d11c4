import { callsOf, mapOf, promised, removeMap } from "./map-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "map-json",
	name: "async Map of JSON text",
	version: "browser",
	place: "page",
	memory: true,
	without: { blobs: "JSON has no bytes" },
	levels: { D1: "values as JSON text, nothing stored" },
	async open(database) {
		return promised(callsOf(mapOf(database), JSON.stringify, JSON.parse));
	},
	remove: removeMap,
};
