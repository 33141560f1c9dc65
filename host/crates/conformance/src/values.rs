//! Bodies, keys and attributes come back byte for byte.

use bytesize::ByteSize;

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, refused};
use super::world::Subject;
use mortise_store::limits::{
    MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_COLLECTION_BYTES,
    MAX_ID_BYTES,
};
use mortise_store::{Draft, ErrorKind, Key, Query, Store};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "values/empty-body",
        "an empty body is kept, and is not an absent record",
        empty_body
    ),
    clause!(
        subject,
        "values/one-mebibyte",
        "a body of 1 MiB comes back byte for byte",
        one_mebibyte
    ),
    clause!(
        store,
        "values/all-bytes",
        "a body may have every byte value",
        all_bytes
    ),
    clause!(
        subject,
        "values/over-the-limit",
        "a body of the limit is taken; one byte more is too-large, and nothing is written",
        over_the_limit
    ),
    clause!(
        store,
        "values/odd-keys",
        "an id may have any characters, and each names a record of its own",
        odd_keys
    ),
    clause!(
        store,
        "values/case",
        "ids, collections and attributes are never case-folded",
        case
    ),
    clause!(
        store,
        "values/normal-forms",
        "text is never normalised: composed and decomposed letters differ",
        normal_forms
    ),
    clause!(
        subject,
        "values/blanks",
        "text is never trimmed: leading and trailing blanks count",
        blanks
    ),
    clause!(
        subject,
        "values/longest-key",
        "a collection may have 128 bytes and an id 1,024",
        longest_key
    ),
    clause!(
        subject,
        "values/long-keys-differ",
        "two longest ids that differ in the last byte name two records",
        long_keys_differ
    ),
    clause!(
        store,
        "values/attributes-kept",
        "attributes come back in the order given, names and values byte for byte",
        attributes_kept
    ),
    clause!(
        subject,
        "values/most-attributes",
        "a record may have 4,096 attributes, with names of 64 bytes and values of 1,024",
        most_attributes
    ),
];

/// Texts that some storage is known to mistake for another, or for its own syntax.
const ODD: &[&str] = &[
    "\0",
    "a\0b",
    "a",
    "line\nbreak",
    "tab\t",
    "\r\n",
    "'",
    "\"",
    "''; drop table record; --",
    "%",
    "_",
    "*",
    "?",
    "/",
    "a/b",
    "../a",
    "\\",
    "{}",
    "{a}",
    ":",
    "a:b",
    "#",
    "null",
    "0",
    "00",
    "0.0",
    "-1",
    "\u{7f}",
    "\u{1b}[31m",
    "🦀",
    "👩‍👩‍👧",
    "עברית",
    "\u{202e}abc",
    "\u{feff}",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{2028}",
    "ß",
    "ss",
];

async fn empty_body(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "values/empty-body");
    shelf.create("a", "").await?;
    let loaded = shelf.there("a").await?;
    ensure!(
        loaded.draft.body.is_empty(),
        "the empty body came back as {}",
        brief(&loaded.draft.body)
    );
    shelf.absent("b", "where nothing was written").await
}

async fn one_mebibyte(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    if shelf.store.max_body_bytes() < 1 << 20 {
        return Err(Finding::not_applicable(format!(
            "max-body-bytes is {}",
            shelf.store.max_body_bytes()
        )));
    }
    let body: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 253) as u8).collect();
    let draft = Draft::new(shelf.key("a"), body.clone());
    shelf.store.create(draft).await?;
    ensure!(
        shelf.there("a").await?.draft.body == body,
        "the body of 1 MiB came back as another"
    );
    Ok(())
}

async fn all_bytes(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "values/all-bytes");
    let body: Vec<u8> = (0..=255).collect();
    let draft = Draft::new(shelf.key("a"), body.clone());
    shelf.store.create(draft).await?;
    let loaded = shelf.there("a").await?.draft.body;
    ensure!(loaded == body, "0 to 255 came back as {}", brief(&loaded));
    Ok(())
}

async fn over_the_limit(subject: Subject) -> Outcome {
    const MOST: usize = 1_000;
    let small = |mut config: mortise_config::StoreConfig| {
        config.limits.body_bytes = ByteSize(MOST as u64);
        config
    };
    let shelf = Shelf::of(subject.open_with(small).await?, "task");
    let most = usize::try_from(shelf.store.max_body_bytes()).unwrap_or(MOST);
    let body = |bytes: usize| Draft::new(shelf.key("a"), vec![7; bytes]);
    let answer = shelf.store.create(body(most + 1)).await;
    refused(
        "a body of the limit and a byte",
        ErrorKind::TooLarge,
        answer,
    )?;
    shelf
        .absent("a", "after a creation that was too-large")
        .await?;
    shelf.store.create(body(most)).await?;
    let before = shelf.there("a").await?;
    ensure!(
        before.draft.body.len() == most,
        "a body of the limit came back shorter"
    );
    let answer = shelf.store.update(body(most + 1), None).await;
    refused(
        "an update to the limit and a byte",
        ErrorKind::TooLarge,
        answer,
    )?;
    shelf
        .unchanged(&before, "after an update that was too-large")
        .await
}

/// Each of these ids is a record of its own, to load and to update.
async fn differ(shelf: &Shelf, ids: &[&str]) -> Outcome {
    let drafts = ids.iter().enumerate();
    let drafts = drafts.map(|(number, id)| shelf.draft(id, &number.to_string()));
    shelf.create_all(drafts.collect()).await?;
    let keys = ids.iter().map(|id| shelf.key(id)).collect();
    let loaded = shelf.store.load_many(keys).await?;
    for (number, (id, record)) in ids.iter().zip(loaded).enumerate() {
        let is_own = record.as_ref().is_some_and(|record| {
            record.key() == &shelf.key(id) && record.draft.body == number.to_string().as_bytes()
        });
        ensure!(is_own, "under the id {id:?} there is {}", brief(&record));
    }
    Ok(())
}

async fn odd_keys(store: Store) -> Outcome {
    differ(&Shelf::of(store, "values/odd-keys"), ODD).await
}

/// One record with this attribute is found by it, and not by a text like it.
async fn values_differ(shelf: &Shelf, value: &str, other: &str) -> Outcome {
    shelf
        .create_with(&["with the value"], "value", value)
        .await?;
    shelf
        .finds(&shelf.query().with("value", value), &["with the value"])
        .await?;
    shelf.finds(&shelf.query().with("value", other), &[]).await
}

async fn case(store: Store) -> Outcome {
    let shelf = Shelf::of(store.clone(), "values/case");
    differ(
        &shelf,
        &["case", "Case", "CASE", "straße", "STRASSE", "ı", "I", "i"],
    )
    .await?;
    values_differ(&shelf, "Running", "running").await?;
    let upper = Shelf::of(store, "VALUES/CASE");
    upper
        .absent("case", "in a collection of another case")
        .await
}

async fn normal_forms(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "values/normal-forms");
    differ(
        &shelf,
        &["\u{e9}", "e\u{301}", "\u{212b}", "\u{c5}", "\u{fb01}", "fi"],
    )
    .await?;
    values_differ(&shelf, "caf\u{e9}", "cafe\u{301}").await
}

async fn blanks(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    differ(
        &shelf,
        &["a", " a", "a ", " a ", "a\n", "\u{a0}a", " ", "  "],
    )
    .await?;
    values_differ(&shelf, " new ", "new").await
}

async fn longest_key(subject: Subject) -> Outcome {
    let shelf = Shelf::of(subject.open().await?, &"c".repeat(MAX_COLLECTION_BYTES));
    let id = "é".repeat(MAX_ID_BYTES / 2);
    shelf.create(&id, "long").await?;
    let loaded = shelf.there(&id).await?;
    ensure!(
        loaded.key() == &shelf.key(&id),
        "the longest key came back as another"
    );
    let found = shelf.store.find(shelf.query()).await?.records;
    ensure!(
        found.len() == 1 && found[0] == loaded,
        "in the collection of the longest name, find has {} records",
        found.len()
    );
    Ok(())
}

async fn long_keys_differ(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let stem = "i".repeat(MAX_ID_BYTES - 1);
    let (one, other) = (format!("{stem}1"), format!("{stem}2"));
    differ(&shelf, &[&one, &other, &stem]).await?;
    shelf.store.delete(&shelf.key(&one), None).await?;
    shelf.absent(&one, "after it was deleted").await?;
    shelf.there(&other).await?;
    Ok(())
}

async fn attributes_kept(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "values/attributes-kept");
    let mut draft = shelf
        .draft("a", "")
        .attribute("z", "last first")
        .attribute("a", "2")
        .attribute("a", "1")
        .attribute("empty", "")
        .attribute("Name", "Value")
        .attribute("\0é\n", "");
    for odd in ODD {
        draft = draft.attribute("odd", *odd);
    }
    shelf.store.create(draft.clone()).await?;
    let kept = shelf.there("a").await?.draft.attributes;
    ensure!(
        kept == draft.attributes,
        "the attributes {} came back as {}",
        brief(&draft.attributes),
        brief(&kept)
    );
    Ok(())
}

async fn most_attributes(subject: Subject) -> Outcome {
    let store = subject.open().await?;
    let key = Key::new("task", "a");
    let name = "n".repeat(MAX_ATTRIBUTE_NAME_BYTES);
    let value = |number: usize| format!("{number:0MAX_ATTRIBUTE_VALUE_BYTES$}");
    let mut draft = Draft::new(key.clone(), "").attribute(name.clone(), value(0));
    for number in 1..MAX_ATTRIBUTES {
        draft = draft.attribute("n", number.to_string());
    }
    store.create(draft.clone()).await?;
    let kept = store.load(&key).await?;
    ensure!(
        kept.is_some_and(|record| record.draft == draft),
        "a record with {MAX_ATTRIBUTES} attributes came back as another"
    );
    for (name, value) in [
        (name, value(0)),
        ("n".to_owned(), (MAX_ATTRIBUTES - 1).to_string()),
    ] {
        let query = Query::new("task").with(name, value.clone());
        let found = store.find(query).await?.records.len();
        ensure!(
            found == 1,
            "by the value {}, find has {found} records",
            brief(&value)
        );
    }
    Ok(())
}
