//! Blobs in memory: the last fallback of a page without storage, and the double for tests.
//!
//! Owns [`MemoryDisk`], which stands for the medium: it outlives the backends opened on it, so that closing and
//! reopening finds every byte. Sizes are bytes. Errors: `CLOSED`, and `QUOTA` when the allocator refuses.
//! Deliberately absent: faults (a simulation injects those) and any difference between buffered and synced.

use super::{Backend, Blob, LocalFuture, Sync};
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

    fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(Code::Closed, "the storage is closed")) } else { Ok(()) }
    }

    fn append_now(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.check_open()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut blobs = self.disk.blobs.borrow_mut();
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
        Ok(())
    }
}

impl Backend for MemoryBackend {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        Box::pin(ready(self.check_open().map(|()| {
            let blobs = self.disk.blobs.borrow();
            blobs.iter().map(|(name, bytes)| Blob { name: name.clone(), bytes: bytes.len() as u64 }).collect()
        })))
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(ready(self.check_open().map(|()| {
            let blobs = self.disk.blobs.borrow();
            let content = blobs.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, bytes)| bytes);
            let start = usize::try_from(offset).map_or(content.len(), |offset| offset.min(content.len()));
            let end = content.len().min(start.saturating_add(bytes_max as usize));
            content[start..end].to_vec()
        })))
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], _sync: Sync) -> LocalFuture<'a, Result<()>> {
        Box::pin(ready(self.append_now(name, bytes)))
    }

    fn sync<'a>(&'a self, _name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(ready(self.check_open()))
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        Box::pin(ready(
            self.check_open().map(|()| self.disk.blobs.borrow_mut().retain(|(name, _)| !names.contains(name))),
        ))
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(ready(Ok(())))
    }
}
