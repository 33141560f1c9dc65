//! What the engine and the host need beyond what embedders see.

pub use crate::database::Database;
pub use crate::migrate::migrator::MigratorInside;
pub use crate::migrate::open::{Occasion, Preparation};
pub use crate::migrate::target::Blueprint;
pub use crate::sql::{Error as SqlError, Failure, Outcome, Rows, Statement, Step, Value};
