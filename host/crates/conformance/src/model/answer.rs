//! Answers: what the store said, and what the model allows.

use super::contract::Refusal;
use crate::world::START;
use mortise_store::{CollectionStatistics, Error, ErrorKind, Revision, Stamp, Stored};

/// What a call was answered.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Stamp(Stamp),
    Record(Option<Stored>),
    Records(Vec<Option<Stored>>),
    /// Records, and whether there is a next page.
    Page(Vec<Stored>, bool),
    Revisions(Vec<Revision>),
    Count(u64),
    Statistics(Vec<CollectionStatistics>),
    Refused(Refusal),
}

/// What the contract allows as an answer.
#[derive(Debug)]
pub(super) enum Expected {
    Exactly(Answer),
    AnyOf(Vec<Answer>),
    /// A page of at most so many of these, with a next unless these are all.
    PageOf(Vec<Stored>, u32),
    /// How many expired records there are still is the backend's own affair.
    AtMost(u64),
}

impl Expected {
    pub(super) fn allows(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Exactly(expected), answer) => expected == answer,
            (Self::AnyOf(expected), answer) => expected.contains(answer),
            (Self::PageOf(rest, limit), Answer::Page(records, next)) => {
                // Where expired records lie between, a page may end early.
                rest.starts_with(records)
                    && records.len() <= *limit as usize
                    && *next == (records.len() < rest.len())
            }
            (Self::AtMost(most), Answer::Count(count)) => count <= most,
            _ => false,
        }
    }

    /// On one line.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Exactly(answer) => told(answer),
            Self::AnyOf(answers) => {
                let answers: Vec<_> = answers.iter().map(told).collect();
                answers.join(", or ")
            }
            Self::PageOf(rest, limit) => {
                let shown: Vec<_> = rest.iter().take(*limit as usize).map(record).collect();
                let next = match rest.len() > *limit as usize {
                    true => "and a next page",
                    false => "and no next page",
                };
                format!("[{}] {next}", shown.join(", "))
            }
            Self::AtMost(most) => format!("at most {most}"),
        }
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self::Refused(Refusal {
            kind: error.kind(),
            key: error.key().cloned(),
            current: error.current().cloned().map(Box::new),
            write_index: error.write_index(),
        })
    }
}

pub(super) fn stamp<E: Into<Answer>>(answer: Result<Stamp, E>) -> Answer {
    answer.map_or_else(Into::into, Answer::Stamp)
}

pub(super) fn done<E: Into<Answer>>(answer: Result<(), E>) -> Answer {
    answer.map_or_else(Into::into, |()| Answer::Done)
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An answer on one line.
pub(super) fn told(answer: &Answer) -> String {
    let maybe = |found: &Option<Stored>| found.as_ref().map_or("none".to_owned(), record);
    match answer {
        Answer::Done => "ok".to_owned(),
        Answer::Stamp(stamp) => told_stamp(stamp),
        Answer::Record(found) => maybe(found),
        Answer::Records(found) => {
            let found: Vec<_> = found.iter().map(maybe).collect();
            format!("[{}]", found.join(", "))
        }
        Answer::Page(records, next) => {
            let records: Vec<_> = records.iter().map(record).collect();
            let next = match next {
                true => "and a next page",
                false => "and no next page",
            };
            format!("[{}] {next}", records.join(", "))
        }
        Answer::Revisions(revisions) => format!("revisions {revisions:?}"),
        Answer::Count(count) => count.to_string(),
        Answer::Statistics(collections) => {
            let counted = collections.iter().map(|counted| {
                let CollectionStatistics {
                    collection,
                    records,
                    body_bytes,
                } = counted;
                format!("{collection:?}: {records} records, {body_bytes} bytes")
            });
            format!("[{}]", counted.collect::<Vec<_>>().join("; "))
        }
        Answer::Refused(refusal) => {
            let mut text = match refusal.kind {
                ErrorKind::AlreadyExists => "already-exists".to_owned(),
                ErrorKind::NotFound => "not-found".to_owned(),
                kind => format!("{kind:?}").to_lowercase(),
            };
            if let Some(index) = refusal.write_index {
                text.push_str(&format!(", write {index}"));
            }
            if let Some(key) = &refusal.key {
                text.push_str(&format!(" {key}"));
            }
            if let Some(current) = &refusal.current {
                text.push_str(&format!(", current {}", record(current)));
            }
            text
        }
    }
}

fn record(stored: &Stored) -> String {
    let Stored { draft, stamp } = stored;
    let body = String::from_utf8_lossy(&draft.body);
    let mut text = format!("{} {body:?}", draft.key);
    for pair in &draft.attributes {
        text.push_str(&format!(" {:?}={:?}", pair.name, pair.value));
    }
    if let Some(at) = draft.expires_at {
        text.push_str(&format!(" expires {}", told_time(at)));
    }
    format!("{{{text} {}}}", told_stamp(stamp))
}

fn told_stamp(stamp: &Stamp) -> String {
    format!(
        "revision {}/{} at {}/{}",
        stamp.create_revision,
        stamp.mod_revision,
        told_time(stamp.created_at),
        told_time(stamp.updated_at)
    )
}

/// Milliseconds since the session began.
fn told_time(at: u64) -> String {
    format!("{:+}", i128::from(at) - i128::from(START))
}
