//! Stores of the model, moved: the main promises of copies, exports and backups, without a component. Package
//! `mortise-tests` has them all, between every two backends.

mod backup;
mod copy;
mod export;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mortise_conformance::ModelPlace;
use mortise_store::{Attribute, Draft, Key, ManualClock, Store, Stored, Write};
use mortise_transfer::export;

/// When the clock starts.
const START: u64 = 1_767_225_600_000;

/// Two empty stores on one clock.
fn stores() -> (Store, Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let [from, to] = ["from", "to"].map(|name| ModelPlace::new(clock.clone()).named(name).store());
    (from, to, clock)
}

fn key(id: &str) -> Key {
    Key::new("task", id)
}

fn draft(id: &str, body: &str) -> Draft {
    Draft::new(key(id), body)
}

/// Records whose bodies, ids and attributes are hard on any text format.
async fn fill(store: &Store, records: usize) {
    let odd: [&[u8]; 6] = [
        b"",
        b"\0",
        b"\xff\xfe",
        "\u{1F980}\u{FEFF}\r\n".as_bytes(),
        b"\"\\\x7f",
        b"{}",
    ];
    for first in (0..records).step_by(500) {
        let batch = (first..records.min(first + 500)).map(|number| {
            let mut draft = draft(&format!("{number}\0\n\u{1F980}"), "");
            draft.body = odd[number % odd.len()].to_vec();
            draft.attributes = vec![
                Attribute::new("b\n", "\0"),
                Attribute::new("a", number.to_string()),
            ];
            if number % 7 == 0 {
                draft.expires_at = Some(4_000_000_000_000);
            }
            if number % 11 == 0 {
                draft.key.collection = "job".to_owned();
            }
            Write::create(draft)
        });
        store.apply(batch.collect()).await.unwrap();
    }
}

/// Every record of a store, in the order of creation.
async fn all(store: &Store) -> Vec<Stored> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.export(after, 1_000).await.unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

async fn exported(store: &Store) -> Vec<u8> {
    let mut file = Vec::new();
    export(store, &mut file, |_| {}).await.unwrap();
    file
}

/// What a call answers in the midst of another: the model gives way to others, and waits for none of them.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
}
