/**
 * The contract between the benchmark and what it measures: one module of engines/ for each engine.
 *
 * Values are plain objects or Uint8Array, keys are texts such as `user:00000000001`. An engine keeps no cache of its own and puts nothing off
 * that its user would have to pay for; it is written as an ordinary, well-advised user of that library would. Deliberately absent: code.
 *
 * @typedef {"D1" | "D2" | "D3"} Level When a write's promise resolves: D1 in memory; D2 with the operating system, so that it survives a
 * killed browser; D3 when it is synced.
 *
 * @typedef {object} Engine
 * @property {string} id The module's name without `.js`.
 * @property {string} name Shown.
 * @property {string} version What runs: of its package, or `browser`.
 * @property {"page" | "worker"} place Where its code runs, its best place.
 * @property {Partial<Record<Level, string>>} levels What it offers, with the settings of each in words.
 * @property {true} [memory] A ceiling: it is gone with the page.
 * @property {true} [sync] Its calls return what others resolve to.
 * @property {false} [stores] A probe: nothing can be read.
 * @property {true} [opfs] What `stats` counts as `bytesOnDisk` is in files of the origin's private file system.
 * @property {Record<string, string>} [without] Why it cannot do a workload, by its id.
 * @property {(database: string, level: Level, options?: OpenOptions) => Promise<Store>} open Opens the database, made if missing.
 * @property {(database: string) => Promise<void>} remove Deletes the closed database with all its files.
 *
 * @typedef {object} OpenOptions
 * @property {true} [shared] `getShared` will be called rather than `get`.
 * @property {true} [logOnly] Nothing is compacted by itself (engines with `checkpoint`).
 *
 * @typedef {object} Store
 * @property {(key: string) => Promise<unknown>} get A fresh copy, or undefined.
 * @property {(key: string) => unknown} [getShared] A value that others see too, or a promise of it.
 * @property {(keys: string[]) => Promise<unknown[]>} getMany The values in the order of the keys, by the best bulk read.
 * @property {(key: string, value: unknown) => Promise<unknown>} set Resolves at the level opened with.
 * @property {(entries: [string, unknown][]) => Promise<unknown>} setMany Distinct keys, by the best bulk write, one acknowledgement.
 * @property {(key: string) => Promise<unknown>} delete
 * @property {(keys: string[]) => Promise<unknown>} deleteMany
 * @property {(prefix: string, limit?: number) => Promise<[string, unknown][]>} scan In the order of keys, by the best range read.
 * @property {() => Promise<number>} count
 * @property {() => Promise<unknown>} settle Resolves when all is on disk and work in the background has ended.
 * @property {() => Promise<unknown>} close
 * @property {() => Promise<unknown>} [checkpoint] Writes a snapshot of everything.
 * @property {() => Promise<Stats>} [stats]
 *
 * @typedef {object} Stats What the engine can tell, bytes and counts since opening.
 * @property {number} [heapBytes]
 * @property {number} [wasmHeapBytes]
 * @property {number} [bytesOnDisk]
 * @property {number} [bytesWritten]
 * @property {number} [syncs]
 * @property {number} [logBytes]
 */

export {};
