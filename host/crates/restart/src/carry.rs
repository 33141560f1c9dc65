//! What only the old process knows, written to the snapshot by it and restored by the new one.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use mortise_store::inside::{ErrorInside as _, Later, StoreInside as _, blocking, folder_of};
use mortise_store::{
    Clock as _, Error, ErrorKind, Instances, Operation, Result, Store, SystemClock,
};
use mortise_transfer::inside as records;

use crate::event::Restart;
use crate::snapshot::{Content, Luggage, Writer};
use crate::test_hold::stay;

/// A part of the server that knows something which clients count on: sessions, subscriptions.
pub trait Part: Send + Sync {
    /// Its name, which stays the same from version to version.
    fn name(&self) -> &'static str;

    /// Tells its clients that a restart begins. Calls still run.
    fn announce<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()>;

    /// What it knows. No call runs.
    fn export(&self) -> Later<'_, Result<Vec<u8>>>;

    /// Takes over what another process exported. No call runs yet.
    fn import(&self, known: Vec<u8>) -> Later<'_, Result<()>>;

    /// Has its clients come to the process that took over.
    fn leave(&self) -> Later<'_, ()>;

    /// Tells its clients how the restart ended: in the process that serves now, whichever it is.
    fn resume<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()>;
}

/// Writes a snapshot at `place`: of every store that keeps its records in memory, unless they are to be dropped, and
/// of every part. Nobody may call a store meanwhile. How many bytes it has.
pub(crate) async fn write(
    place: &Path,
    restart: &Restart,
    stores: &[Store],
    parts: &[Arc<dyn Part>],
) -> Result<u64> {
    let unwritten = |error: std::io::Error| {
        let what = format!("the snapshot {} cannot be written", place.display());
        Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
    };
    let (number, process) = (restart.number, std::process::id());
    let begun = {
        let place = place.to_owned();
        move || Ok(Writer::create(&place, number, SystemClock.now(), process))
    };
    let mut writer = blocking(begun).await?.map_err(unwritten)?;
    for store in stores {
        // What another server has stays there.
        let Some(here) = store.here() else {
            continue;
        };
        if here.snapshot_lock().is_some() {
            // Its own, from which the new process starts it.
            store.snapshot().await?;
        } else if is_carried(store, restart.request.preserve_state) {
            writer.begin(content(store)).map_err(unwritten)?;
            (_, writer) = records::write(store, writer, || {}).await?;
        }
    }
    for part in parts {
        let known = part.export().await?;
        let content = Content::Part(part.name().to_owned());
        writer.begin(content).map_err(unwritten)?;
        writer.write_all(&known).map_err(unwritten)?;
    }
    stay("snapshot-half", folder_of(place)).await;
    blocking(move || Ok(writer.keep()))
        .await?
        .map_err(unwritten)
}

/// Whether a store's records would be lost with the process, and are there to be kept.
fn is_carried(store: &Store, preserve_state: bool) -> bool {
    if !preserve_state || store.describe().instances != Instances::Singleton {
        return false;
    }
    let lost = store.status().state_lost;
    if lost {
        tracing::warn!(
            store = store.name(),
            "its records were lost before: it starts without"
        );
    }
    !lost
}

fn content(store: &Store) -> Content {
    Content::Store {
        name: store.name().to_owned(),
        backend: store.backend().to_owned(),
        namespace: store.namespace().to_owned(),
    }
}

/// Restores what a snapshot has to stores that are empty, and to parts.
///
/// # Errors
///
/// `Invalid` where it has the records of a store that is not there any more, or is another one: they would be lost.
pub(crate) async fn restore(
    snapshot: Luggage,
    stores: &[Store],
    parts: &[Arc<dyn Part>],
) -> Result<()> {
    for section in &snapshot.sections {
        let mut reader = snapshot.read(section)?;
        match &section.content {
            Content::Store { name, .. } => {
                let same = |store: &&Store| content(store) == section.content;
                let store = stores.iter().find(same);
                let keeps_snapshots = |store: &&Store| {
                    store
                        .here()
                        .is_some_and(|here| here.snapshot_lock().is_some())
                };
                let store = store.filter(|store| !keeps_snapshots(store));
                let store = store.ok_or_else(|| {
                    let what = format!(
                        "has the records of store {name}, which is not configured any more, or otherwise"
                    );
                    snapshot.refuse(&what).with_hint(
                        "configure it as it was, or restart with --drop-state: its records are gone then",
                    )
                })?;
                let failed = |what: &str| {
                    let what = format!("has records of store {name}: what it has of them {what}");
                    snapshot.refuse(&what)
                };
                records::read(store, reader, 0, failed).await?;
            }
            Content::Part(name) => {
                let Some(part) = parts.iter().find(|part| part.name() == name) else {
                    tracing::warn!(part = name, "what it knew is dropped: this server has none");
                    continue;
                };
                let reading = blocking(move || {
                    let mut known = Vec::new();
                    Ok(reader.read_to_end(&mut known).map(|_| known))
                });
                let known = reading.await?.map_err(|error| {
                    let what = format!("cannot be read where it has what {name} knew");
                    snapshot.refuse(&what).with_source(error)
                })?;
                part.import(known).await?;
            }
        }
    }
    Ok(())
}
