//! Operating errors: what can go wrong while a correct program runs.
//!
//! Owns the stable codes that users branch on. A programmer's error is an assertion, never a value of
//! this type. Deliberately absent: conversion to JavaScript (`wasm.rs`) and browser exception names (`backend/js.rs`).

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// The stable codes of the public API. New ones may be added, none is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The storage cannot be reached: API missing, connection lost, I/O error.
    Unavailable,
    /// Another tab or worker holds the store.
    Locked,
    /// Something took longer than the caller allows.
    Timeout,
    /// The store was closed.
    Closed,
    /// The store does not take writes.
    ReadOnly,
    /// A write failed earlier; the store is read-only until it is opened again.
    Poisoned,
    /// A newer leader owns the storage.
    Fenced,
    /// A condition of the write did not hold.
    Conflict,
    /// The origin's quota or the disk is full.
    Quota,
    /// Bytes in the storage contradict the format.
    Corrupt,
    /// The storage was written by a newer version of the format.
    Version,
    /// The key is empty, too long or not well-formed.
    KeyInvalid,
    /// The value cannot be stored.
    ValueInvalid,
    /// The value or the batch is larger than the limit.
    TooLarge,
    /// An option has a value outside its range.
    OptionInvalid,
}

impl Code {
    /// The code as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unavailable => "UNAVAILABLE",
            Code::Locked => "LOCKED",
            Code::Timeout => "TIMEOUT",
            Code::Closed => "CLOSED",
            Code::ReadOnly => "READONLY",
            Code::Poisoned => "POISONED",
            Code::Fenced => "FENCED",
            Code::Conflict => "CONFLICT",
            Code::Quota => "QUOTA",
            Code::Corrupt => "CORRUPT",
            Code::Version => "VERSION",
            Code::KeyInvalid => "KEY_INVALID",
            Code::ValueInvalid => "VALUE_INVALID",
            Code::TooLarge => "TOO_LARGE",
            Code::OptionInvalid => "OPTION_INVALID",
        }
    }

    /// The code of that name: the inverse of [`Code::as_str`], for errors that crossed a port.
    pub fn from_name(name: &str) -> Option<Code> {
        ALL.into_iter().find(|code| code.as_str() == name)
    }
}

const ALL: [Code; 15] = [
    Code::Unavailable,
    Code::Locked,
    Code::Timeout,
    Code::Closed,
    Code::ReadOnly,
    Code::Poisoned,
    Code::Fenced,
    Code::Conflict,
    Code::Quota,
    Code::Corrupt,
    Code::Version,
    Code::KeyInvalid,
    Code::ValueInvalid,
    Code::TooLarge,
    Code::OptionInvalid,
];

/// An operating error: a pointer to its [`Details`], so that a result that carries one stays small.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Details>);

/// What an [`Error`] says.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub code: Code,
    /// What happened and what to do, for people.
    pub message: Cow<'static, str>,
    /// What the platform said, for the `cause` of the error users see.
    pub cause: Option<Rc<str>>,
    /// The bytes that found no room, with [`Code::Quota`].
    pub bytes_needed: Option<u64>,
    /// The first seq the error is about, with [`Code::Corrupt`].
    pub seq: Option<u64>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Details { code, message: message.into(), cause: None, bytes_needed: None, seq: None }))
    }

    /// The same error with what the platform said.
    pub fn because(mut self, cause: &str) -> Error {
        self.cause = Some(cause.into());
        self
    }
}

impl Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code.as_str())?;
        out.write_str(": ")?;
        out.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => {
                out.write_str(" (")?;
                out.write_str(cause)?;
                out.write_str(")")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;
