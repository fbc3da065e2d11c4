/** The parts that most pages do not need, in one file that is loaded with the first of them. */

export { entryOf } from "./entry.js";
export { withEstimate } from "./estimate.js";
export { exportTo } from "./export.js";
export { FrozenValues } from "./frozen.js";
export { importFrom } from "./import.js";
export { blocksOf, listing, manyOf, partsOf } from "./listing.js";
export { logOf } from "./log.js";
export { persist } from "./persist.js";
export { PRESETS } from "./presets.js";
export { roomFor } from "./room.js";
export { reportOf, statsOf } from "./stats.js";
export { destroyStore, listStores } from "./stores.js";
export { Tabs } from "./tabs.js";
export { increment, transaction, update } from "./transaction.js";
export { Watchers } from "./watch.js";
