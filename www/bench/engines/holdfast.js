import { version } from "../../../package.json";
import { destroy, LEVELS, opener } from "./holdfast-store.js";

/** @type {import("../engine.js").Engine} */
export const engine = {
	id: "holdfast",
	name: "Holdfast",
	version,
	place: "page",
	opfs: true,
	levels: LEVELS,
	open: opener("opfs"),
	remove: destroy,
};
