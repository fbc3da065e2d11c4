//! Random histories of concurrent transactions, each judged: the transactions must have run one after another.
//!
//! Some clients of one store take turns, as a seeded generator says. Each is in a transaction of several steps that read keys,
//! read ranges and write, and ends it as `src/ts/transaction.ts` does: by one batch, whose conditions are the versions of the
//! keys and the seqs at which the ranges were read. In between come the steps of others, writes without conditions, time, sweeps,
//! checkpoints, storages without room, and crashes. The judge runs what was taken and is left, in the order of seqs, on a plain map of
//! its own: every read has to have given what it gives there. Values are never used twice, so what was refused or taken back
//! cannot hide.
//!
//! Prints its figures and its seed (`HOLDFAST_SEED` repeats it), and the case of a violation (`HOLDFAST_CASE` runs it alone and tells
//! every call). `HOLDFAST_HISTORIES` sets how many there are. Deliberately absent: the same in a browser
//! (`tests/e2e/site/api/transactions.mjs`).

#![cfg(not(target_arch = "wasm32"))]

#[path = "support/sim/mod.rs"]
mod sim;

use fastrand::Rng;
use holdfast::map::{Entry, Map};
use holdfast::op::{Op, SYSTEM_KEYS_START};
use holdfast::{
    Code, Condition, Direction, Durability, Host, Level, Mode, Options, Recovery, RewriteRule, SaveRule, ScanRange,
};
use sim::choice::below;
use sim::figures::{Figures, Tier, count_asked_for, trace};
use sim::opening::{Opening, Writer};
use sim::{Crash, Effect, Fault, Injection, Kind, Sim};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Few, so that transactions meet.
const KEYS: u8 = 7;
const CLIENTS: usize = 4;
/// As in `src/ts/numbers.ts`.
const TRIES: u32 = 8;
/// A version that no entry has.
const NEVER: u64 = (1 << 53) - 1;
/// How long entries live at most that do not live for ever.
const LIFE_MS: u64 = 400;

/// A value and its expiry by key.
type Model = BTreeMap<u8, (u64, Option<u64>)>;

fn key_of(key: u8) -> [u8; 2] {
    [b'k', b'0' + key]
}

/// The keys from one up to another, as bounds: greater than the first, less than the second.
#[derive(Clone, Copy, Debug)]
struct Keys {
    from: u8,
    to: u8,
}

impl Keys {
    fn random(random: &mut Rng) -> Keys {
        // Some are empty, some everything.
        Keys { from: random.u8(..=KEYS), to: random.u8(..=KEYS) }
    }

    fn after(self) -> [u8; 3] {
        [b'k', b'0' + self.from - 1, 0xFF]
    }

    fn start(self) -> [u8; 4] {
        [b'k', b'0' + self.from - 1, 0xFF, 0]
    }

    fn end(self) -> [u8; 2] {
        key_of(self.to)
    }

    fn is_everything(self) -> bool {
        (self.from, self.to) == (0, KEYS)
    }

    fn has(self, key: u8) -> bool {
        self.from <= key && key < self.to
    }
}

/// What a batch does to a key or to a range.
#[derive(Clone, Copy, Debug)]
enum Change {
    Set { key: u8, value: u64, expires_at_ms: Option<u64> },
    Delete { key: u8 },
    Clear(Keys),
}

impl Change {
    fn apply(self, model: &mut Model) {
        match self {
            Change::Set { key, value, expires_at_ms } => drop(model.insert(key, (value, expires_at_ms))),
            Change::Delete { key } => drop(model.remove(&key)),
            Change::Clear(keys) => model.retain(|key, _| !keys.has(*key)),
        }
    }
}

/// A step of a transaction, with what it gave.
#[derive(Clone, Debug)]
enum Step {
    Get { key: u8, got: Option<u64> },
    Walk { keys: Keys, direction: Direction, limit: usize, got: Vec<(u8, u64)> },
    Count { keys: Keys, got: u64 },
    Set { key: u8, value: u64 },
    Delete { key: u8 },
}

/// What was taken: a batch, with the steps of its transaction if it is of one; without changes, a transaction that only read.
struct Taken {
    /// The batch in the ledger, or the newest one when a transaction that only read ended.
    node: usize,
    at_ms: f64,
    steps: Vec<Step>,
    changes: Vec<Change>,
}

/// What was done, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    transactions: u64,
    only_read: u64,
    conflicts: u64,
    given_up: u64,
    over_a_rejection: u64,
    other_writes: u64,
    replaces: u64,
    not_left: u64,
}

#[derive(Default)]
struct History {
    taken: Vec<Taken>,
    values: u64,
    counts: Counts,
}

/// One run of a transaction.
struct Attempt {
    tries: u32,
    steps_left: u8,
    steps: Vec<Step>,
    /// The version of each key that was read.
    versions: BTreeMap<u8, u64>,
    /// The ranges that were read, and the store's seq then.
    ranges: Vec<(Keys, u64)>,
    /// What is to be written, in the order of the keys' first.
    writes: Vec<Change>,
    begun: Begun,
}

/// The store as a transaction found it.
struct Begun {
    seq: u64,
    at_ms: f64,
    rejections: usize,
    view: Map,
}

fn rejections(writer: &Writer) -> usize {
    writer.failures.borrow().len()
}

impl Attempt {
    fn new(writer: &Writer, tries: u32, random: &mut Rng) -> Attempt {
        let begun = Begun {
            seq: writer.store.seq(),
            at_ms: writer.host.now_ms(),
            rejections: rejections(writer),
            view: writer.store.view(),
        };
        Attempt {
            tries,
            steps_left: random.u8(1..6),
            steps: Vec::new(),
            versions: BTreeMap::new(),
            ranges: Vec::new(),
            writes: Vec::new(),
            begun,
        }
    }

    fn written(&self, key: u8) -> Option<Change> {
        self.writes
            .iter()
            .copied()
            .find(|change| matches!(change, Change::Set { key: of, .. } | Change::Delete { key: of } if *of == key))
    }

    fn write(&mut self, key: u8, change: Change) {
        let of_key = |other: &&mut Change| matches!(other, Change::Set { key: of, .. } | Change::Delete { key: of } if *of == key);
        match self.writes.iter_mut().find(of_key) {
            Some(place) => *place = change,
            None => self.writes.push(change),
        }
    }

    fn step(&mut self, writer: &Writer, history: &mut History, random: &mut Rng) {
        self.steps_left -= 1;
        let store = &writer.store;
        let key = random.u8(..KEYS);
        let step = match random.u8(..16) {
            0..5 => Step::Get { key, got: self.get(writer, key) },
            5..8 => {
                let keys = Keys::random(random);
                let direction = if random.bool() { Direction::Forwards } else { Direction::Back };
                let limit = 1 + below(random, usize::from(KEYS));
                self.ranges.push((keys, store.seq()));
                let got = self.rows(writer, keys, direction, limit);
                Step::Walk { keys, direction, limit, got }
            }
            8 => {
                let keys = Keys::random(random);
                self.ranges.push((keys, store.seq()));
                let is_own = (0..KEYS).any(|key| keys.has(key) && self.written(key).is_some());
                let all = || self.rows(writer, keys, Direction::Forwards, usize::MAX).len() as u64;
                let got = if is_own { all() } else { store.count_range(&keys.start(), &keys.end()) };
                Step::Count { keys, got }
            }
            9..13 => {
                let change = history.new_set(writer, key, random);
                self.write(key, change);
                let Change::Set { value, .. } = change else { return };
                Step::Set { key, value }
            }
            _ => {
                self.write(key, Change::Delete { key });
                Step::Delete { key }
            }
        };
        self.steps.push(step);
    }

    fn get(&mut self, writer: &Writer, key: u8) -> Option<u64> {
        match self.written(key) {
            Some(Change::Set { value, .. }) => return Some(value),
            Some(_) => return None,
            None => {}
        }
        let found = writer.store.get(&key_of(key), |entry| (value_in(entry), entry.version));
        let version = found.map_or(0, |(_, version)| version);
        // A key that was absent may be so again: then its version alone does not tell of what was read in between.
        let known = self.versions.entry(key).or_insert(version);
        if *known != version {
            *known = NEVER;
        }
        found.map(|(value, _)| value)
    }

    fn rows(&self, writer: &Writer, keys: Keys, direction: Direction, limit: usize) -> Vec<(u8, u64)> {
        let mut rows = BTreeMap::new();
        let mut in_order = Vec::new();
        let range = ScanRange { after: &keys.after(), end: &keys.end(), direction };
        writer.store.scan(None, range, &mut |entry| {
            let row = (entry.key[1] - b'0', value_in(entry));
            in_order.push(row);
            rows.insert(row.0, row.1);
            true
        });
        for change in &self.writes {
            match *change {
                Change::Set { key, value, .. } if keys.has(key) => drop(rows.insert(key, value)),
                Change::Delete { key } => drop(rows.remove(&key)),
                _ => {}
            }
        }
        let is_own = self
            .writes
            .iter()
            .any(|change| matches!(change, Change::Set { key, .. } | Change::Delete { key } if keys.has(*key)));
        let mut rows: Vec<(u8, u64)> = rows.into_iter().collect();
        if direction == Direction::Back {
            rows.reverse();
        }
        if !is_own {
            rows = in_order;
        }
        rows.truncate(limit);
        rows
    }

    /// Ends it: by a batch, or where it changes nothing by asking whether what it has read holds. False: it is to run again.
    fn commit(&self, writer: &Writer, history: &mut History) -> bool {
        let store = &writer.store;
        if rejections(writer) > self.begun.rejections {
            // What was read may be gone, and its seqs given to others: a condition cannot tell.
            history.counts.over_a_rejection += 1;
            return false;
        }
        let keys: Vec<([u8; 2], u64)> = self.versions.iter().map(|(key, version)| (key_of(*key), *version)).collect();
        let ranges: Vec<_> = self.ranges.iter().map(|(keys, seq)| (keys.start(), keys.end(), *seq)).collect();
        let versions = keys.iter().map(|(key, version)| Condition::Version { key, version: *version });
        let unchanged =
            ranges.iter().map(|(start, end, since_seq)| Condition::Unchanged { start, end, since_seq: *since_seq });
        let conditions: Vec<Condition<'_>> = versions.chain(unchanged).collect();
        // As the engine's entry for JavaScript has it: what only removes leaves out what is not there.
        let mut changes = self.writes.clone();
        if !changes.iter().any(|change| matches!(change, Change::Set { .. })) {
            changes.retain(|change| matches!(change, Change::Delete { key } if store.has(&key_of(*key))));
        }
        let outcome = if changes.is_empty() {
            match conditions.iter().all(|condition| store.holds(condition)) {
                true => Ok(writer.sim.ledger.borrow().tip()),
                false => Err(Code::Conflict),
            }
        } else {
            history.write(writer, &conditions, &changes)
        };
        trace(|| format!("{:?} {:?}: {outcome:?}", self.steps, conditions));
        match outcome {
            Ok(node) => {
                history.counts.transactions += 1;
                history.counts.only_read += u64::from(changes.is_empty());
                history.taken.push(Taken { node, at_ms: writer.host.now_ms(), steps: self.steps.clone(), changes });
                true
            }
            Err(Code::Conflict) => {
                history.counts.conflicts += 1;
                let same = self.begun.seq == store.seq() && std::ptr::eq(self.begun.view.base(), store.view().base());
                assert!(!same || self.begun.at_ms < writer.host.now_ms(), "nobody overtook it, and it is refused");
                false
            }
            // The store takes no writes any more.
            Err(_) => true,
        }
    }
}

fn value_in(entry: Entry<'_>) -> u64 {
    u64::from_le_bytes(entry.value[..8].try_into().expect("a value of ours"))
}

/// Hands over the ops of changes.
fn with_ops<R>(changes: &[Change], take: impl FnOnce(&[Op<'_>]) -> R) -> R {
    struct Bytes {
        key: [u8; 2],
        value: Vec<u8>,
        start: [u8; 4],
        end: [u8; 2],
    }
    let bytes: Vec<Bytes> = changes
        .iter()
        .map(|change| match *change {
            Change::Set { key, value, .. } => {
                // Some fill blocks and storages.
                let bytes = if value % 64 == 0 { 20_000 } else { 8 + (value % 50) as usize };
                let mut padded = value.to_le_bytes().to_vec();
                padded.resize(bytes, 7);
                Bytes { key: key_of(key), value: padded, start: [0; 4], end: [0; 2] }
            }
            Change::Delete { key } => Bytes { key: key_of(key), value: Vec::new(), start: [0; 4], end: [0; 2] },
            Change::Clear(keys) => Bytes { key: [0; 2], value: Vec::new(), start: keys.start(), end: keys.end() },
        })
        .collect();
    let ops: Vec<Op<'_>> = changes
        .iter()
        .zip(&bytes)
        .map(|(change, Bytes { key, value, start, end })| match *change {
            Change::Set { expires_at_ms, .. } => Op::Set { key, value, expires_at_ms },
            Change::Delete { .. } => Op::Delete { key },
            // As the store itself clears: without a look at what there is.
            Change::Clear(keys) if keys.is_everything() => Op::DeleteRange { start: b"", end: &[SYSTEM_KEYS_START] },
            Change::Clear(_) => Op::DeleteRange { start, end },
        })
        .collect();
    take(&ops)
}

impl History {
    fn new_set(&mut self, writer: &Writer, key: u8, random: &mut Rng) -> Change {
        self.values += 1;
        let now_ms = writer.host.now_ms() as u64;
        let expires_at_ms = (random.u8(..4) == 0).then(|| now_ms + random.u64(..LIFE_MS));
        Change::Set { key, value: self.values, expires_at_ms }
    }

    /// Writes a batch; gives its place in the ledger, or why it was refused.
    fn write(&self, writer: &Writer, conditions: &[Condition<'_>], changes: &[Change]) -> Result<usize, Code> {
        with_ops(changes, |ops| writer.write_if(conditions, ops)).map_err(|error| error.code)?;
        Ok(writer.sim.ledger.borrow().tip())
    }

    /// A write of somebody who has read nothing.
    fn write_blindly(&mut self, writer: &Writer, random: &mut Rng) {
        let key = random.u8(..KEYS);
        let changes = match random.u8(..12) {
            0..5 => vec![self.new_set(writer, key, random)],
            // Also of what is not there.
            5..7 => vec![Change::Delete { key }],
            7 => (0..random.u8(2..5)).map(|_| self.new_set(writer, random.u8(..KEYS), random)).collect(),
            // Gone and there again, as one batch and as two.
            8 => vec![Change::Delete { key }, self.new_set(writer, key, random)],
            9 => {
                let gone = vec![Change::Delete { key }];
                self.take(writer, gone);
                vec![self.new_set(writer, key, random)]
            }
            // As to make room.
            10 => (0..KEYS).filter(|_| random.bool()).map(|key| Change::Delete { key }).collect(),
            _ if random.u8(..4) == 0 => vec![Change::Clear(Keys { from: 0, to: KEYS })],
            _ => vec![Change::Clear(Keys::random(random))],
        };
        self.take(writer, changes);
    }

    fn take(&mut self, writer: &Writer, changes: Vec<Change>) {
        if let Ok(node) = self.write(writer, &[], &changes) {
            self.counts.other_writes += 1;
            self.taken.push(Taken { node, at_ms: writer.host.now_ms(), steps: Vec::new(), changes });
        }
    }

    /// Replaces everything, unless a checkpoint runs.
    fn replace(&mut self, writer: &Writer, random: &mut Rng) {
        let mut changes = vec![Change::Clear(Keys { from: 0, to: KEYS })];
        for key in (0..KEYS).filter(|_| random.bool()).collect::<Vec<u8>>() {
            changes.push(self.new_set(writer, key, random));
        }
        if let Ok(Some(node)) = with_ops(&changes, |ops| writer.try_replace(ops)) {
            self.counts.replaces += 1;
            self.taken.push(Taken { node, at_ms: writer.host.now_ms(), steps: Vec::new(), changes });
        }
    }

    /// Runs what is left of it on a plain map, which it gives; panics at a read that gave something else.
    fn judge(&mut self, sim: &Sim) -> Model {
        let ledger = sim.ledger.borrow();
        let mut left: Vec<(u64, &Taken)> =
            self.taken.iter().filter_map(|taken| Some((ledger.seq_of(taken.node)?, taken))).collect();
        // A crash may bring back what was rejected. Who only read comes behind the batch that was the newest.
        left.sort_by_key(|(seq, _)| *seq);
        self.counts.not_left += (self.taken.len() - left.len()) as u64;
        let mut model = Model::new();
        for (_, taken) in left {
            check_alone(&taken.steps, &model, taken.at_ms);
            for change in &taken.changes {
                change.apply(&mut model);
            }
        }
        model
    }
}

/// What of a map has not expired.
fn unexpired(model: &Model, at_ms: f64) -> BTreeMap<u8, u64> {
    let lives = |expires_at_ms: Option<u64>| expires_at_ms.is_none_or(|end_ms| end_ms as f64 > at_ms);
    let left = model.iter().filter(|(_, (_, expires_at_ms))| lives(*expires_at_ms));
    left.map(|(key, (value, _))| (*key, *value)).collect()
}

/// Runs the steps of a transaction on a map, with nobody beside it.
fn check_alone(steps: &[Step], model: &Model, at_ms: f64) {
    let mut own: BTreeMap<u8, Option<u64>> = BTreeMap::new();
    let rows = |own: &BTreeMap<u8, Option<u64>>, keys: Keys| -> Vec<(u8, u64)> {
        let mut rows = unexpired(model, at_ms);
        for (key, value) in own {
            match value {
                Some(value) => rows.insert(*key, *value),
                None => rows.remove(key),
            };
        }
        rows.into_iter().filter(|(key, _)| keys.has(*key)).collect()
    };
    for step in steps {
        match step {
            Step::Get { key, got } => {
                let everything = Keys { from: 0, to: KEYS };
                let expected = rows(&own, everything).into_iter().find(|(other, _)| other == key);
                assert_eq!(*got, expected.map(|(_, value)| value), "{step:?} of {steps:?}");
            }
            Step::Walk { keys, direction, limit, got } => {
                let mut expected = rows(&own, *keys);
                if *direction == Direction::Back {
                    expected.reverse();
                }
                expected.truncate(*limit);
                assert_eq!(*got, expected, "{step:?} of {steps:?}");
            }
            Step::Count { keys, got } => {
                assert_eq!(*got, rows(&own, *keys).len() as u64, "{step:?} of {steps:?}");
            }
            Step::Set { key, value } => drop(own.insert(*key, Some(*value))),
            Step::Delete { key } => drop(own.insert(*key, None)),
        }
    }
}

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// Now and then too little, so that writes are taken back.
    Scarce,
}

async fn script(writer: Writer, history: Rc<RefCell<History>>, room: Room, mut random: Rng) {
    let mut clients: Vec<Option<Attempt>> = (0..CLIENTS).map(|_| None).collect();
    for _ in 0..random.u8(20..120) {
        match random.u8(..32) {
            0..20 => {
                let (place, history) = (&mut clients[below(&mut random, CLIENTS)], &mut *history.borrow_mut());
                match place.take() {
                    None => *place = Some(Attempt::new(&writer, 1, &mut random)),
                    Some(mut attempt) if attempt.steps_left > 0 => {
                        attempt.step(&writer, history, &mut random);
                        *place = Some(attempt);
                    }
                    Some(attempt) if attempt.commit(&writer, history) => {}
                    Some(attempt) if attempt.tries < TRIES => {
                        *place = Some(Attempt::new(&writer, attempt.tries + 1, &mut random));
                    }
                    Some(_) => history.counts.given_up += 1,
                }
            }
            20 if random.u8(..4) == 0 => history.borrow_mut().replace(&writer, &mut random),
            20..24 => history.borrow_mut().write_blindly(&writer, &mut random),
            24..26 => writer.host.sleep(random.u32(..3)).await,
            26 => writer.host.sleep(random.u32(..2 * LIFE_MS as u32)).await,
            27 => writer.host.skip(random.u64(..LIFE_MS) as f64),
            28 => {
                let checkpointing = writer.clone();
                let checkpoint = async move { checkpointing.checkpoint().await };
                if random.bool() {
                    writer.spawn(checkpoint);
                } else {
                    writer.within(100_000, checkpoint).await;
                }
            }
            29 => {
                writer.within(100_000, writer.flush()).await;
            }
            30 if room == Room::Scarce => {
                let full = random.bool().then(|| writer.sim.bytes() + random.u64(..200));
                writer.sim.quota_bytes.set(full.unwrap_or(u64::MAX));
            }
            _ => writer.check_reads(),
        }
    }
    if random.bool() {
        writer.within(100_000, writer.close()).await;
    }
}

fn run(seed: u64, figures: &mut Figures) -> Counts {
    let mut random = Rng::with_seed(seed);
    let sim = if random.u8(..4) == 0 { Sim::idb(random.u64(..)) } else { Sim::storage(random.u64(..)) };
    let durability = [Durability::Always, Durability::Everysec, Durability::No][below(&mut random, 3)];
    let modes = [Mode::Hybrid, Mode::Log, Mode::Snapshot];
    // Without a log nothing is promised between snapshots.
    let mode = modes[below(&mut random, if durability == Durability::No { 3 } else { 2 })];
    let save = if random.bool() { vec![SaveRule(1, random.u64(1..20))] } else { Vec::new() };
    let rewrite = RewriteRule { percentage: random.u32(1..300), min_bytes: 4096 };
    let options = Options { durability, mode, save, rewrite, recovery: Recovery::Strict };
    let history = Rc::new(RefCell::new(History::default()));
    for _ in 0..random.u8(1..4) {
        sim.latency_ms.replace([0..1, 0..3, 1..50][below(&mut random, 3)].clone());
        let mut opening = Opening::recover(&sim, &options, random.u64(..));
        if random.u8(..4) == 0 {
            let effect = [Effect::Nothing, Effect::Lied, Effect::Dropped][below(&mut random, 3)];
            let kind = [Kind::Append, Kind::Sync][below(&mut random, 2)];
            let fault = Injection::new(Fault::Fails(Code::Unavailable, effect));
            sim.inject(fault.on(kind, "").after(random.u64(..20)).times(1));
        }
        let (taking, script_random) = (history.clone(), Rng::with_seed(random.u64(..)));
        let room = if random.u8(..3) == 0 { Room::Scarce } else { Room::Enough };
        opening.finish(|writer| script(writer, taking, room, script_random));
        drop(opening);
        sim.heal();
        figures.crash_points += 1;
        figures.recoveries += 1;
        sim.settle(if random.bool() { Crash::Kill } else { Crash::PowerCut }, &mut random);
    }
    let opening = Opening::recover(&sim, &options, random.u64(..));
    let model = history.borrow_mut().judge(&sim);
    let mut found = BTreeMap::new();
    opening.store().scan(None, ScanRange::ALL, &mut |entry| {
        found.insert(entry.key[1] - b'0', value_in(entry));
        true
    });
    assert_eq!(found, unexpired(&model, opening.writer.host.now_ms()), "what is left");
    let ledger = sim.ledger.borrow();
    figures.runs += 1;
    figures.recoveries += 1;
    figures.faults += sim.faults.get();
    figures.swept += ledger.swept;
    figures.replaced += ledger.replaced;
    history.borrow().counts
}

#[test]
fn transactions_run_one_after_another() {
    let mut tier = Tier::new("histories");
    let only: Option<u64> = tier.only().map(|seed| seed.parse().expect("a seed"));
    let count = only.map_or(count_asked_for("HOLDFAST_HISTORIES", 5000), |_| 1);
    let mut seeds = Rng::with_seed(tier.seeded(fastrand::u64(..)));
    let mut all = Counts::default();
    for _ in 0..count {
        let seed = only.unwrap_or_else(|| seeds.u64(..));
        tier.case(&seed.to_string(), |_, figures| {
            let counts = run(seed, figures);
            all.transactions += counts.transactions;
            all.only_read += counts.only_read;
            all.conflicts += counts.conflicts;
            all.given_up += counts.given_up;
            all.over_a_rejection += counts.over_a_rejection;
            all.other_writes += counts.other_writes;
            all.replaces += counts.replaces;
            all.not_left += counts.not_left;
        });
    }
    println!("{all:?}");
}

/// What follows for whoever reads on after a rejection, as `Attempt::commit` does.
#[test]
fn after_a_rejection_a_condition_cannot_tell_what_was_read_before() {
    let sim = Sim::storage(1);
    let options = Options { save: Vec::new(), ..Options::default() };
    let mut opening = Opening::open(&sim, &options, 1);
    opening.finish(|writer| async move {
        writer.set_and_wait("k", "first", Level::Os).await.expect("there is room");
        writer.sim.quota_bytes.set(writer.sim.bytes());
        let seq = writer.set("k", "taken back").expect("taken");
        let (start, end) = (b"k", b"l");
        let read =
            [Condition::Version { key: b"k", version: seq }, Condition::Unchanged { start, end, since_seq: seq }];
        writer.store.settled(seq, Level::Os).await.expect_err("there is no room");
        assert!(!writer.store.holds(&read[0]), "the entry is the one before");
        assert!(writer.store.holds(&read[1]), "what was taken back is no change");
        writer.sim.quota_bytes.set(u64::MAX);
        assert_eq!(writer.set("k", "another").expect("taken"), seq);
        assert!(read.iter().all(|condition| writer.store.holds(condition)), "it has the seq of what was read");
    });
}

/// Nothing but the clock has told of it.
#[test]
fn what_expires_in_a_range_is_a_change_of_it() {
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &Options::default(), 1);
    opening.finish(|writer| async move {
        let expires_at_ms = Some(writer.host.now_ms() as u64 + 1000);
        let keys: Vec<String> = (0..2000).map(|number| format!("k:{number:04}")).collect();
        let set = |key: &'_ String| (key.clone().into_bytes(), b"1".to_vec());
        let entries: Vec<(Vec<u8>, Vec<u8>)> = keys.iter().map(set).collect();
        let ops: Vec<Op<'_>> = entries.iter().map(|(key, value)| Op::Set { key, value, expires_at_ms }).collect();
        let since_seq = writer.write(&ops).expect("taken");
        let last = Condition::Unchanged { start: b"k:1999", end: b"l", since_seq };
        writer.host.skip(999.0);
        assert!(writer.store.holds(&last));
        writer.host.skip(1.0);
        assert!(!writer.store.holds(&last));
        writer.check_reads();
        let since_seq = writer.store.seq();
        assert!(writer.store.holds(&Condition::Unchanged { start: b"k", end: b"l", since_seq }));
    });
}
