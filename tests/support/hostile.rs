//! Bytes that no Holdfast would write: what a fault, another program or an enemy leaves on the disk.
//!
//! Damage is of two kinds: with checksums that no longer hold, and with checksums made to hold again, so that the
//! parsers behind them are reached. Everything comes from the generator that is handed in.

use fastrand::Rng;
use holdfast::frame::{self, NUMBER_MAX};
use holdfast::map::Entry;
use holdfast::map::block::{Block, Builder};
use holdfast::op::{Op, Request, encode_batch};
use holdfast::{log, snapshot};
use std::collections::BTreeMap;
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// A number near a limit, or a small one.
pub fn number(random: &mut Rng) -> u64 {
    let near = random.u64(..4);
    match random.u8(..6) {
        0 => near,
        1 => (1 << random.u32(..64)) - 1 + near % 2,
        2 => NUMBER_MAX - 2 + near,
        3 => (NUMBER_MAX >> 1) - 1 + near,
        4 => u64::MAX - near,
        _ => random.u64(..) >> random.u32(..64),
    }
}

pub fn noise(random: &mut Rng, bytes_max: usize) -> Vec<u8> {
    let bytes = random.usize(..=bytes_max);
    let narrow = random.bool();
    std::iter::repeat_with(|| if narrow { random.u8(..3) } else { random.u8(..) }).take(bytes).collect()
}

/// A blob's name, mostly one that the format gives.
pub fn name(random: &mut Rng) -> String {
    let generation = if random.u8(..4) > 0 { random.u64(..6) } else { number(random) };
    match random.u8(..12) {
        0 => format!("log-0{generation}"),
        1 => String::from_utf8_lossy(&noise(random, 20)).into_owned(),
        2..7 => format!("log-{generation}"),
        _ => format!("snap-{generation}"),
    }
}

/// A key as users have them, one of few.
pub fn user_key(random: &mut Rng) -> Vec<u8> {
    format!("key:{}", random.u8(..40)).into_bytes()
}

pub fn key(random: &mut Rng) -> Vec<u8> {
    match random.u8(..8) {
        0 => vec![],
        1 => vec![0xFF; random.usize(1..3)],
        2 => vec![random.u8(..); random.usize(1000..3000)],
        3 => noise(random, 12),
        _ => user_key(random),
    }
}

fn value(random: &mut Rng) -> Vec<u8> {
    let bytes = if random.u8(..12) == 0 { 40_000 } else { random.usize(..60) };
    vec![random.u8(..); bytes]
}

/// A payload that may be a batch.
fn payload(random: &mut Rng) -> Vec<u8> {
    let parts: Vec<(Vec<u8>, Vec<u8>)> = (0..random.u8(..5)).map(|_| (key(random), value(random))).collect();
    let mut ops = Vec::new();
    for (key, value) in &parts {
        ops.push(match random.u8(..8) {
            0 => Op::Delete { key },
            1 => Op::DeleteRange { start: key, end: value },
            2 => Op::DeleteRange { start: b"", end: b"\xFF" },
            _ => Op::Set { key, value, expires_at_ms: random.bool().then(|| number(random)) },
        });
    }
    let request = random.bool().then(|| Request { client: number(random), number: number(random) });
    let mut out = Vec::new();
    encode_batch(request, &ops, &mut out);
    match random.u8(..8) {
        // A count and a length with nothing behind them.
        0 => out = [vec![0], varint(number(random)), vec![random.u8(..4)], varint(number(random)), out].concat(),
        1 => out.truncate(random.usize(1..=out.len())),
        2 => out.extend(noise(random, 10)),
        3 => damage(random, &mut out, &[0]),
        _ => {}
    }
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A segment whose checksums hold.
pub fn segment(random: &mut Rng, generation: u64) -> Vec<u8> {
    let mut odd = |usual: u64| if random.u8(..8) == 0 { number(random) } else { usual };
    let header = log::Header { generation: odd(generation), epoch: odd(3), salt: odd(99), first_seq: odd(1) };
    let mut out = Vec::new();
    log::write_header(&header, &mut out);
    let mut seq = header.first_seq;
    for _ in 0..random.u8(..6) {
        let at = frame::begin(&mut out);
        out.extend(payload(random));
        let mut odd = |usual: u64| if random.u8(..12) == 0 { number(random) } else { usual };
        seq = odd(seq);
        let (epoch, durable_seq) = (odd(header.epoch), odd(seq.saturating_sub(1)));
        frame::finish(&mut out, at, seq, epoch, durable_seq, header.salt);
        seq = seq.wrapping_add(1);
    }
    out
}

/// A snapshot whose checksums hold, of blocks that may contradict each other and themselves.
pub fn snapshot(random: &mut Rng, generation: u64) -> Vec<u8> {
    let mut odd = |usual: u64| if random.u8(..8) == 0 { number(random) } else { usual };
    let header = snapshot::Header { generation: odd(generation), epoch: odd(3), salt: odd(99), seq: odd(500) };
    let mut out = Vec::new();
    let mut writer = snapshot::Writer::new(&header, &mut out);
    for _ in 0..random.u8(..5) {
        if let Some(block) =
            if random.u8(..4) == 0 { shaped_block(random, header.seq) } else { built_block(random, header.seq) }
        {
            writer.chunk(&block, &mut out);
        }
    }
    writer.finish(&mut out);
    out
}

/// A block of whole entries whose keys may be out of order.
fn built_block(random: &mut Rng, seq: u64) -> Option<Block> {
    let version_base = if random.u8(..16) == 0 { number(random) } else { seq };
    let mut builder = Builder::new(random.u64(..), version_base);
    let mut keys: Vec<Vec<u8>> = (0..random.u8(1..20)).map(|_| key(random)).collect();
    if random.u8(..4) > 0 {
        keys.sort();
    }
    if random.u8(..4) > 0 {
        keys.dedup();
    }
    for key in &keys {
        let value = vec![random.u8(..); random.usize(..60)];
        let expires_at_ms = random.bool().then(|| number(random));
        let version = number(random).min(version_base);
        builder.push(&Entry { key, value: &value, version, expires_at_ms });
    }
    builder.finish()
}

/// A block whose header fits its size and whose entries have lengths of every kind.
fn shaped_block(random: &mut Rng, seq: u64) -> Option<Block> {
    let entries = random.u32(1..40);
    let slots = (entries + 1).next_power_of_two();
    let mut data = Vec::new();
    for _ in 0..random.u8(..20) {
        for part in [number(random), number(random), random.u64(..3)] {
            data.extend(varint(part));
        }
    }
    let mut bytes = Vec::new();
    bytes.extend(entries.to_le_bytes());
    bytes.extend(slots.to_le_bytes());
    bytes.extend(number(random).to_le_bytes());
    bytes.extend(number(random).min(seq).to_le_bytes());
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend([0; 4]);
    for _ in 0..slots + entries {
        bytes.extend((number(random) as u16 % 200).to_le_bytes());
    }
    bytes.extend(data);
    Block::from_bytes(bytes.into_boxed_slice())
}

/// Changes some bytes, at one of the places or anywhere.
pub fn damage(random: &mut Rng, bytes: &mut [u8], places: &[usize]) {
    for _ in 0..random.u8(1..4) {
        let at = match places {
            [_, ..] if random.bool() => places[random.usize(..places.len())] + random.usize(..48),
            _ => random.usize(..=bytes.len()),
        };
        let width = [1, 2, 4, 8][random.usize(..4)];
        let Some(place) = bytes.get_mut(at..at + width) else { continue };
        match random.u8(..4) {
            0 => place[0] ^= 1 << random.u8(..8),
            1 => place.fill_with(|| random.u8(..)),
            2 => {
                let number = varint(number(random));
                let at = at.min(bytes.len().saturating_sub(number.len()));
                bytes.iter_mut().skip(at).zip(number).for_each(|(place, byte)| *place = byte);
            }
            _ => place.copy_from_slice(&number(random).to_le_bytes()[..width]),
        }
    }
}

/// Damages a blob and makes its checksums hold again. One that is not whole is damaged only.
pub fn damage_sealed(random: &mut Rng, bytes: &mut [u8]) {
    let (frames, chunks) = (frames_at(bytes), chunks_at(bytes));
    let blocks = chunks.iter().map(|(at, _)| at + CHUNK_HEADER_BYTES);
    let payloads = frames.iter().map(|(at, _)| at + frame::HEADER_BYTES);
    let heads = frames.iter().chain(&chunks).map(|(at, _)| *at);
    let places: Vec<usize> = [0].into_iter().chain(heads).chain(blocks).chain(payloads).collect();
    damage(random, bytes, &places);
    if !frames.is_empty() {
        seal_segment(bytes, &frames);
    } else if !chunks.is_empty() {
        seal_snapshot(bytes, &chunks);
    }
}

/// Makes the checksums of a segment or a snapshot hold, wherever its lengths say they are.
pub fn seal(bytes: &mut [u8]) {
    match bytes.get(..8) {
        Some(b"HFLOG\r\n\x1a") if bytes.len() >= log::HEADER_BYTES => seal_segment(bytes, &frames_claimed(bytes)),
        Some(b"HFSNP\r\n\x1a") if bytes.len() >= snapshot::HEADER_BYTES => seal_snapshot(bytes, &chunks_claimed(bytes)),
        _ => {}
    }
}

const CHUNK_HEADER_BYTES: usize = 24;

/// Where frames begin by their lengths, whatever their checksums say, and the bytes of their payloads.
fn frames_claimed(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = log::HEADER_BYTES;
    while bytes.len() - at >= frame::HEADER_BYTES {
        let payload_bytes = u32_at(bytes, at);
        if payload_bytes == 0 || payload_bytes > bytes.len() - at - frame::HEADER_BYTES {
            break;
        }
        frames.push((at, payload_bytes));
        at += frame::HEADER_BYTES + payload_bytes;
    }
    frames
}

/// Where chunks begin by their lengths, whatever their checksums say, and the bytes of their blocks; the footer is the
/// last, if there is one.
fn chunks_claimed(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut chunks = Vec::new();
    let mut at = snapshot::HEADER_BYTES;
    while bytes.len() - at >= CHUNK_HEADER_BYTES {
        let block_bytes = u32_at(bytes, at);
        if block_bytes > bytes.len() - at - CHUNK_HEADER_BYTES {
            break;
        }
        chunks.push((at, block_bytes));
        if block_bytes == 0 {
            break;
        }
        at += CHUNK_HEADER_BYTES + block_bytes;
    }
    chunks
}

/// Where the frames of a whole segment begin, and the bytes of their payloads.
fn frames_at(bytes: &[u8]) -> Vec<(usize, usize)> {
    let Ok(header) = log::read_header(bytes) else { return Vec::new() };
    let mut frames = Vec::new();
    let mut at = log::HEADER_BYTES;
    while let Some(header) = bytes.get(at..).and_then(|rest| frame::read_header(rest, header.salt)) {
        frames.push((at, header.payload_bytes as usize));
        at = at.saturating_add(frame::HEADER_BYTES + header.payload_bytes as usize);
    }
    frames.retain(|(at, payload_bytes)| at + frame::HEADER_BYTES + payload_bytes <= bytes.len());
    frames
}

/// Where the chunks of a whole snapshot begin, and the bytes of their blocks; the footer is the last.
fn chunks_at(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut chunks = Vec::new();
    let mut blocks = Vec::new();
    let mut reader = snapshot::Reader::default();
    if reader.push(bytes, &mut |block| blocks.push(block.bytes().len())).is_err() || reader.finish().is_err() {
        return chunks;
    }
    let mut at = snapshot::HEADER_BYTES;
    for block_bytes in blocks.into_iter().chain([0]) {
        chunks.push((at, block_bytes));
        at += CHUNK_HEADER_BYTES + block_bytes;
    }
    chunks
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn seal_segment(bytes: &mut [u8], frames: &[(usize, usize)]) {
    for at in [0, 64] {
        put(bytes, at + 56, xxh64(&bytes[at..at + 56], 0));
    }
    let salt = u64_at(bytes, 32);
    for &(at, payload_bytes) in frames {
        let claimed = u32_at(bytes, at);
        let payload = &bytes[at + frame::HEADER_BYTES..];
        let payload = payload.get(..claimed).unwrap_or(&payload[..payload_bytes]);
        put(bytes, at + 32, xxh64(payload, salt));
        let head = &bytes[at..at + frame::HEADER_BYTES];
        let check = xxh64(&[&head[..4], &head[8..]].concat(), salt) as u32;
        bytes[at + 4..at + 8].copy_from_slice(&check.to_le_bytes());
    }
}

fn seal_snapshot(bytes: &mut [u8], chunks: &[(usize, usize)]) {
    put(bytes, 56, xxh64(&bytes[..56], 0));
    let salt = u64_at(bytes, 32);
    let mut checks = Xxh64::new(salt);
    for &(at, block_bytes) in chunks {
        let block = &bytes[at + CHUNK_HEADER_BYTES..];
        let claimed = u32_at(bytes, at);
        let check = match block_bytes {
            0 => checks.digest(),
            _ => xxh64(block.get(..claimed).unwrap_or(&block[..block_bytes]), salt),
        };
        checks.update(&check.to_le_bytes());
        put(bytes, at + 8, check);
        put(bytes, at + 16, xxh64(&bytes[at..at + 16], salt));
    }
}

/// Changes a whole directory: blobs damaged, cut, extended, joined, renamed, removed, forged.
pub fn damage_directory(random: &mut Rng, blobs: &mut BTreeMap<String, Vec<u8>>) {
    let names: Vec<String> = blobs.keys().cloned().collect();
    let (Some(one), Some(other)) = (random.choice(&names), random.choice(&names)) else {
        blobs.insert(name(random), noise(random, 300));
        return;
    };
    let mut bytes = blobs[one].clone();
    match random.u8(..14) {
        0..4 => damage_sealed(random, &mut bytes),
        4..6 => damage(random, &mut bytes, &[0, 128]),
        6 => bytes.truncate(random.usize(..=bytes.len())),
        7 => bytes.extend(noise(random, 300)),
        8 => bytes.resize(bytes.len() + random.usize(..300), 0),
        9 => {
            let tail = &blobs[other];
            bytes.truncate(random.usize(..=bytes.len()));
            bytes.extend_from_slice(&tail[random.usize(..=tail.len())..]);
        }
        10 => {
            blobs.remove(one);
            blobs.insert(name(random), bytes);
            return;
        }
        11 => {
            blobs.remove(one);
            return;
        }
        _ => {
            let name = name(random);
            let generation = name.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(1);
            let forged =
                if name.starts_with("log") { segment(random, generation) } else { snapshot(random, generation) };
            blobs.insert(name, forged);
            return;
        }
    }
    blobs.insert(one.clone(), bytes);
}
