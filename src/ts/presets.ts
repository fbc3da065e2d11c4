/** What a preset stands for. Loaded with the first one. */

import type { OpenOptions, Preset } from "./types.js";

export const PRESETS: Readonly<Record<Preset, OpenOptions>> = {
	cache: { mode: "snapshot", eviction: "lru", maxBytes: 64 << 20 },
	session: { durability: "everysec" },
	financial: { durability: "always", recovery: "strict" },
	analytics: { mode: "snapshot", save: [[60, 1]] },
};
