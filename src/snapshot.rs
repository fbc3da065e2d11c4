//! Snapshots: the whole map at one seq, as the base layer's own blocks.
//!
//! Owns the snapshot's bytes: a header, chunks (one block each, with checksums) and a footer. It is valid only as
//! a whole. All integers are little-endian; every checksum but the header's is seeded with the header's salt.
//!
//! | header, offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `HFSNP\r\n\x1a` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | zero |
//! | 16 | 8 | `generation`, as in the name |
//! | 24 | 8 | `epoch` of the leader that wrote it |
//! | 32 | 8 | `salt` |
//! | 40 | 8 | `seq`: the state after this frame |
//! | 48 | 8 | zero |
//! | 56 | 8 | xxh64 of bytes 0..56, seed 0 |
//!
//! | chunk, offset | size | field |
//! |---|---|---|
//! | 0 | 4 | `block_bytes`, never 0 |
//! | 4 | 4 | `number`, 0, 1, 2... |
//! | 8 | 8 | xxh64 of the block |
//! | 16 | 8 | xxh64 of bytes 0..16 |
//! | 24 | `block_bytes` | the block (`map/block.rs`) |
//!
//! | footer, offset | size | field |
//! |---|---|---|
//! | 0 | 4 | zero, where a chunk has its size |
//! | 4 | 4 | `chunks` |
//! | 8 | 8 | xxh64 of every chunk's block checksum, in order |
//! | 16 | 8 | xxh64 of bytes 0..16 |
//!
//! Nothing follows the footer. Deliberately absent: I/O (`checkpoint.rs` writes, `recovery.rs` reads).

use crate::frame::{u32_at, u64_at};
use crate::hash::xxh64;
use crate::log::{self, HeaderFault};
use crate::map::block::Block;

pub const HEADER_BYTES: usize = 64;
const CHUNK_HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 8] = b"HFSNP\r\n\x1a";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub generation: u64,
    pub epoch: u64,
    pub salt: u64,
    pub seq: u64,
}

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It ends before its footer: a checkpoint was under way.
    Incomplete,
    /// Bytes contradict their checksum or the format.
    Corrupt,
    /// A later version of Holdfast wrote it.
    Newer(u32),
}

/// Encodes a snapshot piece by piece.
pub struct Writer {
    salt: u64,
    chunks: u32,
    /// The checksum of every chunk so far.
    checks: Vec<u8>,
}

impl Writer {
    /// Begins a snapshot: its header goes to `out`.
    pub fn new(header: &Header, out: &mut Vec<u8>) -> Writer {
        log::write_head(MAGIC, [header.generation, header.epoch, header.salt, header.seq], out);
        Writer { salt: header.salt, chunks: 0, checks: Vec::new() }
    }

    pub fn chunk(&mut self, block: &Block, out: &mut Vec<u8>) {
        let check = xxh64(block.bytes(), self.salt);
        self.checks.extend_from_slice(&check.to_le_bytes());
        self.head(block.bytes().len() as u32, self.chunks, check, out);
        out.extend_from_slice(block.bytes());
        self.chunks += 1;
    }

    pub fn finish(&self, out: &mut Vec<u8>) {
        self.head(0, self.chunks, xxh64(&self.checks, self.salt), out);
    }

    fn head(&self, block_bytes: u32, number: u32, check: u64, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&block_bytes.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&check.to_le_bytes());
        let head_check = xxh64(&out[at..], self.salt);
        out.extend_from_slice(&head_check.to_le_bytes());
    }
}

/// Decodes a snapshot from bytes that arrive in pieces of any size.
#[derive(Default)]
pub struct Reader {
    header: Option<Header>,
    checks: Vec<u8>,
    chunks: u32,
    finished: bool,
    /// Bytes of the piece that is not whole yet.
    rest: Vec<u8>,
}

impl Reader {
    /// The header, once enough bytes have arrived.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Takes the next bytes and hands on every block they complete.
    pub fn push(&mut self, bytes: &[u8], block: &mut dyn FnMut(Block)) -> Result<(), Damage> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(used) = self.take(at, block)? {
            at += used;
        }
        self.rest.drain(..at);
        if self.finished && !self.rest.is_empty() {
            return Err(Damage::Corrupt);
        }
        Ok(())
    }

    /// Says whether the bytes so far were a whole snapshot.
    pub fn finish(&self) -> Result<Header, Damage> {
        match self.header {
            Some(header) if self.finished => Ok(header),
            _ => Err(Damage::Incomplete),
        }
    }

    /// Reads one piece at `at`; says how long it was, or that it is not whole yet.
    fn take(&mut self, at: usize, block: &mut dyn FnMut(Block)) -> Result<Option<usize>, Damage> {
        let rest = &self.rest[at..];
        let Some(header) = self.header else {
            let Some(bytes) = rest.get(..HEADER_BYTES) else { return Ok(None) };
            let header = read_header(bytes)?;
            self.header = Some(header);
            return Ok(Some(HEADER_BYTES));
        };
        if self.finished {
            return Ok(None);
        }
        let Some(head) = rest.get(..CHUNK_HEADER_BYTES) else { return Ok(None) };
        if u64_at(head, 16) != xxh64(&head[..16], header.salt) {
            return Err(damage(head));
        }
        let (block_bytes, number, check) = (u32_at(head, 0) as usize, u32_at(head, 4), u64_at(head, 8));
        if number != self.chunks {
            return Err(Damage::Corrupt);
        }
        if block_bytes == 0 {
            if check != xxh64(&self.checks, header.salt) {
                return Err(Damage::Corrupt);
            }
            self.finished = true;
            return Ok(Some(CHUNK_HEADER_BYTES));
        }
        let Some(end) = CHUNK_HEADER_BYTES.checked_add(block_bytes) else { return Err(Damage::Corrupt) };
        let Some(bytes) = rest.get(CHUNK_HEADER_BYTES..end) else { return Ok(None) };
        if xxh64(bytes, header.salt) != check {
            return Err(Damage::Corrupt);
        }
        self.checks.extend_from_slice(&check.to_le_bytes());
        self.chunks += 1;
        match Block::from_bytes(bytes.into()) {
            Some(whole) if whole.version_base() <= header.seq => block(whole),
            _ => return Err(Damage::Corrupt),
        }
        Ok(Some(end))
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, Damage> {
    match log::read_head(bytes, MAGIC) {
        Ok([generation, epoch, salt, seq]) => Ok(Header { generation, epoch, salt, seq }),
        Err(HeaderFault::Newer(version)) => Err(Damage::Newer(version)),
        Err(HeaderFault::Torn) => Err(damage(bytes)),
    }
}

/// What bytes without a checksum that holds are: zeros are what a crash leaves where data was not written yet.
fn damage(bytes: &[u8]) -> Damage {
    if bytes.iter().all(|byte| *byte == 0) { Damage::Incomplete } else { Damage::Corrupt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Entry;
    use crate::map::block::Builder;

    const HEADER: Header = Header { generation: 2, epoch: 1, salt: 9, seq: 500 };

    fn snapshot() -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&HEADER, &mut out);
        for first in [0, 100] {
            let mut builder = Builder::new(HEADER.salt, HEADER.seq);
            for number in first..first + 3 {
                let key = format!("key:{number:04}");
                builder.push(&Entry { key: key.as_bytes(), value: b"value", version: 1, expires_at_ms: None });
            }
            writer.chunk(&builder.finish().unwrap(), &mut out);
        }
        writer.finish(&mut out);
        out
    }

    fn read(bytes: &[u8], piece_bytes: usize) -> Result<(Header, usize), Damage> {
        let mut reader = Reader::default();
        let mut entries = 0;
        for piece in bytes.chunks(piece_bytes) {
            reader.push(piece, &mut |block| entries += block.entries())?;
        }
        Ok((reader.finish()?, entries))
    }

    #[test]
    fn a_snapshot_round_trips_in_pieces_of_any_size() {
        for piece_bytes in [1, 7, 64, 100, 1 << 20] {
            assert_eq!(read(&snapshot(), piece_bytes), Ok((HEADER, 6)));
        }
    }

    #[test]
    fn every_bit_flip_is_found() {
        let good = snapshot();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bad, 1 << 20).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_snapshot_without_its_end_is_incomplete_and_one_with_more_is_corrupt() {
        let mut bytes = snapshot();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end], 1 << 20), Err(Damage::Incomplete), "cut at {end}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes, 1 << 20), Err(Damage::Corrupt));
    }

    #[test]
    fn chunks_of_another_snapshot_or_in_another_order_do_not_pass() {
        let good = snapshot();
        let chunk_bytes = (good.len() - HEADER_BYTES - CHUNK_HEADER_BYTES) / 2;
        let mut swapped = good.clone();
        let (first, second) = swapped[HEADER_BYTES..HEADER_BYTES + 2 * chunk_bytes].split_at_mut(chunk_bytes);
        first.swap_with_slice(second);
        assert_eq!(read(&swapped, 1 << 20), Err(Damage::Corrupt));
    }
}
