//! The delta layer: changes since the base was made.
//!
//! A sorted list of sorted pages: as fast as a B-tree at the sizes a checkpoint leaves, for a quarter of its code, which
//! every page that uses Holdfast downloads. Deliberately absent: what is below it (`base.rs`) and how layers combine (`mod.rs`).

use super::{Entry, is_system};
use crate::op::SYSTEM_KEYS_START;
use std::ops::Bound;
use std::rc::Rc;

/// What a delta says of one key.
#[derive(Clone, Debug)]
pub enum Change {
    Stored { value: Box<[u8]>, version: u64, expires_at_ms: Option<u64> },
    Removed,
}

impl Change {
    /// The entry the change stored, if it stored one.
    pub fn entry<'a>(&'a self, key: &'a [u8]) -> Option<Entry<'a>> {
        match self {
            Change::Stored { value, version, expires_at_ms } => {
                Some(Entry { key, value, version: *version, expires_at_ms: *expires_at_ms })
            }
            Change::Removed => None,
        }
    }
}

/// The most changes in a page: an insert moves half a page on average, a split half the list of pages.
const PAGE_CHANGES_MAX: usize = 128;

/// Changes by key. `clears_below` says that user entries of the layers below count as removed.
#[derive(Debug, Default)]
pub struct Delta {
    /// In key order; no page is empty. Keys are shared with whoever may have to undo the change.
    pages: Vec<Vec<(Rc<[u8]>, Change)>>,
    pub clears_below: bool,
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
    pub fn clearing() -> Delta {
        Delta { clears_below: true, ..Delta::default() }
    }

    /// The page a key belongs into, and how many of its keys are less than that key, or at most.
    fn place(&self, key: &[u8], or_equal: Equal) -> (usize, usize) {
        let page = self.pages.partition_point(|page| *page[0].0 <= *key).saturating_sub(1);
        let before = |(other, _): &(Rc<[u8]>, Change)| **other < *key || or_equal == Equal::Before && **other == *key;
        (page, self.pages.get(page).map_or(0, |page| page.partition_point(before)))
    }

    /// What this layer says of a key; `None` leaves it to the layers below.
    pub fn get<'a>(&'a self, key: &'a [u8]) -> Option<&'a Change> {
        match self.from(Bound::Included(key)).peek() {
            Some((found, change)) if found == key => Some(change),
            _ if self.clears_below && !is_system(key) => Some(&Change::Removed),
            _ => None,
        }
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

    /// Says something of a key; gives the key and what was said of it before.
    pub fn insert(&mut self, key: &[u8], change: Change) -> (Rc<[u8]>, Option<Change>) {
        self.bytes += stored_bytes(&change);
        let (mut number, mut at) = self.place(key, Equal::After);
        if let Some(page) = self.pages.get_mut(number) {
            if let Some((found, place)) = page.get_mut(at)
                && **found == *key
            {
                let before = std::mem::replace(place, change);
                self.bytes -= stored_bytes(&before);
                return (found.clone(), Some(before));
            }
            if page.len() == PAGE_CHANGES_MAX {
                // Keys that arrive in order fill each page; others split it in the middle.
                let split_at = if at == PAGE_CHANGES_MAX { at } else { PAGE_CHANGES_MAX / 2 };
                let upper = page.split_off(split_at);
                self.pages.insert(number + 1, upper);
                if at >= split_at {
                    (number, at) = (number + 1, at - split_at);
                }
            }
        } else {
            self.pages.push(Vec::new());
        }
        let key: Rc<[u8]> = key.into();
        self.entries += 1;
        self.bytes += key.len() as u64;
        self.pages[number].insert(at, (key.clone(), change));
        (key, None)
    }

    /// Says nothing of a key any more.
    pub fn forget(&mut self, key: &[u8]) {
        let (number, at) = self.place(key, Equal::After);
        let Some(page) = self.pages.get_mut(number) else { return };
        if page.get(at).is_none_or(|(found, _)| **found != *key) {
            return;
        }
        let (key, change) = page.remove(at);
        self.entries -= 1;
        self.bytes -= key.len() as u64 + stored_bytes(&change);
        if page.is_empty() {
            self.pages.remove(number);
        }
    }

    /// Frees a part of it, for one that is not needed any more; false when nothing is left.
    pub fn drop_page(&mut self) -> bool {
        self.pages.pop().is_some()
    }

    /// Lays a newer delta over this one.
    pub fn absorb(&mut self, newer: &Delta) {
        if newer.clears_below {
            let older = std::mem::replace(self, Delta::clearing());
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
        let (key, change) = self.delta.pages.get(self.place.page)?.get(self.place.at)?;
        Some((key, change))
    }

    /// Moves on to the next.
    pub fn step(&mut self) {
        self.place.at += 1;
        self.settle();
    }

    fn settle(&mut self) {
        let Place { page, at } = self.place;
        if self.delta.pages.get(page).is_some_and(|changes| at == changes.len()) {
            self.place = Place { page: page + 1, at: 0 };
        }
    }
}

fn stored_bytes(change: &Change) -> u64 {
    match change {
        Change::Stored { value, .. } => value.len() as u64,
        Change::Removed => 0,
    }
}
