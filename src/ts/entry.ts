/** An entry with its version and expiry. Loaded with the first call that needs these. */

import type { Inside } from "./store.js";
import type { Entry } from "./types.js";

export function entryOf<T>({ scratch, out, read, valueAt }: Inside<T>, key: string): Entry<T> | undefined {
	return read((raw) => {
		const address = raw.get(scratch.key(key));
		if (address === 0) return;
		const [bytes, version, expiresAt] = [out(), out(1), out(2)];
		const entry: Entry<T> = { value: valueAt(address, bytes), version };
		if (expiresAt) entry.expiresAt = expiresAt;
		return entry;
	});
}
