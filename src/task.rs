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
    waiting: RefCell<Vec<(u32, Waker)>>,
    last_number: Cell<u32>,
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
    Settled { number, wait: glue::wait(promise, number), asked: false }
}

/// Waits for a promise.
pub struct Settled {
    number: u32,
    wait: JsValue,
    asked: bool,
}

impl Future for Settled {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let asked = std::mem::replace(&mut self.asked, true);
        THREAD.with(|thread| {
            if asked && take(&thread.waiting, self.number).is_none() {
                let outcome = glue::outcome(&self.wait);
                return Poll::Ready(if glue::fulfilled(&self.wait) { Ok(outcome) } else { Err(outcome) });
            }
            thread.waiting.borrow_mut().push((self.number, context.waker().clone()));
            Poll::Pending
        })
    }
}

/// For `glue.js`: the promise of that wait has settled.
#[unsafe(no_mangle)]
extern "C" fn resume(number: u32) {
    THREAD.with(|thread| {
        let Some(waker) = take(&thread.waiting, number) else { return };
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
