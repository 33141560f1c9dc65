//! What the engine and the importers need. Embedders see nothing of this crate: a grant is configuration.

pub use crate::connection::{Connection, Effect, Failure};
pub use crate::link::read;
pub use crate::range::{Count, Range, Run};
pub use crate::store::Redis;
pub use crate::topology::ConnectError;
