//! What only the old process knows, in one file: how it gets to the new one.
//!
//! The file is UTF-8, line by line: a header; the sections, each of which has lines of its own; the contents,
//! which say where each section is; and the trailer, `{"sha256":"…"}`, with the digest of all bytes before it.
//! It takes its name only once it is whole and on disk, so that a crash leaves none or a whole one.
//!
//! # When it is there
//!
//! The file is in the state directory exactly as long as nobody serves. The old process writes it after the
//! last call has ended, and removes it before it serves again; the new one removes it before it serves. So a
//! process that starts and finds one knows that no call was answered since, and takes it up: it is exact. One
//! that was left behind while calls were answered would bring old records back; there is no moment in which
//! that can be. Where both processes die between the removal and the first call, the records of stores that keep
//! them in memory are gone, as with any crash.

mod format;

mod write;

mod read;

pub(crate) use format::Content;
pub(crate) use read::{Luggage, remove, set_aside};
pub(crate) use write::Writer;
