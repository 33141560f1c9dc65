//! What does not see each other: collections, and namespaces.

use super::clause::{Clause, Outcome, clause, ensure};
use super::shelf::{Shelf, export_all, ids};
use super::world::Subject;
use mortise_store::Store;

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "isolation/collections",
        "one id in two collections names two records",
        collections
    ),
    clause!(
        subject,
        "isolation/namespaces",
        "two namespaces on one storage see nothing of each other",
        namespaces
    ),
];

async fn collections(store: Store) -> Outcome {
    let one = Shelf::of(store.clone(), "isolation/collections");
    // Where the collection ends and the id begins is no matter of taste.
    let other = Shelf::of(store, "isolation/collections/a");
    one.create_with(&["a", "a/b"], "status", "new").await?;
    other.create_with(&["a", "b"], "status", "new").await?;
    one.store
        .update(one.draft("a", "changed").attribute("status", "new"), None)
        .await?;
    let kept = other.there("a").await?;
    ensure!(
        kept.draft.body == b"a",
        "an update of the id in another collection changed it"
    );
    other.store.delete(&other.key("b"), None).await?;
    one.there("a/b").await?;
    one.finds(&one.query(), &["a", "a/b"]).await?;
    one.finds(&one.query().with("status", "new"), &["a", "a/b"])
        .await?;
    other
        .finds(&other.query().with("status", "new"), &["a"])
        .await?;
    one.store.delete(&one.key("a"), None).await?;
    other
        .unchanged(&kept, "after the same id was deleted in another collection")
        .await
}

async fn namespaces(subject: Subject) -> Outcome {
    subject.require_pooled()?;
    let one = Shelf::open(&subject).await?;
    let own = subject.config().namespace.clone();
    one.create_with(&["a"], "status", "new").await?;
    let kept = one.there("a").await?;
    for name in ["../o", "o", "O"].map(|name| format!("{own}{name}")) {
        let opened = subject
            .open_with(|config| config.namespace(name.as_str()))
            .await?;
        let other = Shelf::of(opened, "task");
        other.absent("a", "in another namespace").await?;
        let exported = export_all(&other.store, 100).await?;
        ensure!(
            exported.is_empty(),
            "export of the empty namespace {name:?} shows {:?}",
            ids(&exported)
        );
        other
            .finds(&other.query().with("status", "new"), &[])
            .await?;
        other.create_with(&["a"], "status", "other").await?;
        one.unchanged(&kept, "after the key was created in another namespace")
            .await?;
        one.finds(&one.query().with("status", "other"), &[]).await?;
        let cleared = other.store.clear(None).await?;
        ensure!(
            cleared == 1,
            "clear of a namespace of one record says that {cleared} went"
        );
        one.unchanged(&kept, "after another namespace was cleared")
            .await?;
    }
    Ok(())
}
