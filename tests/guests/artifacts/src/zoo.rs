//! One component of each animal of the zoo.

use crate::animals::{Animal, DIGITS, MARKER};
use crate::{ZOO, ZOO_SQLITE};

/// Every animal of the zoo, and its component: the build with another number written into it.
///
/// # Panics
///
/// Where a build does not carry exactly one number.
pub fn zoo() -> impl Iterator<Item = (Animal, Vec<u8>)> {
    let numbers = [number_in(ZOO), number_in(ZOO_SQLITE)];
    Animal::ALL.iter().map(move |animal| {
        let (built, place) = match animal.is_in_sqlite() {
            false => (ZOO, numbers[0]),
            true => (ZOO_SQLITE, numbers[1]),
        };
        let number = format!("{:0DIGITS$}", *animal as usize);
        let mut component = built.to_vec();
        component[place..place + DIGITS].copy_from_slice(number.as_bytes());
        (*animal, component)
    })
}

/// Where the number of a build is.
fn number_in(component: &[u8]) -> usize {
    let windows = component.windows(MARKER.len()).enumerate();
    let mut tags = windows.filter(|(_, bytes)| bytes == MARKER);
    let (Some((tag, _)), None) = (tags.next(), tags.next()) else {
        panic!("a component of the zoo carries exactly one number");
    };
    tag + MARKER.len()
}
