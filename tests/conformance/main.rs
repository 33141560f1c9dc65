//! The conformance kit, and the zoo that it has to find out: apart from all other tests, for who works on clauses.

mod kit;
mod worker;
mod zoo;

use mortise_tests as support;
