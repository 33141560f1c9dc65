//! WASI, for components that import it.

use wasmtime_wasi::{WasiCtxView, WasiView};

use super::State;

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self
            .wasi
            .as_mut()
            .expect("WASI is linked only for components that import it");
        wasi.view()
    }
}
