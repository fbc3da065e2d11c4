//! Tasks on a thread of JavaScript: Rust futures that wait for its promises, and promises for their outcome.
//!
//! Owns what runs and who waits. A promise that settles calls [`resume`], and what is woken by it runs before it returns; what is
//! woken otherwise runs in a microtask, through [`run_tasks`]. No closure crosses the boundary: a closure of each kind costs
//! its own code on both sides. Deliberately absent: threads, priorities, and what JavaScript's errors mean (`backend/js.rs`).

use crate::backend::LocalFuture;
use crate::backend::js::glue;
use js_sys::Promise;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use wasm_bindgen::prelude::*;

/// What a promise settled with.
pub type Outcome = Result<JsValue, JsValue>;

thread_local! {
    static THREAD: Thread = const {
        Thread {
            tasks: RefCell::new(Vec::new()),
            woken: RefCell::new(Vec::new()),
            scheduled: Cell::new(false),
            waiting: RefCell::new(Vec::new()),
            last_number: Cell::new(0),
        }
    };
}

/// The tasks of this thread and those who wait for promises, each under a number that is used once. There are a handful of them.
struct Thread {
    /// Without the one that is running.
    tasks: RefCell<Vec<(u32, LocalFuture<'static, ()>)>>,
    /// Tasks to run, in order.
    woken: RefCell<Vec<u32>>,
    /// Someone will run them.
    scheduled: Cell<bool>,
    /// By the number of the wait.
    waiting: RefCell<Vec<(u32, Wait)>>,
    last_number: Cell<u32>,
}

enum Wait {
    For(Waker),
    Over(Outcome),
}

impl Thread {
    fn next_number(&self) -> u32 {
        if self.last_number.get() == 0 {
            glue::attach(&wasm_bindgen::exports());
        }
        self.last_number.set(self.last_number.get().wrapping_add(1));
        self.last_number.get()
    }

    fn run(&self) {
        loop {
            let woken = self.woken.take();
            if woken.is_empty() {
                self.scheduled.set(false);
                return;
            }
            for number in woken {
                let Some(mut task) = take(&self.tasks, number) else { continue };
                let waker = Waker::from(Arc::new(Number(number)));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    self.tasks.borrow_mut().push((number, task));
                }
            }
        }
    }
}

fn take<T>(numbered: &RefCell<Vec<(u32, T)>>, number: u32) -> Option<T> {
    let mut numbered = numbered.borrow_mut();
    let at = numbered.iter().position(|(other, _)| *other == number)?;
    Some(numbered.swap_remove(at).1)
}

/// The number of a task, as its waker.
struct Number(u32);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        THREAD.with(|thread| {
            thread.woken.borrow_mut().push(self.0);
            if !thread.scheduled.replace(true) {
                glue::schedule();
            }
        });
    }
}

/// Runs a task on this thread, from its next microtask on.
pub fn spawn(task: LocalFuture<'static, ()>) {
    let number = THREAD.with(|thread| {
        let number = thread.next_number();
        thread.tasks.borrow_mut().push((number, task));
        number
    });
    Arc::new(Number(number)).wake();
}

/// Runs a task whose outcome settles the promise.
pub fn promise(work: LocalFuture<'static, Outcome>) -> Promise {
    let number = THREAD.with(Thread::next_number);
    spawn(Box::pin(async move {
        match work.await {
            Ok(value) => glue::settle(number, true, &value),
            Err(error) => glue::settle(number, false, &error),
        }
    }));
    glue::owe(number)
}

/// What a promise settles with.
pub fn settled(promise: &Promise) -> Settled {
    let number = THREAD.with(Thread::next_number);
    glue::wait(promise, number);
    Settled(number)
}

/// Waits for a promise. Who wants its outcome polls it before anything else may run.
pub struct Settled(u32);

impl Future for Settled {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        THREAD.with(|thread| {
            if let Some(Wait::Over(outcome)) = take(&thread.waiting, self.0) {
                return Poll::Ready(outcome);
            }
            thread.waiting.borrow_mut().push((self.0, Wait::For(context.waker().clone())));
            Poll::Pending
        })
    }
}

/// For `glue.js`: the promise of that wait has settled, with what it has given.
#[unsafe(no_mangle)]
extern "C" fn resume(number: u32, fulfilled: bool) {
    let value = glue::answered();
    let outcome = if fulfilled { Ok(value) } else { Err(value) };
    THREAD.with(|thread| {
        let Some(Wait::For(waker)) = take(&thread.waiting, number) else { return };
        thread.waiting.borrow_mut().push((number, Wait::Over(outcome)));
        let scheduled = thread.scheduled.replace(true);
        waker.wake();
        if !scheduled {
            thread.run();
        }
    });
}

/// For `glue.js`: a microtask that was scheduled.
#[unsafe(no_mangle)]
extern "C" fn run_tasks() {
    THREAD.with(Thread::run);
}
