//! The store: the state every journey works on, the reads, and the public Rust API.
//!
//! One thread, one state. The synchronous half of a call borrows it; nothing borrows it across an await, and no
//! listener is called while it is borrowed. Deliberately absent: all I/O (`commit.rs`, `recovery.rs`, `checkpoint.rs`).

use crate::backend::Backend;
use crate::checkpoint::Snapshots;
use crate::commit::Log;
use crate::error::{Code, Error, Result};
use crate::frame::PAYLOAD_BYTES_MAX;
use crate::host::Host;
use crate::map::{Entry, Map, is_system};
use crate::op::{Op, SYSTEM_KEYS_START};
use crate::options::{Level, Options};
use crate::recovery::{self, Recovered};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::ops::Bound;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Closing,
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
        let state = recovery::recover(&*backend, &*host, &options).await?;
        let shared = Shared {
            backend,
            host,
            options,
            state: RefCell::new(state),
            waiters: RefCell::default(),
            listener: RefCell::default(),
        };
        Ok(Store { shared: Rc::new(shared) })
    }

    /// Has the listener told of every event from now on. It is called outside every borrow and may call the store.
    pub fn listen(&self, listener: Listener) {
        *self.shared.listener.borrow_mut() = Some(listener);
    }

    /// Hands the entry of a key to `read`. A key that is not there gives `None`.
    pub fn get<R>(&self, key: &[u8], read: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        self.shared.state.borrow().map.get(key).map(read)
    }

    /// Whether the key has an entry.
    pub fn has(&self, key: &[u8]) -> bool {
        self.shared.state.borrow().map.get(key).is_some()
    }

    /// User entries.
    pub fn count(&self) -> u64 {
        self.shared.state.borrow().map.user_entries()
    }

    /// Visits the user entries behind `after` (or all) in key order until `visit` says no. `visit` must not call the store.
    pub fn scan(&self, after: Option<&[u8]>, visit: &mut dyn FnMut(Entry<'_>) -> bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.shared.state.borrow().map.scan(from, &mut |entry| !is_system(entry.key) && visit(entry));
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
        if self.count() == 0 {
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
        self.commit(ops)
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
        if self.shared.state.borrow().phase != Phase::Open {
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
            Some(error) => Err(Error::new(
                Code::Poisoned,
                "the storage failed, so the store is read-only; close it and open it again",
            )
            .because(error.code.as_str())),
        }
    }
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
        return Err(Error::new(Code::TooLarge, "a write takes at most 512 MiB; split it"));
    }
    Ok(())
}
