//! Records that stay in the instance.

use mortise_guest::Error;

use crate::animals::Animal;
use crate::kept::Kept;

#[derive(Debug)]
pub struct Storage(Kept);

impl Storage {
    pub fn open(animal: Animal, max_bytes: u64) -> Self {
        Self(Kept::new(animal, max_bytes))
    }

    pub fn read<R>(&mut self, call: impl FnOnce(&Kept) -> Result<R, Error>) -> Result<R, Error> {
        call(&self.0)
    }

    pub fn write<R, E>(&mut self, mut call: impl FnMut(&mut Kept) -> Result<R, E>) -> Result<R, E> {
        call(&mut self.0)
    }
}
