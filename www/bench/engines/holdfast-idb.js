import packageJson from "../../../package.json" with { type: "json" };
import { destroy, LEVELS, opener } from "./holdfast-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "holdfast-idb",
	name: "Holdfast on IndexedDB",
	version: packageJson.version,
	place: "page",
	levels: LEVELS,
	open: opener("idb"),
	remove: destroy,
};
