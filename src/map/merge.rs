//! Merging a delta into a base, in steps.
//!
//! Blocks that no change touches are shared, not copied, so the cost is what changed. Pure; the caller decides how
//! many steps to take before it lets its thread do something else.

use super::base::Base;
use super::block::{Block, Builder, DATA_BYTES_TARGET};
use super::delta::{Delta, Place, Walk};
use super::is_system;
use std::rc::Rc;

/// A block under this size is joined with its neighbour where both fit into one: never more, or one small block
/// would cause the copying of all that follow.
const DATA_BYTES_MIN: usize = DATA_BYTES_TARGET / 4;

/// Changes taken in one step at most where no base block bounds it.
const CHANGES_PER_STEP: usize = 256;

/// A merge under way: each step hands out finished blocks in key order.
pub struct Merge {
    base: Rc<Base>,
    delta: Rc<Delta>,
    builder: Builder,
    next_block: usize,
    /// Every change in front of this place is merged.
    merged_to: Place,
    /// Whether every entry that was copied could be read and was in its place: loading looks at none of them.
    sound: bool,
}

impl Merge {
    /// `version_base` is at least the version of every entry in both layers.
    pub fn new(base: Rc<Base>, delta: Rc<Delta>, seed: u64, version_base: u64) -> Merge {
        let builder = Builder::new(seed, version_base);
        Merge { base, delta, builder, next_block: 0, merged_to: Place::default(), sound: true }
    }

    /// The base made of the blocks that the steps gave, unless one they were made from contradicts the format.
    pub fn finish(self, blocks: Vec<Rc<Block>>) -> Option<Base> {
        if self.sound { Base::new(blocks) } else { None }
    }

    /// Does a bounded piece of work and adds the blocks it finished to `out`; false after the last.
    pub fn step(&mut self, out: &mut Vec<Rc<Block>>) -> bool {
        let (base, delta) = (self.base.clone(), self.delta.clone());
        let mut changes = Walk { delta: &delta, place: self.merged_to };
        let more = self.step_from(&base, &mut changes, delta.clears_below.is_some(), out);
        self.merged_to = changes.place;
        more
    }

    fn step_from(&mut self, base: &Base, changes: &mut Walk<'_>, cleared: bool, out: &mut Vec<Rc<Block>>) -> bool {
        let first_key_of = |number: usize| Some(base.blocks().get(number)?.entry(0)?.key);
        let Some((block, first)) = base.blocks().get(self.next_block).zip(first_key_of(self.next_block)) else {
            if self.take_before(None, changes, out) {
                return true;
            }
            self.flush(out);
            return false;
        };
        // Changes in front of the block, at most a step's worth, so that a step stays bounded.
        if self.take_before(Some(first), changes, out) {
            return true;
        }
        let next_first = first_key_of(self.next_block + 1);
        let touched = changes.peek().is_some_and(|(key, _)| next_first.is_none_or(|next| key < next));
        let bytes = block.bytes().len();
        let joins_last = self.builder.data_bytes() > 0 && self.builder.data_bytes() + bytes <= DATA_BYTES_TARGET;
        let joins_next = bytes < DATA_BYTES_MIN
            && base
                .blocks()
                .get(self.next_block + 1)
                .is_some_and(|next| bytes + next.bytes().len() <= DATA_BYTES_TARGET);
        self.next_block += 1;
        if !touched && !joins_last && !joins_next && (!cleared || is_system(first)) {
            self.flush(out);
            out.push(block.clone());
            return true;
        }
        let mut last_key = None;
        for number in 0..block.entries() {
            let Some(entry) = block.entry(number) else {
                self.sound = false;
                break;
            };
            self.sound &= last_key < Some(entry.key) && next_first.is_none_or(|next| entry.key < next);
            last_key = Some(entry.key);
            while self.take_before(Some(entry.key), changes, out) {}
            if changes.peek().is_some_and(|(key, _)| key == entry.key) {
                self.take(changes, out);
            } else if !cleared || is_system(entry.key) {
                self.push(&entry, out);
            }
        }
        true
    }

    /// Takes a step's worth of the changes in front of a key, or of all; says whether there are more of them.
    fn take_before(&mut self, key: Option<&[u8]>, changes: &mut Walk<'_>, out: &mut Vec<Rc<Block>>) -> bool {
        let is_before = |changes: &Walk<'_>| changes.peek().is_some_and(|(found, _)| key.is_none_or(|key| found < key));
        for _ in 0..CHANGES_PER_STEP {
            if !is_before(changes) {
                return false;
            }
            self.take(changes, out);
        }
        is_before(changes)
    }

    fn take(&mut self, changes: &mut Walk<'_>, out: &mut Vec<Rc<Block>>) {
        let Some((key, change)) = changes.peek() else { return };
        if let Some(entry) = change.entry(key) {
            self.push(&entry, out);
        }
        changes.step();
    }

    fn push(&mut self, entry: &super::Entry<'_>, out: &mut Vec<Rc<Block>>) {
        if self.builder.is_full_for(entry) {
            self.flush(out);
        }
        self.builder.push(entry);
    }

    fn flush(&mut self, out: &mut Vec<Rc<Block>>) {
        out.extend(self.builder.finish().map(Rc::new));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Map;
    use super::*;
    use crate::op::{Op, SYSTEM_KEYS_START};
    use std::collections::BTreeMap;
    use std::ops::Bound;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn checkpoint(map: &mut Map, seq: u64) -> (usize, usize) {
        let (base, delta) = map.freeze();
        let mut merge = Merge::new(base.clone(), delta, seq, seq);
        let mut blocks = Vec::new();
        while merge.step(&mut blocks) {}
        let shared = blocks.iter().filter(|new| base.blocks().iter().any(|old| Rc::ptr_eq(new, old))).count();
        let all = blocks.len();
        map.switch(Rc::new(Base::new(blocks).expect("blocks in order")), seq);
        (shared, all)
    }

    fn entries(map: &Map) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        map.scan(Bound::Unbounded, &mut |entry| {
            all.push((entry.key.to_vec(), entry.value.to_vec()));
            true
        });
        all
    }

    #[test]
    fn random_changes_merges_and_undone_runs_match_a_btree_map() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..60 {
            let mut map = Map::default();
            let mut model = Model::new();
            let spread = random.u32(4..3000);
            let mut frozen = None;
            // What may still be undone, with the model as it was before, and how many of these runs the image holds.
            let mut runs: Vec<(Map, Model)> = Vec::new();
            let mut imaged = 0;
            let mut begins = true;
            let mut views: Vec<(Map, Model)> = Vec::new();
            for seq in 1..=random.u64(10..4000) {
                if begins || random.u8(..) < 4 {
                    runs.push((map.clone(), model.clone()));
                    begins = false;
                }
                let mut key = format!("key:{:05}", random.u32(..spread)).into_bytes();
                if random.u8(..) < 8 {
                    key[0] = SYSTEM_KEYS_START;
                }
                match random.u32(..1000) {
                    0 => {
                        let removed = map.apply(&Op::DeleteRange { start: b"", end: &[SYSTEM_KEYS_START] }, seq);
                        let before = model.len();
                        model.retain(|key, _| is_system(key));
                        assert_eq!(removed as usize, before - model.len());
                    }
                    1..5 => {
                        let mut end = key.clone();
                        end.push(random.u8(..));
                        end[4] = end[4].saturating_add(random.u8(..3));
                        map.apply(&Op::DeleteRange { start: &key, end: &end }, seq);
                        model.retain(|other, _| !(*other >= key && *other < end));
                    }
                    5..300 => {
                        let removed = map.apply(&Op::Delete { key: &key }, seq);
                        assert_eq!(removed, u64::from(model.remove(&key).is_some()));
                    }
                    300..303 if frozen.is_none() => {
                        (imaged, begins) = (runs.len(), true);
                        let (base, delta) = map.freeze();
                        frozen = Some(Merge::new(base, delta, seq, seq));
                    }
                    303..309 => match frozen.take() {
                        Some(mut merge) if random.bool() => {
                            let mut blocks = Vec::new();
                            while merge.step(&mut blocks) {}
                            map.switch(Rc::new(Base::new(blocks).expect("blocks in order")), seq);
                            runs.drain(..imaged);
                            (imaged, begins) = (0, true);
                        }
                        Some(_) => {
                            map.thaw();
                            begins = true;
                        }
                        None => {}
                    },
                    309..312 => {
                        for _ in 0..=random.usize(..runs.len()) {
                            let (run, before) = runs.pop().expect("a run");
                            map.restore(run);
                            model = before;
                        }
                        begins = true;
                        if !map.is_frozen() {
                            frozen = None;
                        }
                        imaged = imaged.min(runs.len());
                    }
                    312..315 if frozen.is_none() => {
                        runs.drain(..random.usize(..runs.len()));
                    }
                    _ => {
                        let value = vec![random.u8(..); random.usize(..200)];
                        map.apply(&Op::Set { key: &key, value: &value, expires_at_ms: None }, seq);
                        model.insert(key.clone(), value);
                    }
                }
                assert_eq!(map.get(&key).map(|entry| entry.value), model.get(&key).map(Vec::as_slice));
                if random.u8(..) < 16 {
                    let mut bounds = [(); 2].map(|()| format!("key:{:05}", random.u32(..spread)).into_bytes());
                    bounds.sort();
                    let [start, end] = &bounds;
                    let inside = model.range::<[u8], _>((Bound::Included(&start[..]), Bound::Excluded(&end[..])));
                    assert_eq!(map.count(start, end), inside.clone().count() as u64);
                    assert_eq!(map.count(b"", &[SYSTEM_KEYS_START]), map.user_entries());
                    let mut back = Vec::new();
                    map.scan_back(end, &mut |entry| {
                        back.push(entry.key.to_vec());
                        back.len() < 5
                    });
                    let expected = model.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(&end[..])));
                    assert!(back.iter().eq(expected.rev().map(|(key, _)| key).take(5)));
                }
                if random.u8(..) == 0 {
                    views.push((map.clone(), model.clone()));
                }
                assert_eq!(map.user_entries() as usize, model.keys().filter(|key| !is_system(key)).count());
            }
            for (view, then) in views {
                assert_eq!(entries(&view), then.into_iter().collect::<Vec<_>>());
            }
            assert_eq!(entries(&map), model.clone().into_iter().collect::<Vec<_>>());
            map.thaw();
            checkpoint(&mut map, u64::MAX);
            assert_eq!(entries(&map), model.clone().into_iter().collect::<Vec<_>>());
            assert_eq!(map.base().user_entries(), map.user_entries());
            for from in [&b"key:00100"[..], b"key:00100x", b"", b"zzz", &[SYSTEM_KEYS_START]] {
                let mut first = None;
                map.scan(Bound::Excluded(from), &mut |entry| {
                    first = Some(entry.key.to_vec());
                    false
                });
                let expected = model.range::<[u8], _>((Bound::Excluded(from), Bound::Unbounded)).next();
                assert_eq!(first.as_ref(), expected.map(|(key, _)| key));
            }
        }
    }

    #[test]
    fn what_changed_is_known_until_it_is_merged() {
        let mut map = Map::default();
        let set = |key: &'static [u8]| Op::Set { key, value: b"", expires_at_ms: None };
        map.apply(&set(b"b"), 1);
        map.apply(&set(b"d"), 2);
        map.apply(&Op::Delete { key: b"b" }, 3);
        assert!(map.changed_since(2, b"a", b"c") && !map.changed_since(3, b"a", b"c"));
        assert!(map.changed_since(1, b"d", b"e") && !map.changed_since(2, b"d", b"e"));
        assert!(!map.changed_since(0, b"e", b"z"));
        let (base, delta) = map.freeze();
        assert!(map.changed_since(2, b"a", b"c") && !map.changed_since(3, b"a", b"c"));
        map.apply(&Op::DeleteRange { start: b"", end: &[SYSTEM_KEYS_START] }, 4);
        assert!(map.changed_since(3, b"x", b"z") && !map.changed_since(4, b"x", b"z"));
        let mut merge = Merge::new(base, delta, 1, 3);
        let mut blocks = Vec::new();
        while merge.step(&mut blocks) {}
        map.switch(Rc::new(Base::new(blocks).unwrap()), 3);
        assert!(map.changed_since(2, b"e", b"z"), "the base may have hidden it");
    }

    #[test]
    fn blocks_nothing_touched_are_shared() {
        let mut map = Map::default();
        for number in 0..20_000u64 {
            let key = format!("user:{number:011}");
            map.apply(&Op::Set { key: key.as_bytes(), value: &[7; 100], expires_at_ms: None }, number + 1);
        }
        let (_, blocks) = checkpoint(&mut map, 20_000);
        map.apply(&Op::Set { key: b"user:00000010000", value: b"new", expires_at_ms: None }, 20_001);
        let (shared, after) = checkpoint(&mut map, 20_001);
        assert!(blocks > 50 && after >= blocks && shared == blocks - 1, "{shared} of {blocks} shared, {after} after");
    }

    #[test]
    fn bytes_per_entry_stay_near_the_data() {
        let mut map = Map::default();
        for number in 0..10_000u64 {
            let key = format!("user:{number:011}");
            map.apply(&Op::Set { key: key.as_bytes(), value: &[7; 101], expires_at_ms: None }, number + 1);
        }
        checkpoint(&mut map, 10_000);
        let overhead = map.base().bytes() / 10_000 - 117;
        assert!(overhead <= 12, "{overhead} bytes of overhead an entry");
    }
}
