//! The only `wasmtime::Config`.

use std::thread;

use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::EPOCH_TICK;
use mortise_store::{Error, ErrorKind, Operation, Result};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Address space of one linear memory: with so much, and the guard behind it, no access needs a check.
const MEMORY_RESERVATION: usize = 4 << 30;
/// Core instances, memories and tables that one component may have. A Rust backend has 3 core
/// instances, one of Python a dozen.
const CORE_INSTANCES_PER_COMPONENT: u32 = 32;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 16;
/// Entries of one table. Python's interpreter has some 10,000 functions.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;
/// How much of a memory and of a table stays in place for the next instance: the kernel tells which pages have
/// to be cleared. Giving them back and faulting them in again was half of what a start costs.
const KEPT_MEMORY_BYTES: usize = 2 << 20;
const KEPT_TABLE_BYTES: usize = 64 << 10;
/// Stack of one call in flight, and how much of it the guest may use.
const ASYNC_STACK_BYTES: usize = 2 << 20;
const WASM_STACK_BYTES: usize = 1 << 20;

/// Makes the engine: with the pooling allocator where there is address space for it, else on demand.
pub(crate) fn engine(max_instances: u32) -> Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(pool(max_instances));
    let engine = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                max_instances,
                "no address space for the pooling allocator: memory is allocated on demand, \
                 which makes instances slower to start (is `ulimit -v` set?)"
            );
            let mut on_demand = config();
            // Small reservations that may move, with checks instead of guard pages.
            on_demand
                .memory_reservation(0)
                .memory_reservation_for_growth(16 << 20)
                .memory_guard_size(64 << 10)
                .memory_may_move(true);
            Engine::new(&on_demand).map_err(|error| {
                Error::new(
                    ErrorKind::Config,
                    Operation::Configure,
                    "the engine does not start",
                )
                .with_source(error)
            })?
        }
    };
    tick(&engine);
    Ok(engine)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The exports are sync: without the machinery for concurrent calls in one store, a call
        // costs 0.2 µs instead of 1.0.
        .concurrency_support(false)
        .epoch_interruption(true)
        .async_stack_size(ASYNC_STACK_BYTES)
        .max_wasm_stack(WASM_STACK_BYTES);
    config
}

fn pool(max_instances: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_stacks(max_instances)
        .total_memories(max_instances)
        .total_core_instances(max_instances.saturating_mul(4))
        .total_tables(max_instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_RESERVATION);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
            .table_keep_resident(KEPT_TABLE_BYTES);
    }
    InstanceAllocationStrategy::Pooling(pool)
}

/// Advances the epoch as long as the engine lives.
fn tick(engine: &Engine) {
    let engine = engine.weak();
    thread::Builder::new()
        .name("mortise-epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(EPOCH_TICK);
            }
        })
        .expect("a thread can be started");
}
