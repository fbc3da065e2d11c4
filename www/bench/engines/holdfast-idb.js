import { version } from "../../../package.json";
import { destroy, LEVELS, opener } from "./holdfast-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "holdfast-idb",
	name: "Holdfast on IndexedDB",
	version,
	place: "page",
	levels: LEVELS,
	open: opener("idb"),
	remove: destroy,
};
