//! Blobs in memory, the double for tests.
//!
//! Owns [`MemoryDisk`], which stands for the medium: it outlives the backends opened on it, so that closing and
//! reopening finds every byte. Sizes are bytes. Errors: `CLOSED`, and `QUOTA` when the allocator refuses.
//! Deliberately absent: faults (a simulation injects those) and any difference between buffered and synced.

use super::call::{Answer, Call, Calls, closed};
use super::{Blob, LocalFuture};
use crate::error::{Code, Error, Result};
use std::cell::{Cell, RefCell};
use std::future::ready;
use std::rc::Rc;

/// A medium that lives as long as someone holds it. Starts empty.
#[derive(Default)]
pub struct MemoryDisk {
    blobs: RefCell<Vec<(String, Vec<u8>)>>,
}

/// One opening of a [`MemoryDisk`].
pub struct MemoryBackend {
    disk: Rc<MemoryDisk>,
    closed: Cell<bool>,
}

impl MemoryBackend {
    pub fn new(disk: Rc<MemoryDisk>) -> MemoryBackend {
        MemoryBackend { disk, closed: Cell::new(false) }
    }

    fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        if let Call::Close = call {
            self.closed.set(true);
            return Ok(answer);
        }
        if self.closed.get() {
            return Err(closed());
        }
        let mut blobs = self.disk.blobs.borrow_mut();
        match call {
            Call::List => {
                for (name, bytes) in &*blobs {
                    answer.blobs.push(Blob { name: name.clone(), bytes: bytes.len() as u64 });
                }
            }
            Call::Read { name, offset, bytes_max } => {
                if let Some((_, content)) = blobs.iter().find(|(known, _)| known == name) {
                    let start = usize::try_from(offset).map_or(content.len(), |offset| offset.min(content.len()));
                    let end = content.len().min(start.saturating_add(bytes_max as usize));
                    answer.bytes = content[start..end].to_vec();
                }
            }
            Call::Append { bytes: [], .. } | Call::Sync { .. } | Call::Close => {}
            Call::Append { name, bytes, .. } => {
                let at = blobs.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    blobs.push((name.to_owned(), Vec::new()));
                    blobs.len() - 1
                });
                let content = &mut blobs[at].1;
                if content.try_reserve(bytes.len()).is_err() {
                    let mut error = Error::new(Code::Quota, "no memory is left");
                    error.bytes_needed = Some(bytes.len() as u64);
                    return Err(error);
                }
                content.extend_from_slice(bytes);
            }
            Call::Remove { names } => blobs.retain(|(name, _)| !names.contains(name)),
        }
        Ok(answer)
    }
}

impl Calls for MemoryBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        Box::pin(ready(self.run_now(call)))
    }
}
