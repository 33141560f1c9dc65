//! Records to rows and back.

use mortise_guest::{Attribute, Draft, Error, Key, Stamp, Stored};

use crate::database::{Cells, odd_answer};

/// The contract's limits of what a record carries: a row that breaks them was damaged.
const MAX_ATTRIBUTES: usize = 4_096;
const MAX_NAME_BYTES: usize = 64;
const MAX_VALUE_BYTES: usize = 1_024;

/// The columns that [`decode_under`] reads, of the table `records AS r`.
macro_rules! columns_under_a_key {
    () => {
        "r.create_revision, r.mod_revision, r.created_at, r.updated_at, r.expires_at, \
         r.attributes, r.body"
    };
}
pub(crate) use columns_under_a_key;

/// The columns that [`decode`] reads. The key comes as bytes, because a TEXT that is no UTF-8 would fail
/// the whole query.
pub const COLUMNS: &str = concat!(
    "CAST(r.collection AS BLOB), CAST(r.id AS BLOB), ",
    columns_under_a_key!()
);

/// The same without bodies: each comes back empty.
pub const COLUMNS_WITHOUT_BODY: &str = "CAST(r.collection AS BLOB), CAST(r.id AS BLOB), \
     r.create_revision, r.mod_revision, r.created_at, r.updated_at, r.expires_at, r.attributes, x''";

/// A row as the table holds it, whether or not it makes a record.
#[derive(Debug)]
pub struct Row {
    key: Key,
    /// What is wrong with the key, where something is.
    key_fault: Option<String>,
    pub create_revision: i64,
    pub mod_revision: i64,
    created_at: i64,
    updated_at: i64,
    expires_at: Option<i64>,
    attributes: Vec<u8>,
    body: Vec<u8>,
}

/// A row that makes no record.
#[derive(Debug, PartialEq)]
pub struct Damaged {
    /// As far as it can be read.
    pub key: Key,
    /// Which row, and which state of it.
    pub create_revision: i64,
    pub mod_revision: i64,
    /// None where it is they that cannot be read.
    pub attributes: Option<Vec<Attribute>>,
    /// What is wrong, on one line.
    pub reason: String,
}

/// The next row of an answer.
pub fn decode(cells: &mut Cells) -> Result<Row, Error> {
    let mut blob = || cells.blob().ok_or_else(odd_answer);
    let (collection, id) = (blob()?, blob()?);
    let key = Key {
        collection: String::from_utf8_lossy(&collection).into(),
        id: String::from_utf8_lossy(&id).into(),
    };
    let is_text = key.collection.as_bytes() == collection && key.id.as_bytes() == id;
    // What a text shows in place of a broken character is not enough to have the bytes back.
    let key_fault = (!is_text).then(|| {
        let (collection, id) = (collection.escape_ascii(), id.escape_ascii());
        format!("the key is not UTF-8: \"{collection}\", \"{id}\"")
    });
    Ok(Row {
        key_fault,
        ..decode_under(key, cells)?
    })
}

/// The next row of an answer, which is known to stand under this key.
pub fn decode_under(key: Key, cells: &mut Cells) -> Result<Row, Error> {
    let mut integer = || cells.signed().ok_or_else(odd_answer);
    Ok(Row {
        key,
        key_fault: None,
        create_revision: integer()?,
        mod_revision: integer()?,
        created_at: integer()?,
        updated_at: integer()?,
        expires_at: cells.signed_or_null().ok_or_else(odd_answer)?,
        attributes: cells.blob().ok_or_else(odd_answer)?,
        body: cells.blob().ok_or_else(odd_answer)?,
    })
}

impl Row {
    /// The record that it makes, where it makes one.
    pub fn into_record(self) -> Result<Stored, Damaged> {
        let attributes = decode_attributes(&self.attributes);
        match (self.stamp(), attributes) {
            (Ok(stamp), Some(attributes)) => {
                let draft = Draft {
                    key: self.key,
                    body: self.body,
                    attributes,
                    expires_at: self.expires_at.map(i64::cast_unsigned),
                };
                Ok(Stored { draft, stamp })
            }
            (stamp, attributes) => Err(Damaged {
                key: self.key,
                create_revision: self.create_revision,
                mod_revision: self.mod_revision,
                attributes,
                reason: match stamp {
                    Err(fault) => fault,
                    Ok(_) => format!(
                        "its attributes cannot be read: {} bytes",
                        self.attributes.len()
                    ),
                },
            }),
        }
    }

    /// What the numbers say, or why they and the key are none that a store writes.
    fn stamp(&self) -> Result<Stamp, String> {
        if let Some(fault) = &self.key_fault {
            return Err(fault.clone());
        }
        let (created, changed) = (self.create_revision, self.mod_revision);
        if !(1..=changed).contains(&created) {
            return Err(format!(
                "create-revision {created} with mod-revision {changed}"
            ));
        }
        for (name, time) in [
            ("created-at", self.created_at),
            ("updated-at", self.updated_at),
            ("expires-at", self.expires_at.unwrap_or(0)),
        ] {
            if time < 0 {
                return Err(format!("{name} is {time}"));
            }
        }
        Ok(Stamp {
            create_revision: created.cast_unsigned(),
            mod_revision: changed.cast_unsigned(),
            created_at: self.created_at.cast_unsigned(),
            updated_at: self.updated_at.cast_unsigned(),
        })
    }
}

/// Attributes as one BLOB: name and value of each, each text after its length as LEB128.
pub fn encode_attributes(attributes: &[Attribute]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for attribute in attributes {
        for text in [&attribute.name, &attribute.value] {
            let mut length = text.len();
            while length >= 0x80 {
                bytes.push(length as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

fn decode_attributes(mut bytes: &[u8]) -> Option<Vec<Attribute>> {
    let mut attributes = Vec::new();
    while !bytes.is_empty() {
        let attribute = Attribute {
            name: decode_text(&mut bytes)?,
            value: decode_text(&mut bytes)?,
        };
        let fits = (1..=MAX_NAME_BYTES).contains(&attribute.name.len())
            && attribute.value.len() <= MAX_VALUE_BYTES;
        if !fits || attributes.len() == MAX_ATTRIBUTES {
            return None;
        }
        attributes.push(attribute);
    }
    Some(attributes)
}

fn decode_text(bytes: &mut &[u8]) -> Option<String> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            return String::from_utf8(text.into()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use mortise_guest::sqlite::{Rows, Value};

    fn attributes() -> Vec<Attribute> {
        let texts = [("n", ""), ("n", "a\0b"), ("ä", &"x".repeat(1_024))];
        texts
            .map(|(name, value)| Attribute {
                name: name.into(),
                value: value.into(),
            })
            .into()
    }

    fn cells(attributes: Vec<u8>, create_revision: i64) -> Cells {
        let text = |text: &str| Value::Blob(text.into());
        let mut values = vec![text("task"), text("t-1")];
        values.extend([create_revision, 2, 3, 4].map(Value::Integer));
        values.extend([Value::Null, Value::Blob(attributes), Value::Blob(vec![7])]);
        Cells::of(Rows {
            columns: 9,
            values,
            complete: true,
        })
    }

    #[test]
    fn a_row_makes_a_record() {
        let row = decode(&mut cells(encode_attributes(&attributes()), 1)).unwrap();
        let record = row.into_record().unwrap();
        assert_eq!(record.draft.attributes, attributes());
        assert_eq!(record.draft.body, [7]);
        assert_eq!(record.draft.expires_at, None);
        let stamp = record.stamp;
        assert_eq!((stamp.create_revision, stamp.mod_revision), (1, 2));
        assert_eq!((stamp.created_at, stamp.updated_at), (3, 4));
    }

    #[test]
    fn a_damaged_row_names_its_record() {
        let good = encode_attributes(&attributes());
        let key = Key {
            collection: "task".into(),
            id: "t-1".into(),
        };
        let read = |mut cells: Cells| {
            let row = decode(&mut cells).unwrap();
            assert!(cells.is_empty(), "the next row starts where this one ends");
            row.into_record().unwrap_err()
        };
        for garbled in [
            good[..good.len() - 1].into(),
            [&good[..], &[1]].concat(),
            vec![1, 0xff, 0],
            vec![0xff; 9],
            // Empty names, and a value longer than any.
            vec![0, 0],
            [&[1, b'n', 0x81, 0x08][..], &[b'x'; 1_025]].concat(),
        ] {
            let damaged = read(cells(garbled, 1));
            assert_eq!((damaged.key, damaged.attributes), (key.clone(), None));
            assert!(damaged.reason.contains("attributes"), "{}", damaged.reason);
        }
        for (revision, reason) in [
            (-1, "create-revision -1 with mod-revision 2"),
            (0, "create-revision 0 with mod-revision 2"),
            (3, "create-revision 3 with mod-revision 2"),
        ] {
            let damaged = read(cells(good.clone(), revision));
            assert_eq!(
                (damaged.create_revision, damaged.mod_revision),
                (revision, 2)
            );
            assert_eq!(damaged.attributes, Some(attributes()));
            assert_eq!(damaged.reason, reason);
        }
    }
}
