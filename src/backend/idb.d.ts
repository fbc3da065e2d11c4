// See idb.js.

import type { JsStorage } from "./opfs.js";

export function openIdb(name: string): Promise<JsStorage>;
