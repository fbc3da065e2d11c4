// See opfs.js.

/** A storage in JavaScript, as the engine asks it. */
export interface JsStorage {
	ask(request: object): Promise<unknown>;
}
export function openOpfs(storeName: string): Promise<JsStorage>;
export function serve(storage: JsStorage, port: object): void;
