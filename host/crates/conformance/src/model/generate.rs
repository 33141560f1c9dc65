//! Random scripts: few collections, keys, attributes and values, so that they collide.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use super::script::{Call, Draft, Expect, Find, Imported, Name, Seen, Write};

/// Most calls of a script.
const MOST_CALLS: usize = 60;
const COLLECTIONS: &[&str] = &["a", "b"];
const IDS: &[&str] = &["1", "2", "3", "4"];
const BODIES: &[&str] = &["", "p", "qq"];
const ATTRIBUTE_NAMES: &[&str] = &["x", "y"];
const ATTRIBUTE_VALUES: &[&str] = &["", "1", "2"];

/// Scripts of up to 60 calls.
pub(super) fn scripts() -> impl Strategy<Value = Vec<Call>> {
    vec(call(), 1..=MOST_CALLS)
}

/// What every script ends with: a look at all that there is.
pub(super) fn last_look() -> Vec<Call> {
    let mut calls = vec![
        Call::Statistics,
        Call::Export {
            limit: 1000,
            next: false,
        },
    ];
    for collection in COLLECTIONS {
        let find = |attributes: Vec<(String, String)>| Find {
            collection: (*collection).to_owned(),
            attributes,
            updated: true,
            descending: false,
            limit: 1000,
            without_bodies: false,
            next: false,
        };
        calls.push(Call::Find(find(Vec::new())));
        for name in ATTRIBUTE_NAMES {
            for value in ATTRIBUTE_VALUES {
                let pair = ((*name).to_owned(), (*value).to_owned());
                calls.push(Call::Find(find(vec![pair])));
            }
        }
    }
    calls
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => draft().prop_map(Call::Create),
        6 => (draft(), weighted(0.5, seen()))
            .prop_map(|(draft, expect)| Call::Update { draft, expect }),
        3 => (name(), weighted(0.5, seen()))
            .prop_map(|(key, expect)| Call::Delete { key, expect }),
        6 => vec(write(), 0..5).prop_map(Call::Apply),
        3 => name().prop_map(Call::Load),
        2 => vec(name(), 0..5).prop_map(Call::LoadMany),
        8 => find().prop_map(Call::Find),
        2 => (limit(), any::<bool>()).prop_map(|(limit, next)| Call::Export { limit, next }),
        2 => vec(imported(), 0..4).prop_map(Call::Import),
        3 => (1..30_u64).prop_map(Call::TurnClock),
        1 => limit().prop_map(Call::Sweep),
        1 => weighted(0.7, collection()).prop_map(Call::Clear),
        1 => Just(Call::Statistics),
        1 => Just(Call::Reopen),
        1 => Just(Call::Move),
    ]
}

fn text(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(texts).prop_map(str::to_owned)
}

fn collection() -> impl Strategy<Value = String> {
    text(COLLECTIONS)
}

fn name() -> impl Strategy<Value = Name> {
    (collection(), text(IDS)).prop_map(|(collection, id)| Name(collection, id))
}

/// At most three different pairs, in any order.
fn attributes(most: usize) -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(ATTRIBUTE_NAMES), text(ATTRIBUTE_VALUES)), 0..=most).prop_map(|mut pairs| {
        let mut seen = Vec::new();
        pairs.retain(|pair| {
            let is_new = !seen.contains(pair);
            seen.push(pair.clone());
            is_new
        });
        pairs
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let expires_in = weighted(0.3, prop_oneof![-1..=1_i64, 1..40_i64]);
    (name(), text(BODIES), attributes(3), expires_in).prop_map(
        |(key, body, attributes, expires_in)| Draft {
            key,
            body,
            attributes,
            expires_in,
        },
    )
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![3 => Just(Seen::Current), 1 => Just(Seen::Stale)]
}

fn write() -> impl Strategy<Value = Write> {
    let expect = prop_oneof![
        6 => Just(Expect::None),
        1 => Just(Expect::Absent),
        2 => Just(Expect::Present),
        2 => Just(Expect::Current),
        1 => Just(Expect::Stale),
    ];
    prop_oneof![
        2 => (draft(), expect.clone()).prop_map(|(draft, expect)| Write::Put { draft, expect }),
        1 => (name(), expect).prop_map(|(key, expect)| Write::Remove { key, expect }),
    ]
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1..4_u32, 1 => Just(1000)]
}

fn find() -> impl Strategy<Value = Find> {
    // Most go on where an earlier page of the same query ended: there are few queries.
    (
        collection(),
        attributes(2),
        any::<bool>(),
        any::<bool>(),
        limit(),
        weighted(0.3, Just(())),
        weighted(0.6, Just(())),
    )
        .prop_map(
            |(collection, attributes, updated, descending, limit, without_bodies, next)| Find {
                collection,
                attributes,
                updated,
                descending,
                limit,
                without_bodies: without_bodies.is_some(),
                next: next.is_some(),
            },
        )
}

fn imported() -> impl Strategy<Value = Imported> {
    prop_oneof![
        2 => name().prop_map(Imported::Same),
        1 => name().prop_map(Imported::Changed),
        4 => draft().prop_map(Imported::New),
        1 => (draft(), name()).prop_map(|(draft, with)| Imported::Clash { draft, with }),
    ]
}
