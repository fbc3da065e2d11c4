//! The journey of a write: set() to acknowledgement.
//!
//! Owns the log's queue and the single-flight writer, which is the only one to append to and sync the log. The
//! numbered steps are those of FORMAT.md. Deliberately absent: snapshots (`checkpoint.rs`).

use crate::backend::Sync;
use crate::error::{Error, Result};
use crate::frame;
use crate::host::Host;
use crate::log::{self, Kind, blob_name};
use crate::op::{Op, encode_batch};
use crate::options::{Durability, Level};
use crate::store::{Committed, Event, Phase, Store, Unsynced, check_ops, closed};
use std::collections::VecDeque;
use std::rc::Rc;

/// Under `everysec`, how long bytes may stay unsynced.
const SYNC_INTERVAL_MS: f64 = 1000.0;
/// Under `no`, how long bytes may stay unwritten.
const COALESCE_MS: f64 = 250.0;
/// Under `no`, how many bytes may stay unwritten.
const COALESCE_BYTES_MAX: usize = 1 << 20;

/// The segment that new frames belong to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub header: log::Header,
    pub name: String,
}

/// Bytes that go to the log in one append.
struct Group {
    name: Rc<str>,
    bytes: Vec<u8>,
    first_seq: u64,
    last_seq: u64,
    /// The segment ends here: it is synced before the next one gets its first byte.
    seals: bool,
    since_ms: f64,
}

/// Sizes of the segments that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSize {
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
    segment: Option<Segment>,
    /// The last segment of an earlier session while its tail may be unsynced.
    inherited: Option<Rc<str>>,
    queue: VecDeque<Group>,
    /// A buffer that is ready for reuse.
    spare: Vec<u8>,
    /// The segment the backend got its last bytes for.
    written: Option<Rc<str>>,
    want_os_seq: u64,
    want_disk_seq: u64,
    unsynced_since_ms: Option<f64>,
    unsynced_bytes: u64,
    writing: bool,
    timer_at_ms: f64,
    pub segments: Vec<SegmentSize>,
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
        name: Rc<str>,
        seq: u64,
    },
    /// Nothing before that time.
    Rest {
        until_ms: f64,
    },
}

impl Store {
    /// Takes a batch from check to map; the writer does the rest.
    pub(crate) fn commit(&self, ops: &[Op<'_>]) -> Result<Committed> {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        // 1 check limits and state
        state.check_writable()?;
        check_ops(ops)?;
        // 2 encode the batch and its frame, 3 at the end of the pending bytes
        let seq = state.log.push(ops, &*self.shared.host);
        // 4 apply to the map: reads see it
        let removed = ops.iter().map(|op| state.map.apply(op, seq)).sum();
        state.snapshots.changes += ops.len() as u64;
        self.wake_writer(&mut state.log);
        Ok(Committed { seq, removed })
    }

    /// Asks for everything so far to be synced; gives the seq to wait for.
    pub fn request_sync(&self) -> Result<u64> {
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
                let rest_ms = self.checkpoint_due_ms(&state, now_ms);
                let halted = state.poison.is_some() || state.phase == Phase::Closed;
                let work = state.log.next_work(self.shared.options.durability, now_ms, halted);
                if let Work::Rest { until_ms } = work {
                    state.log.writing = false;
                    self.arm_timer(&mut state.log, if halted { f64::INFINITY } else { until_ms.min(rest_ms) });
                    return;
                }
                work
            };
            // 5 write, and sync if asked
            let done = match work {
                Work::Append(group, sync) => {
                    let outcome = self.shared.backend.append(&group.name, &group.bytes, sync).await;
                    self.shared.state.borrow_mut().log.appended(group, sync, outcome, self.shared.host.now_ms())
                }
                Work::Sync { name, seq } => {
                    let outcome = self.shared.backend.sync(&name).await;
                    self.shared.state.borrow_mut().log.synced(seq, outcome)
                }
                Work::Rest { .. } => Ok(()),
            };
            // 6 acknowledge everyone up to that seq, or fail everyone
            self.acknowledge(done);
            // 7 maybe start a checkpoint
            self.maybe_checkpoint();
        }
    }

    fn acknowledge(&self, done: Result<()>) {
        let event = {
            let mut state = self.shared.state.borrow_mut();
            match done {
                Ok(()) => Event::Progress { os_seq: state.log.os_seq, disk_seq: state.log.disk_seq },
                Err(error) => {
                    state.poison = Some(error.clone());
                    Event::Poisoned(error)
                }
            }
        };
        self.tell(&event);
    }

    /// Wakes the writer at a time, unless it is woken before that anyway.
    fn arm_timer(&self, log: &mut Log, at_ms: f64) {
        if at_ms >= log.timer_at_ms {
            return;
        }
        log.timer_at_ms = at_ms;
        let delay_ms = (at_ms - self.shared.host.now_ms()).ceil().clamp(0.0, f64::from(i32::MAX)) as u32;
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
            store.maybe_checkpoint();
            store.wake_writer(&mut store.shared.state.borrow_mut().log);
        }));
    }

    /// Step 1 of a checkpoint: new frames go to the next segment, whose generation this gives. What is queued
    /// stays with the present one, which the writer syncs before it goes on.
    pub(crate) fn rotate(&self, log: &mut Log) -> u64 {
        log.seal();
        log.want(Level::Disk, log.last_seq);
        log.begin_segment(&*self.shared.host)
    }
}

impl Log {
    /// A log that continues after recovery: `disk_seq` is what is known to be synced, `inherited` the last segment
    /// of the earlier session.
    pub fn new(last_seq: u64, disk_seq: u64, epoch: u64, next_generation: u64, inherited: Option<Rc<str>>) -> Log {
        Log {
            last_seq,
            os_seq: last_seq,
            disk_seq,
            epoch,
            next_generation,
            segment: None,
            written: inherited.clone(),
            inherited,
            queue: VecDeque::new(),
            spare: Vec::new(),
            want_os_seq: 0,
            want_disk_seq: 0,
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

    pub fn unsynced(&self, now_ms: f64) -> Unsynced {
        let queued: usize = self.queue.iter().map(|group| group.bytes.len()).sum();
        let since_ms = self.unsynced_since_ms.or_else(|| self.queue.front().map(|group| group.since_ms));
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
        match level {
            Level::Applied => {}
            Level::Os => self.want_os_seq = self.want_os_seq.max(seq),
            Level::Disk => self.want_disk_seq = self.want_disk_seq.max(seq),
        }
    }

    /// Encodes a batch as the next frame of the open segment; gives its seq.
    fn push(&mut self, ops: &[Op<'_>], host: &dyn Host) -> u64 {
        if self.segment.is_none() {
            self.seal();
            self.begin_segment(host);
        }
        let Some(segment) = &self.segment else { return 0 };
        let seq = self.last_seq + 1;
        let continues = self.queue.back().is_some_and(|group| !group.seals && *group.name == *segment.name);
        if !continues {
            let mut bytes = std::mem::take(&mut self.spare);
            if segment.header.first_seq == seq {
                log::write_header(&segment.header, &mut bytes);
            }
            self.queue.push_back(Group {
                name: segment.name.as_str().into(),
                bytes,
                first_seq: seq,
                last_seq: seq,
                seals: false,
                since_ms: host.now_ms(),
            });
        }
        if let Some(group) = self.queue.back_mut() {
            let at = frame::begin(&mut group.bytes);
            encode_batch(None, ops, &mut group.bytes);
            let header = &segment.header;
            frame::finish(&mut group.bytes, at, seq, header.epoch, self.disk_seq, header.salt);
            group.last_seq = seq;
        }
        self.last_seq = seq;
        seq
    }

    /// Ends the present segment, or the one an earlier session left.
    fn seal(&mut self) {
        let name: Rc<str> = match (self.segment.take(), self.inherited.take()) {
            (Some(segment), _) => segment.name.into(),
            (None, Some(name)) => name,
            (None, None) => return,
        };
        if self.disk_seq == self.last_seq {
            return;
        }
        match self.queue.back_mut() {
            Some(group) if group.name == name => group.seals = true,
            _ => {
                let (first_seq, last_seq) = (self.last_seq + 1, self.last_seq);
                self.queue.push_back(Group {
                    name,
                    bytes: Vec::new(),
                    first_seq,
                    last_seq,
                    seals: true,
                    since_ms: 0.0,
                });
            }
        }
    }

    fn begin_segment(&mut self, host: &dyn Host) -> u64 {
        let generation = self.next_generation;
        self.next_generation += 1;
        let header = log::Header { generation, epoch: self.epoch, salt: host.random(), first_seq: self.last_seq + 1 };
        self.segment = Some(Segment { header, name: blob_name(Kind::Log, generation) });
        generation
    }

    fn next_work(&mut self, durability: Durability, now_ms: f64, halted: bool) -> Work {
        if halted {
            return Work::Rest { until_ms: f64::INFINITY };
        }
        let mut until_ms = f64::INFINITY;
        if let Some(group) = self.queue.front() {
            let due_ms = if durability != Durability::No
                || group.seals
                || self.want_os_seq.max(self.want_disk_seq) >= group.first_seq
                || group.bytes.len() >= COALESCE_BYTES_MAX
            {
                now_ms
            } else {
                group.since_ms + COALESCE_MS
            };
            if due_ms <= now_ms {
                return self.take_group(durability);
            }
            until_ms = due_ms;
        }
        if self.disk_seq < self.os_seq
            && let Some(name) = &self.written
        {
            let due_ms = match self.unsynced_since_ms {
                _ if self.want_disk_seq > self.disk_seq => now_ms,
                Some(since_ms) if durability != Durability::No => since_ms + SYNC_INTERVAL_MS,
                _ => f64::INFINITY,
            };
            if due_ms <= now_ms {
                return Work::Sync { name: name.clone(), seq: self.os_seq };
            }
            until_ms = until_ms.min(due_ms);
        }
        Work::Rest { until_ms }
    }

    fn take_group(&mut self, durability: Durability) -> Work {
        let Some(group) = self.queue.pop_front() else { return Work::Rest { until_ms: f64::INFINITY } };
        if group.bytes.is_empty() {
            return Work::Sync { name: group.name, seq: group.last_seq };
        }
        let wanted = self.want_disk_seq >= group.first_seq && self.want_disk_seq <= group.last_seq;
        let sync =
            if durability == Durability::Always || group.seals || wanted { Sync::Synced } else { Sync::Buffered };
        Work::Append(group, sync)
    }

    fn appended(&mut self, mut group: Group, sync: Sync, outcome: Result<()>, now_ms: f64) -> Result<()> {
        self.counts.appends += 1;
        self.counts.syncs += u64::from(sync == Sync::Synced);
        outcome.map_err(|error| needing(error, group.bytes.len()))?;
        let bytes = group.bytes.len() as u64;
        self.counts.bytes_written += bytes;
        if let Some((Kind::Log, generation)) = log::parse_name(&group.name) {
            match self.segments.last_mut() {
                Some(last) if last.generation == generation => last.bytes += bytes,
                _ => self.segments.push(SegmentSize { generation, bytes }),
            }
        }
        self.os_seq = group.last_seq;
        self.written = Some(group.name);
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
        Ok(())
    }

    fn synced(&mut self, seq: u64, outcome: Result<()>) -> Result<()> {
        self.counts.syncs += 1;
        outcome?;
        self.mark_synced(seq);
        Ok(())
    }

    fn mark_synced(&mut self, seq: u64) {
        self.disk_seq = self.disk_seq.max(seq);
        self.unsynced_since_ms = None;
        self.unsynced_bytes = 0;
    }
}

/// The error with the bytes that found no room, where it is about room.
fn needing(mut error: Error, bytes: usize) -> Error {
    if error.code == crate::error::Code::Quota {
        error.bytes_needed = Some(bytes as u64);
    }
    error
}
