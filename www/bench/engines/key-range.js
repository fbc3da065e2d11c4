// Which keys begin with a prefix, as bounds that a library's range query takes.

/** The first string behind those that begin with `prefix` where keys are in the order of JavaScript's strings. */
export function endOf(prefix) {
	return `${prefix}\uffff`;
}

/** The same where keys are in the order of their UTF-8 bytes. */
export function endOfBytes(prefix) {
	return `${prefix}\u{10ffff}`;
}

/** The same as a range of IndexedDB. */
export function rangeOf(prefix) {
	return IDBKeyRange.bound(prefix, endOf(prefix));
}
