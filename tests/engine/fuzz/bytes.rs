//! Components whose bytes were changed.

use std::fs;
use std::path::Path;

use mortise::{Draft, Host, Key, Manifest, Query, Store};
use mortise_test_guests as test_guests;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{PATIENCE, cases};

/// One change to a file.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Delete(Index, u16),
    Repeat(Index, u16),
    /// Copies bytes from one place over another.
    Splice(Index, Index, u16),
    /// Changes the length of a section.
    Length(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..2_000_u16).prop_map(|(at, most)| Change::Delete(at, most)),
        1 => (any::<Index>(), 1..2_000_u16).prop_map(|(at, most)| Change::Repeat(at, most)),
        1 => (any::<Index>(), any::<Index>(), 1..2_000_u16)
            .prop_map(|(from, to, most)| Change::Splice(from, to, most)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Length(at, byte)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let end = |start: usize, most: u16| length.min(start + usize::from(most));
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Delete(at, most) => {
                let start = at.index(length);
                bytes.drain(start..end(start, *most));
            }
            Self::Repeat(at, most) => {
                let start = at.index(length);
                let range = bytes[start..end(start, *most)].to_vec();
                bytes.splice(start..start, range);
            }
            Self::Splice(from, to, most) => {
                let (start, to) = (from.index(length), to.index(length));
                let range = bytes[start..end(start, *most)].to_vec();
                let over = to..length.min(to + range.len());
                bytes.splice(over, range);
            }
            Self::Length(at, byte) => {
                let lengths = lengths(bytes);
                if !lengths.is_empty() {
                    bytes[lengths[at.index(lengths.len())]] = *byte;
                }
            }
        }
    }
}

/// Where the lengths of the sections are, those of the modules inside among them.
fn lengths(bytes: &[u8]) -> Vec<usize> {
    const PREAMBLE: usize = 8;
    const CORE_MODULE: u8 = 1;
    let (mut found, mut at) = (Vec::new(), PREAMBLE);
    let is_component = bytes.get(6) == Some(&1);
    while let Some(&id) = bytes.get(at) {
        found.push(at + 1);
        let Some((length, digits)) = leb128(&bytes[at + 1..]) else {
            break;
        };
        let start = at + 1 + digits;
        at = start.saturating_add(length);
        if is_component && id == CORE_MODULE {
            let inside = lengths(bytes.get(start..at).unwrap_or_default());
            found.extend(inside.into_iter().map(|inner| start + inner));
        }
    }
    found
}

fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, at + 1));
        }
    }
    None
}

/// A few calls: whatever they answer is well, as long as they do.
async fn use_it(store: &Store) {
    let key = Key::new("task", "a");
    let draft = Draft::new(key.clone(), "body").attribute("status", "open");
    let _ = store.create(draft.clone()).await;
    let _ = store.load(&key).await;
    let _ = store.update(draft, None).await;
    let _ = store.find(Query::new("task").with("status", "open")).await;
    let _ = store.export(None, 10).await;
    let _ = store.delete(&key, None).await;
    let _ = store.statistics().await;
    let _ = store.health().await;
}

/// A host that finds `mutant` in a folder, and a store of it that must not suffer.
async fn host(folder: &Path) -> (Host, Store) {
    let host = Host::builder()
        .plugin_dir(folder)
        .cache_dir(folder.join("cache"))
        .component("tree", test_guests::TREE)
        .build()
        .unwrap();
    let healthy = host.open("tree:").await.unwrap();
    healthy
        .create(Draft::new(Key::new("task", "a"), "one"))
        .await
        .unwrap();
    (host, healthy)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn what_is_read_of_a_changed_component_is_a_manifest_or_an_error(
        base in any::<Index>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let all: Vec<_> = mortise_backends::ALL.iter().chain(test_guests::ALL).collect();
        let mut bytes = base.get(&all).1.to_vec();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        if let Err(error) = Manifest::read(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

/// Compiling takes its time, so these are the small guest and small changes, many of which leave it valid.
#[test]
fn a_changed_component_runs_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let (host, healthy) = runtime.block_on(host(folder.path()));
    let file = folder.path().join("mutant.wasm");
    let change = (any::<bool>(), change(), any::<Index>(), any::<u8>());
    let mut runner = proptest::test_runner::TestRunner::new(cases(16));
    let loaded = std::cell::Cell::new(0);
    let outcome = runner.run(&change, |(small, any, at, byte)| {
        let mut bytes = test_guests::FAULT.to_vec();
        let change = if small { Change::Set(at, byte) } else { any };
        change.apply(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        runtime.block_on(async {
            let case = async {
                if host.check(&bytes).is_err() {
                    return;
                }
                loaded.set(loaded.get() + 1);
                let url = "mutant:?deadline=300ms&memory=32MiB";
                if let Ok(store) = host.open(url).await {
                    use_it(&store).await;
                }
            };
            prop_assert!(timeout(PATIENCE, case).await.is_ok(), "it hangs");
            let record = healthy.load(&Key::new("task", "a")).await;
            prop_assert!(record.unwrap().is_some(), "the other store lost its record");
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        loaded.get() > 0,
        "no changed component was valid: nothing was run"
    );
}
