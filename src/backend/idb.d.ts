// See idb.js.

import type { JsStorage } from "./opfs.js";

export function open(name: string): Promise<JsStorage>;

/** The same of a database that is there, for who only reads it. */
export function openStored(name: string): Promise<JsStorage>;
