//! Stores that tests move as a whole.

use mortise::transfer::export;
use mortise::{Attribute, Store, Write};

use crate::draft;

/// Records whose bodies, ids and attributes are hard on any text format.
pub async fn fill(store: &Store, records: u32) {
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
            draft.body = odd[number as usize % odd.len()].to_vec();
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

/// The whole store, as a file.
pub async fn exported(store: &Store) -> Vec<u8> {
    let mut file = Vec::new();
    export(store, &mut file, |_| {}).await.unwrap();
    file
}
