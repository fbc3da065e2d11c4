// Owns the mutants: ways to break a promise of the engine, one at a time, each of which the crash tests have to find
// (`crash.mjs` applies and runs them). A mutant is a name and edits, each of which replaces a text that a file of src/ has exactly
// once, and for some the test binary that is about the promise, which they meet first. Deliberately absent: mutants that break no promise, such as a checksum that another checksum makes up for.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** `[name, file in src/, text, what takes its place, test binary]` */
export const MUTANTS = [
	[
		"a segment is not synced before the next one begins",
		"commit.rs",
		"Some(group) if group.generation == generation => group.seals = true,",
		"Some(group) if group.generation == generation => {}",
	],
	["a segment that is written is not sealed by a checkpoint", "commit.rs", "log.seal();\n        log.want", "log.want"],
	[
		"the tail of an earlier session is not synced before it is built on",
		"commit.rs",
		"(None, Some(generation)) => generation,",
		"(None, Some(_)) => return,",
	],
	[
		"the tail of an earlier session is taken to be synced",
		"recovery.rs",
		"tail.promised_seq.max(tail.synced_before_seq).min(tail.last_seq)",
		"tail.last_seq",
	],
	[
		"the snapshot of an earlier session is not synced before it is built on",
		"recovery.rs",
		"tail.inherited.or(snapshot),",
		"tail.inherited,",
	],
	[
		"the snapshot of an earlier session is not synced before another goes",
		"checkpoint.rs",
		"if self.shared.state.borrow().snapshots.unsynced {",
		"if false {",
		"crash_faults",
	],
	[
		"a map that replaces another counts as stored without a snapshot",
		"commit.rs",
		"self.queue.first().filter(|_| !self.is_held())",
		"self.queue.first()",
	],
	[
		"a snapshot takes the place of what is being written",
		"commit.rs",
		"self.is_held() && self.os_seq == self.disk_seq && self.calling_since_ms.is_none()",
		"self.is_held()",
	],
	["a map that could not be stored stays", "checkpoint.rs", "if rescues && state.log.is_held() {", "if false {"],
	["acknowledged at os before it is written", "commit.rs", "Level::Os => self.os_seq,", "Level::Os => self.last_seq,"],
	[
		"acknowledged at disk before it is synced",
		"commit.rs",
		"Level::Disk => self.disk_seq,",
		"Level::Disk => self.os_seq,",
	],
	[
		"an append counts as synced without a sync",
		"commit.rs",
		"if sync == Sync::Synced {\n            self.mark_synced",
		"if sync == sync {\n            self.mark_synced",
	],
	[
		"a sync is left out",
		"commit.rs",
		"let mut outcome = backend.sync(&name).await;",
		"let mut outcome: Result<()> = Ok(());",
	],
	[
		"a sync that failed is tried again and believed",
		"commit.rs",
		"if outcome.as_ref().is_err_and(|error| error.code == Code::Quota) {",
		"if outcome.is_err() {",
	],
	["a write without room is not undone", "commit.rs", "self.map.restore(*before);", "drop(before);"],
	[
		"after a write without room its segment is written on",
		"commit.rs",
		"log.segment = None;\n        log.inherited = log.written;",
		"",
	],
	[
		"a segment of an earlier session is written on",
		"recovery.rs",
		"newest_generation.saturating_add(1),",
		"newest_generation.max(1),",
	],
	["a batch is replayed in part", "recovery.rs", "for op in &decoded {", "for op in decoded.iter().take(1) {"],
	[
		"a batch is applied in part",
		"commit.rs",
		"for op in ops {\n            removed +=",
		"for op in ops.iter().take(2) {\n            removed +=",
	],
	[
		"the checksum of a frame's payload is not compared",
		"frame.rs",
		"(xxh64(payload, salt) == header.payload_check).then_some(payload)",
		"Some(payload)",
	],
	[
		"the checksum of a frame's header is not compared",
		"frame.rs",
		"payload_bytes == 0 || u32_at(header, 4) != header_check(header, salt)",
		"payload_bytes == 0",
	],
	[
		"the checksum of the header of a segment or a snapshot is not compared",
		"log.rs",
		"let whole = frame::u64_at(head, 56) == xxh64(&head[..56], 0);",
		"let whole = true;",
	],
	["the salt is ignored", "commit.rs", "salt: host.random(), first_seq", "salt: 0, first_seq", "crash_faults"],
	["the epoch of a frame is not compared", "log.rs", "|| head.epoch != header.epoch\n", "\n", "recovery_table"],
	[
		"the seq of a frame is not compared",
		"log.rs",
		"if head.seq != found.last_seq + 1\n            ||",
		"if",
		"recovery_table",
	],
	[
		"frames behind a gap are taken",
		"recovery.rs",
		"if header.first_seq > tail.last_seq + 1 {",
		"if false {",
		"recovery_table",
	],
	[
		"rejected batches that a later segment replaces are replayed",
		"recovery.rs",
		"let superseded_from = later.fold(u64::MAX, u64::min);",
		"let superseded_from = later.fold(u64::MAX, |most, _| most);",
	],
	[
		"a snapshot that a later segment replaces is used",
		"recovery.rs",
		"if !read.iter().any(|segment| segment.replaces(generation, seq)) {",
		"if !read.iter().any(|segment| segment.replaces(generation, seq) && false) {",
		"recovery_table",
	],
	[
		"durable_seq is ignored: damage is taken for a torn tail",
		"log.rs",
		"found.promised_seq = found.promised_seq.max(behind);",
		"found.promised_seq = found.promised_seq.max(behind.min(0));",
		"recovery_table",
	],
	["a snapshot without its footer is used", "snapshot.rs", "Some(header) if self.finished =>", "Some(header) =>"],
	[
		"the checksum of a snapshot's block is not compared",
		"snapshot.rs",
		"if xxh64(bytes, header.salt) != check {",
		"if false {",
	],
	[
		"a snapshot is not synced before what it replaces goes",
		"checkpoint.rs",
		"backend.sync(&name).await?;\n        let verified",
		"let verified",
	],
	[
		"a snapshot is not read back before what it replaces goes",
		"checkpoint.rs",
		"if verified != Ok(image.header) &&",
		"if verified.is_err() && false &&",
		"crash_faults",
	],
	[
		"what a snapshot replaces goes before it is synced",
		"checkpoint.rs",
		"backend.sync(&name).await?;\n        let verified",
		"self.remove_before(image.header.generation, image.header.generation).await?;\n        backend.sync(&name).await?;\n        let verified",
	],
	[
		"opening removes a snapshot that is damaged",
		"recovery.rs",
		"start.damaged.push((Kind::Snapshot, named.generation));",
		"backend.remove(std::slice::from_ref(&name)).await?;",
	],
	[
		"the log behind the previous snapshot is removed",
		"checkpoint.rs",
		"Kind::Log => generation < keep_from,",
		"Kind::Log => generation < newest,",
	],
	[
		"a snapshot is written before the log in front of it is synced",
		"checkpoint.rs",
		"Ok(synced || state.snapshots.rescues)",
		"Ok(true)",
	],
	[
		"a snapshot takes the place of a broken segment behind it",
		"checkpoint.rs",
		"!synced && (state.log.broken.is_some() || in_place);",
		"state.log.broken.is_some() || in_place;",
		"crash_faults",
	],
	[
		"a rescue counts before its snapshot is whole",
		"checkpoint.rs",
		"let written = match self.write_blocks(image, &name).await {",
		"if self.shared.state.borrow().snapshots.rescues {\n            let state = &mut *self.shared.state.borrow_mut();\n            state.log.rescued(image.header.seq, &mut state.feed);\n        }\n        let written = match self.write_blocks(image, &name).await {",
	],
	[
		"a range that was read is not validated",
		"store.rs",
		"!self.shared.state.borrow().map.changed_since(since_seq, start, end)",
		"since_seq < u64::MAX || start < end",
		"histories",
	],
	[
		"a key that was read is not validated",
		"store.rs",
		"self.get(key, |entry| entry.version).unwrap_or(0) == version,",
		"key.len() > KEY_BYTES_MAX || version < u64::MAX,",
		"histories",
	],
	[
		"a removal is no change of a range",
		"map/delta.rs",
		"if change.version > seq {",
		"if change.version > seq && change.value.is_some() {",
		"histories",
	],
	[
		"a clear is no change of a range",
		"map/delta.rs",
		"if self.clears_below.is_some_and(|cleared| cleared > seq) {",
		"if false {",
		"histories",
	],
	[
		"a change that a checkpoint merged is none",
		"map/mod.rs",
		"self.merged_seq > seq || frozen ||",
		"frozen ||",
		"histories",
	],
	[
		"a change that a checkpoint is merging is none",
		"map/mod.rs",
		"self.merged_seq > seq || frozen ||",
		"self.merged_seq > seq || frozen && false ||",
		"histories",
	],
	["what has expired in a range is no change of it", "store.rs", "self.sweep(usize::MAX);", "", "histories"],
	[
		"some conditions are enough",
		"store.rs",
		"if !conditions.iter().all(|condition| self.holds(condition)) {",
		"if !conditions.is_empty() && !conditions.iter().any(|condition| self.holds(condition)) {",
		"histories",
	],
	[
		"the removal of what has expired is not written",
		"commit.rs",
		"let _ = self.commit(&ops, Cause::Expired);",
		"let _ = Cause::Expired;\n            for op in &ops {\n                self.shared.state.borrow_mut().map.apply(op, 0);\n            }",
	],
	[
		"what expires is removed before it does",
		"commit.rs",
		"state.map.expired(now_ms as u64, &mut |key| {\n                keys.push",
		"state.map.expired(now_ms as u64 + 100, &mut |key| {\n                keys.push",
	],
	[
		"that entries of a block expire is forgotten",
		"map/block.rs",
		"u32::from(!self.expires)",
		"u32::from(self.expires || true)",
	],
	[
		"what a removal without room took from the order of expiry stays gone",
		"map/mod.rs",
		"let now = std::mem::replace(self, before);",
		"let mut now = std::mem::replace(self, before);\n        std::mem::swap(&mut self.expiries, &mut now.expiries);",
	],
].map(([name, file, text, replacement, binary]) => ({ name, file, text, replacement, binary }));

/** Breaks the copy of the crate in `tree`; gives the function that heals it. */
export function mutate(tree, mutant) {
	const path = join(tree, "src", mutant.file);
	const source = readFileSync(path, "utf8");
	writeFileSync(path, broken(source, mutant));
	return () => writeFileSync(path, source);
}

/** Throws where a mutant no longer fits the sources in `tree`. */
export function checkMutants(tree) {
	for (const mutant of MUTANTS) broken(readFileSync(join(tree, "src", mutant.file), "utf8"), mutant);
}

function broken(source, { name, file, text, replacement }) {
	const times = source.split(text).length - 1;
	if (times !== 1) throw new Error(`mutant "${name}": src/${file} has its text ${times} times, not once`);
	return source.replace(text, () => replacement);
}
