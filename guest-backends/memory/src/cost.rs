//! How much memory a record takes.

use mortise_guest::Draft;

/// An upper bound of the linear memory, in bytes, that a record takes with all its index entries, on a
/// 32-bit target with the allocator of Rust's standard library.
///
/// Every copy of every text is counted, and each allocation for 16 bytes more than it asks for. An entry
/// of a B-tree counts for 11/5 of its size, because a node has room for eleven and holds at least five.
/// What records share (the name of a collection, an attribute of many) is charged to each, so that the
/// cost of a record depends on nothing but the record.
pub fn of(draft: &Draft) -> u64 {
    let collection = draft.key.collection.len();
    let attributes = draft.attributes.iter();
    // Once in the record, once as a term, which names the collection too.
    let attributes: usize = attributes
        .map(|attribute| {
            ATTRIBUTE + 2 * (attribute.name.len() + attribute.value.len()) + collection
        })
        .sum();
    // The id in the record and as a key; the collection beside them, as a term and twice as a count.
    let record = RECORD + draft.body.len() + 2 * draft.key.id.len() + 5 * collection;
    (record + attributes) as u64
}

/// The record (96 bytes); the entries by create-revision (16), key (48), mod-revision (16) and expiry (16), those of
/// the collection's count (44) and term (72), and the two under that (40); ten allocations.
const RECORD: usize = 928;

/// The attribute in the record (24 bytes), as a term (72) and the two entries under that (40); five
/// allocations.
const ATTRIBUTE: usize = 384;
