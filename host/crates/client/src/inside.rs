//! What the crates of this workspace ask of the client. No promise to anybody else.
#![doc(hidden)]

use std::sync::Arc;

use mortise_store::inside::{Later, StoreInside as _};
use mortise_store::{Clock, Result, Store};

use crate::address::Address;
use crate::remote::Remote;

/// Opens a store that a server has, by another clock than the machine's.
pub fn connect_with(url: &str, clock: Arc<dyn Clock>) -> Later<'_, Result<Store>> {
    Box::pin(async move {
        let address = Address::parse(url)?;
        let remote = Remote::open(address, clock).await?;
        Ok(Store::at(Arc::new(remote)))
    })
}
