let handle;
let isFlushed;
let end = 0;

async function serve(message) {
	if (message.open) {
		const root = await navigator.storage.getDirectory();
		const file = await root.getFileHandle(message.open, { create: true });
		handle = await file.createSyncAccessHandle();
		isFlushed = message.isFlushed;
	} else if (message.close) {
		handle.close();
	} else {
		end += handle.write(message, { at: end });
		if (isFlushed) handle.flush();
	}
}

self.onmessage = ({ data }) =>
	serve(data).then(
		() => self.postMessage(null),
		(error) => self.postMessage(String(error)),
	);
