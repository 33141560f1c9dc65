//! Scripts: sequences of calls as text, one JSON value a line.
//!
//! What only a run can know is written as a name: the `current` revision of a record, the `next` page of
//! a query. So a script still makes sense with some of its calls taken out, as shrinking does.

use serde::{Deserialize, Serialize};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Attribute, Error, Key, Result, Timestamp};

/// One call, or a turn of the world around the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Call {
    Create(Draft),
    Load(Name),
    LoadMany(Vec<Name>),
    Update {
        draft: Draft,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<Seen>,
    },
    Delete {
        key: Name,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<Seen>,
    },
    Find(Find),
    Apply(Vec<Write>),
    Export {
        limit: u32,
        #[serde(default)]
        next: bool,
    },
    Import(Vec<Imported>),
    Sweep(u32),
    Clear(Option<String>),
    Statistics,
    Health,
    /// Turns the clock on by so many milliseconds.
    TurnClock(u64),
    /// Closes the store and opens it again, where the backend is durable.
    Reopen,
    /// Exports all, imports it into an empty store, and goes on there.
    Move,
}

/// Collection and id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Name(pub(super) String, pub(super) String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Draft {
    pub(super) key: Name,
    pub(super) body: String,
    /// (Name, value) pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attributes: Vec<(String, String)>,
    /// In so many milliseconds from the call on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_in: Option<i64>,
}

/// Which revision is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Seen {
    /// The record's own; where there is none, that of the last write.
    Current,
    /// Another one.
    Stale,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Write {
    Put {
        draft: Draft,
        #[serde(default)]
        expect: Expect,
    },
    /// `absent` is as `none` here, because the host refuses it.
    Remove {
        key: Name,
        #[serde(default)]
        expect: Expect,
    },
}

/// What a write of a batch expects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Expect {
    #[default]
    None,
    Absent,
    Present,
    Current,
    Stale,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Find {
    pub(super) collection: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attributes: Vec<(String, String)>,
    /// By the last change instead of the creation.
    #[serde(default)]
    pub(super) updated: bool,
    #[serde(default)]
    pub(super) descending: bool,
    pub(super) limit: u32,
    #[serde(default)]
    pub(super) without_bodies: bool,
    /// The page after the one that this query had last, where it has one.
    #[serde(default)]
    pub(super) next: bool,
}

/// A record to import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Imported {
    /// As it is there.
    Same(Name),
    /// As it is there, but for its stamp.
    Changed(Name),
    /// At revisions above all.
    New(Draft),
    /// At the revision of another record.
    Clash { draft: Draft, with: Name },
}

impl Name {
    pub(super) fn key(&self) -> Key {
        Key::new(&self.0, &self.1)
    }
}

impl Draft {
    pub(super) fn draft(&self, now: Timestamp) -> mortise_store::Draft {
        mortise_store::Draft {
            key: self.key.key(),
            body: self.body.clone().into_bytes(),
            attributes: attributes(&self.attributes),
            expires_at: self.expires_in.map(|in_| now.saturating_add_signed(in_)),
        }
    }
}

pub(super) fn attributes(pairs: &[(String, String)]) -> Vec<Attribute> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| Attribute::new(name, value))
        .collect()
}

/// One line for each call.
pub(super) fn write(calls: &[Call]) -> String {
    let mut script = String::new();
    for call in calls {
        script.push_str(&line(call));
        script.push('\n');
    }
    script
}

/// A call as its line of a script.
pub(super) fn line(call: &Call) -> String {
    serde_json::to_string(call).unwrap_or_else(|error| error.to_string())
}

/// Reads a script; empty lines and those that begin with `#` are left out.
///
/// # Errors
///
/// `Config`: the line that is no call, and why.
pub(super) fn read(script: &str) -> Result<Vec<Call>> {
    let lines = script.lines().map(str::trim).enumerate();
    let calls = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let call = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::config(format!("line {} of the script is no call", index + 1))
                .with_source(error)
                .with_hint("each line is a call, such as {\"load\":[\"COLLECTION\",\"ID\"]}")
        })
    };
    calls.map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_is_written() {
        let name = || Name("a".into(), "1\n".into());
        let draft = || Draft {
            key: name(),
            body: "\"x\"".into(),
            attributes: vec![("n".into(), String::new())],
            expires_in: Some(-1),
        };
        let calls = vec![
            Call::Create(draft()),
            Call::Update {
                draft: draft(),
                expect: Some(Seen::Stale),
            },
            Call::Apply(vec![Write::Remove {
                key: name(),
                expect: Expect::Current,
            }]),
            Call::Clear(None),
            Call::Import(vec![Imported::Clash {
                draft: draft(),
                with: name(),
            }]),
            Call::Statistics,
            Call::TurnClock(5),
        ];
        let script = write(&calls);
        assert_eq!(script.lines().count(), calls.len());
        assert_eq!(read(&format!("# a comment\n\n{script}")).unwrap(), calls);
    }

    #[test]
    fn a_line_that_is_no_call_is_named() {
        let error = read("\"health\"\n{\"loud\":[\"a\",\"1\"]}\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(format!("{error:?}").contains("loud"), "{error:?}");
    }
}
