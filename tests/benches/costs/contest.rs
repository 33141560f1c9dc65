//! Contestants, and rounds in which they take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mortise::{Draft, Key};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many records one batch creates.
pub const BATCH: u64 = 100;
/// Callers that do quickly what is not measured.
const CROWD: u64 = 64;
/// What a call is repeated for before the rounds, so that their length can be told from it.
const FIRST_TRY: Duration = Duration::from_millis(20);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A record that is not there yet.
    Create,
    /// A record by its key.
    Load,
    /// A whole record, by compare-and-set.
    Update,
    /// A record that is there.
    Delete,
    /// The record of a request id, with its body.
    Find,
    /// A hundred creates, all or none.
    Batch,
}

impl Operation {
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Load,
        Self::Update,
        Self::Delete,
        Self::Find,
        Self::Batch,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Load => "load",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::Batch => "batch",
        }
    }
}

/// Who does the work. Records are known by their numbers; those below the arena's count are there from the
/// start.
pub trait Contestant: Clone + Send + Sync + 'static {
    fn create(&self, number: u64) -> impl Future<Output = ()> + Send;
    fn load(&self, number: u64) -> impl Future<Output = ()> + Send;
    /// Of a record that is there from the start.
    fn update(&self, number: u64) -> impl Future<Output = ()> + Send;
    fn delete(&self, number: u64) -> impl Future<Output = ()> + Send;
    fn find(&self, number: u64) -> impl Future<Output = ()> + Send;
    /// Creates this record and the 99 after it.
    fn batch(&self, first: u64) -> impl Future<Output = ()> + Send;
}

/// The records of an arena.
#[derive(Debug, Clone, Copy)]
pub struct Records {
    pub count: u64,
    pub body_bytes: usize,
}

impl Records {
    pub fn key(number: u64) -> Key {
        Key::new("task", format!("task-{number}"))
    }

    pub fn request(number: u64) -> String {
        format!("request-{number}")
    }

    pub fn draft(self, number: u64) -> Draft {
        Draft::new(Self::key(number), vec![b'x'; self.body_bytes])
            .attribute("request-id", Self::request(number))
            .attribute("status", "Running")
            .attribute("session-id", format!("session-{number}"))
    }

    /// One of those that are there from the start; neighbours are far apart.
    fn scattered(self, number: u64) -> u64 {
        number.wrapping_mul(2_654_435_761) % self.count
    }
}

/// So many calls, of which each that makes a record makes the next one from `first` on.
#[derive(Debug, Clone, Copy)]
struct Calls {
    operation: Operation,
    first: u64,
    count: u64,
    callers: u64,
}

/// How long calls take.
type Run = Box<dyn Fn(&Runtime, Calls) -> Duration>;

/// A contestant in an arena.
pub struct Entrant {
    pub name: &'static str,
    run: Run,
    /// The first number that no record has had.
    fresh: u64,
}

impl Entrant {
    pub fn new<C: Contestant>(name: &'static str, records: Records, contestant: C) -> Self {
        Self {
            name,
            run: Box::new(move |runtime, calls| run(runtime, &contestant, records, calls)),
            fresh: records.count,
        }
    }

    /// How long `count` calls take, `callers` at once.
    fn time(
        &mut self,
        runtime: &Runtime,
        operation: Operation,
        count: u64,
        callers: u64,
    ) -> Duration {
        let first = self.fresh;
        self.fresh += match operation {
            Operation::Create => count,
            Operation::Delete => count.next_multiple_of(BATCH),
            Operation::Batch => count * BATCH,
            Operation::Load | Operation::Update | Operation::Find => 0,
        };
        let calls = Calls {
            operation,
            first,
            count,
            callers,
        };
        (self.run)(runtime, calls)
    }

    /// How many calls a round of this length has.
    fn calls_in(
        &mut self,
        runtime: &Runtime,
        operation: Operation,
        callers: u64,
        round: Duration,
    ) -> u64 {
        let mut count = callers;
        loop {
            let took = self.time(runtime, operation, count, callers);
            if took >= FIRST_TRY.min(round) {
                let calls = count as f64 * round.as_secs_f64() / took.as_secs_f64();
                return (calls as u64).max(callers);
            }
            count *= 4;
        }
    }
}

/// What one contestant did of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct Rates {
    pub contestant: String,
    /// Calls a second, round by round.
    pub rates: Vec<f64>,
}

impl Rates {
    pub fn median(&self) -> f64 {
        median(&self.rates)
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// Rounds: how many, and how long each is.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    pub count: u32,
    pub length: Duration,
}

/// Has the entrants do an operation in turns, so that what the machine does beside it falls on all of them.
pub fn compete(
    runtime: &Runtime,
    entrants: &mut [Entrant],
    operation: Operation,
    callers: u64,
    rounds: Rounds,
) -> Vec<Rates> {
    // Also the warm-up.
    let calls: Vec<u64> = entrants
        .iter_mut()
        .map(|entrant| entrant.calls_in(runtime, operation, callers, rounds.length))
        .collect();
    let mut all: Vec<Rates> = entrants
        .iter()
        .map(|entrant| Rates {
            contestant: entrant.name.to_owned(),
            rates: Vec::new(),
        })
        .collect();
    for _ in 0..rounds.count {
        for ((entrant, count), rates) in entrants.iter_mut().zip(&calls).zip(&mut all) {
            let took = entrant.time(runtime, operation, *count, callers);
            rates.rates.push(*count as f64 / took.as_secs_f64());
        }
    }
    all
}

fn run<C: Contestant>(
    runtime: &Runtime,
    contestant: &C,
    records: Records,
    calls: Calls,
) -> Duration {
    let Calls {
        operation,
        first,
        count,
        callers,
    } = calls;
    let drive = Drive {
        runtime,
        count,
        callers,
    };
    // What is not measured.
    let beside = |count, callers| Drive {
        runtime,
        count,
        callers,
    };
    let there = move |number| records.scattered(number);
    let it = contestant.clone();
    match operation {
        Operation::Load => drive.run(each(
            it,
            move |it, n| async move { it.load(there(n)).await },
        )),
        Operation::Find => drive.run(each(
            it,
            move |it, n| async move { it.find(there(n)).await },
        )),
        Operation::Update => drive.run(each(
            it,
            move |it, n| async move { it.update(there(n)).await },
        )),
        // What these make is removed again, and what is to be removed is made first: the store keeps its size.
        // Neither is measured.
        Operation::Create => {
            let took = drive.run(each(
                it,
                move |it, n| async move { it.create(first + n).await },
            ));
            remove(&beside(count, CROWD), contestant, first);
            took
        }
        Operation::Batch => {
            let took = make(&drive, contestant, first);
            remove(&beside(count * BATCH, CROWD), contestant, first);
            took
        }
        Operation::Delete => {
            let batches = count.div_ceil(BATCH);
            make(&beside(batches, 1), contestant, first);
            let took = remove(&drive, contestant, first);
            remove(
                &beside(batches * BATCH - count, CROWD),
                contestant,
                first + count,
            );
            took
        }
    }
}

/// Creates so many batches; how long that takes.
fn make<C: Contestant>(drive: &Drive<'_>, contestant: &C, first: u64) -> Duration {
    let it = contestant.clone();
    drive.run(each(it, move |it, n| async move {
        it.batch(first + n * BATCH).await
    }))
}

/// Deletes so many records; how long that takes.
fn remove<C: Contestant>(drive: &Drive<'_>, contestant: &C, first: u64) -> Duration {
    let it = contestant.clone();
    drive.run(each(
        it,
        move |it, n| async move { it.delete(first + n).await },
    ))
}

/// A call of a contestant that can be made again and again.
fn each<C: Contestant, F>(contestant: C, call: impl Fn(C, u64) -> F) -> impl Fn(u64) -> F {
    move |number| call(contestant.clone(), number)
}

/// So many calls by so many callers.
pub struct Drive<'a> {
    pub runtime: &'a Runtime,
    pub count: u64,
    pub callers: u64,
}

impl Drive<'_> {
    /// How long all of them take.
    pub fn run<F>(&self, call: impl Fn(u64) -> F + Send + Sync + 'static) -> Duration
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.callers == 1 {
            return self.runtime.block_on(async {
                let start = Instant::now();
                for number in 0..self.count {
                    call(number).await;
                }
                start.elapsed()
            });
        }
        let call = Arc::new(call);
        let next = Arc::new(AtomicU64::new(0));
        let count = self.count;
        self.runtime.block_on(async {
            let start = Instant::now();
            let mut callers = JoinSet::new();
            for _ in 0..self.callers {
                let (call, next) = (Arc::clone(&call), Arc::clone(&next));
                callers.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        call(number).await;
                    }
                });
            }
            callers.join_all().await;
            start.elapsed()
        })
    }
}
