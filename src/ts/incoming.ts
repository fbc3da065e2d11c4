/**
 * Bytes that arrive in pieces, read as lengths ask for them.
 *
 * Owns the buffer, which never grows beyond what has arrived and was asked for, whatever a length in it says.
 */

import { HoldfastError } from "./error.js";

export function streamFailed(cause: unknown): HoldfastError {
	const message = `The stream failed, ${cause}. Nothing was changed.`;
	return new HoldfastError("UNAVAILABLE", message, { cause });
}

export class Incoming {
	/** What has arrived and is still to be read is `[at, end)`. */
	bytes = new Uint8Array(1 << 16);
	at = 0;
	end = 0;
	/** Bytes that were read before those. */
	#before = 0;
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

	/** What a failure of the stream means. */
	readonly #failed: (cause: unknown) => unknown;

	constructor(stream: ReadableStream<Uint8Array>, failed: (cause: unknown) => unknown = streamFailed) {
		this.#reader = stream.getReader();
		this.#failed = failed;
	}

	/** How many bytes were read. */
	get position(): number {
		return this.#before + this.at;
	}

	/** Waits until so many bytes are there; false where they end before. */
	async has(count: number): Promise<boolean> {
		while (this.end - this.at < count) if (!(await this.more())) return false;
		return true;
	}

	/** Waits for more bytes; false at the end. */
	async more(): Promise<boolean> {
		const { done, value } = await this.#reader.read().catch((cause) => {
			throw cause instanceof HoldfastError ? cause : this.#failed(cause);
		});
		if (done) return false;
		if (!(value instanceof Uint8Array)) throw streamFailed(new TypeError("a piece of it is no Uint8Array"));
		if (this.end + value.length > this.bytes.length) {
			const left = this.end - this.at;
			const needed = left + value.length;
			const room = needed > this.bytes.length / 2 ? new Uint8Array(2 * needed) : this.bytes;
			room.set(this.bytes.subarray(this.at, this.end));
			this.#before += this.at;
			[this.bytes, this.at, this.end] = [room, 0, left];
		}
		this.bytes.set(value, this.end);
		this.end += value.length;
		return true;
	}

	/** Takes bytes that are there; they are good until the next wait. */
	take(count: number): Uint8Array<ArrayBuffer> {
		this.at += count;
		return this.bytes.subarray(this.at - count, this.at);
	}

	/** Ends the stream; whoever feeds it is told why. */
	async cancel(why: unknown): Promise<void> {
		await this.#reader.cancel(why).catch(() => {});
	}
}
