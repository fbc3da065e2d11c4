// Platform faults of an I/O worker; its `name` says which one.

const FAULTS = {
	/** No directory: as in Firefox's private windows. */
	"no directory"() {
		StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException("not here", "SecurityError"));
	},
	/** No synchronous handles: as in WebKitGTK. */
	"no handles"() {
		const refuse = () => Promise.reject(new DOMException("not supported", "NotSupportedError"));
		FileSystemFileHandle.prototype.createSyncAccessHandle = refuse;
	},
	/** From the page's word on, writes fail as Chromium fails them when the device does. */
	"writes fail"() {
		onWord(() => {
			FileSystemSyncAccessHandle.prototype.write = () => {
				throw new DOMException("injected", "InvalidStateError");
			};
		});
	},
	/** From the page's word on, writes return 0 and nothing is written, as in Firefox without space. */
	"writes return 0"() {
		onWord(() => {
			FileSystemSyncAccessHandle.prototype.write = () => 0;
		});
	},
	/** From the page's word on, syncs fail. */
	"flushes fail"() {
		onWord(() => {
			FileSystemSyncAccessHandle.prototype.flush = () => {
				throw new DOMException("injected", "InvalidStateError");
			};
		});
	},
};

function onWord(strike) {
	const channel = new BroadcastChannel("fault");
	channel.onmessage = () => {
		strike();
		channel.postMessage("struck");
	};
}

FAULTS[self.name]();
