//! Jobs that tests lead through their lifecycle, and resume.

use std::time::Duration;

use mortise::agent::{Job, Lifecycle, Machine, Resume};
use mortise::{Draft, Key, Store, Write};

/// The nine transitions, written down once more.
pub const TRANSITIONS: [(&str, &str, &str); 9] = [
    ("stopped", "start_work", "in_progress"),
    ("in_progress", "successfully_done", "completed"),
    ("in_progress", "awaiting_on_input", "awaiting"),
    ("in_progress", "cancel_requested", "cancelling"),
    ("in_progress", "error_encountered", "failed"),
    ("awaiting", "timeout_or_error", "failed"),
    ("awaiting", "input_received", "in_progress"),
    ("awaiting", "cancel_while_waiting", "cancelling"),
    ("cancelling", "cancel_confirmed", "cancelled"),
];

/// The lifecycle of the entities `job`.
pub fn jobs(store: &Store) -> Lifecycle {
    Lifecycle::new(store.clone(), "job", Machine::entity())
}

/// Puts an entity into a state, whatever it was in.
pub async fn put(store: &Store, id: &str, status: &str) {
    let body = format!(r#"{{"id":"{id}","status":"{status}","cost":0.10}}"#);
    let draft = Draft::new(Key::new("job", id), body).attribute("status", status);
    store.apply(vec![Write::put(draft)]).await.unwrap();
}

/// How long a lease lasts where a test does not care.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Resumes jobs.
pub fn resume(store: &Store) -> Resume {
    Resume::new(Lifecycle::new(store.clone(), "job", Machine::entity()))
}

/// Saves as many jobs in each of these states.
pub async fn save_jobs(store: &Store, states: &[(&str, usize)]) {
    let mut batch = Vec::new();
    for (status, count) in states {
        for number in 0..*count {
            let id = format!("{status}-{number:03}");
            let mut job = Job::new(&id, "n", "a");
            job.status = (*status).to_owned();
            let body = serde_json::to_vec(&job).unwrap();
            let draft = Draft::new(Key::new("job", id), body).attribute("status", *status);
            batch.push(Write::create(draft));
        }
    }
    store.apply(batch).await.unwrap();
}
