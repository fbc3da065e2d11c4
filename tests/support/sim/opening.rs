//! One opening of a store on a simulated storage: a thread of its own, and every answer entered in the ledger.
//!
//! Dropping it is the end of its process. Deliberately absent: what the storage keeps then (`Sim::settle`).

use super::figures::trace;
use super::host::{START_MS, Thread, VirtualHost};
use super::{Sim, SimBackend};
use futures::future::{Either, select};
use holdfast::map::Map;
use holdfast::op::Op;
use holdfast::{Code, Condition, Error, Event, Host, Level, Options, Recovery, Result, Store};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

pub struct Opening {
    thread: Thread,
    pub writer: Writer,
}

/// What a script holds of an opening.
#[derive(Clone)]
pub struct Writer {
    pub store: Store,
    pub sim: Rc<Sim>,
    pub host: Rc<VirtualHost>,
    pub level: Level,
    /// Errors of batches that the store took and rejected.
    pub rejections: Rc<RefCell<Vec<Error>>>,
    /// What the store told of failures, and when.
    pub failures: Rc<RefCell<Vec<Failure>>>,
}

/// An event of a store that is no good news.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub at_ms: f64,
    pub what: &'static str,
    pub code: Code,
}

/// A script or an opening that takes longer waits for a call that hangs.
const PATIENCE_MS: u32 = 3_600_000;

/// The crash came first, or the call that was waited for hangs.
#[derive(Debug)]
pub struct Crashed;

impl Opening {
    pub fn try_open(sim: &Rc<Sim>, options: &Options, seed: u64) -> std::result::Result<Result<Opening>, Crashed> {
        let mut thread = Thread::new(seed);
        let host = thread.host.clone();
        host.skip(sim.clock_ahead_ms.get());
        let backend = Rc::new(SimBackend::new(sim.clone(), host.clone()));
        let level = options.durability.level();
        let options = options.clone();
        let opening = until_crash(&mut thread, sim, async move { Store::open(backend, host, options).await })?;
        Ok(opening.map(|store| {
            trace(|| format!("opened: {:?}", store.recovered()));
            let failures = Rc::new(RefCell::new(Vec::new()));
            let (told, of_ledger, clock) = (failures.clone(), sim.clone(), thread.host.clone());
            let listening = store.clone();
            store.listen(Rc::new(move |event| {
                let mut ledger = of_ledger.ledger.borrow_mut();
                let (what, error) = match event {
                    Event::Progress { os_seq, disk_seq } => {
                        ledger.may_have_swept(listening.seq(), clock.now_ms());
                        ledger.acknowledge_to(*os_seq, Level::Os);
                        ledger.acknowledge_to(*disk_seq, Level::Disk);
                        return;
                    }
                    Event::CheckpointEnded => return,
                    Event::Rejected(error) => ("rejected", error),
                    Event::Poisoned(error) => ("poisoned", error),
                    Event::CheckpointFailed(error) => ("checkpoint failed", error),
                };
                // At once: the next batch takes the seq of one that was rejected.
                ledger.rewind(listening.seq());
                told.borrow_mut().push(Failure { at_ms: clock.now_ms(), what, code: error.code });
            }));
            let host = thread.host.clone();
            Opening {
                thread,
                writer: Writer { store, sim: sim.clone(), host, level, rejections: Rc::default(), failures },
            }
        }))
    }

    /// Opens a store that has no reason not to.
    pub fn open(sim: &Rc<Sim>, options: &Options, seed: u64) -> Opening {
        Opening::try_open(sim, options, seed).expect("no crash").expect("the store opens")
    }

    /// Opens after a crash in which the storage kept its word, and checks everything that then holds.
    pub fn recover(sim: &Rc<Sim>, options: &Options, seed: u64) -> Opening {
        let strict = Options { recovery: Recovery::Strict, ..options.clone() };
        let changes = sim.changes.get();
        let opening = Opening::open(sim, &strict, seed);
        assert_eq!(sim.changes.get(), changes, "opening writes nothing");
        assert_eq!(opening.writer.store.recovered().data_loss, None);
        opening.check_recovered();
        opening
    }

    /// Runs a script until it ends or the crash comes.
    pub fn run<F: Future<Output = T> + 'static, T: 'static>(
        &mut self,
        script: impl FnOnce(Writer) -> F,
    ) -> std::result::Result<T, Crashed> {
        let sim = self.writer.sim.clone();
        until_crash(&mut self.thread, &sim, script(self.writer.clone()))
    }

    /// Runs a script to which no crash comes.
    pub fn finish<F: Future<Output = T> + 'static, T: 'static>(&mut self, script: impl FnOnce(Writer) -> F) -> T {
        self.run(script).expect("no crash")
    }

    /// Lets that much time pass.
    pub fn pass(&mut self, ms: u32) -> std::result::Result<(), Crashed> {
        self.run(|writer| async move { writer.host.sleep(ms).await })
    }

    pub fn store(&self) -> &Store {
        &self.writer.store
    }

    pub fn check_reads(&self) {
        self.writer.check_reads();
    }

    /// What it found is what it may find.
    pub fn check_recovered(&self) {
        let Writer { sim, store, host, .. } = &self.writer;
        sim.ledger.borrow_mut().recovered(store, host.now_ms());
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let Writer { sim, store, host, .. } = &self.writer;
        sim.clock_ahead_ms.set(host.now_ms() - START_MS);
        // The listener has the store.
        store.listen(Rc::new(|_| ()));
    }
}

impl Writer {
    /// Writes a batch, and enters whatever becomes of it. Gives its seq, or why it was refused.
    pub fn write(&self, ops: &[Op<'_>]) -> Result<u64> {
        self.write_if(&[], ops)
    }

    /// As [`Writer::write`], if every condition holds.
    pub fn write_if(&self, conditions: &[Condition<'_>], ops: &[Op<'_>]) -> Result<u64> {
        let committed = self.store.write_if(conditions, ops)?;
        let node = self.sim.ledger.borrow_mut().took(ops, committed.seq);
        trace(|| format!("write {}", committed.seq));
        let (writer, seq) = (self.clone(), committed.seq);
        // Asked for at once: a rejected batch gives its seq to another one.
        let settled = self.store.settled(seq, self.level);
        let settling = async move {
            match settled.await {
                Ok(()) => writer.sim.ledger.borrow_mut().acknowledge(node, writer.level),
                Err(error) => writer.rejections.borrow_mut().push(error),
            }
        };
        self.spawn(settling);
        Ok(seq)
    }

    /// Replaces everything by these entries, when no checkpoint runs, and waits for what becomes of it.
    pub async fn replace(&self, entries: Vec<(&'static str, String)>) {
        let sets = entries.iter().map(|(key, value)| Op::Set {
            key: key.as_bytes(),
            value: value.as_bytes(),
            expires_at_ms: None,
        });
        let ops: Vec<Op<'_>> = [Op::DeleteRange { start: b"", end: b"\xFF" }].into_iter().chain(sets).collect();
        while let Ok(None) = self.try_replace(&ops) {
            self.host.sleep(20).await;
        }
        let _ = self.store.settled(self.store.seq(), Level::Disk).await;
    }

    /// Replaces everything by what these sets behind a clear make, and enters whatever becomes of it. Gives its node, or None while a
    /// checkpoint runs.
    pub fn try_replace(&self, ops: &[Op<'_>]) -> Result<Option<usize>> {
        let mut map = Map::default();
        for set in &ops[1..] {
            map.apply(set, 0);
        }
        let seq = self.store.replace(&mut map)?;
        if seq == 0 {
            return Ok(None);
        }
        let node = self.sim.ledger.borrow_mut().took(ops, seq);
        trace(|| format!("replace {seq}"));
        let (writer, settled) = (self.clone(), self.store.settled(seq, Level::Disk));
        self.spawn(async move {
            match settled.await {
                Ok(()) => writer.sim.ledger.borrow_mut().acknowledge(node, Level::Disk),
                Err(error) => writer.rejections.borrow_mut().push(error),
            }
        });
        Ok(Some(node))
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.host.spawn(Box::pin(task));
    }

    pub fn set(&self, key: &str, value: &str) -> Result<u64> {
        self.write(&[Op::Set { key: key.as_bytes(), value: value.as_bytes(), expires_at_ms: None }])
    }

    /// Removes a key; where there is none, nothing is written.
    pub fn delete(&self, key: &str) -> Result<u64> {
        if !self.store.has(key.as_bytes()) {
            return self.store.delete(key.as_bytes());
        }
        self.write(&[Op::Delete { key: key.as_bytes() }])
    }

    /// Closes the store. What it holds is on the disk then, unless nothing was written to it.
    pub async fn close(&self) {
        let seq = self.store.seq();
        if self.store.close().await.is_ok() && seq > self.store.recovered().seq {
            self.acknowledged(seq, Level::Disk);
        }
    }

    /// Sets a key and waits for a level.
    pub async fn set_and_wait(&self, key: &str, value: &str, level: Level) -> Result<u64> {
        let seq = self.set(key, value)?;
        self.store.request(level, seq)?;
        self.store.settled(seq, level).await?;
        Ok(seq)
    }

    /// Takes a snapshot; what is in it is on the disk then.
    pub async fn checkpoint(&self) {
        if let Ok(report) = self.store.checkpoint().await {
            self.acknowledged(report.seq, Level::Disk);
        }
    }

    /// Has everything synced.
    pub async fn flush(&self) {
        if let Ok(seq) = self.store.flush().await {
            self.acknowledged(seq, Level::Disk);
        }
    }

    /// The outcome of a future, unless it takes longer.
    pub async fn within<T>(&self, ms: u32, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), self.host.sleep(ms)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    /// The store said that everything up to that seq is at a level.
    pub fn acknowledged(&self, seq: u64, level: Level) {
        self.sim.ledger.borrow_mut().acknowledge_to(seq, level);
    }

    pub fn check_reads(&self) {
        self.sim.ledger.borrow_mut().check_reads(&self.store, self.host.now_ms());
    }
}

fn until_crash<T: 'static>(
    thread: &mut Thread,
    sim: &Rc<Sim>,
    script: impl Future<Output = T> + 'static,
) -> std::result::Result<T, Crashed> {
    let (sim, patience) = (sim.clone(), thread.host.sleep(PATIENCE_MS));
    thread.run(async move {
        match select(pin!(script), select(pin!(sim.crash()), patience)).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Crashed),
        }
    })
}
