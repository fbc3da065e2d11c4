// See stores.js: what TypeScript uses of it.

import type { StoreInfo } from "../ts/types.js";

export function stores(): Promise<StoreInfo[]>;
export function destroyStore(name: string): Promise<void>;
