/** The libraries that are compared with, which are installed for it. */
export const PEERS = [
	"idb-keyval",
	"localforage",
	"dexie",
	"browser-level",
	"pouchdb",
	"sqlite",
	"sqlite-wal",
	"sqlite-off",
	"pglite",
	"rxdb",
	"lokijs",
	"tinybase",
];

/** All engines by their ids: ours, the peers, the ceilings. */
export const ENGINES = [
	"holdfast",
	"holdfast-idb",
	"indexeddb",
	...PEERS,
	"map",
	"map-async",
	"map-json",
	"opfs-probe",
];

/** Those of a quick run: one of each kind, and what is aimed at. */
export const ENGINES_QUICK = [
	...["holdfast", "indexeddb", "idb-keyval", "dexie", "sqlite", "sqlite-off"],
	...["map-async", "map-json", "opfs-probe"],
];
