//! A file-like medium: one file a blob, with the stretches of it that were written and not synced.
//!
//! What a power cut does to each such stretch, to a name that was never synced and to a removal is asked of whoever
//! cuts the power, so that it can be anything the contract of `Backend` allows: lost, kept, torn at any byte, torn at
//! sectors, or only its size kept; of the reserve, whose bytes mean nothing, whether it is there. A hole that is left reads as zeros or as what an earlier file left there.
//! Deliberately absent: time, errors and quota (`mod.rs`).

use super::choice::Choose;
use super::{Change, Effect, Loose};
use holdfast::backend::Blob;
use holdfast::log::RESERVE_NAME;
use std::ops::Range;
use std::rc::Rc;

/// Questions that are put one by one; the answers to older ones are one for all of them.
const QUESTIONS_MAX: usize = 8;

/// What becomes of a stretch that was not synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Kept,
    /// So many bytes of it are there, and the file ends behind them.
    Torn(usize),
    /// So many bytes of it are there; of the rest only the size.
    Extended(usize),
    /// Of each whole sector of that size the bit says whether it is there.
    Sectors(usize, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    Written,
    /// A failed sync dropped it: the system shows it and will not write it again for this process.
    Dropped,
}

#[derive(Clone, Debug)]
struct Stretch {
    id: u64,
    at: Range<usize>,
    state: State,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    /// As the running system shows them, with what is in flight. Shared with the copies of the storage.
    bytes: Rc<Vec<u8>>,
    /// The medium knows the name.
    named: bool,
    stretches: Vec<Stretch>,
    removal: Option<Removal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    InFlight(u64),
    Done,
}

/// A medium of files. Starts empty.
#[derive(Clone, Debug)]
pub struct Storage {
    files: Vec<File>,
    /// What the last removed file held.
    residue: Rc<Vec<u8>>,
    last_id: u64,
    /// A synced file is there after a power cut.
    names_durable: bool,
    /// What a failed sync dropped stays so for the next process, whose syncs succeed.
    drops_for_good: bool,
}

impl Storage {
    pub fn new() -> Storage {
        Storage { files: Vec::new(), residue: Rc::default(), last_id: 0, names_durable: true, drops_for_good: false }
    }

    /// As a system that tells of a failed sync once, and another process never.
    pub fn that_drops_for_good() -> Storage {
        Storage { drops_for_good: true, ..Storage::new() }
    }

    /// As in a browser that keeps the names of files in a database it does not sync.
    pub fn without_durable_names() -> Storage {
        Storage { names_durable: false, ..Storage::new() }
    }

    /// Has the next holes filled with these bytes: what a recycled file held before.
    pub fn leave_residue(&mut self, bytes: &[u8]) {
        self.residue = Rc::new(bytes.to_vec());
    }

    pub fn list(&self) -> Vec<Blob> {
        let shown = self.files.iter().filter(|file| file.is_shown());
        shown.map(|file| Blob { name: file.name.clone(), bytes: file.shown_bytes() as u64 }).collect()
    }

    pub fn content(&self, name: &str) -> Option<&[u8]> {
        let file = &self.files[self.find(name)?];
        Some(&file.bytes[..file.shown_bytes()])
    }

    /// Changes what lies on the medium.
    pub fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let at = self.find(name).expect("a blob to edit");
        let file = &mut self.files[at];
        file.stretches.clear();
        edit(Rc::make_mut(&mut file.bytes));
    }

    /// Flips a bit in the last bytes of a blob, whether they are synced or not.
    pub fn flip_in_last(&mut self, name: &str, bytes: usize, bit: usize) {
        let Some(at) = self.find(name) else { return };
        let content = Rc::make_mut(&mut self.files[at].bytes);
        let start = content.len().saturating_sub(bytes);
        flip(&mut content[start..], bit);
    }

    /// Loses a blob.
    pub fn lose(&mut self, name: &str) {
        self.files.retain(|file| file.name != name);
    }

    /// What is not on the medium for sure, in the order in which it was written.
    pub fn loose(&self) -> Vec<Loose> {
        let of_file = |file: &File| {
            let name = file.name.clone();
            let stretches = file.stretches.clone().into_iter();
            stretches.map(move |stretch| Loose { name: name.clone(), at: stretch.at })
        };
        self.files.iter().flat_map(of_file).collect()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().rposition(|file| file.name == name && file.removal.is_none())
    }

    /// Starts a change; the id is for [`Storage::end`].
    pub fn begin(&mut self, change: &Change<'_>) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        match *change {
            Change::Append { name, bytes, .. } => {
                let at = self.find(name).unwrap_or_else(|| {
                    let name = name.to_owned();
                    let bytes = Rc::default();
                    self.files.push(File { name, bytes, named: false, stretches: Vec::new(), removal: None });
                    self.files.len() - 1
                });
                let file = &mut self.files[at];
                assert!(
                    file.stretches.iter().all(|stretch| stretch.state != State::InFlight),
                    "two appends to {name} at a time"
                );
                let start = file.bytes.len();
                Rc::make_mut(&mut file.bytes).extend_from_slice(bytes);
                let at = start..file.bytes.len();
                file.stretches.push(Stretch { id, at, state: State::InFlight });
            }
            Change::Sync { .. } => {}
            Change::Remove { names } => {
                for file in &mut self.files {
                    if file.removal.is_none() && names.contains(&file.name) {
                        file.removal = Some(Removal::InFlight(id));
                    }
                }
            }
        }
        id
    }

    /// Ends a change: it took place in full, or as far as the effect says.
    pub fn end(&mut self, id: u64, change: &Change<'_>, effect: Effect) {
        match *change {
            Change::Append { name, synced, .. } => {
                let Some(at) = self.find(name) else { return };
                let file = &mut self.files[at];
                let Some(stretch) = file.stretches.iter_mut().find(|stretch| stretch.id == id) else { return };
                stretch.state = State::Written;
                let (start, bytes) = (stretch.at.start, stretch.at.len());
                match effect {
                    Effect::Nothing => file.keep_of_last(start, 0),
                    Effect::Part(part) => file.keep_of_last(start, part % bytes.max(1)),
                    Effect::Dropped => file.drop_written(),
                    Effect::All | Effect::Lied => {}
                }
                if file.bytes.is_empty() {
                    self.files.remove(at);
                } else if effect == Effect::All && synced {
                    self.sync(at, id);
                }
            }
            Change::Sync { name } => {
                let Some(at) = self.find(name) else { return };
                match effect {
                    Effect::All => self.sync(at, id),
                    Effect::Dropped => self.files[at].drop_written(),
                    _ => {}
                }
            }
            Change::Remove { .. } => {
                let mut spared = effect == Effect::Nothing;
                for file in &mut self.files {
                    if file.removal == Some(Removal::InFlight(id)) {
                        file.removal = if spared { None } else { Some(Removal::Done) };
                        spared |= matches!(effect, Effect::Part(_));
                    }
                }
            }
        }
    }

    /// Brings what was written to a file before `id` to the medium, and every removal with it.
    fn sync(&mut self, at: usize, id: u64) {
        let file = &mut self.files[at];
        file.named |= self.names_durable;
        file.stretches.retain(|stretch| stretch.id > id || stretch.state != State::Written);
        if let Some(gone) = self.files.iter().rfind(|file| file.removal == Some(Removal::Done)) {
            self.residue = gone.bytes.clone();
        }
        self.files.retain(|file| file.removal != Some(Removal::Done));
    }

    /// The process ends: what was handed over stays, of what is in flight any part may.
    pub fn kill(&mut self, choose: &mut dyn Choose) {
        for file in &mut self.files {
            if let Some(Removal::InFlight(_)) = file.removal {
                file.removal = (choose.among(2) == 1).then_some(Removal::Done);
            }
            let in_flight = file.stretches.iter().find(|stretch| stretch.state == State::InFlight);
            let Some(Stretch { at, .. }) = in_flight.cloned() else { continue };
            let kept = match choose.fate(at.len()) {
                Fate::Lost | Fate::Extended(_) | Fate::Sectors(..) => 0,
                Fate::Kept => at.len(),
                Fate::Torn(bytes) => bytes,
            };
            file.keep_of_last(at.start, kept);
            file.stretches.iter_mut().filter(|s| s.state == State::InFlight).for_each(|s| s.state = State::Written);
        }
        let stretches = self.files.iter_mut().flat_map(|file| &mut file.stretches);
        if !self.drops_for_good {
            stretches.for_each(|stretch| stretch.state = State::Written);
        }
        self.files.retain(|file| !file.bytes.is_empty());
    }

    /// The power goes: what was synced stays, and of the rest what is chosen.
    pub fn cut_power(&mut self, choose: &mut dyn Choose) {
        let questions: usize = self.files.iter().map(|file| file.stretches.len() + 1).sum();
        let mut unasked = questions.saturating_sub(QUESTIONS_MAX);
        let all_alike = (unasked > 0).then(|| if choose.among(2) == 1 { Fate::Kept } else { Fate::Lost });
        let recycled = !self.residue.is_empty() && choose.among(2) == 1;
        let residue = if recycled { self.residue.clone() } else { Rc::default() };
        let mut survivors: Vec<File> = Vec::new();
        for mut file in std::mem::take(&mut self.files) {
            if file.removal.is_some() && choose.among(2) == 1 {
                continue;
            }
            if !file.named && !self.names_durable && choose.among(2) == 0 {
                continue;
            }
            let mut size = file.synced_end();
            let mut survived = file.named || file.stretches.is_empty();
            for stretch in std::mem::take(&mut file.stretches) {
                let fate = match (&all_alike, stretch.state) {
                    (_, State::Dropped) => Fate::Lost,
                    (Some(fate), _) if unasked > 0 => {
                        unasked -= 1;
                        fate.clone()
                    }
                    _ if file.name == RESERVE_NAME => [Fate::Lost, Fate::Kept][choose.among(2)].clone(),
                    _ => choose.fate(stretch.at.len()),
                };
                survived |= fate != Fate::Lost;
                size = size.max(file.suffer(&stretch.at, &fate, &residue));
            }
            if size < file.bytes.len() {
                Rc::make_mut(&mut file.bytes).truncate(size);
            }
            if !survived && choose.among(2) == 0 {
                continue;
            }
            file.named = true;
            file.removal = None;
            // Of two files with one name the later one has it, unless nothing of that one is left.
            let older = survivors.iter().position(|other| other.name == file.name);
            match older {
                Some(_) if file.bytes.is_empty() => {}
                Some(older) => survivors[older] = file,
                None => survivors.push(file),
            }
        }
        self.files = survivors;
    }
}

/// Flips a bit behind magic and version: damage to those alone is another format's (FORMAT.md, recovery table).
pub fn flip(bytes: &mut [u8], bit: usize) {
    const VERSION_END: usize = 12;
    let bits = bytes.len().saturating_sub(VERSION_END) * 8;
    if bits > 0 {
        bytes[VERSION_END + bit % bits / 8] ^= 1 << (bit % 8);
    }
}

impl File {
    fn is_shown(&self) -> bool {
        self.removal != Some(Removal::Done) && (self.shown_bytes() > 0 || self.stretches.is_empty())
    }

    /// What is in flight is not shown yet.
    fn shown_bytes(&self) -> usize {
        let in_flight = self.stretches.iter().find(|stretch| stretch.state == State::InFlight);
        in_flight.map_or(self.bytes.len(), |stretch| stretch.at.start)
    }

    /// Cuts the last stretch, which starts there, to so many bytes.
    fn keep_of_last(&mut self, start: usize, bytes: usize) {
        let end = start + bytes;
        Rc::make_mut(&mut self.bytes).truncate(end);
        if bytes == 0 {
            self.stretches.retain(|stretch| stretch.at.start < start);
        } else if let Some(last) = self.stretches.last_mut() {
            last.at.end = end;
        }
    }

    fn drop_written(&mut self) {
        for stretch in &mut self.stretches {
            if stretch.state == State::Written {
                stretch.state = State::Dropped;
            }
        }
    }

    /// Where the last byte that is on the medium for sure ends.
    fn synced_end(&self) -> usize {
        let ends = self.stretches.iter().rev();
        ends.fold(self.bytes.len(), |end, stretch| if stretch.at.end == end { stretch.at.start } else { end })
    }

    /// Does to a stretch what its fate says; gives the end up to which the file then exists for its sake.
    fn suffer(&mut self, at: &Range<usize>, fate: &Fate, residue: &[u8]) -> usize {
        match *fate {
            Fate::Kept => return at.end,
            // The file ends in front of it.
            Fate::Lost if at.end == self.bytes.len() => return 0,
            _ => {}
        }
        let bytes = Rc::make_mut(&mut self.bytes);
        let mut lose = |range: Range<usize>| {
            bytes[range.clone()].fill(0);
            if let Some(left) = residue.get(range.start..) {
                let most = left.len().min(range.len());
                bytes[range.start..][..most].copy_from_slice(&left[..most]);
            }
        };
        match *fate {
            Fate::Lost => {
                lose(at.clone());
                0
            }
            Fate::Kept => at.end,
            Fate::Torn(kept) => {
                let end = at.end.min(at.start + kept);
                lose(end..at.end);
                end
            }
            Fate::Extended(kept) => {
                lose(at.end.min(at.start + kept)..at.end);
                at.end
            }
            Fate::Sectors(sector_bytes, kept) => {
                for place in at.clone() {
                    if kept >> (place / sector_bytes % 64) & 1 == 0 {
                        lose(place..place + 1);
                    }
                }
                at.end
            }
        }
    }
}
