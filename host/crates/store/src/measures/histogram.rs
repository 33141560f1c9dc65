//! How values are spread: counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts whole numbers in buckets with fixed upper bounds.
///
/// Any number of threads record at once, by atomics alone. One that `prometheus-client` offers takes a lock for each
/// value, which all callers of a store would share.
pub struct Histogram<const N: usize> {
    /// The largest value of each bucket, in ascending order.
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    /// Values over the last bound.
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, PartialEq)]
pub struct Counted {
    /// Each bucket's upper bound, the last one infinite, and how many values are in it and in none before.
    pub buckets: Vec<(f64, u64)>,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl<const N: usize> Histogram<N> {
    /// An empty one.
    pub fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        let count = self.counts.get(place).unwrap_or(&self.beyond);
        count.fetch_add(1, Ordering::Relaxed);
        if value > 0 {
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// What was counted, in a unit of which one has so many of the recorded values.
    pub fn read(&self, per_unit: u64) -> Counted {
        let scaled = |value: u64| value as f64 / per_unit as f64;
        let bounds = self.bounds.iter().map(|bound| scaled(*bound));
        let counts = self.counts.iter().chain([&self.beyond]);
        let buckets: Vec<_> = bounds
            .chain([f64::INFINITY])
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
            .collect();
        Counted {
            // Not an atomic of its own: while others record, it has to be the buckets' sum.
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
            sum: scaled(self.sum.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: [u64; 3] = [1_000, 2_500, 1_000_000_000];

    #[test]
    fn a_value_is_in_the_first_bucket_that_it_does_not_exceed() {
        let histogram = Histogram::new(&BOUNDS);
        for value in [
            0,
            1,
            1_000,
            1_001,
            2_500,
            2_501,
            1_000_000_000,
            1_000_000_001,
        ] {
            histogram.record(value);
        }
        let counted = histogram.read(1_000_000_000);
        let buckets = [(1e-6, 3), (2.5e-6, 2), (1.0, 2), (f64::INFINITY, 1)];
        assert_eq!(counted.buckets, buckets);
        assert_eq!((counted.count, counted.sum), (8, 2.000_007_004));
    }

    #[test]
    fn an_empty_one_has_empty_buckets() {
        let counted = Histogram::new(&BOUNDS).read(1);
        assert_eq!((counted.count, counted.sum), (0, 0.0));
        assert_eq!(counted.buckets.len(), 4);
        assert!(counted.buckets.iter().all(|(_, count)| *count == 0));
    }

    #[test]
    fn nothing_is_lost_that_threads_record_at_once() {
        let histogram = Histogram::new(&BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|value| histogram.record(value)));
            }
        });
        let counted = histogram.read(1);
        assert_eq!(counted.count, 40_000);
        assert_eq!(counted.sum, 4.0 * (9_999.0 * 10_000.0 / 2.0));
    }
}
