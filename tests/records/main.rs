//! Records, and what agents make of them: what a store promises, on every backend by the same code.
//!
//! `mortise-cli` runs most of these on stores that a server has, too.

mod concurrency;
mod contract;
mod entities;
mod lifecycle;
mod quarantine;
mod resume;
mod tasks;

use mortise_tests as support;
