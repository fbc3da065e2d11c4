//! A simulated storage under the engine: a medium, the faults that are injected into it, and the point of a crash.
//!
//! Owns [`Sim`], which outlives the openings on it, and [`SimBackend`], the `Backend` of one opening. Time is the
//! opening's virtual clock; every choice comes from one seeded generator or from an enumeration. Each test binary uses
//! a part of this. Deliberately absent: what the engine may make of it (`ledger.rs`).
#![allow(dead_code)]

pub mod choice;
pub mod figures;
#[path = "../host.rs"]
pub mod host;
pub mod idb;
pub mod ledger;
pub mod opening;
pub mod schedule;
pub mod storage;

use choice::Choose;
use fastrand::Rng;
use futures::future::poll_fn;
use holdfast::backend::{Backend, Blob, LocalFuture, Sync};
use holdfast::{Code, Error, Host, Result};
use host::VirtualHost;
use idb::Idb;
use ledger::Ledger;
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Poll, Waker};
use storage::Storage;

/// A call that changes the medium.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    Append { name: &'a str, bytes: &'a [u8], synced: bool },
    Sync { name: &'a str },
    Remove { names: &'a [String] },
}

/// How far a change took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    All,
    Nothing,
    /// So many bytes of an append (modulo its length), or one name of a removal.
    Part(usize),
    /// Written, and given up by the system when the sync failed.
    Dropped,
    /// As if it were all, but nothing was synced.
    Lied,
}

/// Bytes of a blob that a power cut may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    pub name: String,
    pub at: Range<usize>,
}

/// What the engine asks of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    List,
    Read,
    Append,
    Sync,
    Remove,
}

/// What goes wrong in a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails, having done what the effect says.
    Fails(Code, Effect),
    /// It takes that long.
    Stalls(u32),
    /// It never settles. Nothing says how far it came.
    Hangs,
    /// A bit of what it reads or appends is flipped.
    Rots(usize),
}

/// Which calls a fault hits.
#[derive(Clone, Debug)]
pub struct Injection {
    pub fault: Fault,
    /// None: of every kind.
    pub kind: Option<Kind>,
    /// Blobs whose names begin like that.
    pub prefix: &'static str,
    /// Calls that match are spared before.
    pub after: u64,
    /// Calls that it hits.
    pub times: u64,
}

impl Injection {
    /// Hits every call that is asked of the storage.
    pub fn new(fault: Fault) -> Injection {
        Injection { fault, kind: None, prefix: "", after: 0, times: u64::MAX }
    }

    pub fn on(self, kind: Kind, prefix: &'static str) -> Injection {
        Injection { kind: Some(kind), prefix, ..self }
    }

    pub fn after(self, after: u64) -> Injection {
        Injection { after, ..self }
    }

    pub fn times(self, times: u64) -> Injection {
        Injection { times, ..self }
    }
}

#[derive(Clone, Debug)]
pub enum Medium {
    Storage(Storage),
    Idb(Idb),
}

/// How a session ends without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// What was handed to the storage survives.
    Kill,
    /// What was synced survives.
    PowerCut,
}

impl Medium {
    pub fn list(&self) -> Vec<Blob> {
        match self {
            Medium::Storage(storage) => storage.list(),
            Medium::Idb(idb) => idb.list(),
        }
    }

    pub fn content(&self, name: &str) -> Option<&[u8]> {
        match self {
            Medium::Storage(storage) => storage.content(name),
            Medium::Idb(idb) => idb.content(name),
        }
    }

    /// Every blob and its bytes.
    pub fn blobs(&self) -> Vec<(String, Vec<u8>)> {
        let content = |blob: Blob| (blob.name.clone(), self.content(&blob.name).unwrap_or_default().to_vec());
        self.list().into_iter().map(content).collect()
    }

    fn begin(&mut self, change: &Change<'_>) -> u64 {
        match self {
            Medium::Storage(storage) => storage.begin(change),
            Medium::Idb(idb) => idb.begin(change),
        }
    }

    fn end(&mut self, id: u64, change: &Change<'_>, effect: Effect) {
        match self {
            Medium::Storage(storage) => storage.end(id, change, effect),
            Medium::Idb(idb) => idb.end(id, change, effect),
        }
    }

    pub fn crash(&mut self, crash: Crash, choose: &mut dyn Choose) {
        match (self, crash) {
            (Medium::Storage(storage), Crash::Kill) => storage.kill(choose),
            (Medium::Storage(storage), Crash::PowerCut) => storage.cut_power(choose),
            (Medium::Idb(idb), Crash::Kill) => idb.kill(choose),
            (Medium::Idb(idb), Crash::PowerCut) => idb.cut_power(choose),
        }
    }
}

/// What a crash in the middle of a call would leave to choose from.
#[derive(Clone)]
pub struct Moment {
    pub medium: Medium,
    pub ledger: Ledger,
}

/// More calls than any test needs.
const CALLS_MAX: u64 = 1_000_000;

/// A storage with its faults and its history.
pub struct Sim {
    pub medium: RefCell<Medium>,
    pub ledger: RefCell<Ledger>,
    pub injections: RefCell<Vec<Injection>>,
    pub random: RefCell<Rng>,
    /// How long calls take.
    pub latency_ms: RefCell<Range<u32>>,
    pub quota_bytes: Cell<u64>,
    pub syncs_lie: Cell<bool>,
    /// What the clock of the next opening is ahead of where it started first: where the last one left it, unless it is set.
    pub clock_ahead_ms: Cell<f64>,
    /// Calls begun.
    pub calls: Cell<u64>,
    /// Calls that change something, begun.
    pub changes: Cell<u64>,
    /// Faults that hit.
    pub faults: Cell<u64>,
    /// The crash comes in the middle of the call of that number.
    pub crash_at: Cell<u64>,
    crashed: Cell<bool>,
    crash_waker: RefCell<Option<Waker>>,
    pub moments: RefCell<Option<Vec<Moment>>>,
    /// Every call, as far as it began.
    pub journal: RefCell<Vec<String>>,
}

impl Sim {
    pub fn new(medium: Medium, seed: u64) -> Rc<Sim> {
        Sim::at(Moment { medium, ledger: Ledger::default() }, seed)
    }

    /// A storage that was left at a moment.
    pub fn at(moment: Moment, seed: u64) -> Rc<Sim> {
        Rc::new(Sim {
            medium: RefCell::new(moment.medium),
            ledger: RefCell::new(moment.ledger),
            injections: RefCell::default(),
            random: RefCell::new(Rng::with_seed(seed)),
            latency_ms: RefCell::new(0..1),
            quota_bytes: Cell::new(u64::MAX),
            syncs_lie: Cell::new(false),
            clock_ahead_ms: Cell::default(),
            calls: Cell::new(0),
            changes: Cell::new(0),
            faults: Cell::new(0),
            crash_at: Cell::new(u64::MAX),
            crashed: Cell::new(false),
            crash_waker: RefCell::default(),
            moments: RefCell::default(),
            journal: RefCell::default(),
        })
    }

    /// A file-like storage without latency and faults.
    pub fn storage(seed: u64) -> Rc<Sim> {
        Sim::new(Medium::Storage(Storage::new()), seed)
    }

    /// A transactional storage without latency and faults.
    pub fn idb(seed: u64) -> Rc<Sim> {
        Sim::new(Medium::Idb(Idb::default()), seed)
    }

    pub fn inject(&self, injection: Injection) {
        self.injections.borrow_mut().push(injection);
    }

    /// No faults from now on.
    pub fn heal(&self) {
        self.injections.borrow_mut().clear();
        self.quota_bytes.set(u64::MAX);
        self.syncs_lie.set(false);
        self.latency_ms.replace(0..1);
        self.crash_at.set(u64::MAX);
    }

    pub fn moment(&self) -> Moment {
        Moment { medium: self.medium.borrow().clone(), ledger: self.ledger.borrow().clone() }
    }

    /// Resolves when the crash comes.
    pub async fn crash(&self) {
        poll_fn(|context| {
            if self.crashed.get() {
                return Poll::Ready(());
            }
            *self.crash_waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What the crash leaves. The opening that it ended must be gone.
    pub fn settle(&self, crash: Crash, choose: &mut dyn Choose) {
        self.crashed.set(false);
        self.ledger.borrow_mut().crashed(crash);
        self.medium.borrow_mut().crash(crash, choose);
        figures::trace(|| format!("{crash:?} leaves {:?}", self.medium.borrow().list()));
    }

    /// The bytes of all blobs.
    pub fn bytes(&self) -> u64 {
        self.medium.borrow().list().iter().map(|blob| blob.bytes).sum()
    }

    fn fault_of(&self, kind: Kind, name: &str) -> Option<Fault> {
        let mut injections = self.injections.borrow_mut();
        let matches = |injection: &&mut Injection| {
            injection.kind.is_none_or(|only| only == kind) && name.starts_with(injection.prefix)
        };
        let mut hit = None;
        for injection in injections.iter_mut().filter(matches) {
            if injection.after > 0 {
                injection.after -= 1;
            } else if injection.times > 0 && hit.is_none() {
                injection.times -= 1;
                hit = Some(injection.fault.clone());
            }
        }
        self.faults.set(self.faults.get() + u64::from(hit.is_some()));
        hit
    }
}

/// One opening of a [`Sim`].
pub struct SimBackend {
    sim: Rc<Sim>,
    host: Rc<VirtualHost>,
    closed: Cell<bool>,
}

impl SimBackend {
    pub fn new(sim: Rc<Sim>, host: Rc<VirtualHost>) -> SimBackend {
        SimBackend { sim, host, closed: Cell::new(false) }
    }

    /// Takes a call up to where it ends: the fault that hits it, if any.
    async fn take(&self, kind: Kind, name: &str, change: Option<&Change<'_>>) -> Result<(u64, Option<Fault>)> {
        if self.closed.get() {
            return Err(Error::new(Code::Closed, "the storage is closed"));
        }
        let sim = &*self.sim;
        sim.calls.set(sim.calls.get() + 1);
        assert!(sim.calls.get() < CALLS_MAX, "the engine does not come to rest");
        let mut id = 0;
        if let Some(change) = change {
            sim.changes.set(sim.changes.get() + 1);
            id = sim.medium.borrow_mut().begin(change);
        }
        if let Some(moments) = &mut *sim.moments.borrow_mut() {
            moments.push(sim.moment());
        }
        if sim.calls.get() >= sim.crash_at.get() {
            sim.crashed.set(true);
            if let Some(waker) = sim.crash_waker.take() {
                waker.wake();
            }
            return pending().await;
        }
        let fault = sim.fault_of(kind, name);
        let latency_ms = sim.latency_ms.borrow().clone();
        let mut delay_ms = sim.random.borrow_mut().u32(latency_ms);
        match fault {
            Some(Fault::Hangs) => return pending().await,
            Some(Fault::Stalls(ms)) => delay_ms += ms,
            _ => {}
        }
        if delay_ms > 0 {
            self.host.sleep(delay_ms).await;
        }
        Ok((id, fault))
    }

    async fn change(&self, kind: Kind, name: &str, change: Change<'_>) -> Result<()> {
        let line = match change {
            Change::Append { name, synced: false, .. } => format!("append {name}"),
            Change::Append { name, synced: true, .. } => format!("append {name} and sync"),
            Change::Sync { name } => format!("sync {name}"),
            Change::Remove { names } => format!("remove {}", names.join(" ")),
        };
        figures::trace(|| line.clone());
        self.sim.journal.borrow_mut().push(line);
        let (id, fault) = self.take(kind, name, Some(&change)).await?;
        let sim = &*self.sim;
        let lies = sim.syncs_lie.get();
        let (mut effect, outcome) = match fault {
            Some(Fault::Fails(code, effect)) => (effect, Err(failure(code))),
            _ if lies => (Effect::Lied, Ok(())),
            _ => (Effect::All, Ok(())),
        };
        let mut outcome = outcome;
        if let (Change::Append { bytes, .. }, Ok(())) = (change, &outcome) {
            let free = sim.quota_bytes.get().saturating_sub(sim.bytes());
            if free < bytes.len() as u64 {
                effect = Effect::Part(free as usize);
                outcome = Err(failure(Code::Quota));
            }
        }
        figures::trace(|| format!("  {kind:?} {name}: {effect:?} {outcome:?}"));
        sim.medium.borrow_mut().end(id, &change, effect);
        if let (Some(Fault::Rots(bit)), Change::Append { name, bytes, .. }) = (fault, change) {
            sim.medium.borrow_mut().rot(name, bytes.len(), bit);
        }
        outcome
    }
}

fn failure(code: Code) -> Error {
    Error::new(code, "injected")
}

impl Medium {
    /// Flips a bit in the last bytes of a blob.
    fn rot(&mut self, name: &str, bytes: usize, bit: usize) {
        let Medium::Storage(storage) = self else { return };
        storage.flip_in_last(name, bytes, bit);
    }
}

impl Backend for SimBackend {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        Box::pin(async move {
            let (_, fault) = self.take(Kind::List, "", None).await?;
            match fault {
                Some(Fault::Fails(code, _)) => Err(failure(code)),
                _ => Ok(self.sim.medium.borrow().list()),
            }
        })
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let (_, fault) = self.take(Kind::Read, name, None).await?;
            if let Some(Fault::Fails(code, _)) = fault {
                return Err(failure(code));
            }
            let medium = self.sim.medium.borrow();
            let content = medium.content(name).unwrap_or_default();
            let start = content.len().min(offset as usize);
            let mut bytes = content[start..content.len().min(start + bytes_max as usize)].to_vec();
            if let Some(Fault::Rots(bit)) = fault {
                storage::flip(&mut bytes, bit);
            }
            Ok(bytes)
        })
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        let synced = sync == Sync::Synced;
        Box::pin(self.change(Kind::Append, name, Change::Append { name, bytes, synced }))
    }

    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.change(Kind::Sync, name, Change::Sync { name }))
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        let first = names.first().map_or("", String::as_str);
        Box::pin(self.change(Kind::Remove, first, Change::Remove { names }))
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(std::future::ready(Ok(())))
    }
}
