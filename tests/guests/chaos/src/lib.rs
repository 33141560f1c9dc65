//! A backend that answers anything that the contract's types allow.
//!
//! What it answers follows from the host's clock, so that a test chooses it by turning that: the clock
//! when the instance started is the seed.

mod anything;

use mortise_guest::{
    Backend, CollectionStatistics, Description, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write, clock,
};

use crate::anything::Anything;

mortise_guest::export!(Chaos);

/// The backend `chaos`.
#[derive(Debug)]
pub struct Chaos(Anything);

impl Backend for Chaos {
    fn describe() -> Description {
        let mut any = Anything::of(clock::now());
        Description {
            name: any.text(),
            version: any.text(),
            instances: match any.chance(2) {
                true => Instances::Pooled,
                false => Instances::Singleton,
            },
            durable: any.chance(2),
            max_body_bytes: any.number().max(any.below(2) << 20),
            max_batch: any.number().max(any.below(2) << 10) as u32,
        }
    }

    /// Takes any options, and refuses seldom: a store that does not open answers nothing else.
    fn open(options: &mut Options) -> Result<Self, Error> {
        *options = Options::new(Vec::new());
        let mut any = Anything::of(clock::now());
        match any.chance(16) {
            true => Err(any.error(None)),
            false => Ok(Self(any)),
        }
    }

    fn health(&mut self) -> Result<(), Error> {
        self.answer(16, None, |_| ())
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        self.answer(4, Some(&key), |any| any.maybe_stored(Some(&key)))
    }

    fn load_many(&mut self, keys: Vec<Key>, _: u64) -> Result<Vec<Option<Stored>>, Error> {
        self.answer(4, keys.first(), |any| {
            let keys = keys.iter();
            let mut records: Vec<_> = keys.map(|key| any.maybe_stored(Some(key))).collect();
            if any.chance(3) {
                records.truncate(any.below(3) as usize);
                records.extend((0..any.below(3)).map(|_| any.maybe_stored(None)));
            }
            records
        })
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        let any = &mut self.0;
        let key = batch.first().map(Write::key);
        if any.chance(4) {
            return Err(Rejection {
                index: any.number() as u32,
                error: any.error(key),
            });
        }
        let count = match any.chance(4) {
            true => any.below(5) as usize,
            false => batch.len(),
        };
        Ok((0..count).map(|_| any.stamp()).collect())
    }

    fn find(&mut self, query: Query, _: u64) -> Result<Page, Error> {
        let asked = query.after.as_deref();
        self.answer(8, None, |any| any.page(Some(&query.collection), asked))
    }

    fn export(&mut self, after: Option<String>, _: u32, _: u64) -> Result<Page, Error> {
        self.answer(8, None, |any| any.page(None, after.as_deref()))
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        let key = records.first().map(|record| &record.draft.key);
        self.answer(4, key, |_| ())
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        self.answer(4, None, |any| match any.chance(2) {
            true => limit,
            false => any.number() as u32,
        })
    }

    fn clear(&mut self, _: Option<String>) -> Result<u64, Error> {
        self.answer(4, None, Anything::number)
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        self.answer(4, None, |any| {
            let counts = (0..any.below(4)).map(|_| CollectionStatistics {
                collection: any.text(),
                records: any.number(),
                body_bytes: any.number(),
            });
            counts.collect()
        })
    }
}

impl Chaos {
    /// An error in one of so many calls, else an answer.
    fn answer<R>(
        &mut self,
        one_of: u64,
        key: Option<&Key>,
        answer: impl FnOnce(&mut Anything) -> R,
    ) -> Result<R, Error> {
        match self.0.chance(one_of) {
            true => Err(self.0.error(key)),
            false => Ok(answer(&mut self.0)),
        }
    }
}
