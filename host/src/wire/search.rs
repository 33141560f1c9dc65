//! Queries as JSON.

use serde::{Deserialize, Serialize};

use crate::record::{self, Attribute, Query};

/// Which records of a collection, and in which order: what a URL says, and what none can say, such as an attribute's
/// name with a colon.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) collection: String,
    /// Pairs of name and value: only records that carry each of them.
    #[serde(default)]
    pub(crate) attributes: Vec<(String, String)>,
    /// By which revision they are sorted.
    #[serde(default)]
    pub(crate) order: Order,
    /// Highest revision first.
    #[serde(default)]
    pub(crate) descending: bool,
    /// Whether bodies come along; without, each comes back empty.
    pub(crate) bodies: bool,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// 1 to 1,000.
    #[cfg_attr(feature = "serve", schema(minimum = 1, maximum = 1000))]
    pub(crate) limit: u32,
}

/// By which revision records are sorted.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// By the write that created them.
    #[default]
    Created,
    /// By the write that changed them last.
    Updated,
}

impl From<Order> for record::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Created => Self::Created,
            Order::Updated => Self::Updated,
        }
    }
}

impl From<record::Order> for Order {
    fn from(order: record::Order) -> Self {
        match order {
            record::Order::Created => Self::Created,
            record::Order::Updated => Self::Updated,
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
