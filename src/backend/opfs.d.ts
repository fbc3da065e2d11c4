// See opfs.js.

/** A storage in JavaScript, as the engine asks it. */
export interface JsStorage {
	ask(request: object): Promise<unknown>;
}
export function open(storeName: string): Promise<JsStorage>;
