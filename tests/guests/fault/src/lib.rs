//! A backend that misbehaves when asked to.
//!
//! `load` acts on the id of the key, whatever the collection: see [`Fault::load`]. Everything else
//! answers the least that is valid, and keeps nothing.

use mortise_guest::{
    Backend, CollectionStatistics, Description, Draft, Error, Instances, Key, Options, Page, Query,
    Rejection, Revision, Stamp, Stored, Write, clock, log,
};

mortise_guest::export!(Fault);

/// The backend `fault`; with the feature `singleton`, `fault-singleton`.
#[derive(Debug)]
pub struct Fault {
    revision: Revision,
}

impl Backend for Fault {
    fn describe() -> Description {
        let singleton = cfg!(feature = "singleton");
        Description {
            name: if singleton {
                "fault-singleton"
            } else {
                "fault"
            }
            .into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: if singleton {
                Instances::Singleton
            } else {
                Instances::Pooled
            },
            durable: false,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    /// From the time `traps-at-open-from` on, panics.
    fn open(options: &mut Options) -> Result<Self, Error> {
        options.take_u64("max-store-bytes")?;
        let trap_from = options.take_u64("traps-at-open-from")?;
        if trap_from.is_some_and(|from| clock::now() >= from) {
            panic!("asked to trap at open");
        }
        Ok(Self { revision: 0 })
    }

    /// | id | what happens |
    /// |---|---|
    /// | `trap` | panics with "asked to trap" |
    /// | `stack` | calls itself without end |
    /// | `loop` | never comes back |
    /// | `grow` | allocates without end |
    /// | `huge:N` | answers a body of N bytes |
    /// | `flood:N` | writes N lines to the log |
    /// | `shout:N` | writes one line of N bytes |
    /// | `spin:MS` | comes back when the clock went on by MS |
    /// | anything else | answers none |
    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        let (what, number) = key.id.split_once(':').unwrap_or((&key.id, "0"));
        let Ok(number) = number.parse::<u64>() else {
            return Ok(None);
        };
        match what {
            "trap" => panic!("asked to trap"),
            "stack" => {
                std::hint::black_box(descend(1));
            }
            "loop" => loop {
                std::hint::black_box(number);
            },
            "grow" => grow(),
            "huge" => return Ok(Some(huge(key, number))),
            "flood" => (0..number).for_each(|line| log::info(&format!("line {line}"))),
            "shout" => log::info(&"a".repeat(number as usize)),
            "spin" => {
                let start = clock::now();
                while clock::now().saturating_sub(start) < number {}
            }
            _ => {}
        }
        Ok(None)
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        let now = clock::now();
        let stamps = batch.iter().map(|_| {
            self.revision += 1;
            Stamp::next(None, self.revision, now)
        });
        Ok(stamps.collect())
    }

    fn find(&mut self, _query: Query, _max_bytes: u64) -> Result<Page, Error> {
        Ok(empty_page())
    }

    fn export(&mut self, _: Option<String>, _: u32, _: u64) -> Result<Page, Error> {
        Ok(empty_page())
    }

    fn import(&mut self, _records: Vec<Stored>) -> Result<(), Error> {
        Ok(())
    }

    fn sweep(&mut self, _limit: u32) -> Result<u32, Error> {
        Ok(0)
    }

    fn clear(&mut self, _collection: Option<String>) -> Result<u64, Error> {
        Ok(0)
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        Ok(Vec::new())
    }
}

fn empty_page() -> Page {
    Page {
        records: Vec::new(),
        next: None,
    }
}

fn huge(key: Key, bytes: u64) -> Stored {
    Stored {
        draft: Draft {
            key,
            body: vec![b'x'; bytes as usize],
            attributes: Vec::new(),
            expires_at: None,
        },
        stamp: Stamp::next(None, 1, clock::now()),
    }
}

/// The result is used after the call, so that it is no tail call; and it keeps next to nothing in linear
/// memory, so that the call stack is what runs out.
#[allow(unconditional_recursion, reason = "it is asked to")]
fn descend(depth: u64) -> u64 {
    let deeper = descend(std::hint::black_box(depth) + 1);
    std::hint::black_box(deeper) ^ depth
}

fn grow() {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
