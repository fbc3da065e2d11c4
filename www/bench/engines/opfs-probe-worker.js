/** Written over again and again: a file that grows costs a sync more, which an engine can avoid. */
const FILE_BYTES = 2 ** 20;

let handle;
let isFlushed;
let end = 0;

async function serve(message) {
	if (message.open) {
		const root = await navigator.storage.getDirectory();
		const file = await root.getFileHandle(message.open, { create: true });
		handle = await file.createSyncAccessHandle();
		isFlushed = message.isFlushed;
		handle.write(new Uint8Array(FILE_BYTES), { at: 0 });
		handle.flush();
	} else if (message.close) {
		handle.close();
	} else {
		end = (end + handle.write(message, { at: end })) % FILE_BYTES;
		if (isFlushed) handle.flush();
	}
}

self.onmessage = ({ data }) =>
	serve(data).then(
		() => self.postMessage(null),
		(error) => self.postMessage(String(error)),
	);
