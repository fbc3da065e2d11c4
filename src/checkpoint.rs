//! The journey of a checkpoint: from the rules to a snapshot that replaces the log in front of it.
//!
//! Owns when a snapshot is due, and the only writes of snapshots and the only removals of blobs. The numbered steps
//! are those of FORMAT.md. Deliberately absent: the snapshot's bytes (`snapshot.rs`), the merge (`map/merge.rs`).

use crate::backend::Sync;
use crate::commit::BlobSize;
use crate::error::{Code, Error, Result};
use crate::log::{Kind, RESERVE_NAME, blob_name, parse_name};
use crate::map::base::Base;
use crate::map::delta::Delta;
use crate::map::merge::Merge;
use crate::options::{Mode, Options, SaveRule};
use crate::recovery::load_snapshot;
use crate::snapshot::{Header, Writer};
use crate::store::{Event, Phase, State, Store, closed};
use std::rc::Rc;

/// The longest a slice of merging may take before the thread gets a pause: of the 8 ms a page may lose, what leaves room for
/// the rest of the task and a coarse clock.
const SLICE_MS: f64 = 1.0;
/// Bytes of a snapshot that go to the backend in one append, and come back in one read: two records of IndexedDB. A write of the
/// log waits for one of these calls at most.
const PIECE_BYTES: usize = 120 << 10;
/// How many writes of the log a call for the snapshot waits for at most, and it never waits for more bytes than a piece has:
/// otherwise a log that never rests would outgrow what replaces it.
const LOG_CALLS_FIRST: u32 = 4;
/// Bytes of a snapshot between two syncs: one sync of 100 MB makes the log wait for 40 to 75 ms (measured in Chromium).
const SYNC_BYTES: u64 = 1 << 20;
/// What a full storage keeps for deletes: some thousand of them.
const RESERVE_BYTES: usize = 64 << 10;
/// A store with this many segments is checkpointed whatever the rules say: many short sessions leave one each.
const SEGMENTS_MAX: usize = 8;
/// After a failure the next try waits this long, and twice as long after each further one.
const RETRY_MS: f64 = 1000.0;
const RETRY_MS_MAX: f64 = 300_000.0;

/// A snapshot that exists and was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub generation: u64,
    pub seq: u64,
    pub bytes: u64,
}

impl SnapshotInfo {
    pub(crate) fn blob(&self) -> BlobSize {
        BlobSize { generation: self.generation, bytes: self.bytes }
    }
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The snapshot is the state after this frame.
    pub seq: u64,
    pub generation: u64,
    /// User entries in it.
    pub entries: u64,
    pub bytes: u64,
    /// Bytes of the blobs it made unnecessary.
    pub removed_bytes: u64,
    pub ms: f64,
}

/// The snapshots as the engine knows them.
pub(crate) struct Snapshots {
    pub newest: Option<SnapshotInfo>,
    /// Ops since the newest snapshot.
    pub changes: u64,
    /// When the newest snapshot was made, or the store opened.
    pub since_ms: f64,
    /// Blobs with damage in them, kept for whoever wants to look.
    pub set_aside: Vec<(Kind, u64)>,
    pub running: bool,
    /// The running one takes the place of a broken segment.
    rescues: bool,
    /// Whoever wrote the newest snapshot may have ended before it was synced.
    unsynced: bool,
    pub count: u64,
    pub last_ms: Option<f64>,
    failures: u32,
    retry_at_ms: f64,
}

/// The image a checkpoint writes.
struct Image {
    header: Header,
    base: Rc<Base>,
    delta: Rc<Delta>,
    entries: u64,
}

impl Snapshots {
    pub fn new(newest: Option<SnapshotInfo>, changes: u64, since_ms: f64, set_aside: Vec<(Kind, u64)>) -> Snapshots {
        Snapshots {
            newest,
            changes,
            since_ms,
            set_aside,
            running: false,
            rescues: false,
            unsynced: newest.is_some(),
            count: 0,
            last_ms: None,
            failures: 0,
            retry_at_ms: 0.0,
        }
    }
}

impl Store {
    /// Writes a snapshot of the map and drops what it makes unnecessary; one at a time, later callers wait.
    /// Where nothing changed since the newest snapshot, nothing is written.
    ///
    /// # Errors
    /// `CLOSED`, `POISONED`, and what the backend answers; the old snapshot and the log are whole then.
    pub async fn checkpoint(&self) -> Result<Report> {
        self.wait_for_checkpoint().await;
        self.check_writable()?;
        let unchanged = {
            let state = self.shared.state.borrow();
            let newest = state.snapshots.newest.unwrap_or(SnapshotInfo { generation: 0, seq: 0, bytes: 0 });
            (newest.seq == state.log.last_seq).then(|| Report {
                seq: newest.seq,
                generation: newest.generation,
                entries: state.map.user_entries(),
                bytes: newest.bytes,
                removed_bytes: 0,
                ms: 0.0,
            })
        };
        match unchanged {
            Some(report) => self.flush().await.map(|_| report),
            None => self.run_checkpoint().await,
        }
    }

    /// Resolves when no checkpoint is running.
    pub(crate) async fn wait_for_checkpoint(&self) {
        while self.shared.state.borrow().snapshots.running {
            let _ = self.next_event().await;
        }
    }

    /// Starts a checkpoint in the background if a rule asks for one now.
    pub(crate) fn maybe_checkpoint(&self) {
        let due = {
            let state = self.shared.state.borrow();
            let now_ms = self.shared.host.now_ms();
            state.poison.is_none() && self.checkpoint_due_ms(&state, now_ms) <= now_ms
        };
        if due {
            let store = self.clone();
            // Its outcome reaches the listener as an event.
            self.shared.host.spawn(Box::pin(async move {
                let due = !store.shared.state.borrow().snapshots.running;
                if due {
                    let _ = store.run_checkpoint().await;
                }
            }));
        }
    }

    /// When the rules ask for the next checkpoint, as far as can be said now.
    pub(crate) fn checkpoint_due_ms(&self, state: &State, now_ms: f64) -> f64 {
        let snapshots = &state.snapshots;
        // Without a log, a sync is a snapshot.
        let asked = self.shared.options.mode == Mode::Snapshot && state.log.wants_sync();
        let needed = state.log.broken.is_some() || state.log.awaits_snapshot() || asked;
        if needed && !snapshots.running && state.phase < Phase::Following {
            return if asked { snapshots.retry_at_ms.max(now_ms) } else { now_ms };
        }
        if snapshots.running || snapshots.changes == 0 || state.phase != Phase::Open {
            return f64::INFINITY;
        }
        let options = &self.shared.options;
        let due_ms = if rewrite_due(state, options) {
            now_ms
        } else if options.mode == Mode::Log {
            f64::INFINITY
        } else {
            let mut due_ms = f64::INFINITY;
            for &SaveRule(seconds, changes) in &options.save {
                if snapshots.changes >= changes {
                    due_ms = due_ms.min(snapshots.since_ms + f64::from(seconds) * 1000.0);
                }
            }
            due_ms
        };
        due_ms.max(snapshots.retry_at_ms)
    }

    async fn run_checkpoint(&self) -> Result<Report> {
        let started_ms = self.shared.host.now_ms();
        let image = self.begin_image()?;
        let outcome = self.write_image(&image, started_ms).await;
        let ended_ms = self.shared.host.now_ms();
        let name = blob_name(Kind::Snapshot, image.header.generation);
        self.let_go(image.delta).await;
        let mut failed = None;
        {
            let mut state = self.shared.state.borrow_mut();
            let state = &mut *state;
            let rescues = std::mem::take(&mut state.snapshots.rescues);
            match &outcome {
                Ok(report) => {
                    state.snapshots.failures = 0;
                    state.snapshots.count += 1;
                    state.snapshots.last_ms = Some(ended_ms - started_ms);
                    if rescues {
                        state.log.rescued(report.seq, &mut state.feed);
                    }
                }
                Err(error) => {
                    state.map.thaw();
                    let wait_ms = RETRY_MS * f64::from(1u32 << state.snapshots.failures.min(16));
                    state.snapshots.retry_at_ms = ended_ms + wait_ms.min(RETRY_MS_MAX);
                    state.snapshots.failures += 1;
                    if rescues {
                        failed = state.log.broken.take().map(|error| state.poison(error));
                    }
                    if rescues && state.log.is_held() {
                        failed = Some(state.take_back(error.clone()));
                    }
                }
            }
        }
        if let Some(event) = failed {
            self.tell(&event);
        }
        if outcome.is_err() {
            // Half a snapshot is worth nothing; where even its removal fails, the next checkpoint removes it.
            let _ = self.shared.backend.remove(&[name]).await;
            self.keep_reserve().await;
        }
        {
            let mut state = self.shared.state.borrow_mut();
            state.snapshots.running = false;
            self.wake_writer(&mut state.log);
        }
        self.tell(&match &outcome {
            Ok(_) => Event::CheckpointEnded,
            Err(error) => Event::CheckpointFailed(error.clone()),
        });
        outcome
    }

    /// The journey proper; on an error everything is as it was, but for the blob of the new snapshot.
    async fn write_image(&self, image: &Image, started_ms: f64) -> Result<Report> {
        let backend = &self.shared.backend;
        let name = blob_name(Kind::Snapshot, image.header.generation);
        // 2 the log in front of the snapshot is synced, or broken: then the snapshot takes its place
        while !self.may_write(image)? {
            let _ = self.next_event().await;
        }
        // 3 write the snapshot in slices, 4 sync it, read it back, verify it
        let written = match self.write_blocks(image, &name).await {
            Err(error) if error.code == Code::Quota => {
                self.make_room(&name).await?;
                self.write_blocks(image, &name).await
            }
            written => written,
        };
        let (base, bytes) = written?;
        self.let_log_go_first().await;
        backend.sync(&name).await?;
        let verified = load_snapshot(&**backend, &name, PIECE_BYTES as u32, Some(self), &mut |_| ()).await?;
        if verified != Ok(image.header) && self.shared.options.mode != Mode::Memory {
            return Err(Error::new(Code::Corrupt, "the snapshot reads back otherwise"));
        }
        // 5 switch
        let info = SnapshotInfo { generation: image.header.generation, seq: image.header.seq, bytes };
        let previous = {
            let mut state = self.shared.state.borrow_mut();
            state.map.switch(Rc::new(base), info.seq);
            state.snapshots.changes = state.log.last_seq - info.seq;
            state.snapshots.since_ms = started_ms;
            state.snapshots.newest.replace(info)
        };
        // 6 remove what is older than the previous generation; what stays by mistake is removed next time
        let full = self.shared.state.borrow().log.full;
        // A full store needs its room more than a second snapshot.
        let keep_from = if full { info.generation } else { previous.map_or(0, |previous| previous.generation) };
        let removed_bytes = self.remove_before(keep_from, info.generation).await.unwrap_or(0);
        self.keep_reserve().await;
        let ms = self.shared.host.now_ms() - started_ms;
        Ok(Report { seq: info.seq, generation: info.generation, entries: image.entries, bytes, removed_bytes, ms })
    }

    /// 1 rotate the log and freeze the map, at the same seq.
    fn begin_image(&self) -> Result<Image> {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        // A store that is closing may still have to be rescued, or kept at all.
        let log = &state.log;
        let needed = log.broken.is_some() || log.awaits_snapshot() || self.shared.options.mode == Mode::Snapshot;
        if !needed || state.poison.is_some() || state.phase >= Phase::Following {
            state.check_writable()?;
        }
        let generation = self.rotate(&mut state.log);
        let (base, delta) = state.map.freeze();
        state.snapshots.running = true;
        self.wake_writer(&mut state.log);
        let (epoch, seq) = (state.log.epoch, state.log.last_seq);
        let header = Header { generation, epoch, salt: self.shared.host.random(), seq };
        Ok(Image { header, base, delta, entries: state.map.user_entries() })
    }

    /// Frees a delta that nothing else holds, in slices: a hundred thousand changes take 20 ms.
    async fn let_go(&self, delta: Rc<Delta>) {
        let Ok(mut delta) = Rc::try_unwrap(delta) else { return };
        let host = &self.shared.host;
        let mut slice_started_ms = host.now_ms();
        while delta.drop_page() {
            if host.now_ms() - slice_started_ms >= SLICE_MS {
                host.pause().await;
                slice_started_ms = host.now_ms();
            }
        }
    }

    /// Whether the snapshot may be written now.
    fn may_write(&self, image: &Image) -> Result<bool> {
        let mut state = self.shared.state.borrow_mut();
        if let Some(error) = &state.poison {
            return Err(error.clone());
        }
        if state.phase == Phase::Following {
            return Err(closed());
        }
        let unlogged = self.shared.options.mode == Mode::Snapshot;
        let synced_seq = if unlogged { u64::MAX } else { state.log.disk_seq.max(state.log.want_disk_seq) };
        if !state.map.is_frozen() || synced_seq < image.header.seq {
            return Err(Error::new(Code::Quota, "no room for the log in front of the snapshot"));
        }
        // Where the log in front is synced, what broke or breaks is a segment behind the snapshot, whose place it cannot take.
        let synced = state.log.disk_seq >= image.header.seq;
        let in_place = if state.log.is_held() { state.log.awaits_snapshot() } else { unlogged };
        state.snapshots.rescues = !synced && (state.log.broken.is_some() || in_place);
        Ok(synced || state.snapshots.rescues)
    }

    /// Gives up what a full storage can spare: the reserve, half a snapshot, and the generation before the newest.
    async fn make_room(&self, name: &str) -> Result<()> {
        let newest = self.shared.state.borrow().snapshots.newest.map_or(0, |newest| newest.generation);
        self.remove_before(newest, newest).await?;
        self.shared.backend.remove(&[name.into(), RESERVE_NAME.into()]).await
    }

    /// Sets space aside for the day the storage is full. A store without it works as well until then.
    async fn keep_reserve(&self) {
        let backend = &self.shared.backend;
        // A read in IndexedDB passes over all that was just removed behind it.
        if let Ok(found) = backend.list().await
            && found.iter().all(|blob| blob.name != RESERVE_NAME)
        {
            let _ = backend.append(RESERVE_NAME, &[0; RESERVE_BYTES], Sync::Buffered).await;
        }
    }

    async fn write_blocks(&self, image: &Image, name: &str) -> Result<(Base, u64)> {
        let host = &self.shared.host;
        let mut merge = Merge::new(image.base.clone(), image.delta.clone(), image.header.salt, image.header.seq);
        let mut blocks = Vec::new();
        let mut out = Vec::new();
        let mut bytes = 0;
        let mut writer = Writer::new(&image.header, &mut out);
        loop {
            let slice_started_ms = host.now_ms();
            let more = loop {
                let done = blocks.len();
                let more = merge.step(&mut blocks);
                for block in &blocks[done..] {
                    writer.chunk(block, &mut out);
                }
                if !more || out.len() >= PIECE_BYTES || host.now_ms() - slice_started_ms >= SLICE_MS {
                    break more;
                }
            };
            if !more {
                writer.finish(&mut out);
            }
            let mut written = 0;
            while written < out.len() && (!more || out.len() - written >= PIECE_BYTES) {
                let end = out.len().min(written + PIECE_BYTES);
                let syncs = bytes / SYNC_BYTES;
                bytes += (end - written) as u64;
                let sync = if bytes / SYNC_BYTES > syncs { Sync::Synced } else { Sync::Buffered };
                self.let_log_go_first().await;
                self.shared.backend.append(name, &out[written..end], sync).await?;
                written = end;
            }
            if !more {
                let base = merge.finish(blocks);
                let base = base.ok_or_else(|| Error::new(Code::Corrupt, "the map is out of order"))?;
                return Ok((base, bytes));
            }
            if written == 0 {
                host.pause().await;
            }
            out.drain(..written);
        }
    }

    /// Waits while writes of the log are under way, within bounds.
    pub(crate) async fn let_log_go_first(&self) {
        let written = |state: &State| state.log.counts.bytes_written;
        let bytes_max = written(&self.shared.state.borrow()) + PIECE_BYTES as u64;
        for _ in 0..LOG_CALLS_FIRST {
            {
                let state = self.shared.state.borrow();
                if state.log.calling_since_ms.is_none() || written(&state) >= bytes_max {
                    return;
                }
            }
            let _ = self.next_event().await;
        }
    }

    /// Removes what is older than `keep_from`, and every snapshot between that and the newest.
    async fn remove_before(&self, keep_from: u64, newest: u64) -> Result<u64> {
        if self.shared.state.borrow().snapshots.unsynced {
            self.shared.backend.sync(&blob_name(Kind::Snapshot, keep_from)).await?;
            self.shared.state.borrow_mut().snapshots.unsynced = false;
        }
        let listed = self.shared.backend.list().await?;
        let mut removed_bytes = 0;
        let mut names = Vec::new();
        {
            let mut state = self.shared.state.borrow_mut();
            for blob in listed {
                let Some((kind, generation)) = parse_name(&blob.name) else { continue };
                let unneeded = match kind {
                    Kind::Log => generation < keep_from,
                    Kind::Snapshot => generation != keep_from && generation < newest,
                };
                if unneeded && !state.snapshots.set_aside.contains(&(kind, generation)) {
                    removed_bytes += blob.bytes;
                    names.push(blob.name);
                }
            }
            state.log.segments.retain(|segment| segment.generation >= keep_from);
        }
        self.shared.backend.remove(&names).await?;
        Ok(removed_bytes)
    }
}

/// Whether the log since the newest snapshot has outgrown it.
fn rewrite_due(state: &State, options: &Options) -> bool {
    let newest = state.snapshots.newest;
    let generation = newest.map_or(0, |newest| newest.generation);
    let log_bytes = state.log.bytes_from(generation);
    let snapshot_bytes = newest.map_or(0, |newest| newest.bytes);
    let outgrown = log_bytes >= options.rewrite.min_bytes
        && u128::from(log_bytes) * 100 >= u128::from(snapshot_bytes) * u128::from(options.rewrite.percentage);
    outgrown || state.log.segments_from(generation) > SEGMENTS_MAX
}
