//! Answers of a server, read: each function takes the JSON of one, and says why it is none.

use serde::de::DeserializeOwned;

use super::told::Told;
use crate::record::{CollectionStatistics, Page, Revision, Stamp, Stored};
use crate::wire;

type Read<T> = Result<T, String>;

fn json<T: DeserializeOwned>(json: &[u8]) -> Read<T> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// An answer that says nothing but that it was done.
pub(super) fn nothing(answer: &[u8]) -> Read<()> {
    match answer {
        [] => Ok(()),
        _ => Err("expected no content".to_owned()),
    }
}

pub(super) fn told(answer: &[u8]) -> Read<Told> {
    Told::read(json(answer)?)
}

pub(super) fn stores(answer: &[u8]) -> Read<Vec<Told>> {
    let stores: wire::Stores = json(answer)?;
    stores.stores.into_iter().map(Told::read).collect()
}

pub(super) fn stamp(answer: &[u8]) -> Read<Stamp> {
    Ok(json::<wire::StampOut>(answer)?.into())
}

pub(super) fn stored(answer: &[u8]) -> Read<Stored> {
    json::<wire::Record>(answer)?.into_stored()
}

pub(super) fn found(answer: &[u8]) -> Read<Vec<Option<Stored>>> {
    let found: wire::Found = json(answer)?;
    let records = found.records.into_iter();
    records
        .map(|record| record.map(wire::Record::into_stored).transpose())
        .collect()
}

pub(super) fn page(answer: &[u8]) -> Read<Page> {
    let page: wire::Page = json(answer)?;
    let records = page.records.into_iter().map(wire::Record::into_stored);
    Ok(Page {
        records: records.collect::<Read<_>>()?,
        next: page.next,
    })
}

pub(super) fn revisions(answer: &[u8]) -> Read<Vec<Revision>> {
    Ok(json::<wire::Revisions>(answer)?.revisions)
}

pub(super) fn removed(answer: &[u8]) -> Read<u64> {
    Ok(json::<wire::Removed>(answer)?.removed)
}

pub(super) fn swept(answer: &[u8]) -> Read<u32> {
    let removed = removed(answer)?;
    u32::try_from(removed).map_err(|_| format!("{removed} are more than one sweep removes"))
}

pub(super) fn statistics(answer: &[u8]) -> Read<Vec<CollectionStatistics>> {
    let statistics: wire::Statistics = json(answer)?;
    Ok(statistics.collections.into_iter().map(Into::into).collect())
}
