/** The parts that most pages do not need, in one file that is loaded with the first of them. */

export { FrozenValues } from "./frozen.js";
export { roomFor } from "./room.js";
export { statsOf } from "./stats.js";
export { destroyStore, listStores } from "./stores.js";
export { increment, transaction, update } from "./transaction.js";
export { Watchers } from "./watch.js";
