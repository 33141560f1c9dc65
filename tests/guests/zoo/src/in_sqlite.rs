//! Records behind `sqlite`: all of them in one value, which a write replaces unless another write was
//! faster.
//!
//! It reads and writes the whole store in every call, which suits a test of some hundred records.

mod bytes;

use mortise_guest::sqlite::{self, Failure, Statement, Value};
use mortise_guest::{Error, Schema, Step};

use crate::animals::Animal;
use crate::kept::Kept;

/// How often a write is tried while others are faster.
const ATTEMPTS: u32 = 500;

/// The two values: the records with the store's revision, and the index.
const PARTS: [&str; 2] = ["records", "entries"];

#[derive(Debug)]
pub struct Storage {
    animal: Animal,
    max_bytes: u64,
    /// What an animal saw last.
    seen: Option<Kept>,
    /// What an animal has yet to write.
    unwritten: Option<Kept>,
}

/// What the database holds.
struct Snapshot {
    kept: Kept,
    /// How many writes there were: what the next one expects.
    version: i64,
}

impl Schema for crate::Zoo {
    fn target() -> Vec<String> {
        let table = "CREATE TABLE parts (name TEXT PRIMARY KEY, version INTEGER NOT NULL, \
             data BLOB NOT NULL) STRICT";
        vec![table.into()]
    }

    fn steps() -> Vec<Step> {
        Vec::new()
    }
}

impl Storage {
    pub fn open(animal: Animal, max_bytes: u64) -> Self {
        Self {
            animal,
            max_bytes,
            seen: None,
            unwritten: None,
        }
    }

    pub fn read<R>(&mut self, call: impl FnOnce(&Kept) -> Result<R, Error>) -> Result<R, Error> {
        self.catch_up()?;
        if self.animal == Animal::ReadsACache
            && let Some(seen) = &self.seen
        {
            return call(seen);
        }
        let kept = match self.snapshot() {
            Err(_) if self.animal == Animal::ReadsErrorsAsAbsent => {
                Kept::new(self.animal, self.max_bytes)
            }
            snapshot => snapshot?.kept,
        };
        let answer = call(&kept);
        self.seen = Some(kept);
        answer
    }

    pub fn write<R, E: From<Error>>(
        &mut self,
        mut call: impl FnMut(&mut Kept) -> Result<R, E>,
    ) -> Result<R, E> {
        self.catch_up()?;
        for _ in 0..ATTEMPTS {
            let Snapshot { mut kept, version } = self.snapshot()?;
            let before = kept.records.len();
            let answer = call(&mut kept)?;
            if self.animal == Animal::AnswersBeforeItWrites {
                self.unwritten = Some(kept);
                return Ok(answer);
            }
            let creates = kept.records.len() > before;
            let expected = match self.animal {
                Animal::WritesOverOthers => None,
                Animal::CreatesUnseen if creates => None,
                _ => Some(version),
            };
            let Err(failure) = self.save(&kept, version, expected) else {
                self.seen = Some(kept);
                return Ok(answer);
            };
            match (self.animal, failure.error) {
                // Another write was faster.
                (_, sqlite::Error::UnexpectedChanges(_)) => {}
                (Animal::SwallowsErrors, _) => return Ok(answer),
                (Animal::RetriesBlindly, sqlite::Error::Ambiguous(_)) => {}
                (_, error) => return Err(self.meaning(error).into()),
            }
        }
        Err(Error::Unavailable("others kept writing".into()).into())
    }

    /// Writes what was answered already.
    fn catch_up(&mut self) -> Result<(), Error> {
        match self.unwritten.take() {
            None => Ok(()),
            Some(kept) => {
                let Snapshot { version, .. } = self.snapshot()?;
                let saved = self.save(&kept, version, None);
                saved.map_err(|failure| self.meaning(failure.error))
            }
        }
    }

    fn snapshot(&self) -> Result<Snapshot, Error> {
        let select = Statement {
            sql: "SELECT version, data FROM parts ORDER BY name DESC".into(),
            params: Vec::new(),
            expect_changed: None,
        };
        let rows = sqlite::query(&select, None).map_err(|error| self.meaning(error))?;
        let mut kept = Kept::new(self.animal, self.max_bytes);
        let version = match &rows.values[..] {
            [] => 0,
            [
                Value::Integer(version),
                Value::Blob(records),
                Value::Integer(_),
                Value::Blob(entries),
            ] if bytes::read_records(&mut kept, records).is_some()
                && bytes::read_entries(&mut kept, entries).is_some() =>
            {
                *version
            }
            _ => return Err(Error::Internal("the database holds something else".into())),
        };
        Ok(Snapshot { kept, version })
    }

    /// Writes all, as the next version; where one is expected, only over that one.
    fn save(&self, kept: &Kept, version: i64, expected: Option<i64>) -> Result<(), Failure> {
        let data = [bytes::of_records(kept), bytes::of_entries(kept)];
        let statements = PARTS.into_iter().zip(data).map(|(name, data)| {
            let mut params = vec![
                Value::Text(name.into()),
                Value::Integer(version + 1),
                Value::Blob(data),
            ];
            let mut sql = "INSERT INTO parts (name, version, data) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (name) DO UPDATE SET version = ?2, data = ?3"
                .to_owned();
            if let Some(expected) = expected {
                sql.push_str(" WHERE version = ?4");
                params.push(Value::Integer(expected));
            }
            Statement {
                sql,
                params,
                expect_changed: Some(1),
            }
        });
        let statements: Vec<_> = statements.collect();
        if self.animal == Animal::MakesTwoTransactions {
            for statement in statements {
                sqlite::transact(&[statement])?;
            }
            return Ok(());
        }
        sqlite::transact(&statements).map(drop)
    }

    /// What an error of the capability means to the caller.
    fn meaning(&self, error: sqlite::Error) -> Error {
        match (self.animal, error) {
            (Animal::CallsBusyInternal, sqlite::Error::Busy)
            | (Animal::CallsFullInternal, sqlite::Error::Full) => {
                Error::Internal("something went wrong".into())
            }
            (Animal::CallsTheLostUndone, sqlite::Error::Ambiguous(what)) => {
                Error::Unavailable(what)
            }
            (_, sqlite::Error::Busy) => Error::Unavailable("the database is busy".into()),
            (_, sqlite::Error::Interrupted) => Error::Unavailable("the deadline passed".into()),
            (_, sqlite::Error::Corrupt(what)) => Error::Unavailable(what),
            (_, sqlite::Error::Full) => Error::TooLarge("the database is full".into()),
            (_, sqlite::Error::TooLarge(what)) => Error::TooLarge(what),
            (_, sqlite::Error::Ambiguous(what)) => Error::Ambiguous(what),
            (_, error) => Error::Internal(format!("{error:?}")),
        }
    }
}
