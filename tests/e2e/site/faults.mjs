// Platform faults of an I/O worker; its `name` says which one.

const SLOW_MS = 200;

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
	"slow writes": () => slow("write"),
	"slow flushes": () => slow("flush"),
	/** From the page's word on, syncs fail. */
	"flushes fail"() {
		onWord(() => {
			FileSystemSyncAccessHandle.prototype.flush = () => {
				throw new DOMException("injected", "InvalidStateError");
			};
		});
	},
};

/** From the page's word on, the method of every handle takes that much longer, as on a busy device. */
function slow(method) {
	onWord(() => {
		const original = FileSystemSyncAccessHandle.prototype[method];
		FileSystemSyncAccessHandle.prototype[method] = function (...given) {
			const end = performance.now() + SLOW_MS;
			while (performance.now() < end);
			return original.apply(this, given);
		};
	});
}

function onWord(strike) {
	const channel = new BroadcastChannel("fault");
	channel.onmessage = () => {
		strike();
		channel.postMessage("struck");
	};
}

FAULTS[self.name]();
