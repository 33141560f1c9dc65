//! A backend that runs the SQL it is handed.
//!
//! `load` takes the SQL from the id of the key, and what to do with it from the collection: see
//! [`SqlProbe::load`]. Everything else is `unsupported`.

use mortise_guest::sqlite::{Statement, query, transact};
use mortise_guest::{
    Backend, CollectionStatistics, Description, Draft, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write,
};

mortise_guest::export!(SqlProbe);

/// The backend `sql-probe`.
#[derive(Debug)]
pub struct SqlProbe;

impl Backend for SqlProbe {
    fn describe() -> Description {
        Description {
            name: "sql-probe".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: Instances::Pooled,
            durable: true,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        options.take_u64("max-store-bytes")?;
        Ok(Self)
    }

    /// Answers a record whose body is the Debug text of the result.
    ///
    /// | collection | what runs |
    /// |---|---|
    /// | `query` | the id, as one query |
    /// | `query-bounded` | the same, with a `max-bytes` of 1,000 |
    /// | `transact` | the statements of the id, which lines of a single `;` set apart |
    /// | `transact-then-trap` | the same, and then a panic |
    /// | `transact-then-loop` | the same, and then it never comes back |
    /// | anything else | nothing: answers none |
    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        let statements = || -> Vec<Statement> { key.id.split("\n;\n").map(statement).collect() };
        let body = match key.collection.as_str() {
            "query" => format!("{:?}", query(&statement(&key.id), None)),
            "query-bounded" => format!("{:?}", query(&statement(&key.id), Some(1_000))),
            "transact" => format!("{:?}", transact(&statements())),
            "transact-then-trap" => panic!("asked to trap after {:?}", transact(&statements())),
            "transact-then-loop" => {
                let result = transact(&statements());
                loop {
                    std::hint::black_box(&result);
                }
            }
            _ => return Ok(None),
        };
        let draft = Draft {
            key,
            body: body.into_bytes(),
            attributes: Vec::new(),
            expires_at: None,
        };
        let stamp = Stamp::next(None, 1, 0);
        Ok(Some(Stored { draft, stamp }))
    }

    fn apply(&mut self, _batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        Err(unsupported().into())
    }

    fn find(&mut self, _query: Query, _max_bytes: u64) -> Result<Page, Error> {
        Err(unsupported())
    }

    fn export(&mut self, _: Option<String>, _: u32, _: u64) -> Result<Page, Error> {
        Err(unsupported())
    }

    fn import(&mut self, _records: Vec<Stored>) -> Result<(), Error> {
        Err(unsupported())
    }

    fn sweep(&mut self, _limit: u32) -> Result<u32, Error> {
        Err(unsupported())
    }

    fn clear(&mut self, _collection: Option<String>) -> Result<u64, Error> {
        Err(unsupported())
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        Err(unsupported())
    }
}

fn statement(sql: &str) -> Statement {
    Statement {
        sql: sql.into(),
        params: Vec::new(),
        expect_changed: None,
    }
}

fn unsupported() -> Error {
    Error::Unsupported("a probe only loads".into())
}
