//! Random schedules: sessions on one storage, each with its workload, its faults and its end.
//!
//! Everything follows from the seed. The same code runs natively and as wasm.

use super::choice::below;
use super::figures::{Figures, Tier};
use super::opening::{Opening, Writer};
use super::storage::Fate;
use super::{Crash, Effect, Fault, Injection, Kind, Sim, choice};
use fastrand::Rng;
use holdfast::op::Op;
use holdfast::{Code, Durability, Host, Level, Mode, Options, Recovery, RewriteRule, SaveRule};
use std::rc::Rc;

/// What time does to the entries of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// Nothing: none of them expires.
    Passes,
    /// Half of them expire, and the clock on the wall is set now and then, forwards and back, in a session and between two.
    Ends,
}

/// Runs so many schedules that follow from a seed, or the one that is asked for.
pub fn run_many(tier: &mut Tier, durability: Durability, first_seed: u64, count: u64) {
    let only: Option<u64> = tier.only().map(|seed| seed.parse().expect("a seed"));
    let mut seeds = Rng::with_seed(tier.seeded(first_seed));
    for _ in 0..only.map_or(count, |_| 1) {
        let seed = only.unwrap_or_else(|| seeds.u64(..));
        tier.case(&seed.to_string(), |_, figures| run(seed, durability, figures));
    }
}

fn run(seed: u64, durability: Durability, figures: &mut Figures) {
    let mut random = Rng::with_seed(seed);
    let sim = if random.u8(..4) == 0 { Sim::idb(random.u64(..)) } else { Sim::storage(random.u64(..)) };
    let options = options(&mut random, durability);
    let time = if random.bool() { Time::Ends } else { Time::Passes };
    // One or the other: a snapshot that rescued the state, has no room beside it, or has no log, is the only place where that is.
    let rots = random.u8(..8) == 0 && options.mode != Mode::Snapshot;
    let sessions = random.u8(1..5);
    let rotten = random.u8(..sessions);
    figures.runs += 1;
    for number in 0..sessions {
        if rots && number == rotten {
            sim.inject(rot(&mut random));
        } else if !rots {
            for _ in 0..random.u8(..3) {
                sim.inject(injection(&mut random));
            }
            if random.u8(..16) == 0 {
                sim.quota_bytes.set(sim.bytes() + random.u64(..20_000));
            }
        }
        if time == Time::Ends {
            set_clock_between(&sim, &mut random);
        }
        // As with a rescue: where nothing rots.
        let replaces = if rots { Replaces::Never } else { Replaces::Sometimes };
        session(&sim, &options, time, replaces, &mut random, figures);
    }
    goes_on(&sim, &options, &mut random);
    figures.recoveries += 1;
    figures.faults += sim.faults.get();
    figures.replaced += sim.ledger.borrow().replaced;
    figures.swept += sim.ledger.borrow().swept;
}

fn options(random: &mut Rng, durability: Durability) -> Options {
    let mode = match random.u8(..4) {
        0 => Mode::Log,
        // What is promised between snapshots is nothing.
        1 if durability == Durability::No => Mode::Snapshot,
        _ => Mode::Hybrid,
    };
    let save = if random.bool() { vec![SaveRule(random.u32(1..5), random.u64(1..6))] } else { Vec::new() };
    let rewrite = RewriteRule { percentage: random.u32(1..300), min_bytes: 4096 };
    let recovery = if random.bool() { Recovery::Strict } else { Recovery::PointInTime };
    Options { durability, mode, save, rewrite, recovery }
}

/// As long as what expires lives, or a little longer.
const LIFE_MS: u64 = 6000;

/// The next opening finds the clock where the last one left it, or not.
fn set_clock_between(sim: &Rc<Sim>, random: &mut Rng) {
    let ms = random.u64(..2 * LIFE_MS) as f64;
    let by_ms = [0.0, 0.0, ms, -ms][below(random, 4)];
    sim.clock_ahead_ms.set(sim.clock_ahead_ms.get() + by_ms);
}

/// One opening, from the crash before it to its own.
fn session(sim: &Rc<Sim>, options: &Options, time: Time, replaces: Replaces, random: &mut Rng, figures: &mut Figures) {
    sim.latency_ms.replace([0..1, 0..3, 1..50, 0..2000][below(random, 4)].clone());
    if random.bool() {
        sim.crash_at.set(sim.calls.get() + random.u64(1..40));
    }
    let (faults, changes) = (sim.faults.get(), sim.changes.get());
    match Opening::try_open(sim, options, random.u64(..)) {
        Ok(Ok(mut opening)) => {
            figures.recoveries += 1;
            assert_eq!(sim.changes.get(), changes, "opening writes nothing");
            assert_eq!(opening.store().recovered().data_loss, None);
            opening.check_recovered();
            let script_random = Rng::with_seed(random.u64(..));
            let _ = opening.run(|writer| script(writer, time, replaces, script_random));
        }
        Ok(Err(error)) => assert!(sim.faults.get() > faults, "the store does not open: {error}"),
        Err(_) => figures.nested += 1,
    }
    sim.heal();
    figures.crash_points += 1;
    sim.settle(if random.bool() { Crash::Kill } else { Crash::PowerCut }, random);
}

/// A flipped bit where the log makes up for it.
fn rot(random: &mut Rng) -> Injection {
    let kind = if random.bool() { Kind::Append } else { Kind::Read };
    Injection::new(Fault::Rots(random.u32(..) as usize)).on(kind, "snap-").after(random.u64(..4)).times(1)
}

/// A failure that the storage may have without breaking its word.
fn injection(random: &mut Rng) -> Injection {
    let kinds =
        [Kind::Append, Kind::Append, Kind::Append, Kind::Sync, Kind::Sync, Kind::Remove, Kind::List, Kind::Read];
    let kind = kinds[below(random, kinds.len())];
    let code = [Code::Quota, Code::Unavailable, Code::Timeout, Code::Fenced][below(random, 4)];
    // What finds no room does not get as far as a sync.
    let effects = if code == Code::Quota { 2 } else { 4 };
    let effect = [Effect::Nothing, Effect::Part(below(random, 10_000)), Effect::Lied, Effect::Dropped];
    let fault = match random.u8(..16) {
        0 => Fault::Hangs,
        1 => Fault::Stalls(random.u32(..60_000)),
        _ => Fault::Fails(code, effect[below(random, effects)]),
    };
    let prefix = ["", "", "", "snap-"][below(random, 4)];
    let times = if random.bool() { 1 } else { u64::MAX };
    Injection::new(fault).on(kind, prefix).after(random.u64(..8)).times(times)
}

/// Whether a script may replace everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaces {
    Never,
    Sometimes,
}

async fn script(writer: Writer, time: Time, replaces: Replaces, mut random: Rng) {
    for _ in 0..random.u8(..14) {
        match random.u8(..21) {
            20 if replaces == Replaces::Never => {}
            20 => {
                let bytes = if random.bool() { below(&mut random, 40) } else { below(&mut random, 9000) };
                let value = char::from(random.u8(b'a'..=b'z')).to_string().repeat(bytes);
                let replacing = writer.clone();
                let replace = async move { replacing.replace(vec![("key:1", value), ("key:9", "last".into())]).await };
                if random.bool() {
                    writer.spawn(replace);
                } else {
                    writer.within(100_000, replace).await;
                }
            }
            0 => {
                let checkpointing = writer.clone();
                let checkpoint = async move { checkpointing.checkpoint().await };
                if random.bool() {
                    writer.spawn(checkpoint);
                } else {
                    writer.within(100_000, checkpoint).await;
                }
            }
            1..3 => {
                writer.within(100_000, writer.flush()).await;
            }
            3 => {
                let level = if random.bool() { Level::Os } else { Level::Disk };
                let _ = writer.store.request(level, random.u64(..=writer.store.seq()));
            }
            4..7 => writer.host.sleep(random.u32(..3000)).await,
            7..9 => writer.host.sleep(random.u32(..20)).await,
            9 if time == Time::Ends => {
                let ms = random.u64(..LIFE_MS) as f64;
                writer.host.skip(if random.bool() { ms } else { -ms });
            }
            _ => {
                let _ = write(&writer, time, &mut random);
            }
        }
        if random.bool() {
            writer.check_reads();
        }
    }
    if random.u8(..4) == 0 {
        writer.within(100_000, writer.close()).await;
    }
}

fn write(writer: &Writer, time: Time, random: &mut Rng) -> holdfast::Result<u64> {
    if random.u8(..24) == 0 {
        return writer.write(&[Op::DeleteRange { start: b"", end: b"\xFF" }]);
    }
    let many = if random.u8(..4) == 0 { 2 + below(random, 4) } else { 1 };
    let now_ms = writer.host.now_ms() as u64;
    let parts: Vec<(String, Option<Vec<u8>>, Option<u64>)> = (0..many)
        .map(|_| {
            let bytes = match random.u16(..) {
                0..200 => below(random, 70_000),
                200..6000 => below(random, 3000),
                _ => below(random, 40),
            };
            let value = (random.u8(..5) > 0).then(|| vec![random.u8(..); bytes]);
            // Some have expired before they are there.
            let expires_at_ms =
                (time == Time::Ends && random.bool()).then(|| now_ms + random.u64(..LIFE_MS) - LIFE_MS / 8);
            (format!("key:{}", random.u8(..8)), value, expires_at_ms)
        })
        .collect();
    let ops: Vec<Op<'_>> = parts
        .iter()
        .map(|(key, value, expires_at_ms)| match value {
            Some(value) => Op::Set { key: key.as_bytes(), value, expires_at_ms: *expires_at_ms },
            None => Op::Delete { key: key.as_bytes() },
        })
        .collect();
    writer.write(&ops)
}

/// Whatever happened, the store opens, twice with the same result, takes a write and keeps it.
fn goes_on(sim: &Rc<Sim>, options: &Options, random: &mut Rng) {
    drop(Opening::recover(sim, options, random.u64(..)));
    let mut opening = Opening::recover(sim, options, random.u64(..));
    opening.finish(|writer| async move {
        writer.set_and_wait("last", "word", Level::Disk).await.expect("a healthy storage takes it");
        writer.check_reads();
    });
    drop(opening);
    sim.settle(Crash::PowerCut, &mut choice::All(Fate::Lost));
    let opening = Opening::recover(sim, options, random.u64(..));
    assert!(opening.store().has(b"last"));
}
