//! Whole stores, moved: exports, backups and copies, and what other platforms kept.

mod importers;
mod transfer;

use mortise_tests as support;
