//! Queries as JSON.

use mortise_store::{Attribute, Query};
use serde::{Deserialize, Serialize};

/// Which records of a collection, and in which order: what a URL says, and what none can say, such as an attribute's
/// name with a colon.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Search {
    pub collection: String,
    /// Pairs of name and value: only records that carry each of them.
    #[serde(default)]
    pub attributes: Vec<(String, String)>,
    /// By which revision they are sorted.
    #[serde(default)]
    pub order: Order,
    /// Highest revision first.
    #[serde(default)]
    pub descending: bool,
    /// Whether bodies come along; without, each comes back empty.
    pub bodies: bool,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// 1 to 1,000.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub limit: u32,
}

/// By which revision records are sorted.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By the write that created them.
    #[default]
    Created,
    /// By the write that changed them last.
    Updated,
}

impl From<Order> for mortise_store::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Created => Self::Created,
            Order::Updated => Self::Updated,
        }
    }
}

impl From<mortise_store::Order> for Order {
    fn from(order: mortise_store::Order) -> Self {
        match order {
            mortise_store::Order::Created => Self::Created,
            mortise_store::Order::Updated => Self::Updated,
        }
    }
}

impl From<Query> for Search {
    fn from(query: Query) -> Self {
        let pairs = query.attributes.into_iter();
        Self {
            collection: query.collection,
            attributes: pairs.map(|pair| (pair.name, pair.value)).collect(),
            order: query.order.into(),
            descending: query.descending,
            bodies: query.bodies,
            after: query.after,
            limit: query.limit,
        }
    }
}

impl From<Search> for Query {
    fn from(search: Search) -> Self {
        let pairs = search.attributes.into_iter();
        Self {
            collection: search.collection,
            attributes: pairs
                .map(|(name, value)| Attribute::new(name, value))
                .collect(),
            order: search.order.into(),
            descending: search.descending,
            bodies: search.bodies,
            after: search.after,
            limit: search.limit,
        }
    }
}
