//! Answers of a server, read: each function takes the JSON of one, and says why it is none.

use mortise_store::{CollectionStatistics, Page, Revision, Stamp, Stored};
use mortise_wire as wire;
use serde::de::DeserializeOwned;

use crate::store_info::ServedStore;

type Read<T> = Result<T, String>;

fn json<T: DeserializeOwned>(json: &[u8]) -> Read<T> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// An answer that says nothing but that it was done.
pub(crate) fn nothing(answer: &[u8]) -> Read<()> {
    match answer {
        [] => Ok(()),
        _ => Err("expected no content".to_owned()),
    }
}

pub(crate) fn store(answer: &[u8]) -> Read<ServedStore> {
    ServedStore::read(json(answer)?)
}

pub(crate) fn stores(answer: &[u8]) -> Read<Vec<ServedStore>> {
    let stores: wire::Stores = json(answer)?;
    stores.stores.into_iter().map(ServedStore::read).collect()
}

pub(crate) fn stamp(answer: &[u8]) -> Read<Stamp> {
    Ok(json::<wire::StampOut>(answer)?.into())
}

pub(crate) fn stored(answer: &[u8]) -> Read<Stored> {
    json::<wire::Record>(answer)?.into_stored()
}

pub(crate) fn found(answer: &[u8]) -> Read<Vec<Option<Stored>>> {
    let found: wire::Found = json(answer)?;
    let records = found.records.into_iter();
    records
        .map(|record| record.map(wire::Record::into_stored).transpose())
        .collect()
}

pub(crate) fn page(answer: &[u8]) -> Read<Page> {
    let page: wire::Page = json(answer)?;
    let records = page.records.into_iter().map(wire::Record::into_stored);
    Ok(Page {
        records: records.collect::<Read<_>>()?,
        next: page.next,
    })
}

pub(crate) fn revisions(answer: &[u8]) -> Read<Vec<Revision>> {
    Ok(json::<wire::Revisions>(answer)?.revisions)
}

pub(crate) fn removed(answer: &[u8]) -> Read<u64> {
    Ok(json::<wire::Removed>(answer)?.removed)
}

pub(crate) fn swept(answer: &[u8]) -> Read<u32> {
    let removed = removed(answer)?;
    u32::try_from(removed).map_err(|_| format!("{removed} are more than one sweep removes"))
}

pub(crate) fn statistics(answer: &[u8]) -> Read<Vec<CollectionStatistics>> {
    let statistics: wire::Statistics = json(answer)?;
    Ok(statistics.collections.into_iter().map(Into::into).collect())
}
