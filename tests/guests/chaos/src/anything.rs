//! Arbitrary values of the contract's types.

use mortise_guest::{Attribute, Draft, Error, Key, Page, QUARANTINE, Stamp, Stored};

/// Draws values that follow from a seed, odd ones more often than any.
#[derive(Debug)]
pub struct Anything(u64);

const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    1_000,
    253_402_300_799_999,
    253_402_300_800_000,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "t-1",
    "task",
    QUARANTINE,
    "quarantine-collection",
    "quarantine-id",
    "quarantine-reason",
    "status",
    "request-id",
    "a\0b\r\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "{{}} %s %n ${jndi}",
    "\u{202e}\u{feff}e\u{301}\u{1f980}",
];

/// A whole task, and what is nearly one.
const TASK: &str = r#"{"task_id":"t-1","session_id":"s","user_id":"u","items":[{"task_id":"t-1","request_id":"r","role":"user","item":{"content_type":"text","content":"h"},"updated":"2025-06-02T13:05:53"}],"created_at":"2025-06-02T13:05:53","last_updated":"2025-06-02T13:05:53Z","status":"Running"}"#;
const BODIES: &[&str] = &[
    "",
    "{}",
    "null",
    "[1e999]",
    "\"\\ud800\"",
    r#"{"task_id":7}"#,
    "{\"task_id\":\"t-1\"",
    TASK,
    TASK,
    TASK,
];

impl Anything {
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits (SplitMix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn chance(&mut self, one_of: u64) -> bool {
        self.below(one_of) == 0
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next(),
            1 => self.below(100),
            _ => self.pick(NUMBERS),
        }
    }

    pub fn text(&mut self) -> String {
        match self.below(16) {
            0 => self.pick(TEXTS).repeat(3_000),
            1 => "x".repeat(self.below(300_000) as usize),
            2 => self.next().to_string(),
            _ => self.pick(TEXTS).to_owned(),
        }
    }

    fn body(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => self.next().to_le_bytes().into(),
            1 => b"[".repeat(20_000),
            2 => {
                let cut = self.below(TASK.len() as u64) as usize;
                TASK.as_bytes()[..cut].into()
            }
            _ => self.pick(BODIES).into(),
        }
    }

    fn key(&mut self, asked: Option<&Key>) -> Key {
        match asked {
            Some(asked) if !self.chance(4) => asked.clone(),
            _ => Key {
                collection: self.text(),
                id: self.text(),
            },
        }
    }

    pub fn stamp(&mut self) -> Stamp {
        Stamp {
            create_revision: self.number(),
            mod_revision: self.number(),
            created_at: self.number(),
            updated_at: self.number(),
        }
    }

    fn stored(&mut self, asked: Option<&Key>) -> Stored {
        let count = match self.chance(32) {
            true => 5_000,
            false => self.below(6),
        };
        let attributes = (0..count).map(|_| Attribute {
            name: self.text(),
            value: match count {
                5_000 => String::new(),
                _ => self.text(),
            },
        });
        let attributes = attributes.collect();
        Stored {
            draft: Draft {
                key: self.key(asked),
                body: self.body(),
                attributes,
                expires_at: self.chance(2).then(|| self.number()),
            },
            stamp: self.stamp(),
        }
    }

    pub fn maybe_stored(&mut self, asked: Option<&Key>) -> Option<Stored> {
        (!self.chance(4)).then(|| self.stored(asked))
    }

    /// A page that mostly goes on: with no cursor, with another, or with the one it was asked with.
    pub fn page(&mut self, collection: Option<&str>, asked: Option<&str>) -> Page {
        let records = (0..self.below(4)).map(|_| {
            let key = collection.map(|collection| Key {
                collection: collection.to_owned(),
                id: self.text(),
            });
            self.stored(key.as_ref())
        });
        let records = records.collect();
        let next = match self.below(16) {
            0 => None,
            1 => asked.map(str::to_owned),
            2 => Some(self.text()),
            _ => Some(self.next().to_string()),
        };
        Page { records, next }
    }

    pub fn error(&mut self, key: Option<&Key>) -> Error {
        match self.below(10) {
            0 => Error::AlreadyExists(self.key(key)),
            1 => Error::NotFound(self.key(key)),
            2 => Error::Conflict(self.stored(key)),
            3 => Error::Invalid(self.text()),
            4 => Error::TooLarge(self.text()),
            5 => Error::Corrupt(self.key(key)),
            6 => Error::Unsupported(self.text()),
            7 => Error::Unavailable(self.text()),
            8 => Error::Ambiguous(self.text()),
            _ => Error::Internal(self.text()),
        }
    }
}
