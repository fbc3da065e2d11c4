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
use std::num::NonZeroU64;
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

/// A clone is a view of the map as it is now: it shares everything until that changes.
#[derive(Clone, Debug, Default)]
pub struct Map {
    base: Rc<Base>,
    frozen: Option<Rc<Delta>>,
    active: Delta,
    user_entries: u64,
    user_bytes: u64,
    /// What was changed up to this seq is in the base, where removals leave no trace.
    merged_seq: u64,
    /// The user entries that expire, under their expiry and their key: eight bytes, the first in the highest place, and the key.
    expiries: Delta,
}

/// What an entry goes by in the order of expiry.
fn expiry_key(expires_at_ms: u64, key: &[u8]) -> Vec<u8> {
    [&expires_at_ms.to_be_bytes(), key].concat()
}

impl Map {
    /// A map of that base alone, which is of that seq. Visits the entries of blocks in which some may expire.
    pub fn new(base: Base, seq: u64) -> Map {
        let (user_entries, user_bytes) = (base.user_entries(), base.data_bytes());
        let mut map = Map { user_entries, user_bytes, base: Rc::new(base), merged_seq: seq, ..Map::default() };
        for block in map.base.blocks().iter().filter(|block| block.may_expire()) {
            for entry in (0..block.entries()).filter_map(|number| block.entry(number)) {
                if let Some(expires_at_ms) = entry.expires_at_ms.filter(|_| !is_system(entry.key)) {
                    map.expiries.insert(&expiry_key(expires_at_ms, entry.key), removed(0));
                }
            }
        }
        map
    }

    /// Entries whose keys are the user's.
    pub fn user_entries(&self) -> u64 {
        self.user_entries
    }

    /// Bytes of the keys and values of user entries; what opening found in blocks counts as it is stored, with a few bytes more.
    pub fn user_bytes(&self) -> u64 {
        self.user_bytes
    }

    /// User entries with `start <= key < end`, whose keys are the user's; visits none of them.
    pub fn count(&self, start: &[u8], end: &[u8]) -> u64 {
        if start >= end {
            return 0;
        }
        let mut count = self.active.net(start, end);
        if self.active.clears_below.is_none() {
            let frozen = self.frozen.as_deref();
            count += frozen.map_or(0, |frozen| frozen.net(start, end));
            if frozen.is_none_or(|frozen| frozen.clears_below.is_none()) {
                count += self.base.count(start, end) as i64;
            }
        }
        count.max(0) as u64
    }

    /// When the first entry expires.
    pub fn first_expiry_ms(&self) -> Option<u64> {
        let (key, _) = self.expiries.from(Bound::Unbounded).peek()?;
        key.first_chunk().map(|eight| u64::from_be_bytes(*eight))
    }

    /// Visits the keys of entries that have expired, the first first, until `visit` says no.
    pub fn expired<'a>(&'a self, now_ms: u64, visit: &mut dyn FnMut(&'a [u8]) -> bool) {
        let mut walk = self.expiries.from(Bound::Unbounded);
        while let Some((expires_at_ms, key)) = walk.peek().and_then(|(key, _)| key.split_first_chunk()) {
            if u64::from_be_bytes(*expires_at_ms) > now_ms || !visit(key) {
                return;
            }
            walk.step();
        }
    }

    /// Whether anything in `start <= key < end` may have changed after a seq. Says yes without knowing when the base was made later.
    pub fn changed_since(&self, seq: u64, start: &[u8], end: &[u8]) -> bool {
        let frozen = self.frozen.as_ref().is_some_and(|frozen| frozen.changed_since(seq, start, end));
        self.merged_seq > seq || frozen || self.active.changed_since(seq, start, end)
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
        match self.active.find(key) {
            Some(change) => change.entry(key),
            None if self.active.hides(key) => None,
            None => self.get_below(key),
        }
    }

    /// What the layers below the active delta hold.
    fn get_below<'a>(&'a self, key: &'a [u8]) -> Option<Entry<'a>> {
        let frozen = self.frozen.as_deref();
        match frozen.and_then(|frozen| frozen.find(key)) {
            Some(change) => change.entry(key),
            None if frozen.is_some_and(|frozen| frozen.hides(key)) => None,
            None => self.base.get(key),
        }
    }

    /// Applies one op of the frame `seq`; says how many entries it removed.
    pub fn apply(&mut self, op: &Op<'_>, seq: u64) -> u64 {
        match *op {
            Op::Set { key, value, expires_at_ms } => {
                let expires_at_ms = expires_at_ms.and_then(NonZeroU64::new);
                self.put(key, Change { value: Some(value.into()), version: seq, expires_at_ms, net: 0 });
                0
            }
            Op::Delete { key } => u64::from(self.remove(key, seq)),
            Op::DeleteRange { start, end } if start.is_empty() && end == [SYSTEM_KEYS_START] => self.clear(seq),
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
                    self.remove(key, seq);
                }
                keys.len() as u64
            }
        }
    }

    /// Has the active delta say something of a key.
    fn put(&mut self, key: &[u8], change: Change) {
        let size = |entry: Entry<'_>| (entry.key.len() + entry.value.len()) as u64;
        let before = self.get(key);
        let (expired_at_ms, before) = (before.and_then(|before| before.expires_at_ms), before.map(size));
        let below = i8::from(before.is_some());
        if !is_system(key) {
            let (entries, bytes) = (self.user_entries, self.user_bytes.saturating_sub(before.unwrap_or(0)));
            let after = change.entry(key).map(size);
            self.user_entries = (entries + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some()));
            self.user_bytes = bytes + after.unwrap_or(0);
            let expires_at_ms = change.expires_at_ms.map(NonZeroU64::get);
            if expired_at_ms != expires_at_ms {
                if let Some(expired_at_ms) = expired_at_ms {
                    self.expiries.forget(&expiry_key(expired_at_ms, key));
                }
                if let Some(expires_at_ms) = expires_at_ms {
                    self.expiries.insert(&expiry_key(expires_at_ms, key), removed(0));
                }
            }
        }
        // What the delta says of the key already knows better what is below.
        self.active.insert(key, change.over(below));
    }

    fn remove(&mut self, key: &[u8], seq: u64) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        self.put(key, removed(seq));
        true
    }

    /// Removes every user entry without visiting the layers below.
    fn clear(&mut self, seq: u64) -> u64 {
        let mut cleared = Delta::clearing(seq);
        cleared.absorb_from(&self.active, Bound::Included(&[SYSTEM_KEYS_START]));
        self.active = cleared;
        self.user_bytes = 0;
        self.expiries = Delta::default();
        std::mem::take(&mut self.user_entries)
    }

    /// Has everything in a map without a base be written by that seq, and everything that is not in it removed by it.
    pub fn stamp(&mut self, seq: u64) {
        self.active.stamp(seq);
        self.merged_seq = seq;
    }

    /// Goes back to the map as it was when `before` was cloned from it. An image that was begun since is given up.
    pub fn restore(&mut self, before: Map) {
        let now = std::mem::replace(self, before);
        let same = match (&self.frozen, &now.frozen) {
            (Some(before), Some(now)) => Rc::ptr_eq(before, now),
            (before, _) => before.is_none(),
        };
        if same {
            return;
        }
        // The image of then has ended: its delta is part of the base now, or was given up.
        if Rc::ptr_eq(&self.base, &now.base) {
            self.thaw();
        } else {
            self.switch(now.base, now.merged_seq);
        }
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

    /// Visits the entries in front of `before` in falling key order until `visit` says no.
    pub fn scan_back<'a>(&'a self, before: &[u8], visit: &mut dyn FnMut(Entry<'a>) -> bool) {
        let mut before: Rc<[u8]> = before.into();
        loop {
            let active = self.active.before(&before);
            let mut last = active.map(|(key, _)| key);
            if self.active.clears_below.is_none() {
                let frozen = self.frozen.as_deref();
                last = last.max(frozen.and_then(|frozen| frozen.before(&before)).map(|(key, _)| key));
                if frozen.is_none_or(|frozen| frozen.clears_below.is_none()) {
                    last = last.max(self.base.before(&before).map(|entry| entry.key));
                }
            }
            let Some(key) = last else { return };
            if let Some(entry) = self.get(key)
                && !visit(entry)
            {
                return;
            }
            before = key.into();
        }
    }

    /// Begins an image of the map as it is now: what is active is frozen until [`Map::switch`] or [`Map::thaw`].
    pub fn freeze(&mut self) -> (Rc<Base>, Rc<Delta>) {
        assert!(self.frozen.is_none(), "one checkpoint at a time");
        let frozen = Rc::new(std::mem::take(&mut self.active));
        self.frozen = Some(frozen.clone());
        (self.base.clone(), frozen)
    }

    /// Ends an image: the base made of base and frozen delta, of that seq, takes their place.
    pub fn switch(&mut self, base: Rc<Base>, seq: u64) {
        self.frozen = None;
        self.base = base;
        self.merged_seq = seq;
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

/// Says that a key is removed.
fn removed(seq: u64) -> Change {
    Change { value: None, version: seq, expires_at_ms: None, net: 0 }
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
        let base_cleared =
            map.active.clears_below.is_some() || frozen.is_some_and(|frozen| frozen.clears_below.is_some());
        let below_from = |cleared: bool| match from {
            Bound::Included(key) | Bound::Excluded(key) if is_system(key) => from,
            _ if cleared => Bound::Included(&[SYSTEM_KEYS_START][..]),
            _ => from,
        };
        let mut layers = Layers {
            active: map.active.from(from),
            frozen: frozen.map(|frozen| frozen.from(below_from(map.active.clears_below.is_some()))),
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
