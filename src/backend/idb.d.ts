// See idb.js.

import type { JsStorage } from "./opfs.js";

export function open(name: string): Promise<JsStorage>;
