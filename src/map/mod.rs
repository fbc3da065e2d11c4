//! The map: what a store holds, in memory, ordered by key bytes.
//!
//! Layers, newest first: the active delta takes changes; the frozen delta exists while a checkpoint merges it into
//! the base; the base is the blocks of the last snapshot. Pure: no I/O, no clock. Deliberately absent: when a
//! checkpoint happens (`checkpoint.rs`), what makes a change legal (`commit.rs`).

pub mod base;
pub mod block;
pub mod delta;
pub mod merge;

use crate::op::{Op, SYSTEM_KEYS_START};
use base::{Base, Cursor};
use delta::{Change, Delta, Walk};
use std::ops::Bound;
use std::rc::Rc;

/// One entry, borrowed from the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// The seq that wrote it.
    pub version: u64,
    /// Milliseconds since 1970 at which it ends.
    pub expires_at_ms: Option<u64>,
}

/// Whether the key is the engine's own.
pub fn is_system(key: &[u8]) -> bool {
    key.first() == Some(&SYSTEM_KEYS_START)
}

/// What a run of ops replaced, so that it can be undone.
#[derive(Default)]
pub struct Undo {
    /// The frozen delta when the run began.
    frozen: Option<Rc<Delta>>,
    /// The user entries when it began.
    user_entries: u64,
    replaced: Vec<Replaced>,
}

/// What one change replaced in the active delta.
enum Replaced {
    /// What it said of the key, if anything.
    Key(Rc<[u8]>, Option<Change>),
    /// All of it: everything was cleared.
    All(Delta),
}

impl Undo {
    /// Forgets the run: it will not be undone.
    pub fn clear(&mut self) {
        self.frozen = None;
        self.replaced.clear();
    }
}

#[derive(Debug, Default)]
pub struct Map {
    base: Rc<Base>,
    frozen: Option<Rc<Delta>>,
    active: Delta,
    user_entries: u64,
}

impl Map {
    pub fn new(base: Base) -> Map {
        Map { user_entries: base.user_entries(), base: Rc::new(base), frozen: None, active: Delta::default() }
    }

    /// Entries whose keys are the user's.
    pub fn user_entries(&self) -> u64 {
        self.user_entries
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Changes that are not in the base yet.
    pub fn delta_entries(&self) -> usize {
        self.active.entries + self.frozen.as_ref().map_or(0, |frozen| frozen.entries)
    }

    /// Bytes of the keys and values that are not in the base yet.
    pub fn delta_bytes(&self) -> u64 {
        self.active.bytes + self.frozen.as_ref().map_or(0, |frozen| frozen.bytes)
    }

    pub fn get<'a>(&'a self, key: &'a [u8]) -> Option<Entry<'a>> {
        match self.active.get(key) {
            Some(change) => change.entry(key),
            None => self.get_below(key),
        }
    }

    /// What the layers below the active delta hold.
    fn get_below<'a>(&'a self, key: &'a [u8]) -> Option<Entry<'a>> {
        match self.frozen.as_ref().and_then(|frozen| frozen.get(key)) {
            Some(change) => change.entry(key),
            None => self.base.get(key),
        }
    }

    /// Begins a run of ops that may have to be undone. The layers must not be frozen within a run.
    pub fn begin(&self, run: &mut Undo) {
        run.clear();
        run.frozen.clone_from(&self.frozen);
        run.user_entries = self.user_entries;
    }

    /// Applies one op of the frame `seq` within a run; says how many entries it removed.
    pub fn apply(&mut self, op: &Op<'_>, seq: u64, run: &mut Undo) -> u64 {
        match *op {
            Op::Set { key, value, expires_at_ms } => {
                if self.get(key).is_none() && !is_system(key) {
                    self.user_entries += 1;
                }
                self.insert(key, Change::Stored { value: value.into(), version: seq, expires_at_ms }, run);
                0
            }
            Op::Delete { key } => u64::from(self.remove(key, run)),
            Op::DeleteRange { start, end } if start.is_empty() && end == [SYSTEM_KEYS_START] => self.clear(run),
            Op::DeleteRange { start, end } => {
                let mut keys: Vec<Box<[u8]>> = Vec::new();
                self.scan(Bound::Included(start), &mut |entry| {
                    let inside = entry.key < end;
                    if inside {
                        keys.push(entry.key.into());
                    }
                    inside
                });
                for key in &keys {
                    self.remove(key, run);
                }
                keys.len() as u64
            }
        }
    }

    fn insert(&mut self, key: &[u8], change: Change, run: &mut Undo) {
        let (key, before) = self.active.insert(key, change);
        // What lies below a cleared delta must not come back with it.
        let hidden = self.active.clears_below && !is_system(&key);
        let before = before.or(hidden.then_some(Change::Removed));
        run.replaced.push(Replaced::Key(key, before));
    }

    fn remove(&mut self, key: &[u8], run: &mut Undo) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        if !is_system(key) {
            self.user_entries = self.user_entries.saturating_sub(1);
        }
        self.insert(key, Change::Removed, run);
        true
    }

    /// Removes every user entry without visiting the layers below.
    fn clear(&mut self, run: &mut Undo) -> u64 {
        let mut cleared = Delta::clearing();
        cleared.absorb_from(&self.active, Bound::Included(&[SYSTEM_KEYS_START]));
        run.replaced.push(Replaced::All(std::mem::replace(&mut self.active, cleared)));
        std::mem::take(&mut self.user_entries)
    }

    /// Takes back a run of ops. Of several runs the newest is taken back first, and none without those after it.
    pub fn undo(&mut self, run: Undo) {
        let same = |one: &Option<Rc<Delta>>, other: &Option<Rc<Delta>>| match (one, other) {
            (Some(one), Some(other)) => Rc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        if self.frozen.is_some() && !same(&self.frozen, &run.frozen) {
            // What the run changed was frozen since.
            self.thaw();
        }
        // What was below the active delta during the run may be part of it now, or of the base.
        let below = if same(&self.frozen, &run.frozen) { None } else { run.frozen };
        for replaced in run.replaced.into_iter().rev() {
            match replaced {
                Replaced::Key(key, before) => {
                    match before.or_else(|| below.as_ref().and_then(|below| below.get(&key).cloned())) {
                        Some(change) => drop(self.active.insert(&key, change)),
                        None => self.active.forget(&key),
                    }
                }
                Replaced::All(before) => {
                    self.active = Delta::default();
                    if let Some(below) = &below {
                        self.active.absorb(below);
                    }
                    self.active.absorb(&before);
                }
            }
        }
        self.user_entries = run.user_entries;
    }

    /// Whether an image is being made.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Visits the entries from `from` on in key order until `visit` says no. System entries come last.
    pub fn scan<'a>(&'a self, from: Bound<&'a [u8]>, visit: &mut dyn FnMut(Entry<'a>) -> bool) {
        let mut layers = Layers::new(self, from);
        while let Some(entry) = layers.next() {
            if !visit(entry) {
                return;
            }
        }
    }

    /// Begins an image of the map as it is now: what is active is frozen until [`Map::switch`] or [`Map::thaw`].
    pub fn freeze(&mut self) -> (Rc<Base>, Rc<Delta>) {
        assert!(self.frozen.is_none(), "one checkpoint at a time");
        let frozen = Rc::new(std::mem::take(&mut self.active));
        self.frozen = Some(frozen.clone());
        (self.base.clone(), frozen)
    }

    /// Ends an image: the base made of base and frozen delta takes their place.
    pub fn switch(&mut self, base: Rc<Base>) {
        self.frozen = None;
        self.base = base;
    }

    /// Gives up an image: the frozen delta is active again, under what came since.
    pub fn thaw(&mut self) {
        let Some(frozen) = self.frozen.take() else { return };
        let newer = std::mem::take(&mut self.active);
        match Rc::try_unwrap(frozen) {
            Ok(delta) => self.active = delta,
            Err(shared) => self.active.absorb(&shared),
        }
        self.active.absorb(&newer);
    }
}

/// The three layers walked as one. Where several hold a key, the newest speaks.
struct Layers<'a> {
    active: Walk<'a>,
    frozen: Option<Walk<'a>>,
    base: &'a Base,
    place: Cursor,
    head: Option<Entry<'a>>,
}

impl<'a> Layers<'a> {
    fn new(map: &'a Map, from: Bound<&'a [u8]>) -> Layers<'a> {
        let frozen = map.frozen.as_deref();
        let base_cleared = map.active.clears_below || frozen.is_some_and(|frozen| frozen.clears_below);
        let below_from = |cleared: bool| match from {
            Bound::Included(key) | Bound::Excluded(key) if is_system(key) => from,
            _ if cleared => Bound::Included(&[SYSTEM_KEYS_START][..]),
            _ => from,
        };
        let mut layers = Layers {
            active: map.active.from(from),
            frozen: frozen.map(|frozen| frozen.from(below_from(map.active.clears_below))),
            base: &map.base,
            place: Cursor::default(),
            head: None,
        };
        match below_from(base_cleared) {
            Bound::Unbounded => layers.step_base(),
            Bound::Excluded(key) => {
                layers.place = map.base.after(key);
                layers.step_base();
            }
            Bound::Included(key) => {
                layers.place = map.base.after(key);
                layers.head = map.base.get(key);
                if layers.head.is_none() {
                    layers.step_base();
                }
            }
        }
        layers
    }

    fn step_base(&mut self) {
        self.head = self.base.next(&mut self.place);
    }

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let active = self.active.peek();
            let frozen = self.frozen.as_ref().and_then(Walk::peek);
            let mut entry = self.head;
            let mut key = self.head.map(|entry| entry.key);
            for (found, change) in [frozen, active].into_iter().flatten() {
                // The newest comes last, and speaks for the key where several layers hold it.
                if key.is_none_or(|key| found <= key) {
                    key = Some(found);
                    entry = change.entry(found);
                }
            }
            let key = key?;
            if self.head.is_some_and(|head| head.key == key) {
                self.step_base();
            }
            if let (Some(walk), Some((found, _))) = (&mut self.frozen, frozen)
                && found == key
            {
                walk.step();
            }
            if active.is_some_and(|(found, _)| found == key) {
                self.active.step();
            }
            if entry.is_some() {
                return entry;
            }
        }
    }
}
