// See glue.js: what TypeScript uses of it.

import type { JsStorage } from "./opfs.js";

export function explain(thrown: unknown): { code: string; message: string; cause?: string; bytesNeeded?: number };
export function homeOf(name: string): Promise<[] | [home: "opfs" | "idb", gone: boolean]>;
/** The asking end of a port; what can be asked already stays as it is. */
export function link(port: Worker | JsStorage): JsStorage;
export function closeStorage(storage: JsStorage): void;
export const thread: { failed(error: Error): void; halt(error: Error): void; answered(): unknown };
export function serve(storage: JsStorage, port: object): void;
