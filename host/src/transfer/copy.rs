//! From a store to a store.

use super::batch::Batch;
use super::pages::Pages;
use crate::error::Result;
use crate::record::Stored;
use crate::store::Store;

/// Writes every record of one store to another, with its revisions and times; how many.
///
/// `progress` is told after each batch how many records were written so far. What is there already with
/// the same stamp is left alone: a copy that failed can be made again. To have all records as of one
/// instant, let nobody write meanwhile.
///
/// # Errors
///
/// Those of [`Store::export`] and [`Store::import`]; `Internal` where the backend does not keep to the
/// order of creation.
pub async fn copy(from: &Store, to: &Store, progress: impl FnMut(u64)) -> Result<u64> {
    copy_each(from, to, progress, |_| {}).await
}

/// As [`copy`], and shows each record.
pub(crate) async fn copy_each(
    from: &Store,
    to: &Store,
    mut progress: impl FnMut(u64),
    mut each: impl FnMut(&Stored),
) -> Result<u64> {
    let (mut pages, mut batch, mut copied) = (Pages::of(from), Batch::new(to), 0);
    while let Some(records) = pages.next().await? {
        for stored in records {
            each(&stored);
            if !batch.has_room_for(&stored.draft) {
                copied += write(&mut batch, to).await?;
                progress(copied);
            }
            batch.push(stored);
        }
    }
    if !batch.is_empty() {
        copied += write(&mut batch, to).await?;
        progress(copied);
    }
    Ok(copied)
}

async fn write(batch: &mut Batch, to: &Store) -> Result<u64> {
    let records = batch.take();
    let count = records.len() as u64;
    to.import(records).await?;
    Ok(count)
}
