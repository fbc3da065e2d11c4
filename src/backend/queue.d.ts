// See queue.js: what TypeScript uses of it.

import type { JsStorage } from "./opfs.js";

/** A write that waits, as it is stored. */
export type StoredWrite = [
	format: number,
	client: string,
	number: number,
	ops: Uint8Array,
	conditions: Uint8Array,
	level: number,
];

export function readOnly(name: string): Promise<JsStorage>;
export const QUEUE_FORMAT: number;
export function isMarked(name: string): Promise<boolean>;
export function mark(name: string): Promise<void>;
export function openQueue(name: string, create: true): Promise<IDBDatabase>;
export function openQueue(name: string, create: false): Promise<IDBDatabase | undefined>;
export function addWrites(database: IDBDatabase, name: string, writes: StoredWrite[], strict: boolean): Promise<void>;
export function syncWrites(database: IDBDatabase): Promise<void>;
export function readWrites(database: IDBDatabase): Promise<{ keys: IDBValidKey[]; writes: StoredWrite[] }>;
export function everyWrite(database: IDBDatabase): Promise<StoredWrite[]>;
export function removeWrites(database: IDBDatabase, keyMax: IDBValidKey): Promise<void>;
export function endQueue(database: IDBDatabase | undefined, name: string): Promise<boolean>;
