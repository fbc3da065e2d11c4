//! A medium of transactions, as IndexedDB is one.
//!
//! A change is one transaction: all of it or nothing. A crash of the system keeps the transactions up to some point,
//! not before the last strict one; the end of the process keeps all that completed. Deliberately absent: records,
//! terms and connections, which are the backend's own (`src/backend/idb.rs`), and errors (`mod.rs`).

use super::choice::Choose;
use super::{Change, Effect};
use holdfast::backend::Blob;
use std::collections::BTreeMap;

type Blobs = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
enum Done {
    Append { name: String, bytes: Vec<u8> },
    Remove { names: Vec<String> },
    Barrier,
}

#[derive(Clone, Debug)]
struct Transaction {
    id: u64,
    done: Done,
}

/// A database. Starts empty.
#[derive(Clone, Debug, Default)]
pub struct Idb {
    /// As of the last strict transaction.
    strict: Blobs,
    /// Completed since then, in order.
    completed: Vec<Transaction>,
    /// As the running system shows it.
    shown: Blobs,
    in_flight: Vec<Transaction>,
    last_id: u64,
}

impl Idb {
    pub fn list(&self) -> Vec<Blob> {
        let shown = self.shown.iter();
        shown.map(|(name, bytes)| Blob { name: name.clone(), bytes: bytes.len() as u64 }).collect()
    }

    pub fn content(&self, name: &str) -> Option<&[u8]> {
        self.shown.get(name).map(Vec::as_slice)
    }

    /// Transactions that a crash of the system may undo.
    pub fn loose(&self) -> usize {
        self.completed.len() + self.in_flight.len()
    }

    /// Loses everything, as when a browser gives up a database it cannot read.
    pub fn empty(&mut self) {
        *self = Idb { last_id: self.last_id, ..Idb::default() };
    }

    pub fn begin(&mut self, change: &Change<'_>) -> u64 {
        self.last_id += 1;
        let done = match *change {
            Change::Append { name, bytes, .. } => Done::Append { name: name.to_owned(), bytes: bytes.to_vec() },
            Change::Sync { .. } => Done::Barrier,
            Change::Remove { names } => Done::Remove { names: names.to_vec() },
        };
        self.in_flight.push(Transaction { id: self.last_id, done });
        self.last_id
    }

    pub fn end(&mut self, id: u64, change: &Change<'_>, effect: Effect) {
        let Some(at) = self.in_flight.iter().position(|transaction| transaction.id == id) else { return };
        let transaction = self.in_flight.remove(at);
        match effect {
            Effect::All | Effect::Lied => {}
            Effect::Nothing | Effect::Part(_) | Effect::Dropped => return,
        }
        transaction.done.apply(&mut self.shown);
        self.completed.push(transaction);
        if effect == Effect::All && !matches!(change, Change::Append { synced: false, .. }) {
            self.strict.clone_from(&self.shown);
            self.completed.clear();
        }
    }

    pub fn kill(&mut self, choose: &mut dyn Choose) {
        let in_flight = std::mem::take(&mut self.in_flight);
        let committed = choose.among(in_flight.len() + 1);
        for transaction in in_flight.into_iter().take(committed) {
            transaction.done.apply(&mut self.shown);
            self.completed.push(transaction);
        }
    }

    pub fn cut_power(&mut self, choose: &mut dyn Choose) {
        let in_order: Vec<Transaction> = self.completed.drain(..).chain(self.in_flight.drain(..)).collect();
        let kept = choose.among(in_order.len() + 1);
        for transaction in &in_order[..kept] {
            transaction.done.apply(&mut self.strict);
        }
        self.shown.clone_from(&self.strict);
    }
}

impl Done {
    fn apply(&self, blobs: &mut Blobs) {
        match self {
            Done::Append { name, bytes } => blobs.entry(name.clone()).or_default().extend_from_slice(bytes),
            Done::Remove { names } => blobs.retain(|name, _| !names.contains(name)),
            Done::Barrier => {}
        }
    }
}
