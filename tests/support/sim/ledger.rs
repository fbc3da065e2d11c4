//! The oracle: every batch a store took, what it said of each, and what may therefore be found after a crash.
//!
//! Batches that remove what has expired are the store's own; what they remove follows from the clock. Between them what has
//! expired is stored and not shown: the map is compared with the whole state, every way of reading with what has not expired.
//!
//! Batches are nodes of a tree. Each has the state after it, and the batch before it as parent; a batch that the store
//! rejected stays as a branch when the next one takes its seq. The rule is one: what is found is the state of a node,
//! versions and all, and that node is, or comes after, the newest one acknowledged at the level that survives the
//! crash. So nothing acknowledged is missing, no batch is there in part, none is there without those before it, and a
//! rejected one does not come back behind a later acknowledgement.

use super::Crash;
use holdfast::map::Entry;
use holdfast::op::Op;
use holdfast::{Direction, Level, ScanRange, Store};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

/// Value, version and expiry by key.
pub type Entries = BTreeMap<Vec<u8>, (Rc<[u8]>, u64, Option<u64>)>;

#[derive(Clone, Debug)]
struct Node {
    parent: usize,
    seq: u64,
    entries: Rc<Entries>,
}

/// All batches, and the newest ones at each level. Node 0 is the empty store.
#[derive(Clone, Debug)]
pub struct Ledger {
    nodes: Vec<Node>,
    /// The newest batch that the open store has taken.
    tip: usize,
    os: usize,
    disk: usize,
    /// Nothing was written since a power cut.
    all_on_disk: bool,
    /// Batches were rejected, and none was taken since.
    is_behind: bool,
    /// Batches that were rejected and whose seq was used again.
    pub replaced: u64,
    /// Batches that removed what had expired.
    pub swept: u64,
}

impl Default for Ledger {
    fn default() -> Ledger {
        let root = Node { parent: 0, seq: 0, entries: Rc::default() };
        Ledger {
            nodes: vec![root],
            tip: 0,
            os: 0,
            disk: 0,
            all_on_disk: false,
            is_behind: false,
            replaced: 0,
            swept: 0,
        }
    }
}

impl Ledger {
    /// The store took a batch under that seq; gives its node.
    pub fn took(&mut self, ops: &[Op<'_>], seq: u64) -> usize {
        self.rewind(seq - 1);
        let mut entries = Entries::clone(&self.nodes[self.tip].entries);
        for op in ops {
            match *op {
                Op::Set { key, value, expires_at_ms } => {
                    entries.insert(key.to_vec(), (value.into(), seq, expires_at_ms));
                }
                Op::Delete { key } => {
                    entries.remove(key);
                }
                Op::DeleteRange { start, end } => entries.retain(|key, _| &key[..] < start || &key[..] >= end),
            }
        }
        self.add(entries)
    }

    /// The store is at that seq, and tells of progress: it may have removed what has expired, all of it in one batch.
    pub fn may_have_swept(&mut self, seq: u64, now_ms: f64) {
        let tip = &self.nodes[self.tip];
        if seq == tip.seq {
            return;
        }
        assert_eq!(seq, tip.seq + 1, "a batch that nobody wrote");
        let left = unexpired(&tip.entries, now_ms);
        assert_ne!(left.len(), tip.entries.len(), "batch {seq} has nothing to remove");
        self.swept += 1;
        self.add(left);
    }

    fn add(&mut self, entries: Entries) -> usize {
        let seq = self.nodes[self.tip].seq + 1;
        self.nodes.push(Node { parent: self.tip, seq, entries: Rc::new(entries) });
        self.tip = self.nodes.len() - 1;
        self.all_on_disk = false;
        self.replaced += u64::from(std::mem::take(&mut self.is_behind));
        self.tip
    }

    /// The newest batch that the store has taken and not rejected.
    pub fn tip(&self) -> usize {
        self.tip
    }

    /// The seq of a batch, unless it was rejected or lost.
    pub fn seq_of(&self, node: usize) -> Option<u64> {
        self.is_at_or_after(self.tip, node).then(|| self.nodes[node].seq)
    }

    /// The newest batch of the store is the one of that seq: later ones were rejected.
    pub fn rewind(&mut self, seq: u64) {
        while self.nodes[self.tip].seq > seq {
            let gone = self.tip;
            assert!(
                gone != self.os && gone != self.disk,
                "batch {} was acknowledged and is undone",
                self.nodes[gone].seq
            );
            self.tip = self.nodes[gone].parent;
            self.is_behind = true;
        }
        assert_eq!(self.nodes[self.tip].seq, seq, "the store counts batches it never took");
    }

    /// The store says that everything up to that seq is at a level.
    pub fn acknowledge_to(&mut self, seq: u64, level: Level) {
        let mut node = self.tip;
        while self.nodes[node].seq > seq {
            node = self.nodes[node].parent;
        }
        assert_eq!(self.nodes[node].seq, seq, "acknowledged, and never taken");
        self.acknowledge(node, level);
    }

    /// The store told the caller of a batch that it is at that level.
    pub fn acknowledge(&mut self, node: usize, level: Level) {
        if level < Level::Os {
            return;
        }
        assert!(
            self.is_at_or_after(self.tip, node),
            "batch {} was acknowledged after it was undone",
            self.nodes[node].seq
        );
        self.os = self.newer(self.os, node);
        if level >= Level::Disk {
            self.disk = self.newer(self.disk, node);
        }
    }

    fn newer(&self, a: usize, b: usize) -> usize {
        if self.is_at_or_after(b, a) { b } else { a }
    }

    /// Whether a node is another one or comes after it.
    fn is_at_or_after(&self, mut node: usize, earlier: usize) -> bool {
        while self.nodes[node].seq > self.nodes[earlier].seq {
            node = self.nodes[node].parent;
        }
        node == earlier
    }

    /// What the open store holds is what it took and did not reject, and what it shows is what of that has not expired.
    pub fn check_reads(&mut self, store: &Store, now_ms: f64) {
        self.rewind(store.seq());
        let expected = self.nodes[self.tip].entries.clone();
        let found = stored_in(store);
        assert!(found == *expected, "the open store holds {}, took {}", told(&found), told(&expected));
        check_shown(store, &expected, now_ms);
    }

    /// The process is gone, and after a power cut what was not synced is too.
    pub fn crashed(&mut self, crash: Crash) {
        if crash == Crash::PowerCut {
            self.os = self.disk;
            self.all_on_disk = true;
        }
    }

    /// The storage broke its word: no promise counts any more.
    pub fn forget_promises(&mut self) {
        (self.os, self.disk) = (0, 0);
    }

    /// What a store found after a crash is what it may find. It is then with the system, so it counts as promised.
    pub fn recovered(&mut self, store: &Store, now_ms: f64) {
        let (seq, found) = (store.seq(), stored_in(store));
        let fits = |node: &usize| {
            let at = &self.nodes[*node];
            at.seq == seq && *at.entries == found && self.is_at_or_after(*node, self.os)
        };
        let Some(node) = (0..self.nodes.len()).find(fits) else {
            let promised = &self.nodes[self.os];
            let (found, entries) = (told(&found), told(&promised.entries));
            panic!("found seq {seq} {found}; promised was seq {} {entries}", promised.seq);
        };
        check_shown(store, &found, now_ms);
        (self.tip, self.os, self.is_behind) = (node, node, false);
        if self.all_on_disk {
            self.disk = node;
        }
    }
}

/// What of some entries has not expired.
fn unexpired(entries: &Entries, now_ms: f64) -> Entries {
    let lives = |expires_at_ms: Option<u64>| expires_at_ms.is_none_or(|at_ms| at_ms as f64 > now_ms);
    let left = entries.iter().filter(|(_, (_, _, expires_at_ms))| lives(*expires_at_ms));
    left.map(|(key, entry)| (key.clone(), entry.clone())).collect()
}

/// Whatever the clock says.
fn stored_in(store: &Store) -> Entries {
    let mut found = Entries::new();
    store.view().scan(Bound::Unbounded, &mut |entry| {
        found.insert(entry.key.to_vec(), (entry.value.into(), entry.version, entry.expires_at_ms));
        true
    });
    found
}

/// Of what it holds a store shows what has not expired.
fn check_shown(store: &Store, stored: &Entries, now_ms: f64) {
    let (found, expected) = (entries_of(store), unexpired(stored, now_ms));
    assert!(found == expected, "of {} the store shows {}", told(stored), told(&found));
    for key in stored.keys() {
        assert_eq!(store.has(key), expected.contains_key(key), "{:?} is shown", String::from_utf8_lossy(key));
    }
}

/// What a store shows, read in every way there is.
pub fn entries_of(store: &Store) -> Entries {
    let mut found = Entries::new();
    store.scan(None, holdfast::ScanRange::ALL, &mut |entry| {
        found.insert(entry.key.to_vec(), (entry.value.into(), entry.version, entry.expires_at_ms));
        true
    });
    assert_eq!(store.count(), found.len() as u64, "the count of entries");
    let mut back = found.iter().rev();
    store.scan(None, ScanRange { direction: Direction::Back, ..ScanRange::ALL }, &mut |entry: Entry<'_>| {
        assert_eq!(back.next().map(|(key, _)| &key[..]), Some(entry.key), "a scan and one back");
        true
    });
    assert_eq!(back.next(), None, "a scan back ends early");
    for (key, (value, version, expires_at_ms)) in &found {
        let same = store.get(key, |entry| {
            entry.value == &**value && entry.version == *version && entry.expires_at_ms == *expires_at_ms
        });
        assert_eq!(same, Some(true), "a scan and a read of {:?}", String::from_utf8_lossy(key));
    }
    found
}

fn told(entries: &Entries) -> String {
    let mut told = Vec::new();
    for (key, (value, version, _)) in entries {
        let shown = String::from_utf8_lossy(&value[..value.len().min(12)]);
        told.push(format!("{}@{version}={shown:?}:{}", String::from_utf8_lossy(key), value.len()));
    }
    format!("{{{}}}", told.join(" "))
}
