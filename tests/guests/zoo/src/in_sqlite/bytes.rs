//! Records and entries as bytes: numbers of eight bytes, and texts after their lengths.

use std::rc::Rc;

use mortise_guest::{Attribute, Draft, Key, Stamp, Stored};

use crate::kept::{Entry, Kept};

pub fn of_records(kept: &Kept) -> Vec<u8> {
    let mut bytes = Vec::new();
    number(&mut bytes, kept.revision);
    for record in kept.records.values() {
        let Stored { draft, stamp } = &**record;
        key(&mut bytes, &draft.key);
        text(&mut bytes, &draft.body);
        number(&mut bytes, draft.attributes.len() as u64);
        for pair in &draft.attributes {
            attribute(&mut bytes, pair);
        }
        number(&mut bytes, draft.expires_at.unwrap_or(u64::MAX));
        number(&mut bytes, stamp.create_revision);
        number(&mut bytes, stamp.mod_revision);
        number(&mut bytes, stamp.created_at);
        number(&mut bytes, stamp.updated_at);
    }
    bytes
}

/// None where the bytes are not those of records.
pub fn read_records(kept: &mut Kept, bytes: &[u8]) -> Option<()> {
    let mut bytes = Bytes(bytes);
    kept.revision = bytes.number()?;
    while !bytes.0.is_empty() {
        let key = bytes.key()?;
        let body = bytes.take()?.to_vec();
        let attributes = (0..bytes.number()?).map(|_| bytes.attribute());
        let attributes = attributes.collect::<Option<_>>()?;
        let expires_at = Some(bytes.number()?).filter(|at| *at != u64::MAX);
        let draft = Draft {
            key,
            body,
            attributes,
            expires_at,
        };
        let stamp = Stamp {
            create_revision: bytes.number()?,
            mod_revision: bytes.number()?,
            created_at: bytes.number()?,
            updated_at: bytes.number()?,
        };
        kept.insert_under(Stored { draft, stamp }, Vec::new());
    }
    Some(())
}

pub fn of_entries(kept: &Kept) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, listed) in &kept.entries {
        text(&mut bytes, entry.collection.as_bytes());
        attribute(&mut bytes, &entry.pair);
        number(&mut bytes, listed.len() as u64);
        for place in listed.keys() {
            key(&mut bytes, place);
        }
    }
    bytes
}

/// None where the bytes are not those of entries. An entry of a record that is not there is passed over.
pub fn read_entries(kept: &mut Kept, bytes: &[u8]) -> Option<()> {
    let mut bytes = Bytes(bytes);
    while !bytes.0.is_empty() {
        let collection = bytes.string()?;
        let pair = bytes.attribute()?;
        let entry = Entry { collection, pair };
        for _ in 0..bytes.number()? {
            let place = bytes.key()?;
            if let Some(record) = kept.at(&place).map(Rc::clone) {
                kept.list(&record, vec![entry.clone()]);
            }
        }
    }
    Some(())
}

fn number(to: &mut Vec<u8>, number: u64) {
    to.extend(number.to_le_bytes());
}

fn text(to: &mut Vec<u8>, text: &[u8]) {
    number(to, text.len() as u64);
    to.extend(text);
}

fn key(to: &mut Vec<u8>, key: &Key) {
    text(to, key.collection.as_bytes());
    text(to, key.id.as_bytes());
}

fn attribute(to: &mut Vec<u8>, pair: &Attribute) {
    text(to, pair.name.as_bytes());
    text(to, pair.value.as_bytes());
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn string(&mut self) -> Option<String> {
        String::from_utf8(self.take()?.to_vec()).ok()
    }

    fn key(&mut self) -> Option<Key> {
        Some(Key {
            collection: self.string()?,
            id: self.string()?,
        })
    }

    fn attribute(&mut self) -> Option<Attribute> {
        Some(Attribute {
            name: self.string()?,
            value: self.string()?,
        })
    }
}
