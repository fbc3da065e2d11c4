//! The six calls of the seam as values, for backends all of whose calls take one way.
//!
//! A future of its own for each call costs its machinery each time: a backend that implements [`Calls`] has one.
//! Deliberately absent: what the calls promise (`mod.rs`).

use super::{Backend, Blob, LocalFuture, Sync};
use crate::error::{Code, Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// One of the six calls.
pub enum Call<'a> {
    List,
    Read { name: &'a str, offset: u64, bytes_max: u32 },
    Append { name: &'a str, bytes: &'a [u8], sync: Sync },
    Sync { name: &'a str },
    Remove { names: &'a [String] },
    Close,
}

/// What a call gives, the rest of it empty.
#[derive(Default)]
pub struct Answer {
    pub blobs: Vec<Blob>,
    pub bytes: Vec<u8>,
}

/// A backend with one way in.
pub trait Calls {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>>;
}

impl<T: Calls> Backend for T {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        list(self)
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        read(self, name, offset, bytes_max)
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        append(self, name, bytes, sync)
    }

    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        change(self, Call::Sync { name })
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        change(self, Call::Remove { names })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        change(self, Call::Close)
    }
}

// Once for all backends, unlike the methods above.

fn list(calls: &dyn Calls) -> LocalFuture<'_, Result<Vec<Blob>>> {
    part(calls.run(Call::List), |answer| answer.blobs)
}

fn read<'a>(calls: &'a dyn Calls, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
    part(calls.run(Call::Read { name, offset, bytes_max }), |answer| answer.bytes)
}

fn append<'a>(calls: &'a dyn Calls, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
    change(calls, Call::Append { name, bytes, sync })
}

fn change<'a>(calls: &'a dyn Calls, call: Call<'a>) -> LocalFuture<'a, Result<()>> {
    part(calls.run(call), drop)
}

/// The part of an answer that one call is about.
struct Part<'a, T> {
    answer: LocalFuture<'a, Result<Answer>>,
    take: fn(Answer) -> T,
}

impl<T> Future for Part<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let take = self.take;
        self.answer.as_mut().poll(context).map(|answer| answer.map(take))
    }
}

fn part<'a, T: 'a>(answer: LocalFuture<'a, Result<Answer>>, take: fn(Answer) -> T) -> LocalFuture<'a, Result<T>> {
    Box::pin(Part { answer, take })
}

#[cold]
pub fn closed() -> Error {
    Error::new(Code::Closed, "the storage is closed")
}
