//! What the host asks of the engine. No part of what embedders see: it may change with any release.

pub use crate::breaker::Breaker;
pub use crate::component::{Compiled, Compiler};
pub use crate::context::StoreContext;
pub use crate::engine::Engine;
pub use crate::fault::Fault;
pub use crate::generation::{Backend, Generation};
pub use crate::injector::Injector;
pub use crate::instance::{Instance, Template};
pub use crate::local::{Local, Origin};
pub use crate::pool::{Instances, Singleton};
pub use crate::registry::Registry;
pub use crate::running::Running;
pub use crate::trust::Trust;
