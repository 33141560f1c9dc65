//! What runs components: faults and how a store gets over them, what a component sees, which are loaded, and their swap.

mod breaker;
mod fallback;
mod faults;
mod fuzz;
mod reload;
mod sandbox;
mod snapshot;
mod trust;

use mortise_tests as support;
