// Which keys begin with a prefix, as bounds that a library's range query takes.

/** The first string behind those that begin with `prefix`, for keys without unpaired surrogates. */
export function endOf(prefix) {
	return `${prefix}\u{10ffff}`;
}

/** The same as a range of IndexedDB. */
export function rangeOf(prefix) {
	return IDBKeyRange.bound(prefix, `${prefix}\uffff`);
}
