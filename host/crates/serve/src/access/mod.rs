//! What is served, and to whom: the stores, tokens, what each allows, and how often.

mod rate;
mod rights;
mod served;
mod span;
mod tokens;

pub(crate) use rate::RateLimit;
pub(crate) use rights::{Access, AccessError, Sight};
pub use served::Served;
pub(crate) use span::RequestSpan;
pub use tokens::Token;
pub(crate) use tokens::Tokens;
