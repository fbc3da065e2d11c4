//! The delta layer: changes since the base was made.
//!
//! Deliberately absent: what is below it (`base.rs`) and how layers combine (`mod.rs`).

use super::{Entry, is_system};
use crate::op::SYSTEM_KEYS_START;
use std::collections::BTreeMap;
use std::ops::Bound;

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

/// Changes by key. `clears_below` says that user entries of the layers below count as removed.
#[derive(Debug, Default)]
pub struct Delta {
    pub changes: BTreeMap<Box<[u8]>, Change>,
    pub clears_below: bool,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Delta {
    /// What this layer says of a key; `None` leaves it to the layers below.
    pub fn get<'a>(&'a self, key: &'a [u8]) -> Option<&'a Change> {
        match self.changes.get(key) {
            None if self.clears_below && !is_system(key) => Some(&Change::Removed),
            found => found,
        }
    }

    pub fn insert(&mut self, key: &[u8], change: Change) {
        if let Change::Stored { value, .. } = &change {
            self.bytes += value.len() as u64;
        }
        match self.changes.get_mut(key) {
            Some(place) => {
                if let Change::Stored { value, .. } = std::mem::replace(place, change) {
                    self.bytes -= value.len() as u64;
                }
            }
            None => {
                self.bytes += key.len() as u64;
                self.changes.insert(key.into(), change);
            }
        }
    }

    /// Lays a newer delta over this one.
    pub fn absorb(&mut self, newer: &Delta) {
        if newer.clears_below {
            let older = std::mem::replace(self, Delta { clears_below: true, ..Delta::default() });
            self.absorb_system(&older);
        }
        for (key, change) in newer.changes.range::<[u8], _>((Bound::Unbounded, Bound::Unbounded)) {
            self.insert(key, change.clone());
        }
    }

    /// Takes over what another delta says of the engine's own keys.
    pub fn absorb_system(&mut self, other: &Delta) {
        for (key, change) in
            other.changes.range::<[u8], _>((Bound::Included(&[SYSTEM_KEYS_START][..]), Bound::Unbounded))
        {
            self.insert(key, change.clone());
        }
    }
}
