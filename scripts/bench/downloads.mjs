// What a page downloads, counted where it is served: each file once, as it is and compressed.

import { readFileSync } from "node:fs";
import { sep } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

export class Downloads {
	#directories;
	#files = new Set();
	#known = new Map();

	/** Counts only what is in these directories. */
	constructor(directories) {
		this.#directories = directories;
	}

	begin() {
		this.#files.clear();
	}

	add(file) {
		if (this.#directories.some((directory) => file.startsWith(directory + sep))) this.#files.add(file);
	}

	/** Bytes of all files since `begin`: `{ raw, gzip, brotli }`. */
	sizes() {
		const sum = { raw: 0, gzip: 0, brotli: 0 };
		for (const file of this.#files) for (const [how, bytes] of Object.entries(this.#sizesOf(file))) sum[how] += bytes;
		return sum;
	}

	#sizesOf(file) {
		if (!this.#known.has(file)) {
			const content = readFileSync(file);
			const gzip = gzipSync(content, { level: 9 }).length;
			this.#known.set(file, { raw: content.length, gzip, brotli: brotliCompressSync(content).length });
		}
		return this.#known.get(file);
	}
}
