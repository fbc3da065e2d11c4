/**
 * Limits, sizes, and the codes of what the engine numbers.
 *
 * Numbers alone, so that bundlers put them where they are used.
 */

/** The longest store name and the longest key, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 200;
export const KEY_BYTES_MAX = 1024;
/** How deep objects nest in a value. */
export const DEPTH_MAX = 1000;
export const SAVE_RULES_MAX = 16;
export const REWRITE_BYTES_MIN = 4096;
/** What a frame may take. */
export const BATCH_BYTES_MAX = 268_435_456;

/** The longest that a timer waits. */
export const TIMER_MS_MAX = 2_147_483_647;
export const U32_MAX = 4_294_967_295;

/** A page that is just going away gives its lock back within this. */
export const LOCK_WAIT_MS_MAX = 2000;
/** How long an I/O worker has to start that can be done without. */
export const WORKER_WAIT_MS_MAX = 2000;
/** How long the browser's answers are waited for; one of them comes from the user. */
export const ESTIMATE_MS_MAX = 500;
export const PERSIST_MS_MAX = 10_000;

/** How long the thread may be busy before others get their turn: half of what a page may lose. */
export const SLICE_MS = 4;
/** A write that takes the storage longer than this is told in the status. */
export const STALLED_MS = 5000;
/** A batch of fewer entries and bytes is encoded without a pause. */
export const SMALL_ENTRIES = 1000;
export const SMALL_BYTES = 262_144;
/** Entries decoded at once by a walk, and entries looked at where nothing is decoded. */
export const BLOCK_ENTRIES = 128;
export const COUNT_ENTRIES = 4096;
/** Values decoded at once, and bytes of one: a longer one gains nothing by it. */
export const JOINED_VALUES_MAX = 128;
export const JOINED_BYTES_MAX = 1024;

export const BATCH_BYTES_MIN = 4096;
/** Larger areas are given back: wasm memory never shrinks. */
export const BATCH_BYTES_KEPT = 1_048_576;
/** Room for the longest key, and for most batches. */
export const SCRATCH_BYTES_MIN = 65_536;

/** Frozen values that are kept for the next read; of each the newest half always is. */
export const FROZEN_VALUES_MAX = 16_384;
export const FROZEN_BYTES_MAX = 16_777_216;

/** In place of a value's length in a batch: the key, or the range, is removed. */
export const REMOVE = 4_294_967_295;
/** In the length of a key in a batch: an expiry or the end of a range follows. */
export const MORE = 2_147_483_648;
/** In place of a length in the feed of changes: there is no value. */
export const NO_VALUE = 4_294_967_295;
/** How often a transaction or an update is tried. */
export const TRIES = 8;
/** Greater than any byte of UTF-8. */
export const BEYOND_UTF8 = 255;

// The rows of the recovery table that mean a loss are 4 (corrupt) and 5 (missing); 0 is a fresh store.
export const FRESH = 0;
export const MISSING = 5;

// What a batch is written for.
export const ASKED = 0;
export const EVICTING = 1;
export const STAGING = 2;
export const REPLACING = 3;
export const SYNCING = 4;
export const FOLLOWING = 5;
export const FOR_CLIENT = 6;
