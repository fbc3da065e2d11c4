import packageJson from "../../../package.json" with { type: "json" };
import { destroy, LEVELS, opener } from "./holdfast-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "holdfast",
	name: "Holdfast",
	version: packageJson.version,
	place: "page",
	levels: LEVELS,
	open: opener("opfs"),
	remove: destroy,
};
