// See idb.js.

import type { JsStorage } from "./opfs.js";

export function open(name: string): Promise<JsStorage>;

/** The same for who only reads what is there; rejects where there is no database. */
export function readOnlyIdb(name: string): Promise<JsStorage>;
