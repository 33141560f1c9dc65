//! How long single calls take: percentiles, by the number of records and of callers.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Runtime;

use crate::arena::{Arena, Depth};
use crate::contest::{Contestant as _, Drive, Operation, Records};
use crate::ours::Ours;
use crate::report::Report;

/// Calls that percentiles are taken of, or fewer where they take too long.
const CALLS: u64 = 20_000;
/// How long one measurement goes on at most, more or less.
const MOST: Duration = Duration::from_secs(1);
/// Callers at once, in a thorough arena.
const CALLERS: [u64; 5] = [1, 4, 16, 64, 256];

#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    pub backend: &'static str,
    pub records: u64,
    pub body_bytes: usize,
    pub operation: Operation,
    pub callers: u64,
    #[serde(flatten)]
    pub percentiles: Percentiles,
}

/// Of so many calls, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Percentiles {
    pub calls: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// Of loads, finds and creates; the creates come last.
pub fn measure(runtime: &Runtime, arena: &Arena, ours: &Ours, report: &mut Report) {
    let callers: &[u64] = match arena.depth {
        Depth::Thorough => &CALLERS,
        Depth::Usual | Depth::Quick => &[1],
    };
    for operation in [Operation::Load, Operation::Find, Operation::Create] {
        for &callers in callers {
            report.latencies.push(Latency {
                backend: arena.backend.name(),
                records: arena.records.count,
                body_bytes: arena.records.body_bytes,
                operation,
                callers,
                percentiles: percentiles(runtime, ours, operation, callers),
            });
        }
    }
}

/// Of one operation: a load, a find or a create.
pub fn percentiles(
    runtime: &Runtime,
    ours: &Ours,
    operation: Operation,
    callers: u64,
) -> Percentiles {
    let mut took = time(runtime, ours, operation, callers);
    took.sort_unstable();
    let at = |share: f64| {
        let last = took.len() - 1;
        took[(last as f64 * share).round() as usize].as_secs_f64() * 1e6
    };
    Percentiles {
        calls: took.len() as u64,
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
    }
}

fn time(runtime: &Runtime, ours: &Ours, operation: Operation, callers: u64) -> Vec<Duration> {
    let count = ours.records.count;
    // What is created here is removed again: the arena keeps its size.
    let fresh = count + (1 << 40) + (callers << 32);
    let all = Arc::new(Mutex::new(Vec::with_capacity(CALLS as usize)));
    let (it, into) = (ours.clone(), Arc::clone(&all));
    let start = Instant::now();
    let drive = Drive {
        runtime,
        count: CALLS,
        callers,
    };
    drive.run(move |number| {
        let (it, into) = (it.clone(), Arc::clone(&into));
        async move {
            if start.elapsed() > MOST {
                return;
            }
            let begun = Instant::now();
            match operation {
                Operation::Find => it.find(number.wrapping_mul(2_654_435_761) % count).await,
                Operation::Create => it.create(fresh + number).await,
                _ => it.load(number.wrapping_mul(2_654_435_761) % count).await,
            }
            let took = begun.elapsed();
            into.lock().unwrap().push(took);
        }
    });
    if operation == Operation::Create {
        let made = all.lock().unwrap().len() as u64;
        let it = ours.clone();
        Drive {
            runtime,
            count: made,
            callers: 64,
        }
        .run(move |number| {
            let it = it.clone();
            async move {
                // A call that came too late made none.
                let _ = it.store.delete(&Records::key(fresh + number), None).await;
            }
        });
    }
    let mut all = all.lock().unwrap();
    std::mem::take(&mut *all)
}
