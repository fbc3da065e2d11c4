//! The base layer: immutable blocks in key order, as a snapshot holds them.
//!
//! Loading it costs per block, never per entry. Blocks are shared between the base and the one a checkpoint
//! makes from it. Deliberately absent: changes (`delta.rs`).

use super::block::Block;
use super::{Entry, is_system};
use std::rc::Rc;

#[derive(Debug, Default)]
pub struct Base {
    blocks: Vec<Rc<Block>>,
    /// How many bytes all first keys have in common; they are left out of `fences`.
    common_bytes: usize,
    /// Eight bytes of each block's first key, as an integer that compares like the bytes: most searches touch these only.
    fences: Vec<u64>,
    user_entries: u64,
    bytes: u64,
}

/// A place in the base: a block and an entry in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    block: usize,
    entry: usize,
}

impl Base {
    /// The base made of these blocks, unless their keys are out of order.
    pub fn new(blocks: Vec<Rc<Block>>) -> Option<Base> {
        let mut base = Base::default();
        let mut last_key: Option<&[u8]> = None;
        for block in &blocks {
            let first = block.entry(0)?.key;
            if last_key.is_some_and(|last| last >= first) {
                return None;
            }
            let last = block.entry(block.entries() - 1)?.key;
            if last < first {
                return None;
            }
            last_key = Some(last);
            base.bytes += block.bytes().len() as u64;
            let users = if is_system(last) { block.first_not(|key| !is_system(key)) } else { block.entries() };
            base.user_entries += users as u64;
        }
        if let (Some(first), Some(last)) = (blocks.first(), blocks.last()) {
            let (first, last) = (first.entry(0)?.key, last.entry(0)?.key);
            base.common_bytes = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        }
        for block in &blocks {
            base.fences.push(fence(block.entry(0)?.key, base.common_bytes));
        }
        base.blocks = blocks;
        Some(base)
    }

    pub fn blocks(&self) -> &[Rc<Block>] {
        &self.blocks
    }

    /// Entries whose keys are the user's.
    pub fn user_entries(&self) -> u64 {
        self.user_entries
    }

    /// Bytes of what the blocks hold besides their own tables.
    pub fn data_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.data_bytes())).sum()
    }

    /// Bytes of all blocks.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the last block whose first key is at most `key`.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        let common = self.blocks.first()?.entry(0)?.key.get(..self.common_bytes)?;
        let head = &key[..key.len().min(common.len())];
        if head != common {
            // The key sorts before or behind every first key.
            return if head < common { None } else { Some(self.blocks.len() - 1) };
        }
        let wanted = fence(key, self.common_bytes);
        let below = self.fences.partition_point(|fence| *fence < wanted);
        let equal = self.fences[below..].partition_point(|fence| *fence == wanted);
        let among = self.blocks[below..below + equal]
            .partition_point(|block| block.entry(0).is_some_and(|entry| entry.key <= key));
        (below + among).checked_sub(1)
    }

    pub fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        self.blocks[self.block_of(key)?].get(key)
    }

    /// The place of the first entry whose key is greater than `key`.
    pub fn after(&self, key: &[u8]) -> Cursor {
        match self.block_of(key) {
            Some(block) => Cursor { block, entry: self.blocks[block].first_not(|other| other <= key) },
            None => Cursor::default(),
        }
    }

    /// The last entry whose key is less than `key`.
    pub fn before(&self, key: &[u8]) -> Option<Entry<'_>> {
        let block = self.block_of(key)?;
        match self.blocks[block].first_not(|other| other < key).checked_sub(1) {
            Some(entry) => self.blocks[block].entry(entry),
            None => {
                let block = &self.blocks[block.checked_sub(1)?];
                block.entry(block.entries() - 1)
            }
        }
    }

    /// How many entries have `start <= key < end`.
    pub fn count(&self, start: &[u8], end: &[u8]) -> usize {
        let (first, from) = self.place(start);
        let (last, to) = self.place(end);
        let between: usize = self.blocks[first..last].iter().map(|block| block.entries()).sum();
        (between + to).saturating_sub(from)
    }

    /// The block a key belongs into, and how many of its keys are less.
    fn place(&self, key: &[u8]) -> (usize, usize) {
        self.block_of(key).map_or((0, 0), |block| (block, self.blocks[block].first_not(|other| other < key)))
    }

    /// The entry at a place, which moves on to the next.
    pub fn next(&self, cursor: &mut Cursor) -> Option<Entry<'_>> {
        while let Some(block) = self.blocks.get(cursor.block) {
            if let Some(entry) = block.entry(cursor.entry) {
                cursor.entry += 1;
                return Some(entry);
            }
            *cursor = Cursor { block: cursor.block + 1, entry: 0 };
        }
        None
    }
}

/// The eight bytes behind the common ones, the first in the highest place, zeros where the key ends.
fn fence(key: &[u8], common_bytes: usize) -> u64 {
    let rest = key.get(common_bytes..).unwrap_or_default();
    let mut eight = [0; 8];
    let some = rest.len().min(8);
    eight[..some].copy_from_slice(&rest[..some]);
    u64::from_be_bytes(eight)
}
