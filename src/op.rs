//! Ops and batches: what one frame says.
//!
//! Owns the payload of a frame: a batch, in postcard's wire format (varints, then raw bytes). Ops borrow their
//! keys and values from the buffer they were decoded from. Variants are only ever appended; their numbers are
//! pinned by the golden files in `tests/fixtures`. Deliberately absent: checksums (`frame.rs`), limits (`store.rs`).

use postcard::ser_flavors::Flavor;
#[cfg(test)]
use serde::{Deserialize, Serialize};

/// Keys from this byte on are the engine's own: no UTF-8 text begins with it.
pub const SYSTEM_KEYS_START: u8 = 0xFF;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Serialize, Deserialize))]
pub enum Op<'a> {
    /// Stores a value, replacing what was there.
    Set {
        #[cfg_attr(test, serde(borrow, with = "serde_bytes"))]
        key: &'a [u8],
        #[cfg_attr(test, serde(borrow, with = "serde_bytes"))]
        value: &'a [u8],
        /// Milliseconds since 1970 at which the entry ends.
        expires_at_ms: Option<u64>,
    },
    /// Removes one entry.
    Delete {
        #[cfg_attr(test, serde(borrow, with = "serde_bytes"))]
        key: &'a [u8],
    },
    /// Removes every entry with `start <= key < end`.
    DeleteRange {
        #[cfg_attr(test, serde(borrow, with = "serde_bytes"))]
        start: &'a [u8],
        #[cfg_attr(test, serde(borrow, with = "serde_bytes"))]
        end: &'a [u8],
    },
}

/// Who asked for a batch, so that a request which is sent twice is applied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Serialize, Deserialize))]
pub struct Request {
    pub client: u64,
    pub number: u64,
}

/// Adds the encoded batch to `out`.
pub fn encode_batch(request: Option<Request>, ops: &[Op<'_>], out: &mut Vec<u8>) {
    // Field by field: what serde derives for the enum is twice the code, and a type of its own for every field as much again. A
    // test holds the two against each other.
    put_option(request.is_some(), out);
    if let Some(Request { client, number }) = request {
        put(client, out);
        put(number, out);
    }
    put(ops.len() as u64, out);
    for op in ops {
        match *op {
            Op::Set { key, value, expires_at_ms } => {
                put(0, out);
                put_bytes(key, out);
                put_bytes(value, out);
                put_option(expires_at_ms.is_some(), out);
                if let Some(expires_at_ms) = expires_at_ms {
                    put(expires_at_ms, out);
                }
            }
            Op::Delete { key } => {
                put(1, out);
                put_bytes(key, out);
            }
            Op::DeleteRange { start, end } => {
                put(2, out);
                put_bytes(start, out);
                put_bytes(end, out);
            }
        }
    }
}

fn put_option(is_some: bool, out: &mut Vec<u8>) {
    out.push(u8::from(is_some));
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A number, which is the same whatever its width.
#[inline(never)]
fn put(number: u64, out: &mut Vec<u8>) {
    struct AppendTo<'a>(&'a mut Vec<u8>);
    impl Flavor for AppendTo<'_> {
        type Output = ();
        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }
        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }
    let encoded = postcard::serialize_with_flavor(&number, AppendTo(out));
    debug_assert!(encoded.is_ok(), "a vector takes every byte");
}

/// The ops of an encoded batch, one at a time, so that a hostile count allocates nothing.
pub struct Ops<'a> {
    pub request: Option<Request>,
    rest: &'a [u8],
    remaining: u32,
}

/// The payload is not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Ops<'a> {
    pub fn decode(payload: &'a [u8]) -> Result<Ops<'a>, Malformed> {
        let mut rest = payload;
        let request = match take_option(&mut rest)? {
            true => Some(Request { client: take(&mut rest)?, number: take(&mut rest)? }),
            false => None,
        };
        let remaining = u32::try_from(take(&mut rest)?).map_err(|_| Malformed)?;
        Ok(Ops { request, rest, remaining })
    }

    /// The next op; `None` after the last, when the payload ends exactly there.
    pub fn next_op(&mut self) -> Result<Option<Op<'a>>, Malformed> {
        if self.remaining == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err(Malformed) };
        }
        let rest = &mut self.rest;
        let op = match take(rest)? {
            0 => Op::Set {
                key: take_bytes(rest)?,
                value: take_bytes(rest)?,
                expires_at_ms: if take_option(rest)? { Some(take(rest)?) } else { None },
            },
            1 => Op::Delete { key: take_bytes(rest)? },
            2 => Op::DeleteRange { start: take_bytes(rest)?, end: take_bytes(rest)? },
            _ => return Err(Malformed),
        };
        self.remaining -= 1;
        Ok(Some(op))
    }
}

#[inline(never)]
fn take(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let (number, behind) = postcard::take_from_bytes(rest).map_err(|_| Malformed)?;
    *rest = behind;
    Ok(number)
}

fn take_option(rest: &mut &[u8]) -> Result<bool, Malformed> {
    let (tag, behind) = rest.split_first().ok_or(Malformed)?;
    *rest = behind;
    if *tag > 1 { Err(Malformed) } else { Ok(*tag == 1) }
}

#[inline(never)]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take(rest)?).map_err(|_| Malformed)?;
    let (bytes, behind) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = behind;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(payload: &[u8]) -> Result<Vec<Op<'_>>, Malformed> {
        let mut ops = Ops::decode(payload)?;
        let mut all = Vec::new();
        while let Some(op) = ops.next_op()? {
            all.push(op);
        }
        Ok(all)
    }

    const OPS: [Op<'static>; 4] = [
        Op::Set { key: b"user:1", value: b"\x01value", expires_at_ms: None },
        Op::Set { key: b"k", value: b"", expires_at_ms: Some(1_800_000_000_000) },
        Op::Delete { key: b"gone" },
        Op::DeleteRange { start: b"a", end: b"b" },
    ];

    #[test]
    fn a_batch_round_trips() {
        let mut payload = Vec::new();
        encode_batch(Some(Request { client: 7, number: u64::MAX }), &OPS, &mut payload);
        assert_eq!(Ops::decode(&payload).unwrap().request, Some(Request { client: 7, number: u64::MAX }));
        assert_eq!(decoded(&payload).unwrap(), OPS);
    }

    #[test]
    fn field_by_field_is_what_serde_derives() {
        for request in [None, Some(Request { client: 7, number: u64::MAX })] {
            let mut payload = Vec::new();
            encode_batch(request, &OPS, &mut payload);
            assert_eq!(payload, postcard::to_allocvec(&(request, &OPS[..])).unwrap());
            let (_, ops): (Option<Request>, Vec<Op<'_>>) = postcard::from_bytes(&payload).unwrap();
            assert_eq!(ops, OPS);
        }
    }

    #[test]
    fn the_wire_format_is_pinned() {
        let mut payload = Vec::new();
        encode_batch(None, &OPS[..3], &mut payload);
        let expected = [
            &b"\x00\x03"[..],
            b"\x00\x06user:1\x06\x01value\x00",
            b"\x00\x01k\x00\x01\x80\xa0\xf1\xc2\xb1\x34",
            b"\x01\x04gone",
        ]
        .concat();
        assert_eq!(payload, expected);
    }

    #[test]
    fn every_shorter_payload_is_malformed() {
        let mut payload = Vec::new();
        encode_batch(None, &OPS, &mut payload);
        for end in 0..payload.len() {
            assert_eq!(decoded(&payload[..end]), Err(Malformed), "cut at {end}");
        }
        payload.push(0);
        assert_eq!(decoded(&payload), Err(Malformed), "one byte too many");
    }
}
