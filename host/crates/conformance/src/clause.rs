//! What a clause is: an id, the sentence that it checks, and the check.

use std::fmt;

use crate::world::Subject;
use mortise_store::inside::Later;
use mortise_store::{Error, Store};

/// One promise of the contract, and how it is checked.
#[derive(Debug)]
pub struct Clause {
    pub(crate) id: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) check: Check,
}

impl Clause {
    /// Its name, `GROUP/WHAT`: `values/empty-body`. Ids do not change.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// What it is about: the first half of its id.
    pub fn group(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(group, _)| group)
    }

    /// The promise.
    pub fn sentence(&self) -> &'static str {
        self.sentence
    }
}

/// How a clause is checked.
pub(crate) enum Check {
    /// On any store that is fresh and empty, on any clock: the canary of a hot swap is checked so too.
    Store(fn(Store) -> Checking),
    /// In a world of its own, whose clock and storage it can turn.
    Subject(fn(Subject) -> Checking),
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store(_) => "Store",
            Self::Subject(_) => "Subject",
        })
    }
}

/// A check under way.
pub(crate) type Checking = Later<'static, Outcome>;

/// How a check ends: the promise held, or this was found.
pub(crate) type Outcome = Result<(), Finding>;

/// Why a promise did not hold.
#[derive(Debug)]
pub enum Finding {
    /// It was broken: what was done, what was expected, what was found.
    Broken(String),
    /// It is none that this backend makes.
    NotApplicable(String),
}

impl Finding {
    /// What was found, where a promise was broken.
    pub fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }

    /// Why the promise is none that this backend makes.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }
}

/// A call failed that had to succeed.
impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        let mut text = format!("a call failed: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::Broken(text)
    }
}

/// One line of a table of clauses: `clause!(store, ID, SENTENCE, FUNCTION)`, where the function is
/// async and takes a [`Store`], or `clause!(subject, …)`, where it takes a [`Subject`].
macro_rules! clause {
    (store, $id:literal, $sentence:literal, $check:path) => {
        $crate::clause::Clause {
            id: $id,
            sentence: $sentence,
            check: $crate::clause::Check::Store(|store| Box::pin($check(store))),
        }
    };
    (subject, $id:literal, $sentence:literal, $check:path) => {
        $crate::clause::Clause {
            id: $id,
            sentence: $sentence,
            check: $crate::clause::Check::Subject(|subject| Box::pin($check(subject))),
        }
    };
}
pub(crate) use clause;

/// Ends the check with what was found, unless this is so: `ensure!(is_so, "found {this}")`.
macro_rules! ensure {
    ($holds:expr, $($found:tt)+) => {
        if !$holds {
            return Err($crate::clause::Finding::broken(format!($($found)+)));
        }
    };
}
pub(crate) use ensure;

/// A value as text that fits one line of a report.
pub(crate) fn brief(value: &impl fmt::Debug) -> String {
    const MOST: usize = 300;
    let text = format!("{value:?}");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
