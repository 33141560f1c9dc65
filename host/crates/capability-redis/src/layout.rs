//! Names and records as they are kept in Redis. `lua/layout.lua` describes them; both must agree.

use mortise_store::limits::{MAX_REVISION, MAX_TIMESTAMP};
use mortise_store::{Attribute, Draft, Key, Stamp, Stored, Timestamp};

/// The number of this layout.
pub(crate) const LAYOUT: &str = "1";
/// What stands before a record's attributes, in bytes.
const HEAD: usize = 91;
/// In the place of an instant: the record never expires.
const NEVER: &str = "~~~~~~~~~~~~~~~";

/// What all keys of a namespace begin with. The braces are the hash tag: all keys of a store are in one
/// slot of a cluster. What could end the tag early is escaped in it.
pub(crate) fn prefix(namespace: &str) -> String {
    let tag = namespace.replace('%', "%25").replace('{', "%7B");
    format!("mortise:{{{}}}:", tag.replace('}', "%7D"))
}

/// The slot of a cluster that the keys of a namespace are in: CRC16 (XMODEM) of the hash tag, modulo
/// 16,384, as the cluster specification says.
pub(crate) fn slot(prefix: &str) -> u16 {
    let tag = prefix
        .trim_start_matches("mortise:{")
        .trim_end_matches("}:");
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    });
    crc % 16_384
}

/// The key of a record.
pub(crate) fn record_key(prefix: &str, key: &Key) -> String {
    let Key { collection, id } = key;
    format!("{prefix}r:{}:{collection}:{id}", collection.len())
}

/// A revision as it stands in records and indexes: 19 digits.
pub(crate) fn revision(number: u64) -> String {
    format!("{number:019}")
}

/// An instant as it stands in records: 15 digits.
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{at:015}")
}

/// When a record expires, as it stands in records.
pub(crate) fn expiry(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), instant)
}

/// Attributes as they stand in a record.
pub(crate) fn attributes(attributes: &[Attribute]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Attribute { name, value } in attributes {
        // The host holds a name to 64 bytes and a value to 1,024.
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value.as_bytes());
    }
    bytes
}

/// Bytes that make no record.
#[derive(Debug, PartialEq)]
pub(crate) struct Unreadable {
    pub(crate) reason: &'static str,
    /// What could be told apart: the attributes, and the length of what stands before the body.
    pub(crate) salvaged: Option<(Vec<Attribute>, usize)>,
}

/// The record under `key` from its bytes.
pub(crate) fn decode(key: Key, mut value: Vec<u8>) -> Result<Stored, (Unreadable, Vec<u8>)> {
    let (stamp, expires_at, attributes, head) = match parts(&value) {
        Ok(parts) => parts,
        Err(unreadable) => return Err((unreadable, value)),
    };
    value.drain(..head);
    let draft = Draft {
        key,
        body: value,
        attributes,
        expires_at,
    };
    Ok(Stored { draft, stamp })
}

type Parts = (Stamp, Option<Timestamp>, Vec<Attribute>, usize);

fn parts(value: &[u8]) -> Result<Parts, Unreadable> {
    let unreadable = |reason| Unreadable {
        reason,
        salvaged: None,
    };
    let head = value
        .get(..HEAD)
        .ok_or(unreadable("the record is cut off in its head"))?;
    if head[0] != b'1' {
        return Err(unreadable("the bytes are no record"));
    }
    let number = |from: usize, to: usize| digits(&head[from..to]);
    let odd = || unreadable("the record's head is damaged");
    let length = number(84, HEAD).ok_or_else(odd)? as usize;
    let attributes = value
        .get(HEAD..HEAD + length)
        .ok_or(unreadable("the record is cut off in its attributes"))?;
    let attributes = read_attributes(attributes).ok_or(Unreadable {
        reason: "the record's attributes are damaged",
        salvaged: Some((Vec::new(), HEAD + length)),
    })?;
    let damaged = |reason| Unreadable {
        reason,
        salvaged: Some((attributes.clone(), HEAD + length)),
    };
    let stamp = || {
        Some(Stamp {
            create_revision: number(1, 20)?,
            mod_revision: number(20, 39)?,
            created_at: number(39, 54)?,
            updated_at: number(54, 69)?,
        })
    };
    let is_one = |stamp: &Stamp| {
        (1..=stamp.mod_revision).contains(&stamp.create_revision)
            && stamp.mod_revision <= MAX_REVISION
            && stamp.created_at.max(stamp.updated_at) <= MAX_TIMESTAMP
    };
    let stamp = stamp().filter(is_one);
    let stamp = stamp.ok_or_else(|| damaged("the record's stamp is damaged"))?;
    let expires_at = match &head[69..84] {
        never if never == NEVER.as_bytes() => None,
        at => {
            let at = digits(at).filter(|at| *at <= MAX_TIMESTAMP);
            Some(at.ok_or_else(|| damaged("the record's expiry is damaged"))?)
        }
    };
    Ok((stamp, expires_at, attributes, HEAD + length))
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

fn read_attributes(mut bytes: &[u8]) -> Option<Vec<Attribute>> {
    let mut attributes = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
        attributes.push(Attribute {
            name: text(name)?,
            value: text(value)?,
        });
        bytes = rest;
    }
    Some(attributes)
}

/// The key behind a record's name: what comes after `r:` in its key.
pub(crate) fn key_of(name: Vec<u8>) -> Option<Key> {
    let name = String::from_utf8(name).ok()?;
    let (length, rest) = name.split_once(':')?;
    let (collection, id) = rest.split_at_checked(length.parse().ok()?)?;
    Some(Key::new(collection, id.strip_prefix(':')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> (Stored, Vec<u8>) {
        let draft = Draft::new(Key::new("task", "t:1"), "body\0")
            .attribute("status", "running")
            .attribute("é", "");
        let stamp = Stamp {
            create_revision: 7,
            mod_revision: i64::MAX as u64,
            created_at: 1,
            updated_at: 253_402_300_799_999,
        };
        let value = encode(&draft, &stamp);
        (Stored { draft, stamp }, value)
    }

    /// As the scripts write it.
    fn encode(draft: &Draft, stamp: &Stamp) -> Vec<u8> {
        let block = attributes(&draft.attributes);
        let mut value = format!(
            "1{}{}{}{}{}{:07}",
            revision(stamp.create_revision),
            revision(stamp.mod_revision),
            instant(stamp.created_at),
            instant(stamp.updated_at),
            expiry(draft.expires_at),
            block.len()
        )
        .into_bytes();
        assert_eq!(value.len(), HEAD);
        value.extend(block);
        value.extend(&draft.body);
        value
    }

    #[test]
    fn a_record_is_read_back() {
        let (mut stored, value) = stored();
        assert_eq!(decode(stored.key().clone(), value), Ok(stored.clone()));
        stored.draft.expires_at = Some(0);
        let value = encode(&stored.draft, &stored.stamp);
        assert_eq!(decode(stored.key().clone(), value), Ok(stored));
    }

    #[test]
    fn damaged_bytes_are_no_record_and_are_given_back() {
        let (stored, whole) = stored();
        let body = whole.len() - stored.draft.body.len();
        for at in 0..body {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let (_, kept) = decode(stored.key().clone(), damaged.clone()).unwrap_err();
            assert_eq!(kept, damaged);
            let cut = whole[..at].to_vec();
            assert!(decode(stored.key().clone(), cut).is_err());
        }
        let (unreadable, _) = decode(stored.key().clone(), {
            let mut damaged = whole.clone();
            damaged[1] = b'x';
            damaged
        })
        .unwrap_err();
        assert_eq!(
            unreadable.salvaged,
            Some((stored.draft.attributes.clone(), body))
        );
    }

    #[test]
    fn the_name_of_a_record_leads_back_to_its_key() {
        for key in [
            Key::new("task", "t"),
            Key::new("a:b", ":c"),
            Key::new("1:", "2"),
        ] {
            let prefix = prefix("n");
            let name = record_key(&prefix, &key).split_off(prefix.len() + 2);
            assert_eq!(key_of(name.into_bytes()), Some(key));
        }
        for name in ["", "x", "4:tas", "4:taskt", "9:task:t", "-1:a:b"] {
            assert_eq!(key_of(name.into()), None, "{name}");
        }
    }

    #[test]
    fn no_namespace_ends_the_hash_tag_early() {
        assert_eq!(prefix("acme"), "mortise:{acme}:");
        assert_eq!(prefix("a}:b{%"), "mortise:{a%7D:b%7B%25}:");
        // What `CLUSTER KEYSLOT` of a server answers.
        assert_eq!(slot(&prefix("123456789")), 12_739);
        assert_eq!(slot(&prefix("default")), 5_718);
    }
}
