//! What paths name.

use mortise_store::Key;
use serde::Deserialize;
use utoipa::IntoParams;

/// A store.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct StorePath {
    /// The store's name.
    #[serde(rename = "store")]
    #[param(rename = "store")]
    _store: String,
}

/// A collection of a store.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CollectionPath {
    /// The store's name.
    #[serde(rename = "store")]
    #[param(rename = "store")]
    _store: String,
    /// The collection.
    pub(super) collection: String,
}

/// A record, or an entity, of a collection.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RecordPath {
    /// The store's name.
    #[serde(rename = "store")]
    #[param(rename = "store")]
    _store: String,
    /// The collection.
    pub(super) collection: String,
    /// The id. Of `.` and `..` a URL makes something else: such records are reached by `lookup` and `batch`.
    pub(super) id: String,
}

impl From<RecordPath> for Key {
    fn from(path: RecordPath) -> Self {
        Self::new(path.collection, path.id)
    }
}

/// A task of a store.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskPath {
    /// The store's name.
    #[serde(rename = "store")]
    #[param(rename = "store")]
    _store: String,
    /// The task's id.
    pub(super) id: String,
}
