//! The answer to `load`, as the canonical ABI lays it out: texts and bodies are pointed at where they stand.
//!
//! What wit-bindgen makes of an answer owns all of it, so that a backend has to copy a record that it keeps, by a
//! dozen allocations. So this one function is written by hand.
//!
//! Each type has the layout of its namesake in `wit/types.wit`: on a 32-bit target, fields of a record and
//! cases of a variant lie as `repr(C)` lays them.

use std::borrow::Cow;

use crate::{Attribute, Error, Key, Stored};

/// A `string`, or a `list<u8>`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Bytes {
    start: *const u8,
    length: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LentKey {
    collection: Bytes,
    id: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LentAttribute {
    name: Bytes,
    value: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LentStored {
    key: LentKey,
    body: Bytes,
    attributes: *const LentAttribute,
    attribute_count: usize,
    has_expiry: u8,
    expires_at: u64,
    create_revision: u64,
    mod_revision: u64,
    created_at: u64,
    updated_at: u64,
}

/// `option<stored>`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Found {
    is_some: u8,
    record: LentStored,
}

#[repr(C)]
#[derive(Clone, Copy)]
union ErrorPayload {
    key: LentKey,
    record: LentStored,
    text: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LentError {
    case: u8,
    payload: ErrorPayload,
}

#[repr(C)]
union Payload {
    is_some: u8,
    found: Found,
    error: LentError,
}

/// `result<option<stored>, error>`.
#[repr(C)]
struct Answer {
    is_error: u8,
    payload: Payload,
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(
    size_of::<Answer>() == 96
        && std::mem::offset_of!(Answer, payload) == 8
        && std::mem::offset_of!(LentStored, create_revision) == 48,
    "the layout is not the contract's"
);

/// An answer, and what it points at beside the backend's own memory.
#[repr(C)]
#[allow(dead_code, reason = "the host reads it")]
pub struct Lent {
    /// First, so that a pointer to it is one to all.
    answer: Answer,
    attributes: Vec<LentAttribute>,
    owned: Option<Result<Stored, Error>>,
}

impl Lent {
    /// Points at what was loaded. A record that is borrowed must stay as it is until the answer was read, and
    /// freed.
    pub fn new(loaded: Result<Option<Cow<'_, Stored>>, Error>) -> Box<Self> {
        let attributes = match &loaded {
            Ok(Some(record)) => lent_attributes(record),
            Err(Error::Conflict(record)) => lent_attributes(record),
            Ok(None) | Err(_) => Vec::new(),
        };
        let answer = match &loaded {
            Ok(None) => Answer {
                is_error: 0,
                payload: Payload { is_some: 0 },
            },
            Ok(Some(record)) => {
                let record = LentStored::new(record, &attributes);
                let found = Found { is_some: 1, record };
                Answer {
                    is_error: 0,
                    payload: Payload { found },
                }
            }
            Err(error) => Answer {
                is_error: 1,
                payload: Payload {
                    error: LentError::new(error, &attributes),
                },
            },
        };
        let owned = match loaded {
            Ok(None | Some(Cow::Borrowed(_))) => None,
            // Its texts and its body stay where they are when it moves.
            Ok(Some(Cow::Owned(record))) => Some(Ok(record)),
            Err(error) => Some(Err(error)),
        };
        Box::new(Self {
            answer,
            attributes,
            owned,
        })
    }
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    fn text(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl LentKey {
    fn new(key: &Key) -> Self {
        Self {
            collection: Bytes::text(&key.collection),
            id: Bytes::text(&key.id),
        }
    }
}

fn lent_attributes(record: &Stored) -> Vec<LentAttribute> {
    let attributes = record.draft.attributes.iter();
    attributes
        .map(|Attribute { name, value }| LentAttribute {
            name: Bytes::text(name),
            value: Bytes::text(value),
        })
        .collect()
}

impl LentStored {
    fn new(record: &Stored, attributes: &[LentAttribute]) -> Self {
        let Stored { draft, stamp } = record;
        Self {
            key: LentKey::new(&draft.key),
            body: Bytes::new(&draft.body),
            attributes: attributes.as_ptr(),
            attribute_count: attributes.len(),
            has_expiry: draft.expires_at.is_some().into(),
            expires_at: draft.expires_at.unwrap_or(0),
            create_revision: stamp.create_revision,
            mod_revision: stamp.mod_revision,
            created_at: stamp.created_at,
            updated_at: stamp.updated_at,
        }
    }
}

impl LentError {
    fn new(error: &Error, attributes: &[LentAttribute]) -> Self {
        let key = |key: &Key| ErrorPayload {
            key: LentKey::new(key),
        };
        let text = |text: &str| ErrorPayload {
            text: Bytes::text(text),
        };
        let (case, payload) = match error {
            Error::AlreadyExists(of) => (0, key(of)),
            Error::NotFound(of) => (1, key(of)),
            Error::Conflict(current) => {
                let record = LentStored::new(current, attributes);
                (2, ErrorPayload { record })
            }
            Error::Invalid(why) => (3, text(why)),
            Error::TooLarge(why) => (4, text(why)),
            Error::Corrupt(of) => (5, key(of)),
            Error::Unsupported(why) => (6, text(why)),
            Error::Unavailable(why) => (7, text(why)),
            Error::Ambiguous(why) => (8, text(why)),
            Error::Internal(why) => (9, text(why)),
        };
        Self { case, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, Stamp};

    fn stored() -> Stored {
        Stored {
            draft: Draft {
                key: key(),
                body: vec![1, 2, 3],
                attributes: vec![Attribute {
                    name: "status".into(),
                    value: String::new(),
                }],
                expires_at: Some(7),
            },
            stamp: Stamp {
                create_revision: 1,
                mod_revision: 2,
                created_at: 3,
                updated_at: 4,
            },
        }
    }

    fn key() -> Key {
        Key {
            collection: "task".into(),
            id: "t-1".into(),
        }
    }

    fn read(bytes: Bytes) -> Vec<u8> {
        // SAFETY: it points at what is kept, or lent, as long as the answer is.
        unsafe { std::slice::from_raw_parts(bytes.start, bytes.length) }.to_vec()
    }

    fn check(lent: &LentStored) {
        assert_eq!(read(lent.key.collection), b"task");
        assert_eq!(read(lent.key.id), b"t-1");
        assert_eq!(read(lent.body), [1, 2, 3]);
        assert_eq!(lent.attribute_count, 1);
        // SAFETY: there is one.
        let attribute = unsafe { *lent.attributes };
        assert_eq!(
            (read(attribute.name), read(attribute.value)),
            (b"status".to_vec(), vec![])
        );
        assert_eq!((lent.has_expiry, lent.expires_at), (1, 7));
        let stamp = (
            lent.create_revision,
            lent.mod_revision,
            lent.created_at,
            lent.updated_at,
        );
        assert_eq!(stamp, (1, 2, 3, 4));
    }

    /// What was found, of an answer that is no error.
    fn found(lent: &Lent) -> Option<LentStored> {
        assert_eq!(lent.answer.is_error, 0);
        // SAFETY: both payloads that it can be begin with this.
        if unsafe { lent.answer.payload.is_some } == 0 {
            return None;
        }
        // SAFETY: it is this one then.
        Some(unsafe { lent.answer.payload.found }.record)
    }

    /// The error of an answer that is one.
    fn failed(lent: &Lent) -> LentError {
        assert_eq!(lent.answer.is_error, 1);
        // SAFETY: it is this one then.
        unsafe { lent.answer.payload.error }
    }

    #[test]
    fn a_record_is_pointed_at_where_it_stands() {
        let kept = stored();
        let lent = Lent::new(Ok(Some(Cow::Borrowed(&kept))));
        assert!(lent.owned.is_none());
        let record = found(&lent).unwrap();
        assert_eq!(record.body.start, kept.draft.body.as_ptr());
        check(&record);
    }

    #[test]
    fn what_is_owned_is_kept_until_it_was_read() {
        let lent = Lent::new(Ok(Some(Cow::Owned(stored()))));
        check(&found(&lent).unwrap());
        assert!(found(&Lent::new(Ok(None))).is_none());

        let lent = Lent::new(Err(Error::Conflict(stored())));
        let error = failed(&lent);
        assert_eq!(error.case, 2);
        // SAFETY: of this case it is the payload.
        check(unsafe { &error.payload.record });
    }

    #[test]
    fn every_error_has_the_number_and_the_payload_of_the_contract() {
        let texts = [
            (3, Error::Invalid as fn(String) -> Error),
            (4, Error::TooLarge),
            (6, Error::Unsupported),
            (7, Error::Unavailable),
            (8, Error::Ambiguous),
            (9, Error::Internal),
        ];
        for (case, error) in texts {
            let lent = Lent::new(Err(error("why".into())));
            let error = failed(&lent);
            // SAFETY: of these cases it is the payload.
            let text = unsafe { error.payload.text };
            assert_eq!((error.case, read(text)), (case, b"why".to_vec()));
        }
        let keys = [
            (0, Error::AlreadyExists as fn(Key) -> Error),
            (1, Error::NotFound),
            (5, Error::Corrupt),
        ];
        for (case, error) in keys {
            let lent = Lent::new(Err(error(key())));
            let error = failed(&lent);
            // SAFETY: of these cases it is the payload.
            let key = unsafe { error.payload.key };
            assert_eq!((error.case, read(key.id)), (case, b"t-1".to_vec()));
        }
    }
}
