// See glue.js: what is used without wasm.

import type { StoreInfo } from "../ts/types.js";

export function explain(thrown: unknown): { code: string; message: string; cause?: string; bytesNeeded?: number };
export function stores(): Promise<StoreInfo[]>;
export function storeExists(name: string, backend: string): Promise<boolean>;
export function destroyStore(name: string): Promise<void>;
