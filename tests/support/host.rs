//! A thread with a virtual clock: tasks run until none can go on, then time jumps to the next timer.

use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use holdfast::Host;
use holdfast::backend::LocalFuture;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// What the clock says when a thread begins.
#[allow(dead_code)]
pub const START_MS: f64 = 1_700_000_000_000.0;

/// More sleeps than any test needs.
const SLEEPS_MAX: u64 = 50_000_000;

pub struct VirtualHost {
    /// What timers go by.
    now_ms: Rc<Cell<f64>>,
    /// What the clock on the wall is ahead of that.
    ahead_ms: Cell<f64>,
    timers: Rc<RefCell<Vec<(f64, Waker)>>>,
    sleeps: Cell<u64>,
    spawner: LocalSpawner,
    random: RefCell<fastrand::Rng>,
}

#[allow(dead_code)]
impl VirtualHost {
    /// Sets the clock on the wall forwards or back; nothing runs meanwhile, and no timer is earlier or later for it.
    pub fn skip(&self, ms: f64) {
        self.ahead_ms.set(self.ahead_ms.get() + ms);
    }

    pub fn now(&self) -> f64 {
        self.now_ms.get() + self.ahead_ms.get()
    }
}

/// The thread itself, which drives what runs on its host.
pub struct Thread {
    pool: LocalPool,
    pub host: Rc<VirtualHost>,
}

impl Thread {
    pub fn new(seed: u64) -> Thread {
        let pool = LocalPool::new();
        let host = Rc::new(VirtualHost {
            now_ms: Rc::new(Cell::new(START_MS)),
            ahead_ms: Cell::default(),
            timers: Rc::default(),
            sleeps: Cell::new(0),
            spawner: pool.spawner(),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
        });
        Thread { pool, host }
    }

    /// Runs until the future ends, letting time pass as it must.
    pub fn run<T: 'static>(&mut self, task: impl Future<Output = T> + 'static) -> T {
        let result = Rc::new(RefCell::new(None));
        let place = result.clone();
        self.host.spawn(Box::pin(async move {
            let output = task.await;
            *place.borrow_mut() = Some(output);
        }));
        loop {
            self.pool.run_until_stalled();
            if let Some(output) = result.borrow_mut().take() {
                return output;
            }
            assert!(self.pass_to_next_timer(f64::INFINITY), "the future waits for something that never happens");
        }
    }

    /// Lets that much time pass.
    #[allow(dead_code)]
    pub fn pass(&mut self, ms: f64) {
        let until_ms = self.host.now_ms.get() + ms;
        self.pool.run_until_stalled();
        while self.pass_to_next_timer(until_ms) {
            self.pool.run_until_stalled();
        }
        self.host.now_ms.set(until_ms);
    }

    fn pass_to_next_timer(&self, until_ms: f64) -> bool {
        let mut timers = self.host.timers.borrow_mut();
        timers.sort_by(|a, b| a.0.total_cmp(&b.0));
        if timers.first().is_none_or(|(at_ms, _)| *at_ms > until_ms) {
            return false;
        }
        let (at_ms, waker) = timers.remove(0);
        self.host.now_ms.set(self.host.now_ms.get().max(at_ms));
        waker.wake();
        true
    }
}

impl Host for VirtualHost {
    fn now_ms(&self) -> f64 {
        self.now()
    }

    fn sleep(&self, delay_ms: u32) -> LocalFuture<'static, ()> {
        self.sleeps.set(self.sleeps.get() + 1);
        assert!(self.sleeps.get() < SLEEPS_MAX, "the thread does not come to rest");
        let at_ms = self.now_ms.get() + f64::from(delay_ms);
        let (timers, now_ms) = (self.timers.clone(), self.now_ms.clone());
        let mut asked = false;
        Box::pin(poll_fn(move |context| {
            // A pause of no length still lets the thread do something else.
            if asked && now_ms.get() >= at_ms {
                return Poll::Ready(());
            }
            if !asked {
                timers.borrow_mut().push((at_ms, context.waker().clone()));
            }
            asked = true;
            Poll::Pending
        }))
    }

    fn pause(&self) -> LocalFuture<'static, ()> {
        self.sleep(0)
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.spawner.spawn_local(task).expect("the pool lives as long as its host");
    }

    fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }
}
