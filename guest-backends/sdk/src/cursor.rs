//! Where a page ends and the next one starts.

use crate::{Error, Order, Query, Revision};

/// Writes and reads the cursors of one query, or of `export`.
///
/// A cursor is the revision of the last record of a page, and a check sum over that revision and the
/// query. So it stays good while records come and go, a garbled one or one of another query is
/// `invalid`, and it outlives the instance that wrote it.
#[derive(Clone, Debug)]
pub struct Cursors {
    scope: CheckSum,
}

impl Cursors {
    /// The cursors of a query. `limit`, `bodies` and the order of the attributes make no other query.
    pub fn of_query(query: &Query) -> Self {
        let mut attributes: Vec<_> = query.attributes.iter().collect();
        attributes.sort_unstable();
        attributes.dedup();
        let mut scope = CheckSum::new("find");
        scope.add(&query.collection);
        scope.add(match (query.order, query.descending) {
            (Order::Created, false) => "created",
            (Order::Created, true) => "created descending",
            (Order::Updated, false) => "updated",
            (Order::Updated, true) => "updated descending",
        });
        for attribute in attributes {
            scope.add(&attribute.name);
            scope.add(&attribute.value);
        }
        Self { scope }
    }

    /// The cursors of `export`.
    pub fn of_export() -> Self {
        Self {
            scope: CheckSum::new("export"),
        }
    }

    /// The cursor after the record at `position`.
    pub fn write(&self, position: Revision) -> String {
        let mut sum = self.scope.clone();
        sum.add(&position.to_string());
        format!("{position:016x}{:016x}", sum.0)
    }

    /// The position behind a cursor; none for the first page. Raises `invalid` unless it is a text that
    /// [`write`](Self::write) answered for the same query.
    pub fn read(&self, after: Option<&str>) -> Result<Option<Revision>, Error> {
        let Some(text) = after else {
            return Ok(None);
        };
        text.get(..16)
            .and_then(|digits| Revision::from_str_radix(digits, 16).ok())
            .filter(|&position| self.write(position) == text)
            .map(Some)
            .ok_or_else(|| {
                Error::Invalid("the cursor is garbled, or belongs to another query".into())
            })
    }
}

/// FNV-1a, 64 bits, over texts of which each is preceded by its length.
#[derive(Clone, Debug)]
struct CheckSum(u64);

impl CheckSum {
    fn new(domain: &str) -> Self {
        let mut sum = Self(0xcbf2_9ce4_8422_2325);
        sum.add(domain);
        sum
    }

    fn add(&mut self, text: &str) {
        let length = (text.len() as u64).to_le_bytes();
        for byte in length.iter().chain(text.as_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query {
            collection: "task".into(),
            attributes: pairs
                .iter()
                .map(|(name, value)| Attribute {
                    name: name.to_string(),
                    value: value.to_string(),
                })
                .collect(),
            order: Order::Created,
            descending: false,
            after: None,
            limit: 10,
            bodies: true,
        }
    }

    #[test]
    fn a_cursor_is_read_back_by_the_same_query() {
        let cursors = Cursors::of_query(&query(&[("a", "b"), ("c", "d")]));
        for position in [1, 42, i64::MAX as u64] {
            let text = cursors.write(position);
            assert_eq!(cursors.read(Some(&text)), Ok(Some(position)));
        }
        assert_eq!(cursors.read(None), Ok(None));
    }

    #[test]
    fn limit_bodies_and_the_order_of_attributes_make_no_other_query() {
        let text = Cursors::of_query(&query(&[("a", "b"), ("c", "d")])).write(7);
        let same = Query {
            limit: 99,
            bodies: false,
            ..query(&[("c", "d"), ("a", "b")])
        };
        assert_eq!(Cursors::of_query(&same).read(Some(&text)), Ok(Some(7)));
    }

    #[test]
    fn a_cursor_of_another_query_is_invalid() {
        let text = Cursors::of_query(&query(&[("a", "bc")])).write(7);
        let others = [
            query(&[]),
            query(&[("ab", "c")]),
            query(&[("a", "bc"), ("c", "d")]),
            Query {
                order: Order::Updated,
                ..query(&[("a", "bc")])
            },
            Query {
                descending: true,
                ..query(&[("a", "bc")])
            },
            Query {
                collection: "job".into(),
                ..query(&[("a", "bc")])
            },
        ];
        for other in &others {
            assert!(Cursors::of_query(other).read(Some(&text)).is_err());
        }
        assert!(Cursors::of_export().read(Some(&text)).is_err());
    }

    #[test]
    fn a_garbled_cursor_is_invalid() {
        let cursors = Cursors::of_export();
        let good = cursors.write(0xabc);
        for at in 0..good.len() {
            let mut garbled = good.clone().into_bytes();
            garbled[at] = if garbled[at] == b'0' { b'1' } else { b'0' };
            let garbled = String::from_utf8(garbled).unwrap();
            assert!(cursors.read(Some(&garbled)).is_err(), "{garbled}");
        }
        let longer = format!("{good}0");
        let upper = good.to_uppercase();
        for text in [
            "",
            "7",
            "ä",
            "+00000000000000a",
            &good[1..],
            &longer,
            &upper,
        ] {
            assert!(cursors.read(Some(text)).is_err(), "{text}");
        }
        let umlauts = "ä".repeat(16);
        assert!(cursors.read(Some(&umlauts)).is_err());
    }
}
