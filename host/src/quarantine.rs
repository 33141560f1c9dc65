//! Placeholder until the branch `quarantine` is merged.
use crate::record::{Attribute, Draft, Key};

pub(crate) fn entry(
    id: &str,
    key: &Key,
    reason: &str,
    body: Vec<u8>,
    attributes: Vec<Attribute>,
) -> Draft {
    let mut draft = Draft::new(Key::new("mortise.quarantine", id), body)
        .attribute("quarantine-collection", &key.collection)
        .attribute("quarantine-id", &key.id)
        .attribute("quarantine-reason", reason);
    draft.attributes.extend(attributes);
    draft
}
