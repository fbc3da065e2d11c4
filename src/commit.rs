//! The journey of a write: set() to acknowledgement.
//!
//! Owns the log's queue, the single-flight writer, which is the only one to append to and sync the log, and what a failure of
//! its calls means: a write without room is taken back and rejected; after any other failure the segment is broken, nothing
//! more is written to it, and a checkpoint rescues the state into new blobs; where that fails too, or nothing can help, the
//! store is poisoned. The numbered steps are those of FORMAT.md. Deliberately absent: snapshots (`checkpoint.rs`).

use crate::backend::Sync;
use crate::error::{Code, Error, Result};
use crate::frame;
use crate::host::Host;
use crate::log::{self, Kind, RESERVE_NAME, blob_name};
use crate::map::{Entry, Map, is_system};
use crate::op::{Op, encode_batch};
use crate::options::{Durability, Level, Mode};
use crate::store::{Cause, Committed, Event, Feed, Phase, Recording, State, Store, Unsynced, check_ops, closed, live};
use std::ops::Bound;

/// Under `everysec`, how long bytes may stay unsynced.
const SYNC_INTERVAL_MS: f64 = 1000.0;
/// Under `no`, how long bytes may stay unwritten.
const COALESCE_MS: f64 = 250.0;
/// Under `no`, how many bytes may stay unwritten.
const COALESCE_BYTES_MAX: usize = 1 << 20;
/// Entries that are removed in one batch once they have expired.
const SWEEP_KEYS: usize = 512;
/// The generation of no segment.
const NO_SEGMENT: u64 = 0;
/// With so many bytes waiting for the storage no more are taken: memory is all that is left to fill.
const BACKLOG_BYTES_MAX: usize = 256 << 20;

/// Bytes that go to the log in one append.
struct Group {
    /// Of the segment; [`NO_SEGMENT`] for a change that only a snapshot stores, behind which everything waits.
    generation: u64,
    bytes: Vec<u8>,
    first_seq: u64,
    last_seq: u64,
    /// The segment ends here: it is synced before the next one gets its first byte.
    seals: bool,
    since_ms: f64,
    /// The map in front of it, should there be no room for it.
    before: Option<Box<Map>>,
    /// What it changes, if that is recorded.
    feed: Vec<u8>,
    ops: u64,
    /// It makes the store smaller: no op stores anything.
    removes_only: bool,
}

impl Group {
    fn new(generation: u64, first_seq: u64, last_seq: u64, before: Option<Box<Map>>) -> Group {
        Group {
            generation,
            bytes: Vec::new(),
            first_seq,
            last_seq,
            seals: false,
            since_ms: 0.0,
            before,
            feed: Vec::new(),
            ops: 0,
            removes_only: false,
        }
    }
}

/// A blob that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobSize {
    pub generation: u64,
    pub bytes: u64,
}

/// The log as the engine knows it: seqs, what is queued, what is wanted.
pub(crate) struct Log {
    pub last_seq: u64,
    pub os_seq: u64,
    pub disk_seq: u64,
    pub epoch: u64,
    pub next_generation: u64,
    /// Takes new frames; begun by the first write.
    segment: Option<log::Header>,
    /// The last segment of an earlier session while its tail may be unsynced.
    pub inherited: Option<u64>,
    /// That generation stands for a snapshot: nothing was written behind it.
    pub inherited_snapshot: Option<u64>,
    /// Hardly ever more than two.
    queue: Vec<Group>,
    /// A buffer that is ready for reuse.
    spare: Vec<u8>,
    /// Why nothing more can be written to the segment: a checkpoint has to save what it holds.
    pub broken: Option<Error>,
    /// The last write found no room.
    pub full: bool,
    /// Why writes were taken back since the last flush.
    taken_back: Option<Error>,
    /// When the call to the backend began that has not returned.
    pub calling_since_ms: Option<f64>,
    /// The segment the backend got its last bytes for.
    written: Option<u64>,
    want_os_seq: u64,
    pub want_disk_seq: u64,
    /// Something was written or asked for.
    pub used: bool,
    unsynced_since_ms: Option<f64>,
    unsynced_bytes: u64,
    pub writing: bool,
    pub timer_at_ms: f64,
    pub segments: Vec<BlobSize>,
    pub counts: Counts,
}

/// Calls to the backend by the writer since opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub appends: u64,
    pub syncs: u64,
    pub bytes_written: u64,
}

/// What the writer does next.
enum Work {
    Append(Group, Sync),
    Sync {
        generation: u64,
        seq: u64,
    },
    /// Nothing before that time.
    Rest {
        until_ms: f64,
    },
}

impl Store {
    /// Takes a batch from check to map; the writer does the rest.
    pub(crate) fn commit(&self, ops: &[Op<'_>], cause: Cause) -> Result<Committed> {
        let host = &*self.shared.host;
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        // 1 check limits and state
        state.check_writable()?;
        check_ops(ops)?;
        state.log.check_backlog()?;
        // 2 encode the batch and its frame, 3 at the end of the pending bytes
        state.log.used = true;
        let logged = self.shared.options.mode != Mode::Snapshot;
        if logged {
            state.log.push(ops, &state.map, host);
        } else {
            state.log.last_seq += 1;
        }
        let (seq, at_once) = (state.log.last_seq, self.shared.options.durability == Durability::No);
        let recording = state.feed.recording == Recording::On;
        let feed = match state.log.queue.last_mut() {
            Some(group) if logged && !at_once => &mut group.feed,
            _ => &mut state.feed.bytes,
        };
        // 4 apply to the map: reads see it
        let mut removed = 0;
        for op in ops {
            let feed = if recording { Some(&mut *feed) } else { None };
            removed += apply_op(&mut state.map, op, cause, seq, host, feed);
            if let Op::Set { expires_at_ms: Some(at_ms), .. } = *op {
                self.arm_timer(&mut state.log.timer_at_ms, at_ms as f64);
            }
        }
        state.snapshots.changes += ops.len() as u64;
        self.wake_writer(&mut state.log);
        Ok(Committed { seq, removed })
    }

    /// Removes what has expired, so many entries of it at most, in a batch.
    pub(crate) fn sweep(&self, keys_max: usize) {
        let now_ms = self.shared.host.now_ms();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        {
            let state = self.shared.state.borrow();
            if state.check_writable().is_err() {
                return;
            }
            state.map.expired(now_ms as u64, &mut |key| {
                keys.push(key.into());
                keys.len() < keys_max
            });
        }
        if !keys.is_empty() {
            let mut ops = Vec::new();
            for key in &keys {
                ops.push(Op::Delete { key });
            }
            // Where it cannot be written, nobody sees it all the same.
            let _ = self.commit(&ops, Cause::Expired);
            let progress = self.shared.state.borrow().log.progress();
            self.tell(&progress);
        }
        self.arm_sweep(&mut self.shared.state.borrow_mut());
    }

    /// Asks for everything so far to be synced; gives the seq to wait for.
    ///
    /// # Errors
    /// `CLOSED`; the error of what failed for good; under `no`, once, that of a write which was taken back after it had been
    /// acknowledged.
    pub fn request_sync(&self) -> Result<u64> {
        {
            let mut state = self.shared.state.borrow_mut();
            let taken_back = state.log.taken_back.take().filter(|_| self.shared.options.durability == Durability::No);
            if let Some(error) = taken_back.or_else(|| state.poison.clone()) {
                return Err(error);
            }
        }
        self.request(Level::Disk, u64::MAX)
    }

    /// Asks for everything up to `seq` to get to `level` sooner than the store's durability would; gives that seq.
    ///
    /// # Errors
    /// `CLOSED`, or the error of the write that failed.
    pub fn request(&self, level: Level, seq: u64) -> Result<u64> {
        let mut state = self.shared.state.borrow_mut();
        if state.phase != Phase::Open {
            return Err(closed());
        }
        let seq = seq.min(state.log.last_seq);
        if let Some(error) = &state.poison
            && state.log.reached_seq(level) < seq
        {
            return Err(error.clone());
        }
        state.log.want(level, seq);
        self.wake_writer(&mut state.log);
        Ok(seq)
    }

    /// Puts a map in the place of what the store holds, as one change that a snapshot stores: resolve its seq with [`Store::settled`].
    /// Writes that come meanwhile are made to the new map, and wait; if the snapshot fails, everything is taken back. The record of
    /// changes has nothing of it. 0, and nothing is done, while a checkpoint is running.
    ///
    /// # Errors
    /// `CLOSED`, `POISONED`.
    pub fn replace(&self, map: &mut Map) -> Result<u64> {
        let seq = {
            let mut state = self.shared.state.borrow_mut();
            let state = &mut *state;
            state.check_writable()?;
            if state.snapshots.running {
                return Ok(0);
            }
            let log = &mut state.log;
            if self.shared.options.mode != Mode::Snapshot {
                log.seal();
            }
            log.last_seq += 1;
            let seq = log.last_seq;
            map.stamp(seq);
            let before = std::mem::replace(&mut state.map, std::mem::take(map));
            let group = Group::new(NO_SEGMENT, seq, seq, Some(Box::new(before)));
            log.queue.push(group);
            log.want(Level::Disk, seq);
            self.arm_sweep(state);
            self.wake_writer(&mut state.log);
            seq
        };
        self.maybe_checkpoint();
        Ok(seq)
    }

    /// Has expired entries removed in time.
    pub(crate) fn arm_sweep(&self, state: &mut State) {
        if let Some(at_ms) = state.map.first_expiry_ms() {
            self.arm_timer(&mut state.log.timer_at_ms, at_ms as f64);
        }
    }

    /// Starts the writer unless it runs.
    pub(crate) fn wake_writer(&self, log: &mut Log) {
        if !log.writing {
            log.writing = true;
            self.shared.host.spawn(Box::pin(self.clone().write_groups()));
        }
    }

    /// The single-flight writer: runs until nothing is due.
    async fn write_groups(self) {
        loop {
            let work = {
                let mut state = self.shared.state.borrow_mut();
                let now_ms = self.shared.host.now_ms();
                let halted = state.poison.is_some() || state.phase >= Phase::Following;
                let rest_ms = if halted { f64::INFINITY } else { self.checkpoint_due_ms(&state, now_ms) };
                let halted = halted || state.log.broken.is_some();
                let work = state.log.next_work(self.shared.options.durability, now_ms, halted);
                if let Work::Rest { until_ms } = work {
                    state.log.writing = false;
                    let at_ms = until_ms.min(rest_ms);
                    self.arm_timer(&mut state.log.timer_at_ms, at_ms);
                    return;
                }
                state.log.calling_since_ms = Some(now_ms);
                work
            };
            // 5 write, and sync if asked
            let backend = &self.shared.backend;
            let event = match work {
                Work::Append(group, sync) => {
                    let name = blob_name(Kind::Log, group.generation);
                    if group.removes_only && self.shared.state.borrow().log.full {
                        self.make_room_for_removal(group.generation).await;
                    }
                    let mut outcome = backend.append(&name, &group.bytes, sync).await;
                    if group.removes_only && outcome.as_ref().is_err_and(|error| error.code == Code::Quota) {
                        self.make_room_for_removal(group.generation).await;
                        if self.nothing_was_added(&name, group.generation).await {
                            outcome = backend.append(&name, &group.bytes, sync).await;
                        }
                    }
                    self.shared.state.borrow_mut().appended(group, sync, outcome, self.shared.host.now_ms())
                }
                Work::Sync { generation, seq } => {
                    let inherited = self.shared.state.borrow().log.inherited_snapshot;
                    let kind = if inherited == Some(generation) { Kind::Snapshot } else { Kind::Log };
                    let name = blob_name(kind, generation);
                    let mut outcome = backend.sync(&name).await;
                    if outcome.as_ref().is_err_and(|error| error.code == Code::Quota) {
                        let _ = backend.remove(&[RESERVE_NAME.into()]).await;
                        outcome = backend.sync(&name).await;
                    }
                    self.shared.state.borrow_mut().synced(seq, outcome, self.shared.host.now_ms())
                }
                Work::Rest { .. } => return,
            };
            self.shared.state.borrow_mut().log.calling_since_ms = None;
            // 6 acknowledge everyone up to that seq, or reject whoever found no room
            self.tell(&event);
            // 7 maybe start a checkpoint
            self.maybe_checkpoint();
        }
    }

    /// Gives up the reserve, after the end of a checkpoint that takes the room which is missing and gives it back: not where it
    /// cannot end before that segment is written.
    async fn make_room_for_removal(&self, generation: u64) {
        let progress = {
            let mut state = self.shared.state.borrow_mut();
            let is_behind = state.log.segment.is_some_and(|segment| segment.generation == generation);
            let waits = is_behind && state.snapshots.running;
            if waits {
                // It may be waiting for the end of our call.
                state.log.calling_since_ms = None;
            }
            waits.then(|| state.log.progress())
        };
        if let Some(progress) = progress {
            self.tell(&progress);
            self.wait_for_checkpoint().await;
            self.shared.state.borrow_mut().log.calling_since_ms = Some(self.shared.host.now_ms());
        }
        let _ = self.shared.backend.remove(&[RESERVE_NAME.into()]).await;
    }

    /// Whether a segment has the bytes that we know of: an append that found no room may have left a part.
    async fn nothing_was_added(&self, name: &str, generation: u64) -> bool {
        let Ok(found) = self.shared.backend.list().await else { return false };
        let stored = found.iter().find(|blob| blob.name == name).map_or(0, |blob| blob.bytes);
        let state = self.shared.state.borrow();
        let known = state.log.segments.iter().find(|segment| segment.generation == generation);
        stored == known.map_or(0, |segment| segment.bytes)
    }

    /// Wakes the writer at a time, unless it is woken before that anyway.
    pub(crate) fn arm_timer(&self, timer_at_ms: &mut f64, at_ms: f64) {
        let now_ms = self.shared.host.now_ms();
        // One that is overdue by that much is not coming soon: the clock was set, or the machine slept.
        if at_ms >= *timer_at_ms && now_ms < *timer_at_ms + SYNC_INTERVAL_MS {
            return;
        }
        *timer_at_ms = at_ms;
        let delay_ms = (at_ms - now_ms).ceil().clamp(0.0, f64::from(i32::MAX)) as u32;
        let store = self.clone();
        self.shared.host.spawn(Box::pin(async move {
            store.shared.host.sleep(delay_ms).await;
            {
                let mut state = store.shared.state.borrow_mut();
                if state.log.timer_at_ms != at_ms {
                    return;
                }
                state.log.timer_at_ms = f64::INFINITY;
            }
            store.sweep(SWEEP_KEYS);
            store.maybe_checkpoint();
            store.wake_writer(&mut store.shared.state.borrow_mut().log);
        }));
    }

    /// Step 1 of a checkpoint: new frames go to the next segment, whose generation this gives. What is queued
    /// stays with the present one, which the writer syncs before it goes on.
    pub(crate) fn rotate(&self, log: &mut Log) -> u64 {
        if self.shared.options.mode == Mode::Snapshot {
            log.next_generation += 1;
            return log.next_generation - 1;
        }
        log.seal();
        log.want(Level::Disk, log.last_seq);
        log.begin_segment(&*self.shared.host)
    }
}

/// Applies an op of the frame `seq` to the map and adds what it changes to the feed; says how many live entries it removed.
pub(crate) fn apply_op(
    map: &mut Map,
    op: &Op<'_>,
    cause: Cause,
    seq: u64,
    host: &dyn Host,
    feed: Option<&mut Vec<u8>>,
) -> u64 {
    let removed = match *op {
        Op::Delete { key } => u64::from(live(map.get(key), host).is_some()),
        _ => 0,
    };
    if let Some(feed) = feed {
        record(map, op, cause, seq, host, feed);
    }
    let applied = map.apply(op, seq);
    if let Op::DeleteRange { .. } = op { applied } else { removed }
}

/// Adds what an op is about to change to the feed.
fn record(map: &Map, op: &Op<'_>, cause: Cause, seq: u64, host: &dyn Host, feed: &mut Vec<u8>) {
    let mut add = |kind: u8, entry: Option<Entry<'_>>, key: &[u8], new: Option<&[u8]>| {
        let old = entry.map(|entry| entry.value);
        let bytes = |value: Option<&[u8]>| value.map_or(u32::MAX, |value| value.len() as u32);
        feed.push(kind);
        feed.extend_from_slice(&(seq as f64).to_le_bytes());
        for length in [key.len() as u32, bytes(old), bytes(new)] {
            feed.extend_from_slice(&length.to_le_bytes());
        }
        for part in [key, old.unwrap_or_default(), new.unwrap_or_default()] {
            feed.extend_from_slice(part);
        }
    };
    match *op {
        Op::Set { key, .. } | Op::Delete { key } => {
            let mut old = map.get(key);
            if old.is_some() && live(old, host).is_none() {
                add(2, old.take(), key, None);
            }
            if let Op::Set { value, .. } = *op {
                add(0, old, key, Some(value));
            } else if old.is_some() {
                add(if cause == Cause::Evicted { 3 } else { 1 }, old, key, None);
            }
        }
        Op::DeleteRange { start, end } => map.scan(Bound::Included(start), &mut |entry| {
            let inside = entry.key < end;
            if inside && !is_system(entry.key) {
                add(if live(Some(entry), host).is_some() { 4 } else { 2 }, Some(entry), entry.key, None);
            }
            inside
        }),
    }
}

/// When something is due that may wait so long: now, if the clock was set back meanwhile.
fn due(since_ms: f64, wait_ms: f64, now_ms: f64) -> f64 {
    if since_ms > now_ms { now_ms } else { since_ms + wait_ms }
}

impl State {
    fn appended(&mut self, group: Group, sync: Sync, outcome: Result<()>, now_ms: f64) -> Event {
        match outcome {
            Ok(()) => {
                let mut group = group;
                self.feed.bytes.append(&mut group.feed);
                self.log.appended(group, sync, now_ms);
            }
            Err(error) => {
                self.log.queue.insert(0, group);
                return self.failed(error);
            }
        }
        self.log.progress()
    }

    fn synced(&mut self, seq: u64, outcome: Result<()>, now_ms: f64) -> Event {
        match outcome {
            Ok(()) => self.log.synced(seq),
            Err(error) => {
                // Where it can be tried again, not at once.
                self.log.unsynced_since_ms = Some(now_ms);
                return self.failed(error);
            }
        }
        self.log.progress()
    }

    /// What a failed call of the writer means. What it was to write is queued, so that a rescue covers it.
    fn failed(&mut self, mut error: Error) -> Event {
        match error.code {
            Code::Quota => {
                // A backend that has no room took nothing, so what it has can still be synced.
                error.bytes_needed = Some(self.log.queued_bytes() as u64);
                self.log.full = true;
                self.take_back(error)
            }
            Code::Unavailable | Code::Timeout => {
                self.log.broken = Some(error);
                self.log.progress()
            }
            _ => self.poison(error),
        }
    }

    /// Rejects what is queued, for want of room or of a snapshot that stores it.
    pub(crate) fn take_back(&mut self, error: Error) -> Event {
        if !self.log.queue.is_empty() {
            self.log.taken_back = Some(error.clone());
        }
        self.reject_queued();
        Event::Rejected(error)
    }

    /// Ends all writing: what is not with the operating system yet is taken back.
    pub(crate) fn poison(&mut self, error: Error) -> Event {
        self.reject_queued();
        self.poison = Some(error.clone());
        Event::Poisoned(error)
    }

    /// Takes back everything that is not with the operating system. The next write begins a new segment: its frames say what
    /// holds from their seq on, whatever part of the rejected ones is stored.
    fn reject_queued(&mut self) {
        while let Some(group) = self.log.queue.pop() {
            if let Some(before) = group.before {
                self.map.restore(*before);
            }
            self.snapshots.changes = self.snapshots.changes.saturating_sub(group.ops);
            self.log.last_seq = group.first_seq - 1;
        }
        let log = &mut self.log;
        log.want_os_seq = 0;
        log.want_disk_seq = 0;
        log.segment = None;
        log.inherited = log.written;
    }
}

impl Log {
    /// A log that continues after recovery: `disk_seq` is what is known to be synced, `inherited` the last segment
    /// of the earlier session.
    pub fn new(last_seq: u64, disk_seq: u64, epoch: u64, next_generation: u64, inherited: Option<u64>) -> Log {
        Log {
            last_seq,
            os_seq: last_seq,
            disk_seq,
            epoch,
            next_generation,
            segment: None,
            written: inherited,
            inherited,
            inherited_snapshot: None,
            queue: Vec::new(),
            spare: Vec::new(),
            broken: None,
            full: false,
            taken_back: None,
            calling_since_ms: None,
            want_os_seq: 0,
            want_disk_seq: 0,
            used: false,
            unsynced_since_ms: None,
            unsynced_bytes: 0,
            writing: false,
            timer_at_ms: f64::INFINITY,
            segments: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub fn reached_seq(&self, level: Level) -> u64 {
        match level {
            Level::Applied => self.last_seq,
            Level::Os => self.os_seq,
            Level::Disk => self.disk_seq,
        }
    }

    pub fn progress(&self) -> Event {
        Event::Progress { os_seq: self.os_seq, disk_seq: self.disk_seq }
    }

    /// Everything up to `seq` was applied, as another engine wrote it to that segment.
    pub fn follow(&mut self, seq: u64, header: &log::Header) {
        (self.last_seq, self.os_seq, self.disk_seq) = (seq, seq, seq);
        self.epoch = self.epoch.max(header.epoch);
        self.inherited = Some(header.generation);
    }

    /// Everything up to `seq` is in a synced snapshot.
    pub fn rescued(&mut self, seq: u64, feed: &mut Feed) {
        while self.queue.first().is_some_and(|group| group.last_seq <= seq) {
            feed.bytes.append(&mut self.queue.remove(0).feed);
        }
        self.os_seq = self.os_seq.max(seq);
        self.mark_synced(seq);
        self.written = None;
        self.broken = None;
    }

    /// Whether someone waits for a sync.
    pub fn wants_sync(&self) -> bool {
        self.want_disk_seq > self.disk_seq
    }

    /// Whether only a snapshot stores what is next in the queue.
    pub fn is_held(&self) -> bool {
        self.queue.first().is_some_and(|group| group.generation == NO_SEGMENT)
    }

    /// Whether that is so, everything in front of it is synced, and the writer rests.
    pub fn awaits_snapshot(&self) -> bool {
        self.is_held() && self.os_seq == self.disk_seq && self.calling_since_ms.is_none()
    }

    fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|group| group.bytes.len()).sum()
    }

    fn check_backlog(&self) -> Result<()> {
        if self.queued_bytes() < BACKLOG_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new(Code::Timeout, "the storage is too slow"))
    }

    pub fn unsynced(&self, now_ms: f64) -> Unsynced {
        let queued = self.queued_bytes();
        let since_ms = self.unsynced_since_ms.or_else(|| self.queue.first().map(|group| group.since_ms));
        Unsynced {
            frames: self.last_seq - self.disk_seq,
            bytes: self.unsynced_bytes + queued as u64,
            ms: since_ms.map_or(0.0, |since_ms| (now_ms - since_ms).max(0.0)),
        }
    }

    /// Bytes of the segments from a generation on.
    pub fn bytes_from(&self, generation: u64) -> u64 {
        self.segments.iter().filter(|segment| segment.generation >= generation).map(|segment| segment.bytes).sum()
    }

    /// Segments from a generation on.
    pub fn segments_from(&self, generation: u64) -> usize {
        self.segments.iter().filter(|segment| segment.generation >= generation).count()
    }

    fn want(&mut self, level: Level, seq: u64) {
        self.used = true;
        match level {
            Level::Applied => {}
            Level::Os => self.want_os_seq = self.want_os_seq.max(seq),
            Level::Disk => self.want_disk_seq = self.want_disk_seq.max(seq),
        }
    }

    /// Encodes a batch as the next frame of the open segment, in the last group of the queue.
    fn push(&mut self, ops: &[Op<'_>], map: &Map, host: &dyn Host) {
        if self.segment.is_none() {
            self.seal();
            self.begin_segment(host);
        }
        let Some(segment) = &self.segment else { return };
        let seq = self.last_seq + 1;
        let continues = self.queue.last().is_some_and(|group| !group.seals && group.generation == segment.generation);
        if !continues {
            let mut bytes = std::mem::take(&mut self.spare);
            if segment.first_seq == seq {
                log::write_header(segment, &mut bytes);
            }
            let group = Group::new(segment.generation, seq, seq, Some(Box::new(map.clone())));
            self.queue.push(Group { bytes, since_ms: host.now_ms(), removes_only: true, ..group });
        }
        self.last_seq = seq;
        let Some(group) = self.queue.last_mut() else { return };
        let at = frame::begin(&mut group.bytes);
        encode_batch(None, ops, &mut group.bytes);
        let header = segment;
        frame::finish(&mut group.bytes, at, seq, header.epoch, self.disk_seq, header.salt);
        group.last_seq = seq;
        group.ops += ops.len() as u64;
        group.removes_only &= !ops.iter().any(|op| matches!(op, Op::Set { .. }));
    }

    /// Ends the present segment, or the one an earlier session left.
    fn seal(&mut self) {
        let generation = match (self.segment.take(), self.inherited.take()) {
            (Some(segment), _) => segment.generation,
            (None, Some(generation)) => generation,
            (None, None) => return,
        };
        // Nothing more can be done with a broken one.
        if self.disk_seq == self.last_seq || self.broken.is_some() {
            return;
        }
        match self.queue.last_mut() {
            Some(group) if group.generation == generation => group.seals = true,
            _ => {
                let (first_seq, last_seq) = (self.last_seq + 1, self.last_seq);
                self.queue.push(Group { seals: true, ..Group::new(generation, first_seq, last_seq, None) });
            }
        }
    }

    fn begin_segment(&mut self, host: &dyn Host) -> u64 {
        let generation = self.next_generation;
        self.next_generation += 1;
        let header = log::Header { generation, epoch: self.epoch, salt: host.random(), first_seq: self.last_seq + 1 };
        self.segment = Some(header);
        generation
    }

    fn next_work(&mut self, durability: Durability, now_ms: f64, halted: bool) -> Work {
        if halted {
            return Work::Rest { until_ms: f64::INFINITY };
        }
        let mut until_ms = f64::INFINITY;
        if let Some(group) = self.queue.first().filter(|_| !self.is_held()) {
            let due_ms = if durability != Durability::No
                || group.seals
                || self.want_os_seq.max(self.want_disk_seq) >= group.first_seq
                || group.bytes.len() >= COALESCE_BYTES_MAX
            {
                now_ms
            } else {
                due(group.since_ms, COALESCE_MS, now_ms)
            };
            if due_ms <= now_ms {
                return self.take_group(durability);
            }
            until_ms = due_ms;
        }
        if self.disk_seq < self.os_seq
            && let Some(generation) = self.written
        {
            let due_ms = match self.unsynced_since_ms {
                _ if self.want_disk_seq > self.disk_seq => now_ms,
                Some(since_ms) if durability != Durability::No => due(since_ms, SYNC_INTERVAL_MS, now_ms),
                _ => f64::INFINITY,
            };
            if due_ms <= now_ms {
                return Work::Sync { generation, seq: self.os_seq };
            }
            until_ms = until_ms.min(due_ms);
        }
        Work::Rest { until_ms }
    }

    fn take_group(&mut self, durability: Durability) -> Work {
        if self.queue.is_empty() {
            return Work::Rest { until_ms: f64::INFINITY };
        }
        let group = self.queue.remove(0);
        if group.bytes.is_empty() {
            return Work::Sync { generation: group.generation, seq: group.last_seq };
        }
        let wanted = self.want_disk_seq >= group.first_seq && self.want_disk_seq <= group.last_seq;
        let sync =
            if durability == Durability::Always || group.seals || wanted { Sync::Synced } else { Sync::Buffered };
        Work::Append(group, sync)
    }

    fn appended(&mut self, mut group: Group, sync: Sync, now_ms: f64) {
        self.counts.appends += 1;
        self.counts.syncs += u64::from(sync == Sync::Synced);
        let bytes = group.bytes.len() as u64;
        self.counts.bytes_written += bytes;
        let generation = group.generation;
        match self.segments.last_mut() {
            Some(last) if last.generation == generation => last.bytes += bytes,
            _ => self.segments.push(BlobSize { generation, bytes }),
        }
        self.os_seq = group.last_seq;
        self.written = Some(generation);
        self.unsynced_bytes += bytes;
        if sync == Sync::Synced {
            self.mark_synced(group.last_seq);
        } else if self.unsynced_since_ms.is_none() {
            self.unsynced_since_ms = Some(now_ms);
        }
        group.bytes.clear();
        if group.bytes.capacity() <= COALESCE_BYTES_MAX {
            self.spare = group.bytes;
        }
        self.full &= group.removes_only;
    }

    fn synced(&mut self, seq: u64) {
        self.counts.syncs += 1;
        self.mark_synced(seq);
    }

    fn mark_synced(&mut self, seq: u64) {
        self.disk_seq = self.disk_seq.max(seq);
        self.unsynced_since_ms = None;
        self.unsynced_bytes = 0;
    }
}
