//! The store: the state every journey works on, the reads, and the public Rust API.
//!
//! One thread, one state. The synchronous half of a call borrows it; nothing borrows it across an await, and no
//! listener is called while it is borrowed. Deliberately absent: all I/O (`commit.rs`, `recovery.rs`, `checkpoint.rs`).

use crate::backend::Backend;
use crate::checkpoint::{SnapshotInfo, Snapshots};
use crate::commit::Log;
use crate::error::{Code, Error, Result};
use crate::frame::PAYLOAD_BYTES_MAX;
use crate::host::Host;
use crate::log;
use crate::map::{Entry, Map};
use crate::op::{Op, SYSTEM_KEYS_START};
use crate::options::{Level, Options};
use crate::recovery::{self, Recovered, Start};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::ops::Bound;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// How long what expired before opening stays, so that whoever opened can ask to be told of it.
const FIRST_SWEEP_MS: f64 = 100.0;

/// What a store tells while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// Everything up to `os_seq` is with the operating system, everything up to `disk_seq` is synced.
    Progress { os_seq: u64, disk_seq: u64 },
    /// There was no room: everything that is not with the operating system is taken back. All who wait get this error, also those
    /// who wait for a sync, which is tried again later.
    Rejected(Error),
    /// A failure nothing could be done about: everything not acknowledged yet fails with this error, and the store is read-only.
    Poisoned(Error),
    /// A checkpoint ended.
    CheckpointEnded,
    /// A checkpoint failed; the old snapshot and the log are whole.
    CheckpointFailed(Error),
}

/// Whoever is told of events.
pub type Listener = Rc<dyn Fn(&Event)>;

/// What may still happen, less and less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Phase {
    Open,
    Closing,
    /// Another engine writes, and this one applies its frames.
    Following,
    Closed,
}

/// Everything that changes.
pub(crate) struct State {
    pub map: Map,
    pub log: Log,
    pub snapshots: Snapshots,
    pub phase: Phase,
    /// Why the store takes no writes any more.
    pub poison: Option<Error>,
    pub recovered: Recovered,
    /// What changed, for whoever asked to be told.
    pub feed: Feed,
}

/// What all handles of one store share.
pub(crate) struct Shared {
    pub backend: Rc<dyn Backend>,
    pub host: Rc<dyn Host>,
    pub options: Options,
    pub state: RefCell<State>,
    waiters: RefCell<Vec<Rc<Waiter>>>,
    listener: RefCell<Option<Listener>>,
}

/// Someone who waits for a seq to reach a level, or for the next event, whatever it is.
struct Waiter {
    goal: Option<(u64, Level)>,
    outcome: RefCell<Option<Result<()>>>,
    waker: RefCell<Option<Waker>>,
}

/// An open store. Clones are handles to the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Rc<Shared>,
}

/// The answer to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The seq of the frame that holds it; 0 where nothing had to change.
    pub seq: u64,
    /// Entries it removed.
    pub removed: u64,
}

/// What is not on disk yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsynced {
    pub frames: u64,
    pub bytes: u64,
    /// Age of the oldest one.
    pub ms: f64,
}

/// What has to hold for a write to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// The entry of the key is the one that this seq wrote; 0: there is none.
    Version { key: &'a [u8], version: u64 },
    /// Nothing in `start <= key < end` was changed after that seq.
    Unchanged { start: &'a [u8], end: &'a [u8], since_seq: u64 },
}

/// The entries of a scan: `after < key < end`.
#[derive(Clone, Copy, Debug)]
pub struct ScanRange<'a> {
    pub after: &'a [u8],
    pub end: &'a [u8],
    pub direction: Direction,
}

impl ScanRange<'_> {
    /// All user entries, in key order.
    pub const ALL: ScanRange<'static> =
        ScanRange { after: b"", end: &[SYSTEM_KEYS_START], direction: Direction::Forwards };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// In key order.
    Forwards,
    Back,
}

/// Why a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The caller wants it.
    Asked,
    /// What it removes has expired.
    Expired,
    /// What it removes had to make room.
    Evicted,
}

/// Who writes to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This store.
    Leader,
    /// Another one, whose frames this one applies.
    Follower,
}

/// Whether changes are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    #[default]
    Off,
    On,
}

/// What changed, in order, once it is with the operating system (under `no`: applied): for each change a u8 (0 set, 1 delete, 2 expire, 3 evict, 4
/// clear), the seq as f64, as u32 the bytes of the key, of the old value and of the new one, `u32::MAX` for none, and then these
/// three; all integers little-endian.
#[derive(Default)]
pub(crate) struct Feed {
    pub recording: Recording,
    pub bytes: Vec<u8>,
}

impl Store {
    /// Opens a store: recovers what the backend holds. Writes nothing.
    ///
    /// # Errors
    /// `OPTION_INVALID`, `VERSION` (a newer Holdfast wrote it), `CORRUPT` (with strict recovery), and whatever the
    /// backend answers.
    pub async fn open(backend: Rc<dyn Backend>, host: Rc<dyn Host>, options: Options) -> Result<Store> {
        Store::open_checked(backend, host, options.checked()?).await
    }

    /// As [`Store::open`], with options that were checked.
    pub(crate) async fn open_checked(backend: Rc<dyn Backend>, host: Rc<dyn Host>, options: Options) -> Result<Store> {
        let (state, _) = recovery::recover(&*backend, &*host, &options, None).await?;
        let shared = Shared {
            backend,
            host,
            options,
            state: RefCell::new(state),
            waiters: RefCell::default(),
            listener: RefCell::default(),
        };
        let store = Store { shared: Rc::new(shared) };
        store.arm_first_sweep();
        Ok(store)
    }

    fn arm_first_sweep(&self) {
        let state = &mut *self.shared.state.borrow_mut();
        if let Some(at_ms) = state.map.first_expiry_ms() {
            let told_ms = self.shared.host.now_ms() + FIRST_SWEEP_MS;
            self.arm_timer(&mut state.log.timer_at_ms, told_ms.max(at_ms as f64));
        }
    }

    /// Ends all writing and has the store follow. Says whether something is under way still, which ends as soon as the storage that it
    /// was begun on answers or is gone.
    pub fn stop(&self) -> bool {
        let mut state = self.shared.state.borrow_mut();
        if state.phase != Phase::Closed {
            state.phase = Phase::Following;
        }
        // Nothing that is waited for comes from here any more.
        let error = closed();
        self.shared.waiters.borrow_mut().retain(|waiter| !waiter.learn(&state, Some(&error)));
        state.log.writing || state.snapshots.running
    }

    /// Recovers again, in a store that follows and rests, from what the backend holds now, to lead from then on or to go on following.
    /// Where `newest` is the newest snapshot that is known to be whole (`Some(None)`: there is none), what this store holds already is not
    /// read; says whether that was so. What it did not hold is recorded, if that is asked for; otherwise nothing is.
    ///
    /// # Errors
    /// As [`Store::open`]; the store holds what it did.
    pub async fn recover_again(&self, newest: Option<Option<SnapshotInfo>>, role: Role) -> Result<bool> {
        let Shared { backend, host, options, .. } = &*self.shared;
        let known = newest.map(|newest| Start::known(&self.shared.state.borrow(), newest));
        let (mut recovered, kept) = recovery::recover(&**backend, &**host, options, known).await?;
        {
            let mut state = self.shared.state.borrow_mut();
            if state.phase == Phase::Closed {
                return Err(closed());
            }
            let mut feed = std::mem::take(&mut state.feed);
            feed.bytes.append(&mut recovered.feed.bytes);
            recovered.feed = feed;
            if role == Role::Follower {
                recovered.phase = Phase::Following;
            }
            *state = recovered;
        }
        self.arm_first_sweep();
        Ok(kept)
    }

    /// Applies what the leader wrote, in a store that follows: the header of a segment, then whole frames of it, the first of which is the
    /// next one. Says how many entries were removed.
    ///
    /// # Errors
    /// `CORRUPT` for anything else, in front of which everything is applied.
    pub fn follow(&self, frames: &[u8], cause: Cause) -> Result<u64> {
        let mut state = self.shared.state.borrow_mut();
        let State { map, log, feed, snapshots, .. } = &mut *state;
        let Ok(mut header) = log::read_header(frames) else { return Err(no_frames()) };
        header.first_seq = log.last_seq + 1;
        let mut removed = 0;
        let found = log::replay(frames, &header, u64::MAX, &mut |seq, ops| {
            let applied = recovery::apply(map, seq, ops, cause, &*self.shared.host, feed, &mut snapshots.changes);
            removed += applied.unwrap_or(0);
            applied.is_some()
        });
        log.follow(found.last_seq, &header);
        if found.stop == log::Stop::End { Ok(removed) } else { Err(no_frames()) }
    }

    /// Has the listener told of every event from now on. It is called outside every borrow and may call the store.
    pub fn listen(&self, listener: Listener) {
        *self.shared.listener.borrow_mut() = Some(listener);
    }

    /// Hands the entry of a key to `read`. A key that is not there, or whose entry has expired, gives `None`.
    pub fn get<R>(&self, key: &[u8], read: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        live(self.shared.state.borrow().map.get(key), &*self.shared.host).map(read)
    }

    /// Whether the key has an entry.
    pub fn has(&self, key: &[u8]) -> bool {
        self.get(key, |_| ()).is_some()
    }

    /// User entries.
    pub fn count(&self) -> u64 {
        self.count_range(b"", &[SYSTEM_KEYS_START])
    }

    /// User entries with `start <= key < end`. Visits only those that have expired and are still to be removed.
    pub fn count_range(&self, start: &[u8], end: &[u8]) -> u64 {
        let state = self.shared.state.borrow();
        let end = end.min(&[SYSTEM_KEYS_START]);
        let mut expired = 0;
        if state.map.first_expiry_ms().is_some() {
            state.map.expired(self.shared.host.now_ms() as u64, &mut |key| {
                expired += u64::from(start <= key && key < end);
                true
            });
        }
        state.map.count(start, end).saturating_sub(expired)
    }

    /// Visits the entries with `after < key < end` in key order, or `back` from the last to the first, until `visit` says no.
    /// Of the map as it is, or as it was when the view was made. `visit` must not call the store.
    pub fn scan(&self, view: Option<&Map>, range: ScanRange<'_>, visit: &mut dyn FnMut(Entry<'_>) -> bool) {
        let state = self.shared.state.borrow();
        let map = view.unwrap_or(&state.map);
        let ScanRange { after, end, direction } = range;
        let mut visit = |entry: Entry<'_>| {
            entry.key > after && entry.key < end && (live(Some(entry), &*self.shared.host).is_none() || visit(entry))
        };
        match direction {
            Direction::Forwards => map.scan(Bound::Excluded(after), &mut visit),
            Direction::Back => map.scan_back(end, &mut visit),
        }
    }

    /// The map as it is now, for reads that shall see no later change. Costs a few bytes for each hundred changes since the last
    /// checkpoint, and what changes while it is kept.
    pub fn view(&self) -> Map {
        self.shared.state.borrow().map.clone()
    }

    /// Whether a condition holds now.
    pub fn holds(&self, condition: &Condition<'_>) -> bool {
        match *condition {
            Condition::Version { key, version } => self.get(key, |entry| entry.version).unwrap_or(0) == version,
            Condition::Unchanged { start, end, since_seq } => {
                // What has expired is not there for readers, so it has to be a change from now on.
                self.sweep(usize::MAX);
                !self.shared.state.borrow().map.changed_since(since_seq, start, end)
            }
        }
    }

    /// Begins or ends the record of what changes; see [`Feed`].
    pub fn record_changes(&self, recording: Recording) {
        let feed = &mut self.shared.state.borrow_mut().feed;
        feed.recording = recording;
        feed.bytes.clear();
    }

    /// Takes what was recorded.
    pub fn take_changes(&self) -> Vec<u8> {
        std::mem::take(&mut self.shared.state.borrow_mut().feed.bytes)
    }

    /// Stores a value. Resolve it with [`Store::settled`].
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn set(&self, key: &[u8], value: &[u8], expires_at_ms: Option<u64>) -> Result<u64> {
        self.write(&[Op::Set { key, value, expires_at_ms }]).map(|done| done.seq)
    }

    /// Removes an entry; where there is none, nothing is written and the seq is 0.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn delete(&self, key: &[u8]) -> Result<u64> {
        check_key(key)?;
        if !self.has(key) {
            return self.check_writable().map(|()| 0);
        }
        self.write(&[Op::Delete { key }]).map(|done| done.seq)
    }

    /// Removes every user entry.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn clear(&self) -> Result<Committed> {
        if self.shared.state.borrow().map.user_entries() == 0 {
            return self.check_writable().map(|()| Committed { seq: 0, removed: 0 });
        }
        self.write(&[Op::DeleteRange { start: b"", end: &[SYSTEM_KEYS_START] }])
    }

    /// Applies ops as one batch: one frame, all or nothing. Reads see it at once; it is durable when
    /// [`Store::settled`] says so.
    ///
    /// # Errors
    /// `KEY_INVALID`, `TOO_LARGE`, `CLOSED`, `POISONED`. Nothing is changed then.
    pub fn write(&self, ops: &[Op<'_>]) -> Result<Committed> {
        self.commit(ops, Cause::Asked)
    }

    /// As [`Store::write`], if every condition holds.
    ///
    /// # Errors
    /// `CONFLICT` if one does not; those of [`Store::write`]. Nothing is changed then.
    pub fn write_if(&self, conditions: &[Condition<'_>], ops: &[Op<'_>]) -> Result<Committed> {
        if !conditions.iter().all(|condition| self.holds(condition)) {
            return Err(Error::new(Code::Conflict, "the condition does not hold"));
        }
        self.write(ops)
    }

    /// Resolves when everything up to `seq` has reached `level`. Call it before anything is awaited: a write that is rejected
    /// later gives its seq to another one.
    ///
    /// # Errors
    /// The error of the write that failed, if one did before that.
    pub fn settled(&self, seq: u64, level: Level) -> impl Future<Output = Result<()>> + use<> {
        let waiter = Rc::new(Waiter::new(Some((seq, level))));
        if !waiter.learn(&self.shared.state.borrow(), None) {
            self.shared.waiters.borrow_mut().push(waiter.clone());
        }
        Waiter::wait(waiter)
    }

    /// Resolves when everything written so far is synced; gives the newest seq.
    ///
    /// # Errors
    /// `CLOSED`, or the error of the write or sync that failed.
    pub async fn flush(&self) -> Result<u64> {
        let seq = self.request_sync()?;
        self.settled(seq, Level::Disk).await?;
        Ok(seq)
    }

    /// Drains, syncs and closes the backend; where nothing was written since opening, nothing is synced. Further calls fail with
    /// `CLOSED`.
    ///
    /// # Errors
    /// The error of the write or sync that failed, if one did; the backend is closed all the same.
    pub async fn close(&self) -> Result<()> {
        let phase = self.shared.state.borrow().phase;
        if phase == Phase::Following {
            // The storage is another's.
            self.shared.state.borrow_mut().phase = Phase::Closed;
            return Ok(());
        }
        if phase != Phase::Open {
            return Err(closed());
        }
        // Whoever only read leaves the storage as it was, also what an earlier session did not come to sync.
        let used = self.shared.state.borrow().log.used;
        let synced = if used { self.request_sync() } else { Ok(0) };
        self.shared.state.borrow_mut().phase = Phase::Closing;
        let drained = match synced {
            Ok(seq) => self.settled(seq, Level::Disk).await,
            Err(error) => Err(error),
        };
        self.wait_for_checkpoint().await;
        self.shared.state.borrow_mut().phase = Phase::Closed;
        let released = self.shared.backend.close().await;
        drained.and(released)
    }

    /// The newest seq; 0 in a store that was never written.
    pub fn seq(&self) -> u64 {
        self.shared.state.borrow().log.last_seq
    }

    /// The newest seq that reached a level.
    pub fn reached_seq(&self, level: Level) -> u64 {
        self.shared.state.borrow().log.reached_seq(level)
    }

    /// What opening found.
    pub fn recovered(&self) -> Recovered {
        self.shared.state.borrow().recovered.clone()
    }

    /// Why the store is read-only, if it is.
    pub fn poison(&self) -> Option<Error> {
        self.shared.state.borrow().poison.clone()
    }

    pub fn is_closed(&self) -> bool {
        self.shared.state.borrow().phase != Phase::Open
    }

    /// What is not on disk yet.
    pub fn unsynced(&self) -> Unsynced {
        self.shared.state.borrow().log.unsynced(self.shared.host.now_ms())
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        self.shared.state.borrow().check_writable()
    }

    pub(crate) fn tell(&self, event: &Event) {
        {
            let state = self.shared.state.borrow();
            let rejected = if let Event::Rejected(error) = event { Some(error) } else { None };
            self.shared.waiters.borrow_mut().retain(|waiter| !waiter.learn(&state, rejected));
        }
        let listener = self.shared.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(event);
        }
    }

    /// Resolves at the next event.
    pub(crate) fn next_event(&self) -> impl Future<Output = Result<()>> + use<> {
        let waiter = Rc::new(Waiter::new(None));
        self.shared.waiters.borrow_mut().push(waiter.clone());
        Waiter::wait(waiter)
    }
}

impl Waiter {
    fn new(goal: Option<(u64, Level)>) -> Waiter {
        Waiter { goal, outcome: RefCell::default(), waker: RefCell::default() }
    }

    fn wait(waiter: Rc<Waiter>) -> impl Future<Output = Result<()>> {
        poll_fn(move |context| match waiter.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                *waiter.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }

    /// Whether it has its answer. `rejected`: why there was no room.
    fn learn(&self, state: &State, rejected: Option<&Error>) -> bool {
        let (seq, level) = self.goal.unwrap_or((0, Level::Applied));
        let answer = if state.log.reached_seq(level) >= seq {
            Ok(())
        } else if let Some(error) = state.poison.as_ref().or(rejected) {
            Err(error.clone())
        } else {
            return false;
        };
        *self.outcome.borrow_mut() = Some(answer);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        true
    }
}

impl State {
    pub fn check_writable(&self) -> Result<()> {
        if self.phase != Phase::Open {
            return Err(closed());
        }
        match &self.poison {
            None => Ok(()),
            Some(error) => {
                Err(Error::new(Code::Poisoned, "the storage failed: open the store again").because(error.code.as_str()))
            }
        }
    }
}

/// The entry, unless it has expired.
pub(crate) fn live<'a>(entry: Option<Entry<'a>>, host: &dyn Host) -> Option<Entry<'a>> {
    entry.filter(|entry| entry.expires_at_ms.is_none_or(|at_ms| at_ms as f64 > host.now_ms()))
}

fn no_frames() -> Error {
    Error::new(Code::Corrupt, "these are no frames to follow with")
}

pub(crate) fn closed() -> Error {
    Error::new(Code::Closed, "the store is closed; open it again")
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::new(Code::KeyInvalid, "a key is 1 to 1,024 bytes of UTF-8"));
    }
    Ok(())
}

/// The limits of a batch.
pub(crate) fn check_ops(ops: &[Op<'_>]) -> Result<()> {
    /// More than any op needs besides its key and value.
    const OP_OVERHEAD_BYTES: usize = 32;
    let mut bytes = 0usize;
    for op in ops {
        match *op {
            Op::Set { key, value, .. } => {
                check_key(key)?;
                bytes = bytes.saturating_add(key.len() + value.len() + OP_OVERHEAD_BYTES);
            }
            Op::Delete { key } => {
                check_key(key)?;
                bytes = bytes.saturating_add(key.len() + OP_OVERHEAD_BYTES);
            }
            Op::DeleteRange { start, end } => {
                if start.len() > KEY_BYTES_MAX || end.len() > KEY_BYTES_MAX {
                    return check_key(&[]);
                }
                bytes = bytes.saturating_add(start.len() + end.len() + OP_OVERHEAD_BYTES);
            }
        }
    }
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Error::new(Code::TooLarge, "a write takes 512 MiB at most"));
    }
    Ok(())
}
