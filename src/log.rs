//! The op log: segments of frames, and the names of blobs.
//!
//! Owns the segment header, the order of frames inside a segment, and what a blob's name means. A segment begins
//! with the same header twice (a damaged first copy does not cost the log), then frames without gaps.
//!
//! | offset | size | field, all integers little-endian |
//! |---|---|---|
//! | 0 | 8 | magic `HFLOG\r\n\x1a` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | zero |
//! | 16 | 8 | `generation`, as in the name |
//! | 24 | 8 | `epoch` of the leader that writes it |
//! | 32 | 8 | `salt`, seed of every checksum in the segment |
//! | 40 | 8 | `first_seq`: seq of its first frame; everything before it was synced before this byte was written |
//! | 48 | 8 | zero |
//! | 56 | 8 | xxh64 of bytes 0..56, seed 0 |
//! | 64 | 64 | bytes 0..64 again |
//! | 128 | | frames (`frame.rs`) |
//!
//! Deliberately absent: I/O, and what to do about damage (`recovery.rs`).

use crate::frame;
use crate::hash::xxh64;
use crate::op::Ops;

pub const HEADER_BYTES: usize = 2 * COPY_BYTES;
pub const FORMAT_VERSION: u32 = 1;
const COPY_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"HFLOG\r\n\x1a";

/// A blob without meaning, given up for the writes that make a full store smaller.
pub const RESERVE_NAME: &str = "reserve";

/// What a blob's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Log,
    Snapshot,
}

/// The name of a blob: `log-<generation>` or `snap-<generation>`; `snap-n` is the state before `log-n`.
pub fn blob_name(kind: Kind, generation: u64) -> String {
    let prefix = match kind {
        Kind::Log => "log-",
        Kind::Snapshot => "snap-",
    };
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = generation;
    // By hand: the formatting machinery of the standard library costs more than a kilobyte.
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut name = String::from(prefix);
    for digit in &digits[at..] {
        name.push(char::from(*digit));
    }
    name
}

/// The inverse of [`blob_name`]; `None` for a name this format does not give.
pub fn parse_name(name: &str) -> Option<(Kind, u64)> {
    let (kind, digits) = match name.strip_prefix("log-") {
        Some(digits) => (Kind::Log, digits),
        None => (Kind::Snapshot, name.strip_prefix("snap-")?),
    };
    let generation: u64 = digits.parse().ok()?;
    (generation < frame::NUMBER_MAX && blob_name(kind, generation) == name).then_some((kind, generation))
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub generation: u64,
    pub epoch: u64,
    pub salt: u64,
    pub first_seq: u64,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// Neither copy is whole: the segment was being created, or is damaged.
    Torn,
    /// A later version of Holdfast wrote it.
    Newer(u32),
}

pub fn write_header(header: &Header, out: &mut Vec<u8>) {
    let at = out.len();
    write_head(MAGIC, [header.generation, header.epoch, header.salt, header.first_seq], out);
    out.extend_from_within(at..);
}

/// The header at the start of a segment, from either copy.
pub fn read_header(bytes: &[u8]) -> Result<Header, HeaderFault> {
    let mut fault = HeaderFault::Torn;
    for copy in bytes.chunks_exact(COPY_BYTES).take(2) {
        match read_head(copy, MAGIC) {
            Ok([generation, epoch, salt, first_seq]) if first_seq > 0 => {
                return Ok(Header { generation, epoch, salt, first_seq });
            }
            Err(HeaderFault::Newer(version)) => fault = HeaderFault::Newer(version),
            _ => {}
        }
    }
    Err(fault)
}

/// Adds the 64 bytes that blobs of both kinds begin with: magic, format version, generation, epoch, salt and a seq, checksum.
pub(crate) fn write_head(magic: &[u8; 8], [generation, epoch, salt, seq]: [u64; 4], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(magic);
    for field in [u64::from(FORMAT_VERSION), generation, epoch, salt, seq, 0] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    let check = xxh64(&out[at..], 0);
    out.extend_from_slice(&check.to_le_bytes());
}

/// The four fields of such 64 bytes.
pub(crate) fn read_head(head: &[u8], magic: &[u8; 8]) -> Result<[u64; 4], HeaderFault> {
    if &head[..8] != magic {
        return Err(HeaderFault::Torn);
    }
    let version = frame::u32_at(head, 8);
    if version > FORMAT_VERSION {
        return Err(HeaderFault::Newer(version));
    }
    let (generation, epoch) = (frame::u64_at(head, 16), frame::u64_at(head, 24));
    let (salt, seq) = (frame::u64_at(head, 32), frame::u64_at(head, 40));
    let whole = frame::u64_at(head, 56) == xxh64(&head[..56], 0);
    if !whole || generation.max(epoch).max(seq) >= frame::NUMBER_MAX {
        return Err(HeaderFault::Torn);
    }
    Ok([generation, epoch, salt, seq])
}

/// Where reading a segment stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At its end, or at the zeros with which a crash extended it.
    End,
    /// At the first seq that a later segment replaces.
    Superseded,
    /// At bytes that are not a whole frame: a torn tail, or damage.
    Torn,
    /// At a whole frame that contradicts the format.
    Contradiction,
}

/// What reading a segment found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The seq of the last good frame, or the one before the segment.
    pub last_seq: u64,
    /// Where the last good frame ends.
    pub good_bytes: usize,
    /// The newest seq that some frame, good or behind the stop, says had been synced; 0 if none does.
    pub promised_seq: u64,
    pub stop: Stop,
}

/// Reads the frames of a segment whose seq is below `superseded_from`, in order, and hands each one's seq and ops
/// to `apply`, which says whether the payload made sense.
pub fn replay(
    bytes: &[u8],
    header: &Header,
    superseded_from: u64,
    mut apply: impl FnMut(u64, Ops<'_>) -> bool,
) -> Replay {
    let mut found = Replay {
        last_seq: header.first_seq.saturating_sub(1),
        good_bytes: HEADER_BYTES.min(bytes.len()),
        promised_seq: 0,
        stop: Stop::End,
    };
    loop {
        let rest = &bytes[found.good_bytes..];
        if found.last_seq + 1 >= superseded_from {
            found.stop = Stop::Superseded;
            return found;
        }
        if rest.iter().all(|byte| *byte == 0) {
            return found;
        }
        let frame = frame::read_header(rest, header.salt)
            .and_then(|head| Some((head, frame::read_payload(rest, &head, header.salt)?)));
        let Some((head, payload)) = frame else {
            found.stop = Stop::Torn;
            break;
        };
        if head.seq != found.last_seq + 1
            || head.seq >= frame::NUMBER_MAX
            || head.epoch != header.epoch
            || head.durable_seq >= head.seq
        {
            found.stop = Stop::Contradiction;
            break;
        }
        if !Ops::decode(payload).is_ok_and(|ops| apply(head.seq, ops)) {
            found.stop = Stop::Contradiction;
            break;
        }
        found.last_seq = head.seq;
        found.promised_seq = found.promised_seq.max(head.durable_seq);
        found.good_bytes += frame::HEADER_BYTES + payload.len();
    }
    let behind = promised_behind(&bytes[found.good_bytes..], header, found.last_seq, superseded_from);
    found.promised_seq = found.promised_seq.max(behind);
    found
}

/// The newest promise in the headers of whole or half frames behind a stop. Only a header of this segment has a
/// checksum that holds under its salt, so looking at every byte finds nothing else. No seq that a number cannot hold counts.
pub(crate) fn promised_behind(rest: &[u8], header: &Header, last_seq: u64, superseded_from: u64) -> u64 {
    let end_seq = superseded_from.min(frame::NUMBER_MAX);
    let mut promised_seq = 0;
    let mut at = 0;
    while at + frame::HEADER_BYTES <= rest.len() {
        match frame::read_header(&rest[at..], header.salt) {
            Some(head) if head.epoch == header.epoch && head.seq > last_seq && head.seq < end_seq => {
                promised_seq = promised_seq.max(head.durable_seq.min(head.seq - 1));
                at += frame::HEADER_BYTES;
            }
            _ => at += 1,
        }
    }
    promised_seq
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Op, encode_batch};

    const HEADER: Header = Header { generation: 5, epoch: 2, salt: 77, first_seq: 10 };

    fn segment(frames: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        write_header(&HEADER, &mut out);
        for &(seq, durable_seq) in frames {
            let at = frame::begin(&mut out);
            encode_batch(None, &[Op::Delete { key: b"k" }], &mut out);
            frame::finish(&mut out, at, seq, HEADER.epoch, durable_seq, HEADER.salt);
        }
        out
    }

    fn replay_all(bytes: &[u8]) -> Replay {
        replay(bytes, &HEADER, u64::MAX, |_, _| true)
    }

    #[test]
    fn names_round_trip_and_nothing_else_parses() {
        for kind in [Kind::Log, Kind::Snapshot] {
            for generation in [1, 42, frame::NUMBER_MAX - 1] {
                assert_eq!(parse_name(&blob_name(kind, generation)), Some((kind, generation)));
            }
        }
        for name in ["", "log", "log-", "log-01", "log-+1", "log--1", "snap-1x", "other-1", "log-9007199254740991"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn either_copy_of_the_header_is_enough() {
        let good = segment(&[]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_header(&bad), Ok(HEADER), "bit {bit}");
        }
        assert_eq!(read_header(&good[..COPY_BYTES - 1]), Err(HeaderFault::Torn));
        assert_eq!(read_header(&[0; 128]), Err(HeaderFault::Torn));
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut bytes = segment(&[]);
        bytes[8] = 2;
        bytes[COPY_BYTES + 8] = 2;
        assert_eq!(read_header(&bytes), Err(HeaderFault::Newer(2)));
    }

    #[test]
    fn a_clean_segment_is_read_to_its_end() {
        let bytes = segment(&[(10, 0), (11, 0), (12, 11)]);
        let found = replay_all(&bytes);
        assert_eq!(found, Replay { last_seq: 12, good_bytes: bytes.len(), promised_seq: 11, stop: Stop::End });
    }

    #[test]
    fn zeros_behind_the_last_frame_are_its_end() {
        let mut bytes = segment(&[(10, 0)]);
        let good_bytes = bytes.len();
        bytes.resize(good_bytes + 4096, 0);
        assert_eq!(replay_all(&bytes), Replay { last_seq: 10, good_bytes, promised_seq: 0, stop: Stop::End });
    }

    #[test]
    fn a_cut_anywhere_leaves_whole_frames() {
        let whole = segment(&[(10, 0), (11, 0)]);
        let first_end = segment(&[(10, 0)]).len();
        for end in HEADER_BYTES..whole.len() {
            let found = replay_all(&whole[..end]);
            assert_eq!(found.last_seq, if end < first_end { 9 } else { 10 }, "cut at {end}");
        }
    }

    #[test]
    fn damage_in_front_of_a_promise_shows_what_was_promised() {
        let frame_bytes = segment(&[(10, 0)]).len() - HEADER_BYTES;
        let mut bytes = segment(&[(10, 0), (11, 0), (12, 11), (13, 11)]);
        bytes[HEADER_BYTES + frame_bytes + 3] ^= 0x40;
        let found = replay_all(&bytes);
        assert_eq!((found.last_seq, found.promised_seq, found.stop), (10, 11, Stop::Torn));
    }

    #[test]
    fn a_promise_no_number_holds_does_not_count() {
        let promised = |seq| replay_all(&segment(&[(10, 0), (seq, seq - 1)])).promised_seq;
        assert_eq!(promised(frame::NUMBER_MAX - 1), frame::NUMBER_MAX - 2);
        assert_eq!((promised(frame::NUMBER_MAX), promised(u64::MAX)), (0, 0));
    }

    #[test]
    fn a_jump_in_seq_contradicts() {
        assert_eq!(replay_all(&segment(&[(10, 0), (12, 0)])).stop, Stop::Contradiction);
    }

    #[test]
    fn frames_a_later_segment_replaces_are_not_applied() {
        let mut seqs = Vec::new();
        let found = replay(&segment(&[(10, 0), (11, 0), (12, 11)]), &HEADER, 11, |seq, _| {
            seqs.push(seq);
            true
        });
        assert_eq!((seqs, found.stop), (vec![10], Stop::Superseded));
    }
}
