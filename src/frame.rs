//! Frames: the unit of the op log, all or nothing.
//!
//! Owns the frame's bytes. All integers are little-endian.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | `payload_bytes`, never 0 |
//! | 4 | 4 | `header_check`: low half of xxh64 of bytes 0..4 and 8..40, seed = the segment's salt |
//! | 8 | 8 | `seq` |
//! | 16 | 8 | `epoch` |
//! | 24 | 8 | `durable_seq`: newest seq whose sync had returned when the frame was made |
//! | 32 | 8 | `payload_check`: xxh64 of the payload, seed = the segment's salt |
//! | 40 | `payload_bytes` | the payload, a batch (`op.rs`) |
//!
//! The header has a checksum of its own, so that a torn length never drives the parser; the salt keeps old bytes
//! of a recycled file, and a value that looks like a frame, from passing. Deliberately absent: what follows what (`log.rs`).

use crate::hash::xxh64;

pub const HEADER_BYTES: usize = 40;

/// The longest payload, in bytes: a batch has to fit in wasm memory several times over.
pub const PAYLOAD_BYTES_MAX: usize = 512 << 20;

/// The greatest seq, generation and epoch: the integers that a JavaScript number holds exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// A frame's header, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub payload_bytes: u32,
    pub seq: u64,
    pub epoch: u64,
    pub durable_seq: u64,
    pub payload_check: u64,
}

/// Opens a frame at the end of `out`; the payload is appended by the caller, then [`finish`] seals it.
pub fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.resize(at + HEADER_BYTES, 0);
    at
}

/// Writes the header of the frame that [`begin`] opened at `at` and whose payload ends `out`.
pub fn finish(out: &mut [u8], at: usize, seq: u64, epoch: u64, durable_seq: u64, salt: u64) {
    let (header, payload) = out[at..].split_at_mut(HEADER_BYTES);
    debug_assert!(!payload.is_empty() && payload.len() <= PAYLOAD_BYTES_MAX);
    header[0..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&seq.to_le_bytes());
    header[16..24].copy_from_slice(&epoch.to_le_bytes());
    header[24..32].copy_from_slice(&durable_seq.to_le_bytes());
    header[32..40].copy_from_slice(&xxh64(payload, salt).to_le_bytes());
    let check = header_check(header, salt);
    header[4..8].copy_from_slice(&check.to_le_bytes());
}

/// The header at the start of `bytes`, if its checksum says it is one.
pub fn read_header(bytes: &[u8], salt: u64) -> Option<Header> {
    let header = bytes.get(..HEADER_BYTES)?;
    let payload_bytes = u32_at(header, 0);
    if payload_bytes == 0 || u32_at(header, 4) != header_check(header, salt) {
        return None;
    }
    Some(Header {
        payload_bytes,
        seq: u64_at(header, 8),
        epoch: u64_at(header, 16),
        durable_seq: u64_at(header, 24),
        payload_check: u64_at(header, 32),
    })
}

/// The payload of the frame at the start of `bytes`, if it is whole and its checksum holds.
pub fn read_payload<'a>(bytes: &'a [u8], header: &Header, salt: u64) -> Option<&'a [u8]> {
    let end = HEADER_BYTES.checked_add(header.payload_bytes as usize)?;
    let payload = bytes.get(HEADER_BYTES..end)?;
    (xxh64(payload, salt) == header.payload_check).then_some(payload)
}

fn header_check(header: &[u8], salt: u64) -> u32 {
    let mut hashed = [0; HEADER_BYTES - 4];
    hashed[..4].copy_from_slice(&header[..4]);
    hashed[4..].copy_from_slice(&header[8..HEADER_BYTES]);
    xxh64(&hashed, salt) as u32
}

/// The little-endian integer at a place the caller has checked to exist.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The little-endian integer at a place the caller has checked to exist.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8], salt: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let at = begin(&mut out);
        out.extend_from_slice(payload);
        finish(&mut out, at, 42, 3, 40, salt);
        out
    }

    fn read(bytes: &[u8], salt: u64) -> Option<&[u8]> {
        read_payload(bytes, &read_header(bytes, salt)?, salt)
    }

    #[test]
    fn a_frame_round_trips() {
        let bytes = frame(b"payload", 99);
        let header = read_header(&bytes, 99).unwrap();
        assert_eq!((header.seq, header.epoch, header.durable_seq), (42, 3, 40));
        assert_eq!(read(&bytes, 99), Some(&b"payload"[..]));
    }

    #[test]
    fn every_bit_flip_is_found() {
        let good = frame(b"payload", 99);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bad, 99), None, "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_found() {
        let good = frame(b"payload", 99);
        for end in 0..good.len() {
            assert_eq!(read(&good[..end], 99), None, "cut at {end}");
        }
    }

    #[test]
    fn another_segments_frame_does_not_pass() {
        assert_eq!(read(&frame(b"payload", 98), 99), None);
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(read_header(&[0; 64], 0), None);
    }
}
