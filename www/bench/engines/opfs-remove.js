// Removing what a library left in OPFS.
//
// Units: ms. Errors: the last `NoModificationAllowedError` when a file stays open too long: the handles of a worker that was
// terminated come free a little later, and there is no event for it.

const WAIT_MS_MAX = 10_000;
const RETRY_MS = 20;

/** Removes the file or directory of that name from the root, with all in it; there may be none. */
export async function removeFromOpfs(name) {
	const root = await navigator.storage.getDirectory();
	const end = performance.now() + WAIT_MS_MAX;
	for (;;) {
		try {
			return await root.removeEntry(name, { recursive: true });
		} catch (error) {
			if (error.name === "NotFoundError") return;
			if (error.name !== "NoModificationAllowedError" || performance.now() > end) throw error;
			await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
		}
	}
}
