//! The delta layer: changes since the base was made.
//!
//! A sorted list of sorted pages: as fast as a B-tree at the sizes a checkpoint leaves, for a quarter of its code, which
//! every page that uses Holdfast downloads. Deliberately absent: what is below it (`base.rs`) and how layers combine (`mod.rs`).

use super::{Entry, is_system};
use crate::op::SYSTEM_KEYS_START;
use std::num::NonZeroU64;
use std::ops::{Bound, Range};
use std::rc::Rc;

/// What a delta says of one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// None: it is removed.
    pub value: Option<Rc<[u8]>>,
    /// The seq that says so.
    pub version: u64,
    pub expires_at_ms: Option<NonZeroU64>,
    /// By how much it changes the number of entries, over what lies below this delta: 1, 0 or -1.
    pub net: i8,
}

impl Change {
    /// The entry the change stored, if it stored one.
    pub fn entry<'a>(&'a self, key: &'a [u8]) -> Option<Entry<'a>> {
        let expires_at_ms = self.expires_at_ms.map(NonZeroU64::get);
        Some(Entry { key, value: self.value.as_ref()?, version: self.version, expires_at_ms })
    }

    /// How many entries of its key there are with it: 1 or 0.
    fn here(&self) -> i8 {
        i8::from(self.value.is_some())
    }

    /// How many entries of its key there are below.
    pub fn below(&self) -> i8 {
        self.here() - self.net
    }

    /// The same over another number of entries below.
    pub fn over(self, below: i8) -> Change {
        Change { net: self.here() - below, ..self }
    }
}

/// Changes that follow each other, shared between a delta and the views of it.
#[derive(Clone, Debug, Default)]
struct Page {
    changes: Vec<(Rc<[u8]>, Change)>,
    /// The sum of `net` over the user's keys.
    net: i64,
}

impl Page {
    fn count(&mut self) {
        self.net = net(&self.changes);
    }
}

fn net(changes: &[(Rc<[u8]>, Change)]) -> i64 {
    changes.iter().filter(|(key, _)| !is_system(key)).map(|(_, change)| i64::from(change.net)).sum()
}

/// The most changes in a page: an insert moves half a page on average, a split half the list of pages.
const PAGE_CHANGES_MAX: usize = 128;

/// Changes by key. A clone shares the pages until they change.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// In key order; no page is empty.
    pages: Vec<Rc<Page>>,
    /// The seq by which user entries of the layers below count as removed.
    pub clears_below: Option<u64>,
    /// How many keys it says something of.
    pub entries: usize,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// A place in a delta.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    page: usize,
    at: usize,
}

/// A walk over the changes of a delta, from a place on.
pub struct Walk<'a> {
    pub delta: &'a Delta,
    pub place: Place,
}

impl Delta {
    /// One that removes every user entry of the layers below.
    pub fn clearing(seq: u64) -> Delta {
        Delta { clears_below: Some(seq), ..Delta::default() }
    }

    /// The page a key belongs into, and how many of its keys are less than that key, or at most.
    fn place(&self, key: &[u8], or_equal: Equal) -> (usize, usize) {
        // Keys that arrive in order are not searched for.
        if let Some((last, page)) = self.pages.split_last().map(|(page, before)| (before.len(), page))
            && page.changes.last().is_some_and(|(other, _)| less(other, key))
        {
            return (last, page.changes.len());
        }
        let page = self.pages.partition_point(|page| !less(key, &page.changes[0].0)).saturating_sub(1);
        let before = |(other, _): &(Rc<[u8]>, Change)| match or_equal {
            Equal::Before => !less(key, other),
            Equal::After => less(other, key),
        };
        (page, self.pages.get(page).map_or(0, |page| page.changes.partition_point(before)))
    }

    /// What this layer says of a key itself.
    pub fn find<'a>(&'a self, key: &[u8]) -> Option<&'a Change> {
        self.from(Bound::Included(key)).peek().filter(|(found, _)| *found == key).map(|(_, change)| change)
    }

    /// Whether the layers below say nothing of the key.
    pub fn hides(&self, key: &[u8]) -> bool {
        self.clears_below.is_some() && !is_system(key)
    }

    /// The sum of `net` over the keys with `start <= key < end`, which are the user's.
    pub fn net(&self, start: &[u8], end: &[u8]) -> i64 {
        let ((first, from), (last, to)) = (self.place(start, Equal::After), self.place(end, Equal::After));
        let part = |page: usize, range: Range<usize>| {
            self.pages.get(page).and_then(|page| page.changes.get(range)).map_or(0, net)
        };
        match self.pages.get(first..last) {
            Some([page, between @ ..]) => {
                let between: i64 = between.iter().map(|page| page.net).sum();
                part(first, from..page.changes.len()) + between + part(last, 0..to)
            }
            _ => part(first, from..to),
        }
    }

    /// Whether anything in `start <= key < end` was changed after a seq.
    pub fn changed_since(&self, seq: u64, start: &[u8], end: &[u8]) -> bool {
        if self.clears_below.is_some_and(|cleared| cleared > seq) {
            return true;
        }
        let mut walk = self.from(Bound::Included(start));
        while let Some((key, change)) = walk.peek() {
            if key >= end {
                return false;
            }
            if change.version > seq {
                return true;
            }
            walk.step();
        }
        false
    }

    /// The changes from a key on, in key order.
    pub fn from(&self, from: Bound<&[u8]>) -> Walk<'_> {
        let (page, at) = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => self.place(key, Equal::After),
            Bound::Excluded(key) => self.place(key, Equal::Before),
        };
        let mut walk = Walk { delta: self, place: Place { page, at } };
        walk.settle();
        walk
    }

    /// The last change in front of a key.
    pub fn before(&self, key: &[u8]) -> Option<(&[u8], &Change)> {
        let (page, at) = self.place(key, Equal::After);
        let (key, change) = match at.checked_sub(1) {
            Some(at) => self.pages.get(page)?.changes.get(at)?,
            None => self.pages.get(page.checked_sub(1)?)?.changes.last()?,
        };
        Some((key, change))
    }

    /// Says something of a key.
    pub fn insert(&mut self, key: &[u8], change: Change) {
        self.bytes += stored_bytes(&change);
        let (mut number, mut at) = self.place(key, Equal::After);
        if let Some(page) = self.pages.get_mut(number) {
            let page = Rc::make_mut(page);
            if let Some((found, place)) = page.changes.get_mut(at)
                && **found == *key
            {
                let change = change.over(place.below());
                if !is_system(key) {
                    page.net += i64::from(change.net) - i64::from(place.net);
                }
                self.bytes -= stored_bytes(place);
                *place = change;
                return;
            }
            if page.changes.len() == PAGE_CHANGES_MAX {
                // Keys that arrive in order fill each page; others split it in the middle.
                let split_at = if at == PAGE_CHANGES_MAX { at } else { PAGE_CHANGES_MAX / 2 };
                let mut upper = Page { changes: page.changes.split_off(split_at), net: 0 };
                upper.count();
                page.count();
                self.pages.insert(number + 1, Rc::new(upper));
                if at >= split_at {
                    (number, at) = (number + 1, at - split_at);
                }
            }
        } else {
            self.pages.push(Rc::default());
        }
        self.entries += 1;
        self.bytes += key.len() as u64;
        let page = Rc::make_mut(&mut self.pages[number]);
        if !is_system(key) {
            page.net += i64::from(change.net);
        }
        page.changes.insert(at, (key.into(), change));
    }

    /// Says nothing of a key any more.
    pub fn forget(&mut self, key: &[u8]) {
        let (number, at) = self.place(key, Equal::After);
        let Some(page) = self.pages.get_mut(number) else { return };
        if page.changes.get(at).is_none_or(|(found, _)| **found != *key) {
            return;
        }
        let page = Rc::make_mut(page);
        let (key, change) = page.changes.remove(at);
        page.count();
        self.entries -= 1;
        self.bytes -= key.len() as u64 + stored_bytes(&change);
        if page.changes.is_empty() {
            self.pages.remove(number);
        }
    }

    /// Has every change be one of that seq.
    pub fn stamp(&mut self, seq: u64) {
        for page in &mut self.pages {
            for (_, change) in &mut Rc::make_mut(page).changes {
                change.version = seq;
            }
        }
    }

    /// Frees a part of it, for one that is not needed any more; false when nothing is left.
    pub fn drop_page(&mut self) -> bool {
        self.pages.pop().is_some()
    }

    /// Lays a newer delta over this one.
    pub fn absorb(&mut self, newer: &Delta) {
        if let Some(seq) = newer.clears_below {
            let older = std::mem::replace(self, Delta::clearing(seq));
            self.absorb_from(&older, Bound::Included(&[SYSTEM_KEYS_START]));
        }
        self.absorb_from(newer, Bound::Unbounded);
    }

    /// Takes over what another delta says of the keys from one on.
    pub fn absorb_from(&mut self, other: &Delta, from: Bound<&[u8]>) {
        let mut walk = other.from(from);
        while let Some((key, change)) = walk.peek() {
            self.insert(key, change.clone());
            walk.step();
        }
    }
}

/// Where a place lies when the key itself is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Equal {
    /// Behind it.
    Before,
    /// At it.
    After,
}

impl<'a> Walk<'a> {
    /// The change at this place.
    pub fn peek(&self) -> Option<(&'a [u8], &'a Change)> {
        let (key, change) = self.delta.pages.get(self.place.page)?.changes.get(self.place.at)?;
        Some((key, change))
    }

    /// Moves on to the next.
    pub fn step(&mut self) {
        self.place.at += 1;
        self.settle();
    }

    fn settle(&mut self) {
        let Place { page, at } = self.place;
        if self.delta.pages.get(page).is_some_and(|page| at == page.changes.len()) {
            self.place = Place { page: page + 1, at: 0 };
        }
    }
}

/// Whether a key sorts before another. Eight bytes at a time: a search compares some fifteen keys that have much in common, and the
/// comparison that comes with wasm looks at each byte.
fn less(mut key: &[u8], mut other: &[u8]) -> bool {
    while let (Some((eight, rest)), Some((others, others_rest))) = (key.split_first_chunk(), other.split_first_chunk())
    {
        let (eight, others) = (u64::from_be_bytes(*eight), u64::from_be_bytes(*others));
        if eight != others {
            return eight < others;
        }
        (key, other) = (rest, others_rest);
    }
    key < other
}

fn stored_bytes(change: &Change) -> u64 {
    change.value.as_ref().map_or(0, |value| value.len() as u64)
}
