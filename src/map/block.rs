//! Blocks: immutable, sorted runs of entries. The base layer of the map and the chunks of a snapshot are the same bytes.
//!
//! Owns the block's bytes. All integers are little-endian.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | `entries`, n, at least 1 |
//! | 4 | 4 | `slots`, a power of two greater than n |
//! | 8 | 8 | `seed` of the hash of keys |
//! | 16 | 8 | `version_base`, at least every version in the block |
//! | 24 | 4 | `data_bytes` |
//! | 28 | 4 | 1 if no entry expires, 0 if some may |
//! | 32 | 2 x slots | hash table: entry number, or 0xFFFF for none; slot = xxh64(key, seed) modulo slots, linear probing |
//! | | 2 x n | where each entry starts in the data, in key order |
//! | | `data_bytes` | the entries |
//!
//! An entry is: `key_bytes` varint, `value_bytes` x 2 + (1 if it expires) varint, `version_base` - version varint,
//! 8 bytes of expiry in milliseconds since 1970 if it expires, the key, the value. Varints are LEB128.
//!
//! Loading a block looks at its header only. So every read checks what it reads, and finds nothing where the
//! bytes make no sense, which a checksum has made as good as impossible. Deliberately absent: checksums (`snapshot.rs`).

use super::Entry;
use crate::frame::{u32_at, u64_at};
use crate::hash::xxh64;

const HEADER_BYTES: usize = 32;
const SLOT_EMPTY: u16 = u16::MAX;

/// A block is closed when its data reaches this many bytes; one entry may be larger than that.
pub const DATA_BYTES_TARGET: usize = 32 << 10;

/// The most entries in a block: entry numbers are 16 bits wide.
const ENTRIES_MAX: usize = 4096;

#[derive(Debug)]
pub struct Block {
    bytes: Box<[u8]>,
    entries: u32,
    slots: u32,
    seed: u64,
    version_base: u64,
}

impl Block {
    /// A block over these bytes, if the header fits them.
    pub fn from_bytes(bytes: Box<[u8]>) -> Option<Block> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        let (entries, slots) = (u32_at(&bytes, 0), u32_at(&bytes, 4));
        let expected =
            HEADER_BYTES as u64 + 2 * u64::from(slots) + 2 * u64::from(entries) + u64::from(u32_at(&bytes, 24));
        let fits = entries > 0
            && entries as usize <= ENTRIES_MAX
            && slots > entries
            && slots.is_power_of_two()
            && expected == bytes.len() as u64;
        let (seed, version_base) = (u64_at(&bytes, 8), u64_at(&bytes, 16));
        fits.then_some(Block { bytes, entries, slots, seed, version_base })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn entries(&self) -> usize {
        self.entries as usize
    }

    /// Whether an entry may expire.
    pub fn may_expire(&self) -> bool {
        u32_at(&self.bytes, 28) != 1
    }

    /// Bytes of the entries.
    pub fn data_bytes(&self) -> u32 {
        u32_at(&self.bytes, 24)
    }

    /// At least every version in the block.
    pub fn version_base(&self) -> u64 {
        self.version_base
    }

    fn u16_at(&self, at: usize) -> usize {
        match self.bytes.get(at..at + 2) {
            Some(pair) => usize::from(u16::from_le_bytes([pair[0], pair[1]])),
            None => usize::from(SLOT_EMPTY),
        }
    }

    /// The entry of that number, in key order.
    pub fn entry(&self, number: usize) -> Option<Entry<'_>> {
        if number >= self.entries() {
            return None;
        }
        let offsets = HEADER_BYTES + 2 * self.slots as usize;
        let data = offsets + 2 * self.entries();
        let mut at = data + self.u16_at(offsets + 2 * number);
        let key_bytes = self.varint(&mut at)? as usize;
        let value_bytes_and_flag = self.varint(&mut at)?;
        let version = self.version_base.checked_sub(self.varint(&mut at)?)?;
        let mut expires_at_ms = None;
        if value_bytes_and_flag & 1 == 1 {
            expires_at_ms = Some(u64_at(self.bytes.get(at..at + 8)?, 0));
            at += 8;
        }
        let value_at = at.checked_add(key_bytes)?;
        let end = value_at.checked_add((value_bytes_and_flag >> 1) as usize)?;
        Some(Entry {
            key: self.bytes.get(at..value_at)?,
            value: self.bytes.get(value_at..end)?,
            version,
            expires_at_ms,
        })
    }

    fn varint(&self, at: &mut usize) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The entry of that key, by the hash table.
    pub fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        let mask = self.slots as usize - 1;
        let mut slot = xxh64(key, self.seed) as usize & mask;
        for _ in 0..=mask {
            let number = self.u16_at(HEADER_BYTES + 2 * slot);
            let entry = self.entry(number)?;
            if entry.key == key {
                return Some(entry);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// The number of the first entry for whose key `is_before` says no; it says yes for a prefix of the keys.
    pub fn first_not(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.entries());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.entry(middle) {
                Some(entry) if !is_before(entry.key) => high = middle,
                _ => low = middle + 1,
            }
        }
        low
    }
}

/// Makes blocks from entries that arrive in key order.
#[derive(Debug)]
pub struct Builder {
    seed: u64,
    version_base: u64,
    data: Vec<u8>,
    offsets: Vec<u16>,
    hashes: Vec<u64>,
    /// Whether an entry expires.
    expires: bool,
}

impl Builder {
    /// `version_base` is at least the version of every entry to come.
    pub fn new(seed: u64, version_base: u64) -> Builder {
        Builder { seed, version_base, data: Vec::new(), offsets: Vec::new(), hashes: Vec::new(), expires: false }
    }

    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Whether the entry has to go into a block of its own or the next one.
    pub fn is_full_for(&self, entry: &Entry<'_>) -> bool {
        let more = entry.key.len() + entry.value.len();
        !self.offsets.is_empty() && (self.data.len() + more > DATA_BYTES_TARGET || self.offsets.len() == ENTRIES_MAX)
    }

    /// Adds the entry with the next greater key.
    pub fn push(&mut self, entry: &Entry<'_>) {
        debug_assert!(entry.version <= self.version_base && self.data.len() <= usize::from(u16::MAX));
        self.offsets.push(self.data.len() as u16);
        self.hashes.push(xxh64(entry.key, self.seed));
        push_varint(&mut self.data, entry.key.len() as u64);
        push_varint(&mut self.data, (entry.value.len() as u64) << 1 | u64::from(entry.expires_at_ms.is_some()));
        push_varint(&mut self.data, self.version_base - entry.version);
        if let Some(expires_at_ms) = entry.expires_at_ms {
            self.data.extend_from_slice(&expires_at_ms.to_le_bytes());
            self.expires = true;
        }
        self.data.extend_from_slice(entry.key);
        self.data.extend_from_slice(entry.value);
    }

    /// The block of what was pushed, if anything was; the builder starts anew.
    pub fn finish(&mut self) -> Option<Block> {
        let entries = self.offsets.len();
        if entries == 0 {
            return None;
        }
        let slots = (entries + entries / 2 + 1).next_power_of_two();
        let mut table = vec![SLOT_EMPTY; slots];
        for (number, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & (slots - 1);
            while table[slot] != SLOT_EMPTY {
                slot = (slot + 1) & (slots - 1);
            }
            table[slot] = number as u16;
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 2 * slots + 2 * entries + self.data.len());
        bytes.extend_from_slice(&(entries as u32).to_le_bytes());
        bytes.extend_from_slice(&(slots as u32).to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.version_base.to_le_bytes());
        bytes.extend_from_slice(&(self.data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&u32::from(!self.expires).to_le_bytes());
        self.expires = false;
        for number in table.iter().chain(&self.offsets) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.data);
        self.data.clear();
        self.offsets.clear();
        self.hashes.clear();
        Block::from_bytes(bytes.into_boxed_slice())
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(keys: &[&str]) -> Block {
        let mut builder = Builder::new(3, 100);
        for (number, key) in keys.iter().enumerate() {
            let expires_at_ms = (number % 2 == 1).then_some(1_800_000_000_000);
            let version = 100 - number as u64;
            builder.push(&Entry { key: key.as_bytes(), value: key.as_bytes(), version, expires_at_ms });
        }
        builder.finish().unwrap()
    }

    #[test]
    fn entries_are_found_by_key_and_by_number() {
        let keys: Vec<String> = (0..300).map(|number| format!("key:{number:04}")).collect();
        let block = block(&keys.iter().map(String::as_str).collect::<Vec<_>>()[..100]);
        for (number, key) in keys.iter().take(100).enumerate() {
            let entry = block.get(key.as_bytes()).unwrap();
            assert_eq!((entry.key, entry.value), (key.as_bytes(), key.as_bytes()));
            assert_eq!(entry.version, 100 - number as u64);
            assert_eq!(entry.expires_at_ms.is_some(), number % 2 == 1);
            assert_eq!(block.entry(number).unwrap().key, key.as_bytes());
            assert_eq!(block.first_not(|other| other <= key.as_bytes()), number + 1);
        }
        assert!(keys[100..].iter().all(|key| block.get(key.as_bytes()).is_none()));
        assert_eq!(block.first_not(|other| other <= b"a"), 0);
        assert_eq!(block.first_not(|other| other <= b"z"), 100);
    }

    #[test]
    fn damaged_blocks_never_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let good = block(&["a", "b", "c", "d"]);
        for _ in 0..20_000 {
            let mut bytes = good.bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let Some(bad) = Block::from_bytes(bytes.into_boxed_slice()) else { continue };
            for number in 0..6 {
                bad.entry(number);
            }
            bad.get(b"c");
            bad.first_not(|other| other <= b"b");
        }
    }
}
