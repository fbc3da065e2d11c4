/**
 * Engine and I/O worker as text in JavaScript: what `holdfast/inline` is made with, and what `holdfast` loads where the files of
 * either are missing.
 */

import wasmBase64 from "../../target/bindgen/holdfast.wasm";
import workerScript from "../../target/bindgen/worker.txt";

export const wasm = (): BufferSource => Uint8Array.from(atob(wasmBase64), (unit) => unit.charCodeAt(0));

export function worker(): Worker {
	const url = URL.createObjectURL(new Blob([workerScript], { type: "text/javascript" }));
	try {
		return new Worker(url, { type: "module" });
	} finally {
		// A worker that is being started has taken its script's address down.
		URL.revokeObjectURL(url);
	}
}
