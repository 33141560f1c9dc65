//! What a backend says about itself, how it opens, and whether it is well.

use bytesize::ByteSize;

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, find_all, refused};
use super::world::{Bare, Subject, died, open_instance};
use mortise_store::inside::{ContractError, DraftInside as _};
use mortise_store::{Draft, ErrorKind, Instances, Key, Page, Query, Store, Stored, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "describe/stable",
        "describe answers the same on every instance, before and after open",
        stable
    ),
    clause!(
        subject,
        "describe/uses-no-capability",
        "describe calls no capability",
        uses_no_capability
    ),
    clause!(
        subject,
        "describe/bounds",
        "the name has 1 to 64 bytes, the version is not empty, max-batch and max-body-bytes are at least 1",
        bounds
    ),
    clause!(
        subject,
        "describe/largest-body",
        "a body of max-body-bytes is taken and comes back",
        largest_body
    ),
    clause!(
        subject,
        "describe/largest-batch",
        "a batch of max-batch writes is taken",
        largest_batch
    ),
    clause!(
        subject,
        "describe/pooled",
        "what one instance of a pooled backend wrote, every other one reads",
        pooled
    ),
    clause!(
        subject,
        "open/before",
        "a call that comes before open is answered with internal",
        before_open
    ),
    clause!(
        subject,
        "open/unknown-option",
        "an option that the backend does not know is invalid",
        unknown_option
    ),
    clause!(
        subject,
        "open/max-page-bytes",
        "a page ends before it grows over max-page-bytes, but never before its first record; load-many over it is too-large",
        max_page_bytes
    ),
    clause!(
        subject,
        "open/max-store-bytes",
        "a write that would grow the store over max-store-bytes is too-large and changes nothing; deleting makes room again",
        max_store_bytes
    ),
    clause!(
        store,
        "health/answers",
        "health reaches the storage and comes back",
        health
    ),
];

/// The most bytes of a body that the kit tries: the host's own default.
const MOST_BODY_BYTES: u64 = 16 << 20;

async fn stable(subject: Subject) -> Outcome {
    // Creates the tables that an instance may look for when it is opened.
    let _store = subject.open().await?;
    let mut described = vec![subject.description().clone()];
    for mut instance in subject.instances(2).await? {
        let fault = |fault| died("describe does not answer", fault);
        described.push(instance.describe().await.map_err(fault)?);
        open_instance(&mut instance).await?;
        described.push(instance.describe().await.map_err(fault)?);
    }
    for pair in described.windows(2) {
        ensure!(
            pair[0] == pair[1],
            "describe answered {:?}, and then {:?}",
            pair[0],
            pair[1]
        );
    }
    Ok(())
}

async fn uses_no_capability(subject: Subject) -> Outcome {
    let mut instance = subject.instance_without_capabilities().await?;
    let described = instance.describe().await;
    let trapped = |fault| {
        died(
            "where every capability traps, describe does not answer",
            fault,
        )
    };
    described.map_err(trapped)?;
    Ok(())
}

async fn bounds(subject: Subject) -> Outcome {
    let it = subject.description();
    ensure!(
        (1..=64).contains(&it.name.len()),
        "the name {:?} has {} bytes",
        it.name,
        it.name.len()
    );
    ensure!(!it.version.is_empty(), "the version is empty");
    ensure!(it.max_batch >= 1, "max-batch is {}", it.max_batch);
    ensure!(
        it.max_body_bytes >= 1,
        "max-body-bytes is {}",
        it.max_body_bytes
    );
    Ok(())
}

async fn largest_body(subject: Subject) -> Outcome {
    let store = subject.open().await?;
    let bytes = store.max_body_bytes().min(MOST_BODY_BYTES);
    let body: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let key = Key::new("task", "largest");
    match store.create(Draft::new(key.clone(), body.clone())).await {
        Ok(_) => {
            let loaded = store.load(&key).await?;
            ensure!(
                loaded.is_some_and(|record| record.draft.body == body),
                "a body of {bytes} bytes did not come back as it was written"
            );
        }
        // A singleton may have less room than that.
        Err(error)
            if error.kind() == ErrorKind::TooLarge
                && subject.description().instances == Instances::Singleton =>
        {
            let loaded = store.load(&key).await?;
            ensure!(loaded.is_none(), "what was too-large was written");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn largest_batch(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let count = subject.description().max_batch.min(1_000);
    let ids: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let batch = ids.iter().map(|id| Write::create(shelf.draft(id, id)));
    shelf.store.apply(batch.collect()).await?;
    let keys = ids.iter().map(|id| shelf.key(id)).collect();
    let loaded = shelf.store.load_many(keys).await?;
    let missing = loaded.iter().filter(|record| record.is_none()).count();
    ensure!(
        missing == 0,
        "of a batch of {count} records, {missing} are not there"
    );
    Ok(())
}

async fn pooled(subject: Subject) -> Outcome {
    subject.require_pooled()?;
    let _store = subject.open().await?;
    let mut instances = subject.instances(3).await?;
    for instance in &mut instances {
        open_instance(instance).await?;
    }
    for writer in 0..instances.len() {
        let id = writer.to_string();
        let draft = Draft::new(Key::new("task", &id), id.as_str()).attribute("writer", &id);
        write(&mut instances[writer], draft).await?;
        for (reader, instance) in instances.iter_mut().enumerate() {
            let loaded = load(instance, Key::new("task", &id)).await?;
            ensure!(
                loaded
                    .as_ref()
                    .is_some_and(|record| record.draft.body == id.as_bytes()),
                "instance {writer} wrote a record, and instance {reader} loads {}",
                brief(&loaded)
            );
        }
        // What an instance remembers of a record must not outlive the record.
        let changed = Draft::new(Key::new("task", "shared"), id.as_str());
        write(&mut instances[writer], changed).await?;
        for (reader, instance) in instances.iter_mut().enumerate() {
            let loaded = load(instance, Key::new("task", "shared")).await?;
            ensure!(
                loaded
                    .as_ref()
                    .is_some_and(|record| record.draft.body == id.as_bytes()),
                "instance {writer} replaced a record, and instance {reader} loads {}",
                brief(&loaded)
            );
        }
    }
    Ok(())
}

async fn write(instance: &mut Box<dyn Bare>, draft: Draft) -> Result<(), Finding> {
    let batch = vec![Write::put(draft)];
    let answer = instance.apply(batch);
    match answer.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(rejection)) => Err(Finding::broken(format!(
            "a put without precondition is refused: {:?}",
            rejection.error
        ))),
        Err(fault) => Err(died("apply does not answer", fault)),
    }
}

async fn load(instance: &mut Box<dyn Bare>, key: Key) -> Result<Option<Stored>, Finding> {
    let answer = instance.load(key);
    match answer.await {
        Ok(Ok(loaded)) => Ok(loaded),
        Ok(Err(error)) => Err(Finding::broken(format!("load is refused: {error:?}"))),
        Err(fault) => Err(died("load does not answer", fault)),
    }
}

/// The instances are opened by nobody.
async fn before_open(subject: Subject) -> Outcome {
    let mut instances = subject.instances(3).await?.into_iter();
    let mut answers = Vec::new();
    let key = Key::new("task", "a");
    if let Some(mut instance) = instances.next() {
        let key = key.clone();
        let answer = instance.load(key);
        answers.push(("load", answer.await.map(|answer| answer.err())));
    }
    if let Some(mut instance) = instances.next() {
        let draft = Draft::new(key, "");
        let answer = instance.create(draft);
        answers.push(("create", answer.await.map(|answer| answer.err())));
    }
    if let Some(mut instance) = instances.next() {
        let answer = instance.health();
        answers.push(("health", answer.await.map(|answer| answer.err())));
    }
    for (operation, answer) in answers {
        match answer {
            Ok(Some(ContractError::Internal(_))) => {}
            Ok(Some(error)) => {
                return Err(Finding::broken(format!(
                    "{operation} before open is answered {error:?}"
                )));
            }
            Ok(None) => {
                return Err(Finding::broken(format!("{operation} before open succeeds")));
            }
            Err(fault) => return Err(died(&format!("{operation} before open"), fault)),
        }
    }
    Ok(())
}

async fn unknown_option(subject: Subject) -> Outcome {
    let name = "no-backend-has-this-option";
    let opened = subject.open_with(|config| config.option(name, "1")).await;
    refused(
        &format!("open with the option {name}"),
        ErrorKind::Invalid,
        opened,
    )?;
    // And the next one opens.
    subject.open().await?;
    Ok(())
}

async fn max_page_bytes(subject: Subject) -> Outcome {
    const MOST: u64 = 10_000;
    let small = |mut config: mortise_config::StoreConfig| {
        config.limits.page_bytes = ByteSize(MOST);
        config
    };
    let store = subject.open_with(small).await?;
    let shelf = Shelf::of(store, "task");
    let mut all = Vec::new();
    for number in 0..10 {
        let id = number.to_string();
        let body = vec![7; if number == 4 { 50_000 } else { 3_000 }];
        let draft = Draft::new(shelf.key(&id), body).attribute("value", "v".repeat(100));
        shelf.store.create(draft).await?;
        all.push(id);
    }
    let fits = |what: &str, page: &Page| -> Outcome {
        let sizes: Vec<u64> = page
            .records
            .iter()
            .map(|record| record.draft.size())
            .collect();
        let bytes: u64 = sizes.iter().sum();
        ensure!(
            bytes <= MOST || sizes.len() == 1,
            "max-page-bytes is {MOST}, and a page of {what} has {bytes} bytes in {} records",
            sizes.len()
        );
        ensure!(!sizes.is_empty(), "a page of {what} has no record");
        Ok(())
    };
    let (mut found, mut exported, mut after) = (Vec::new(), Vec::new(), None);
    while found.len() <= all.len() {
        let page = shelf.store.find(shelf.query().after(after)).await?;
        fits("find", &page)?;
        found.extend(page.records.into_iter().map(|record| record.draft.key.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(found == all, "of {all:?}, the pages of find have {found:?}");
    after = None;
    while exported.len() <= all.len() {
        let page = shelf.store.export(after, 100).await?;
        fits("export", &page)?;
        exported.extend(page.records.into_iter().map(|record| record.draft.key.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(
        exported == all,
        "of {all:?}, the pages of export have {exported:?}"
    );
    let keys = all.iter().map(|id| shelf.key(id)).collect();
    let loaded = shelf.store.load_many(keys).await;
    refused(
        "load-many of more than max-page-bytes",
        ErrorKind::TooLarge,
        loaded,
    )?;
    let loaded = shelf
        .store
        .load_many(vec![shelf.key("0"), shelf.key("1")])
        .await?;
    ensure!(
        loaded.iter().all(Option::is_some),
        "load-many of what fits found {}",
        brief(&loaded)
    );
    Ok(())
}

async fn max_store_bytes(subject: Subject) -> Outcome {
    const BODY: usize = 10_000;
    const MOST: usize = 1_000_000;
    let small = |mut config: mortise_config::StoreConfig| {
        config.limits.store_bytes = Some(ByteSize(MOST as u64));
        config
    };
    let store = subject.open_with(small).await?;
    let draft = |id: usize| Draft::new(Key::new("task", id.to_string()), vec![7; BODY]);
    let mut written = 0;
    let refusal = loop {
        match store.create(draft(written)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        ensure!(
            written * BODY <= MOST,
            "max-store-bytes is {MOST}, and {written} bodies of {BODY} bytes were taken"
        );
    };
    ensure!(
        refusal.kind() == ErrorKind::TooLarge,
        "the full store refuses with {:?}: {refusal}",
        refusal.kind()
    );
    ensure!(
        written >= 10,
        "max-store-bytes is {MOST}, and {written} bodies of {BODY} bytes fill it"
    );
    let records = find_all(&store, &Query::new("task").without_bodies()).await?;
    ensure!(
        records.len() == written,
        "{written} records were taken, and after the refusal there are {}",
        records.len()
    );
    for id in 0..written / 2 {
        store
            .delete(&Key::new("task", id.to_string()), None)
            .await?;
    }
    store.create(draft(written + 1)).await?;
    Ok(())
}

async fn health(store: Store) -> Outcome {
    Ok(store.health().await?)
}
