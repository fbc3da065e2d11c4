//! What the engine asks of the thread it runs in, besides storage: time, tasks and randomness.
//!
//! A trait, so that tests drive the engine with a virtual clock. Deliberately absent: storage (`backend`).

use crate::backend::LocalFuture;

pub trait Host {
    /// Wall-clock time, in milliseconds since 1970. May jump.
    fn now_ms(&self) -> f64;

    /// Resolves after at least that long. Dropping the future ends the wait.
    fn sleep(&self, delay_ms: u32) -> LocalFuture<'static, ()>;

    /// Lets the thread do something else between two slices of long work.
    fn pause(&self) -> LocalFuture<'static, ()>;

    /// Runs a task on this thread, from the next turn of its loop on.
    fn spawn(&self, task: LocalFuture<'static, ()>);

    /// Random bits, different each time, for salts.
    fn random(&self) -> u64;
}
