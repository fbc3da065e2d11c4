// A disk of its own for a browser's profile, in memory, that can be filled up.
//
// Owns: the mount and its directory, which are gone when the process that made them ends. Needs the right to mount.
// Units: bytes. Errors: plain `Error`s; whoever may not mount learns it from `mountMissing`.

import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SIZE = "400m";
const PIECE = Buffer.alloc(1024 * 1024);

/** Why no disk can be mounted here, for a skipped test; undefined when it can. */
export function mountMissing() {
	const disk = mount();
	if (disk.error) return `a small disk cannot be mounted: ${disk.error}`;
	disk.unmount();
	return undefined;
}

/** Mounts one: `{ directory, fill(free), empty(), unmount() }`. `fill` leaves so many bytes free until `empty`. */
export function mountSmallDisk() {
	const disk = mount();
	if (disk.error) throw new Error(disk.error);
	return disk;
}

function mount() {
	const directory = mkdtempSync(join(tmpdir(), "holdfast-disk-"));
	const { error, status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", directory], {
		encoding: "utf8",
	});
	if (error || status !== 0) {
		rmdirSync(directory);
		return { error: error?.message ?? stderr.trim() };
	}
	const unmount = () => {
		process.off("exit", unmount);
		// The browser that was on it is gone, and nobody else knows it.
		spawnSync("umount", ["--lazy", directory]);
		rmdirSync(directory);
	};
	process.on("exit", unmount);
	const ballast = join(directory, "ballast");
	return {
		directory,
		fill(free) {
			const file = openSync(ballast, "w");
			try {
				const left = () => {
					const { bavail, bsize } = statfsSync(directory);
					return bavail * bsize - free;
				};
				for (let bytes = left(); bytes > 0; bytes = left()) writeSync(file, PIECE, 0, Math.min(bytes, PIECE.length));
			} finally {
				closeSync(file);
			}
		},
		empty: () => rmSync(ballast, { force: true }),
		unmount,
	};
}
