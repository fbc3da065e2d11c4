//! What a run of the crash tests did, counted, and how one case of it is run again.
//!
//! Each tier prints one line of figures, which `scripts/crash.mjs` reads. A case is a line of text; a failing one is
//! printed, and with that line in `HOLDFAST_CASE` its tier runs nothing else.

use std::cell::RefCell;
use std::io::Write;

/// Counts of one tier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Workloads or schedules that were run.
    pub runs: u64,
    /// Points at which a crash was simulated.
    pub crash_points: u64,
    /// Crashed storages that were opened: one for each point, kind of crash and choice of what survived.
    pub recoveries: u64,
    /// Those of them that had crashed while being recovered from another crash.
    pub nested: u64,
    /// Errors and other faults that hit a call.
    pub faults: u64,
    /// Batches that were rejected and whose seq another one took.
    pub replaced: u64,
    /// Batches with which a store removed what had expired.
    pub swept: u64,
}

/// A tier under way.
pub struct Tier {
    name: &'static str,
    only: Option<String>,
    /// What its schedules follow from, if they are random.
    first_seed: Option<u64>,
    pub figures: Figures,
}

/// A case under way, named for whoever wants to run it again.
pub struct Case {
    name: String,
    only: Option<String>,
}

thread_local! {
    static RUNNING: RefCell<String> = const { RefCell::new(String::new()) };
    static TRACES: bool = case_asked_for().is_some();
}

/// The case that runs on this thread.
pub fn running() -> String {
    RUNNING.with_borrow(String::clone)
}

/// What the environment asks for; in a browser, which has none, that of the build.
macro_rules! asked_for {
    ($variable:literal) => {
        std::env::var($variable).ok().or(option_env!($variable).map(str::to_owned))
    };
}

fn case_asked_for() -> Option<String> {
    asked_for!("HOLDFAST_CASE")
}

/// Tells what happens, when one case is run again.
pub fn trace(line: impl FnOnce() -> String) {
    if TRACES.with(|traces| *traces) {
        eprintln!("{}", line());
    }
}

/// A number from the environment, which a browser does not have.
pub fn count_asked_for(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |count| count.parse().expect("a count"))
}

impl Tier {
    pub fn new(name: &'static str) -> Tier {
        Tier { name, only: case_asked_for(), first_seed: None, figures: Figures::default() }
    }

    /// Has its schedules follow from a seed, or from the one that is asked for.
    pub fn seeded(&mut self, seed: u64) -> u64 {
        *self.first_seed.insert(asked_for!("HOLDFAST_SEED").map_or(seed, |seed| seed.parse().expect("a seed")))
    }

    /// What is asked for of this tier, without its name: then nothing else is run.
    pub fn only(&self) -> Option<&str> {
        self.only.as_deref()?.strip_prefix(self.name)?.strip_prefix(' ')
    }

    /// Runs a case, unless only another one is asked for. A panic in it is a violation and ends the tier.
    pub fn case(&mut self, name: &str, run: impl FnOnce(&Case, &mut Figures)) {
        let name = format!("{} {name}", self.name);
        if self.only.as_ref().is_some_and(|only| !only.strip_prefix(&name).is_some_and(is_a_part)) {
            return;
        }
        RUNNING.set(name.clone());
        let case = Case { name, only: self.only.clone() };
        run(&case, &mut self.figures);
    }

    /// Its figures in a line of JSON.
    pub fn line(&self) -> String {
        let Figures { runs, crash_points, recoveries, nested, faults, replaced, swept } = self.figures;
        let (tier, violations) = (self.name, u64::from(std::thread::panicking()));
        let seed = self.first_seed.map_or("null".to_owned(), |seed| format!("\"{seed}\""));
        format!(
            "figures: {{\"tier\":\"{tier}\",\"runs\":{runs},\"crashPoints\":{crash_points},\"recoveries\":{recoveries},\
             \"nested\":{nested},\"faults\":{faults},\"replaced\":{replaced},\"swept\":{swept},\"violations\":{violations},\"seed\":{seed}}}",
        )
    }
}

/// Whether what follows a name leaves it whole.
fn is_a_part(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

impl Case {
    /// Runs a part of a case, unless one is asked for that neither is this nor lies in it.
    pub fn part(&self, name: impl Fn() -> String, run: impl FnOnce()) {
        /// Tells which part it was, as the panic passes by.
        struct Told<F: Fn() -> String>(F);
        impl<F: Fn() -> String> Drop for Told<F> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    RUNNING.set((self.0)());
                }
            }
        }
        let told = Told(|| format!("{} {}", self.name, name()));
        let wanted = |only: &String| *only == self.name || only.strip_prefix(&told.0()).is_some_and(is_a_part);
        if self.only.as_ref().is_none_or(wanted) {
            run();
        }
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("HOLDFAST_CASE='{}'", running());
        }
        // Not through the macro: the test harness would keep the line to itself.
        let _ = writeln!(std::io::stdout(), "{}", self.line());
    }
}
