//! Records to rows and back.

use mortise_guest::{Attribute, Draft, Error, Key, Stamp, Stored};

use crate::database::{Cells, odd_answer};

/// The columns that [`decode_under`] reads, of the table `records AS r`.
macro_rules! columns_under_a_key {
    () => {
        "r.create_revision, r.mod_revision, r.created_at, r.updated_at, r.expires_at, \
         r.attributes, r.body"
    };
}
pub(crate) use columns_under_a_key;

/// The columns that [`decode`] reads.
pub const COLUMNS: &str = concat!("r.collection, r.id, ", columns_under_a_key!());

/// The same without bodies: each comes back empty.
pub const COLUMNS_WITHOUT_BODY: &str = "r.collection, r.id, r.create_revision, r.mod_revision, \
     r.created_at, r.updated_at, r.expires_at, r.attributes, x''";

/// The next record of an answer. Raises `corrupt` where its row makes no record.
pub fn decode(cells: &mut Cells) -> Result<Stored, Error> {
    let collection = cells.text().ok_or_else(odd_answer)?;
    let id = cells.text().ok_or_else(odd_answer)?;
    decode_under(Key { collection, id }, cells)
}

/// The next record of an answer, which is known to stand under this key.
pub fn decode_under(key: Key, cells: &mut Cells) -> Result<Stored, Error> {
    let Some((stamp, expires_at, attributes, body)) = decode_rest(cells) else {
        return Err(Error::Corrupt(key));
    };
    let draft = Draft {
        key,
        body,
        attributes,
        expires_at,
    };
    Ok(Stored { draft, stamp })
}

type Rest = (Stamp, Option<u64>, Vec<Attribute>, Vec<u8>);

fn decode_rest(cells: &mut Cells) -> Option<Rest> {
    let stamp = Stamp {
        create_revision: cells.integer()?,
        mod_revision: cells.integer()?,
        created_at: cells.integer()?,
        updated_at: cells.integer()?,
    };
    let expires_at = cells.integer_or_null()?;
    let attributes = decode_attributes(&cells.blob()?)?;
    Some((stamp, expires_at, attributes, cells.blob()?))
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
        attributes.push(Attribute {
            name: decode_text(&mut bytes)?,
            value: decode_text(&mut bytes)?,
        });
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
        let text = |text: &str| Value::Text(text.into());
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
        let record = decode(&mut cells(encode_attributes(&attributes()), 1)).unwrap();
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
        let damaged = [
            cells(good[..good.len() - 1].into(), 1),
            cells([&good[..], &[1]].concat(), 1),
            cells(vec![1, 0xff, 0], 1),
            cells(vec![0xff; 9], 1),
            cells(good.clone(), -1),
        ];
        for mut cells in damaged {
            assert_eq!(decode(&mut cells), Err(Error::Corrupt(key.clone())));
        }
    }
}
