/** A sink over memory of its own that starts small and moves whenever it grows, as wasm memory may. */

import type { Sink } from "./text.js";

export class TestSink implements Sink {
	bytes = new Uint8Array(1);
	view = new DataView(this.bytes.buffer);
	at = 0;

	need(count: number): void {
		if (this.at + count <= this.bytes.length) return;
		const grown = new Uint8Array((this.at + count) * 2);
		grown.set(this.bytes.subarray(0, this.at));
		this.bytes.fill(0xdd);
		this.bytes = grown;
		this.view = new DataView(grown.buffer);
	}
}
