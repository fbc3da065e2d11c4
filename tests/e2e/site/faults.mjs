// Platform faults of an I/O worker; its `name` says which one. Some strike from the page's word until another. Those of OPFS are here.

import { hurryTimers, strikeIdb } from "./faulty-idb.mjs";

const SLOW_MS = 200;
/** What a device without room still takes in one write: enough for a small frame and for the header of a file. */
const SMALL_BYTES = 4096;
/** Firefox's answer to a write of any length on a full disk. */
const MEANINGLESS = 32_682;

const HANDLE = globalThis.FileSystemSyncAccessHandle?.prototype;

/** How much faster time goes while a transaction hangs: the limit for an answer of the platform is 10 s. */
const HURRY = 10;

/** What is wrong from the start. */
const MISSING = {
	/** No directory: as in Firefox's private windows. */
	"no directory"() {
		StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException("not here", "SecurityError"));
	},
	/** No synchronous handles: as in WebKitGTK. */
	"no handles"() {
		const refuse = () => Promise.reject(new DOMException("not supported", "NotSupportedError"));
		FileSystemFileHandle.prototype.createSyncAccessHandle = refuse;
	},
	/** None of the storages. */
	"no storage"() {
		MISSING["no directory"]();
		strikeIdb("opens are refused");
	},
	/** Handles that are asked for and never come. */
	"handles hang"() {
		FileSystemFileHandle.prototype.createSyncAccessHandle = () => new Promise(() => {});
	},
};

/** What goes wrong between two words: the method of all handles that it replaces, and what by, given the original. */
const STRIKING = {
	/** As Chromium fails writes when the device does. */
	"writes fail": ["write", () => fail],
	"the next write fails": ["write", once(fail)],
	/** Nothing is written, as in Firefox without quota. */
	"writes return 0": ["write", () => () => 0],
	/** Nothing is written, as in Firefox on a full disk. */
	"writes return a meaningless count": ["write", () => () => MEANINGLESS],
	/** As in Chromium without quota, but for a last corner. */
	"no room": [
		"write",
		(write) =>
			function (bytes, ...given) {
				if (bytes.length > SMALL_BYTES) throw new DOMException("injected", "QuotaExceededError");
				return write.call(this, bytes, ...given);
			},
	],
	/** Every other write stops in the middle. */
	"short writes": [
		"write",
		(write) => {
			let isShort = false;
			return function (bytes, ...given) {
				isShort = !isShort;
				return write.call(this, isShort ? bytes.subarray(0, bytes.length >> 1) : bytes, ...given);
			};
		},
	],
	"slow writes": ["write", slow],
	"slow flushes": ["flush", slow],
	"flushes fail": ["flush", () => fail],
	"the next flush fails and drops what was written": ["flush", once(dropAndFail)],
};

function fail() {
	throw new DOMException("injected", "InvalidStateError");
}

/** `act` in the place of the next call. */
function once(act) {
	return (original) => {
		let isNext = true;
		return function (...given) {
			if (!isNext) return original.apply(this, given);
			isNext = false;
			return act.apply(this, given);
		};
	};
}

/** The method of every handle takes that much longer, as on a busy device. */
function slow(original) {
	return function (...given) {
		const end = performance.now() + SLOW_MS;
		while (performance.now() < end);
		return original.apply(this, given);
	};
}

/** The sizes that handles had when they were last flushed, or before the first write. */
const flushedSizes = new WeakMap();

/** As Linux may: what was not flushed is gone, and the next flush will not say so. */
function dropAndFail() {
	this.truncate(flushedSizes.get(this) ?? 0);
	fail();
}

if (HANDLE) {
	const { write, flush } = HANDLE;
	HANDLE.write = function (...given) {
		if (!flushedSizes.has(this)) flushedSizes.set(this, this.getSize());
		return write.apply(this, given);
	};
	HANDLE.flush = function () {
		flush.call(this);
		flushedSizes.set(this, this.getSize());
	};
}

/** Has the fault begin; gives what ends it. */
function strikeHandles([method, replace]) {
	const original = HANDLE[method];
	HANDLE[method] = replace(original);
	return () => {
		HANDLE[method] = original;
	};
}

function strike(fault) {
	if (fault in STRIKING) return strikeHandles(STRIKING[fault]);
	const ends = [strikeIdb(fault), hurryTimers(fault.includes("hangs") ? HURRY : 1)];
	return () => {
		for (const end of ends) end();
	};
}

if (self.name in MISSING) MISSING[self.name]();
else {
	const channel = new BroadcastChannel("fault");
	let relieve;
	channel.onmessage = ({ data }) => {
		if (data === "strike") relieve = strike(self.name);
		else relieve?.();
		channel.postMessage("done");
	};
}
