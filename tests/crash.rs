//! Crashes and errors at every call of the storage, in tiers: exhaustive, random, nested, with errors.
//!
//! Each tier prints its figures, and a random one the seed with which `HOLDFAST_SEED` repeats it. A violation prints a case;
//! with it in `HOLDFAST_CASE` only that runs, and tells every call. `HOLDFAST_SCHEDULES` sets how many random schedules a
//! durability gets. The rows of the fault list are in `crash_faults.rs`, the random schedules in a browser in `web_crash.rs`.

#![cfg(not(target_arch = "wasm32"))]

#[path = "support/sim/mod.rs"]
mod sim;

use fastrand::Rng;
use holdfast::op::Op;
use holdfast::{Code, Durability, Host, Level, Options, Result};
use sim::choice::{All, Every};
use sim::figures::{Case, Figures, Tier, count_asked_for};
use sim::opening::{Crashed, Opening, Writer};
use sim::storage::Fate;
use sim::{Crash, Effect, Fault, Injection, Moment, Sim, schedule};
use std::rc::Rc;
use xxhash_rust::xxh64::xxh64;

const DURABILITIES: [Durability; 3] = [Durability::Always, Durability::Everysec, Durability::No];
const CRASHES: [Crash; 2] = [Crash::Kill, Crash::PowerCut];

/// Longer than anything the engine does by itself after a write.
const IDLE_MS: u32 = 2500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Set,
    Delete,
    Batch,
    Checkpoint,
    Flush,
    Replace,
    Reopen,
}

const STEPS: [Step; 7] =
    [Step::Set, Step::Delete, Step::Batch, Step::Checkpoint, Step::Flush, Step::Replace, Step::Reopen];

/// What a workload begins with.
#[derive(Clone, Copy, Debug)]
enum Start {
    Empty,
    /// Two snapshots and a log behind them, left by a killed session.
    Used,
}

/// When the next step comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// After the answer to the one before.
    Awaited,
    /// At once.
    Hurried,
}

/// A workload and where it runs.
#[derive(Clone, Debug)]
struct Workload {
    medium: fn(u64) -> Rc<Sim>,
    durability: Durability,
    start: Start,
    pace: Pace,
    steps: Vec<Step>,
}

impl Workload {
    fn name(&self) -> String {
        let medium = if std::ptr::fn_addr_eq(self.medium, Sim::idb as fn(u64) -> Rc<Sim>) { "Idb" } else { "Storage" };
        let (durability, start, pace) = (self.durability, self.start, self.pace);
        let steps: Vec<String> = self.steps.iter().map(|step| format!("{step:?}")).collect();
        format!("{medium} {durability:?} {start:?} {pace:?} {}", steps.join(","))
    }

    fn options(&self) -> Options {
        Options { durability: self.durability, ..Options::default() }
    }

    /// The storage as the workload finds it.
    fn prepared(&self) -> Rc<Sim> {
        let sim = (self.medium)(1);
        if let Start::Used = self.start {
            let mut opening = Opening::open(&sim, &self.options(), 2);
            opening.finish(|writer| async move {
                for key in ["a", "b"] {
                    writer.set(key, "old").expect("taken");
                    writer.store.checkpoint().await.expect("a checkpoint");
                }
                writer.set_and_wait("c", "old", Level::Os).await.expect("acknowledged");
            });
            drop(opening);
            sim.settle(Crash::Kill, &mut All(Fate::Kept));
        }
        sim
    }

    /// Runs the steps, and waits until nothing happens any more. Errors that the storage causes are answers like others.
    fn run(&self, sim: &Rc<Sim>) {
        let options = self.options();
        let mut rest = &self.steps[..];
        for seed in 3.. {
            let Ok(opening) = Opening::try_open(sim, &options, seed) else { return };
            let Ok(mut opening) = opening else { return };
            opening.check_recovered();
            let session = rest.iter().position(|step| *step == Step::Reopen).unwrap_or(rest.len());
            let (steps, pace) = (rest[..session].to_vec(), self.pace);
            let last = session == rest.len();
            let ended: std::result::Result<(), Crashed> = opening.run(|writer| async move {
                for (number, step) in steps.into_iter().enumerate() {
                    take(&writer, step, number, pace).await;
                    writer.check_reads();
                }
                if last {
                    writer.host.sleep(IDLE_MS).await;
                    writer.check_reads();
                } else {
                    writer.close().await;
                }
            });
            if last || ended.is_err() {
                return;
            }
            drop(opening);
            sim.settle(Crash::Kill, &mut All(Fate::Kept));
            rest = &rest[session + 1..];
        }
    }
}

async fn take(writer: &Writer, step: Step, number: usize, pace: Pace) {
    let value = format!("new {number}");
    let written = match step {
        Step::Set => writer.set("a", &value),
        Step::Delete => writer.delete("b"),
        Step::Batch => writer.write(&[
            Op::Set { key: b"b", value: value.as_bytes(), expires_at_ms: None },
            Op::Delete { key: b"a" },
            Op::Set { key: b"d", value: value.as_bytes(), expires_at_ms: Some(1 << 50) },
        ]),
        Step::Checkpoint => {
            answered(writer, pace, async |writer| writer.store.checkpoint().await.map(|report| report.seq)).await;
            return;
        }
        Step::Flush => {
            answered(writer, pace, async |writer| writer.store.flush().await).await;
            return;
        }
        Step::Replace => {
            let replacing = writer.clone();
            let replaced = async move { replacing.replace(vec![("b", value), ("f", "imported".into())]).await };
            match pace {
                Pace::Awaited => replaced.await,
                Pace::Hurried => writer.spawn(replaced),
            }
            return;
        }
        Step::Reopen => return,
    };
    if let (Ok(seq), Pace::Awaited) = (written, pace) {
        let _ = writer.store.settled(seq, writer.level).await;
    }
}

/// Asks for something that brings everything up to the seq it gives to the disk.
async fn answered(writer: &Writer, pace: Pace, ask: impl AsyncFnOnce(Writer) -> Result<u64> + 'static) {
    let asking = writer.clone();
    let done = async move {
        if let Ok(seq) = ask(asking.clone()).await {
            asking.acknowledged(seq, Level::Disk);
        }
    };
    match pace {
        Pace::Awaited => done.await,
        Pace::Hurried => writer.spawn(done),
    }
}

/// Every workload of so many steps at most.
fn workloads(steps_max: usize, mut each: impl FnMut(Workload)) {
    let mut sequences = vec![vec![]];
    for _ in 0..steps_max {
        let longer = sequences.iter().flat_map(|some: &Vec<Step>| STEPS.map(|step| [&some[..], &[step]].concat()));
        sequences = longer.chain([vec![]]).collect();
    }
    for steps in sequences.into_iter().filter(|steps| !steps.is_empty()) {
        for durability in DURABILITIES {
            for start in [Start::Empty, Start::Used] {
                for pace in [Pace::Awaited, Pace::Hurried] {
                    for medium in [Sim::storage as fn(u64) -> Rc<Sim>, Sim::idb] {
                        each(Workload { medium, durability, start, pace, steps: steps.clone() });
                    }
                }
            }
        }
    }
}

/// Opens what a crash left, twice.
fn recover(sim: &Rc<Sim>, options: &Options) {
    let found = Opening::recover(sim, options, 5).store().recovered();
    let again = Opening::recover(sim, options, 6).store().recovered();
    assert_eq!((found.row, found.seq, found.frames), (again.row, again.seq, again.frames), "opening twice");
}

/// Tier a: every workload of three steps, a crash in every call, every subset of what was not synced. `HOLDFAST_STEPS`
/// is the length of the workloads.
#[test]
fn exhaustive() {
    let steps_max = count_asked_for("HOLDFAST_STEPS", 3) as usize;
    let mut tier = Tier::new("exhaustive");
    workloads(steps_max, |workload| {
        tier.case(&workload.name(), |case, figures| {
            let sim = workload.prepared();
            sim.latency_ms.replace(1..2);
            sim.moments.replace(Some(Vec::new()));
            workload.run(&sim);
            let mut moments = sim.moments.take().expect("recorded");
            moments.push(sim.moment());
            figures.runs += 1;
            for (point, moment) in moments.iter().enumerate() {
                figures.crash_points += 1;
                for crash in CRASHES {
                    Every::combination(|every| {
                        let name = every.name();
                        let sim = Sim::at(moment.clone(), 4);
                        sim.settle(crash, every);
                        figures.recoveries += 1;
                        case.part(|| format!("{point} {crash:?} {name}"), || recover(&sim, &workload.options()));
                    });
                }
            }
        });
    });
}

/// Tier b: random schedules.
#[test]
fn random_always() {
    random_schedules("random-always", Durability::Always);
}

#[test]
fn random_everysec() {
    random_schedules("random-everysec", Durability::Everysec);
}

#[test]
fn random_no() {
    random_schedules("random-no", Durability::No);
}

fn random_schedules(name: &'static str, durability: Durability) {
    let count = count_asked_for("HOLDFAST_SCHEDULES", 34_000);
    schedule::run_many(&mut Tier::new(name), durability, fastrand::u64(..), count);
}

/// Tier c: a crash in every call of a workload, then in some calls of the recovery from it, of the recovery from that,
/// and of the one from that. `HOLDFAST_NESTED` says in how many.
#[test]
fn nested() {
    const DEPTH: u32 = 3;
    let points = count_asked_for("HOLDFAST_NESTED", 2) as usize;
    let mut tier = Tier::new("nested");
    workloads(2, |workload| {
        tier.case(&workload.name(), |case, figures| {
            let sim = workload.prepared();
            sim.latency_ms.replace(1..2);
            sim.moments.replace(Some(Vec::new()));
            workload.run(&sim);
            let moments = sim.moments.take().expect("recorded");
            figures.runs += 1;
            let mut nest = Nest { case, figures, options: &workload.options(), points };
            nest.crash_in_each(moments, DEPTH, "");
        });
    });
}

struct Nest<'a> {
    case: &'a Case,
    figures: &'a mut Figures,
    options: &'a Options,
    points: usize,
}

impl Nest<'_> {
    /// Crashes in each of the moments and recovers. Down to a depth, some moments of the recovery are crashed in turn.
    fn crash_in_each(&mut self, moments: Vec<Moment>, depth: u32, way: &str) {
        for (point, moment) in moments.into_iter().enumerate() {
            self.figures.crash_points += 1;
            for crash in CRASHES {
                let way = format!("{way}{point} {crash:?} ");
                // What happens below a place depends on the place alone, so that one can be run without the others.
                let mut random = Rng::with_seed(xxh64(way.as_bytes(), 0));
                let sim = Sim::at(moment.clone(), 4);
                sim.settle(crash, &mut random);
                self.figures.recoveries += 1;
                if depth == 0 {
                    self.case.part(|| way.trim_end().to_owned(), || recover(&sim, self.options));
                    continue;
                }
                self.figures.nested += 1;
                sim.moments.replace(Some(Vec::new()));
                self.case.part(|| way.trim_end().to_owned(), || recover_and_go_on(&sim, self.options));
                let recovering = sim.moments.take().expect("recorded");
                self.crash_in_each(random.choose_multiple(recovering, self.points), depth - 1, &way);
            }
        }
    }
}

/// Opens what a crash left and takes a write to the disk.
fn recover_and_go_on(sim: &Rc<Sim>, options: &Options) {
    let mut opening = Opening::recover(sim, options, 5);
    opening.finish(|writer| async move {
        writer.set("e", "after a crash").expect("taken");
        let seq = writer.store.flush().await.expect("synced");
        writer.acknowledged(seq, Level::Disk);
        writer.check_reads();
    });
}

/// Tier d: an error in every call of every workload, once and from then on, of every kind and with every effect; then
/// a crash in some of the calls behind it. `HOLDFAST_ERROR_STEPS` is the length of the workloads.
#[test]
fn errors() {
    let errors = [
        (Code::Quota, Effect::Part(100)),
        (Code::Unavailable, Effect::Nothing),
        (Code::Unavailable, Effect::Lied),
        (Code::Unavailable, Effect::Dropped),
        (Code::Timeout, Effect::Lied),
        (Code::Fenced, Effect::Nothing),
    ];
    let steps_max = count_asked_for("HOLDFAST_ERROR_STEPS", 2) as usize;
    let mut tier = Tier::new("errors");
    workloads(steps_max, |workload| {
        tier.case(&workload.name(), |case, figures| {
            let prepared = workload.prepared();
            prepared.latency_ms.replace(1..2);
            let start = prepared.moment();
            let calls_before = prepared.calls.get();
            workload.run(&prepared);
            figures.runs += 1;
            for call in 0..prepared.calls.get() - calls_before {
                for (code, effect) in errors {
                    for times in [1, u64::MAX] {
                        let sim = Sim::at(start.clone(), 4);
                        let error = Injection::new(Fault::Fails(code, effect)).after(call).times(times);
                        let name = || format!("{call} {code:?} {effect:?} {times}");
                        case.part(name, || fail_and_crash(&workload, &sim, error, figures));
                    }
                }
            }
        });
    });
}

fn fail_and_crash(workload: &Workload, sim: &Rc<Sim>, error: Injection, figures: &mut Figures) {
    const POINTS: usize = 2;
    let mut random = Rng::with_seed(error.after);
    sim.latency_ms.replace(1..2);
    sim.inject(error);
    sim.moments.replace(Some(Vec::new()));
    workload.run(sim);
    figures.faults += sim.faults.get();
    figures.replaced += sim.ledger.borrow().replaced;
    let mut moments = random.choose_multiple(sim.moments.take().expect("recorded"), POINTS);
    moments.push(sim.moment());
    for moment in moments {
        figures.crash_points += 1;
        for crash in CRASHES {
            let sim = Sim::at(moment.clone(), 4);
            sim.settle(crash, &mut random);
            figures.recoveries += 1;
            recover_and_go_on(&sim, &workload.options());
        }
    }
}
