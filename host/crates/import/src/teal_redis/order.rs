//! Which tasks come first, and how many are read at once.

/// How many keys are read at once.
pub(super) const BATCH_KEYS: usize = 100;
/// Over how many bytes of values a batch does not grow, unless one value has more (8 MiB).
const BATCH_BYTES: u64 = 8 << 20;

/// The key of a task, as it was found.
pub(super) struct Found {
    pub(super) id: Vec<u8>,
    /// How many bytes its value has; none where it is no string.
    pub(super) bytes: Option<u64>,
    /// None where it cannot be read.
    pub(super) created_at: Option<jiff::Timestamp>,
}

/// The oldest first; where times are equal by id; those whose time cannot be read last.
pub(super) fn sort(tasks: &mut [Found]) {
    tasks.sort_unstable_by(|a, b| {
        let place = |task: &Found| (task.created_at.is_none(), task.created_at);
        place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id))
    });
}

/// Runs of tasks that are few and small enough to be read at once.
pub(super) fn batches(mut tasks: &[Found]) -> impl Iterator<Item = &[Found]> {
    std::iter::from_fn(move || {
        let mut bytes = 0_u64;
        let fits = |task: &&Found| {
            bytes = bytes.saturating_add(task.bytes.unwrap_or(0));
            bytes <= BATCH_BYTES
        };
        let fitting = tasks.iter().take(BATCH_KEYS).take_while(fits).count();
        let (batch, rest) = tasks.split_at(fitting.max(1).min(tasks.len()));
        tasks = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_by_keys_and_by_bytes() {
        let found = |sizes: &[u64]| {
            let found = sizes.iter().map(|bytes| Found {
                id: Vec::new(),
                bytes: Some(*bytes),
                created_at: None,
            });
            found.collect::<Vec<_>>()
        };
        let lengths = |sizes: &[u64]| batches(&found(sizes)).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[0; 250]), [100, 100, 50]);
        assert_eq!(
            lengths(&[BATCH_BYTES, 1, u64::MAX, u64::MAX, 1]),
            [1, 1, 1, 1, 1]
        );
        assert_eq!(lengths(&[BATCH_BYTES - 1, 1, 1]), [2, 1]);
    }
}
