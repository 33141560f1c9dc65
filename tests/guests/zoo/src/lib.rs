//! A zoo of backends, each of which breaks one promise of the contract.
//!
//! It is built twice, with its records in the instance and with its records behind `sqlite`, and each
//! build is a backend that keeps every promise, but for the animal whose number it carries: whoever
//! writes another number into it makes another backend of it. `mortise_test_guests::zoo` does,
//! and `cargo run -p mortise-test-guests --features all --example write-zoo -- DIR` puts them into files, for
//! `mortise plugin test`.
//!
//! - `animals`: every animal, the clause that must fail it, and what it does wrong.
//! - `kept`: records and entries. `write`, `find`, `upkeep`: the rules, each with its exceptions.
//! - `in_memory`, `in_sqlite`: where they are between two calls.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records; on the 32-bit target they are small enough"
)]

#[allow(dead_code, reason = "`mortise-test-guests` uses the rest of it")]
mod animals;
mod find;
#[cfg(not(feature = "sqlite"))]
mod in_memory;
#[cfg(feature = "sqlite")]
mod in_sqlite;
mod kept;
mod upkeep;
mod write;

use std::cell::Cell;

#[cfg(not(feature = "sqlite"))]
use in_memory::Storage;
#[cfg(feature = "sqlite")]
use in_sqlite::Storage;
use mortise_guest::{
    Backend, CollectionStatistics, Description, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write, clock,
};

use crate::animals::Animal;

#[cfg(not(feature = "sqlite"))]
mortise_guest::export!(Zoo);
#[cfg(feature = "sqlite")]
mortise_guest::export!(Zoo, schema);

/// Which animal this is: the tag, and a number that is written here after the build.
#[used]
static NUMBER: [u8; 20] = *b"mortise-zoo-no. 0000";

thread_local! {
    static OPENED: Cell<bool> = const { Cell::new(false) };
}

/// Any animal.
#[derive(Debug)]
pub struct Zoo {
    animal: Animal,
    storage: Storage,
}

/// Reads which animal this is.
fn animal() -> Animal {
    // SAFETY: it reads a static, which is there and never changes. Volatile, because the compiler would
    // take what it was built with for what it will be run with.
    let number = unsafe { std::ptr::read_volatile(&raw const NUMBER) };
    let digits = number.iter().skip(animals::MARKER.len());
    let number = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    Animal::ALL[number]
}

impl Backend for Zoo {
    fn describe() -> Description {
        let animal = animal();
        let in_sqlite = cfg!(feature = "sqlite");
        if animal == Animal::AsksTheClockWhoItIs {
            clock::now();
        }
        let version = match animal {
            Animal::DescribesItselfAnew if OPENED.get() => "2",
            _ => env!("CARGO_PKG_VERSION"),
        };
        Description {
            name: match animal {
                Animal::HasNoName => String::new(),
                _ => animal.name(),
            },
            version: version.into(),
            instances: if in_sqlite || animal == Animal::SaysPooled {
                Instances::Pooled
            } else {
                Instances::Singleton
            },
            durable: in_sqlite || animal == Animal::SaysDurable,
            max_body_bytes: 4 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        let animal = animal();
        let max_bytes = options.take_u64("max-store-bytes")?;
        if animal == Animal::TakesAnyOption {
            *options = Options::new(Vec::new());
        }
        OPENED.set(true);
        Ok(Self {
            animal,
            storage: Storage::open(animal, max_bytes.unwrap_or(u64::MAX)),
        })
    }

    fn health(&mut self) -> Result<(), Error> {
        assert!(self.animal != Animal::FallsIll, "ill");
        self.storage.read(|_| Ok(()))
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        self.storage.read(|kept| kept.load(&key, clock::now()))
    }

    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        self.storage
            .read(|kept| kept.load_many(keys, clock::now(), max_bytes))
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        let now = clock::now();
        if self.animal == Animal::CommitsWriteByWrite {
            self.storage.read(|kept| {
                let mut writes = batch.iter().enumerate();
                let checked = writes.try_for_each(|(at, write)| kept.check_at(at, write, now));
                Ok(checked)
            })??;
            let mut stamps = Vec::new();
            for write in batch {
                stamps.extend(
                    self.storage
                        .write(|kept| kept.apply(vec![write.clone()], now))?,
                );
            }
            return Ok(stamps);
        }
        self.storage.write(|kept| kept.apply(batch.clone(), now))
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        self.storage
            .read(|kept| kept.find(&query, clock::now(), max_bytes))
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        self.storage
            .read(|kept| kept.export(after.as_deref(), limit, clock::now(), max_bytes))
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        self.storage
            .write(|kept| kept.import(records.clone(), clock::now()))
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        self.storage
            .write(|kept| Ok(kept.sweep(limit, clock::now())))
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        self.storage
            .write(|kept| Ok(kept.clear(collection.as_deref(), clock::now())))
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        self.storage.read(|kept| Ok(kept.statistics(clock::now())))
    }
}
