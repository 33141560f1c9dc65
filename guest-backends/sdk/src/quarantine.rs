//! What becomes of a record that cannot be read back.

use crate::{Attribute, Draft, Key};

/// The collection that corrupt records are set aside in.
pub const QUARANTINE: &str = "mortise.quarantine";

/// Most attributes of a record, as the contract has it.
const MAX_ATTRIBUTES: usize = 4_096;
/// Longest attribute value, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;

/// The record that a corrupt one is set aside as: see `corrupt` of [`Error`](crate::Error).
///
/// Write it in the same step as the corrupt one is removed, and only over nothing, lest an earlier entry
/// is lost. `id` must be one that no other entry has: the corrupt record's mod-revision will do, unless
/// an import brought an entry of the same name. `reason` is one line. `body` and `attributes` are the
/// record's, as far as they can be read; what is over the limits of the contract is cut.
pub fn quarantined(
    id: String,
    key: &Key,
    reason: &str,
    body: Vec<u8>,
    attributes: Vec<Attribute>,
) -> Draft {
    let mut all: Vec<Attribute> = [
        ("quarantine-collection", key.collection.as_str()),
        ("quarantine-id", &key.id),
        ("quarantine-reason", reason),
    ]
    .map(|(name, value)| Attribute {
        name: name.into(),
        value: value[..value.floor_char_boundary(MAX_VALUE_BYTES)].into(),
    })
    .into();
    for attribute in attributes {
        // An entry that is itself corrupt may have one of the three already; no pair may come twice.
        if all.len() < MAX_ATTRIBUTES && !all[..3].contains(&attribute) {
            all.push(attribute);
        }
    }
    Draft {
        key: Key {
            collection: QUARANTINE.into(),
            id,
        },
        body,
        attributes: all,
        expires_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, value: &str) -> Attribute {
        Attribute {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn the_record_is_named_and_its_own_attributes_follow() {
        let key = Key {
            collection: "task".into(),
            id: "t-1".into(),
        };
        let own = vec![
            attribute("quarantine-id", "t-1"),
            attribute("status", "open"),
        ];
        let draft = quarantined("7".into(), &key, "damaged", vec![1], own);
        assert_eq!(
            draft.attributes,
            [
                attribute("quarantine-collection", "task"),
                attribute("quarantine-id", "t-1"),
                attribute("quarantine-reason", "damaged"),
                attribute("status", "open"),
            ]
        );
        assert_eq!(
            (draft.key.collection.as_str(), draft.body),
            (QUARANTINE, vec![1])
        );
        assert_eq!((draft.key.id.as_str(), draft.expires_at), ("7", None));
    }

    #[test]
    fn what_is_over_a_limit_is_cut() {
        let key = Key {
            collection: "task".into(),
            id: "t-1".into(),
        };
        let own = (0..4_096).map(|number| attribute("n", &number.to_string()));
        let reason = "é".repeat(600) + "x";
        let draft = quarantined("7".into(), &key, &reason, Vec::new(), own.collect());
        assert_eq!(draft.attributes[2].value, "é".repeat(512));
        assert_eq!(draft.attributes.len(), 4_096);
    }
}
