//! What a store may be granted.

pub(crate) mod redis;
pub(crate) mod sqlite;
