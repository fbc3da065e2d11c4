// A value as an SQL database's user stores it: JSON text for objects and strings, a blob for bytes.

/** What a column gets: text or bytes. */
export function toColumn(value) {
	return value instanceof Uint8Array ? value : JSON.stringify(value);
}

/** The value of what a column has; undefined if there is none. */
export function fromColumn(column) {
	return typeof column === "string" ? JSON.parse(column) : column;
}
