// Deleting an IndexedDB database, for libraries that do not do it themselves.

/** Resolves when the database of that name and all its files are gone; there may be none. */
export function deleteIdb(name) {
	return new Promise((resolve, reject) => {
		const request = indexedDB.deleteDatabase(name);
		request.onsuccess = () => resolve();
		request.onerror = () => reject(request.error);
	});
}
