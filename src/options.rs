//! The options a store is opened with.
//!
//! Owns their defaults and their bounds. Deliberately absent: presets and everything only the page decides
//! (backend, tabs, values), which live in the TypeScript package.

use crate::error::{Code, Error, Result};

/// When a write's promise resolves and when the log is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Resolves at `disk`; every group of writes is synced.
    Always,
    /// Resolves at `os`; the log is synced at most a second later.
    #[default]
    Everysec,
    /// Resolves at `applied`; writes are coalesced for up to 250 ms and synced at a checkpoint only.
    No,
}

/// How far a write got. A later variant includes the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In the map, queued for the log.
    Applied,
    /// With the operating system: survives a killed browser.
    Os,
    /// Synced: survives an OS crash.
    Disk,
}

impl Durability {
    /// The level at which a write resolves.
    pub fn level(self) -> Level {
        match self {
            Durability::Always => Level::Disk,
            Durability::Everysec => Level::Os,
            Durability::No => Level::Applied,
        }
    }
}

/// What is written besides the op log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Op log, and snapshots by the `save` and `rewrite` rules.
    #[default]
    Hybrid,
    /// Op log; snapshots only to rewrite a log that has outgrown the data.
    Log,
    /// Snapshots only, by the `save` rules: a write resolves at `applied`, and what came after the last snapshot is lost with the page.
    Snapshot,
    /// Neither: the backend keeps nothing, so a checkpoint tidies the map and verifies nothing.
    Memory,
}

/// What opening does when something that was promised is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Serves the state before the damage and reports what is lost.
    #[default]
    PointInTime,
    /// Refuses with `CORRUPT`.
    Strict,
}

/// A snapshot is due when both hold: so many seconds since the last one, so many changes since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveRule(pub u32, pub u64);

/// A snapshot is due when the log is larger than `min_bytes` and than the last snapshot by `percentage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteRule {
    pub percentage: u32,
    pub min_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub durability: Durability,
    pub mode: Mode,
    pub save: Vec<SaveRule>,
    pub rewrite: RewriteRule,
    pub recovery: Recovery,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::default(),
            mode: Mode::default(),
            save: vec![SaveRule(900, 1), SaveRule(300, 10), SaveRule(60, 10_000)],
            rewrite: RewriteRule { percentage: 100, min_bytes: 1 << 20 },
            recovery: Recovery::default(),
        }
    }
}

/// The most save rules: more of them cannot differ in anything a person would notice.
const SAVE_RULES_MAX: usize = 16;

impl Options {
    /// The options, if every one is within its bounds.
    pub fn checked(self) -> Result<Options> {
        if self.save.len() > SAVE_RULES_MAX || self.save.iter().any(|rule| rule.0 == 0 || rule.1 == 0) {
            return Err(Error::new(
                Code::OptionInvalid,
                "save takes at most 16 pairs [seconds, changes], each number at least 1",
            ));
        }
        if self.rewrite.percentage == 0 || self.rewrite.min_bytes < 4096 {
            return Err(Error::new(
                Code::OptionInvalid,
                "rewrite takes a percentage of at least 1 and minBytes of at least 4096",
            ));
        }
        Ok(self)
    }
}
