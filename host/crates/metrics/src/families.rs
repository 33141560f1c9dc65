//! The families of series: their names, and which figures go into them.

use std::fmt::Result;

use mortise_store::inside::Counted;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use crate::reading::Reading;

/// One family, of which each reading has some series.
struct Family {
    /// Without the unit, and without the suffix that goes with the type.
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    encode: fn(&Reading, &mut MetricEncoder<'_>) -> Result,
}

static FAMILIES: [Family; 16] = [
    Family {
        name: "mortise_store_open",
        help: "How many stores are open under this name.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| gauge(reading, encoder, reading.stores.len()),
    },
    Family {
        name: "mortise_store_call_duration",
        help: "The calls that ended, and how long each took.",
        unit: Some(Unit::Seconds),
        kind: MetricType::Histogram,
        encode: |reading, encoder| {
            let mut calls = reading.measures.calls();
            calls.try_for_each(|calls| {
                let labels = with(reading, ("operation", calls.operation().as_str()));
                histogram(encoder, &labels, &calls.durations())
            })
        },
    },
    Family {
        name: "mortise_store_errors",
        help: "The calls that ended with an error, by its kind.",
        unit: None,
        kind: MetricType::Counter,
        encode: errors,
    },
    Family {
        name: "mortise_store_calls_given_up",
        help: "The calls whose caller went away before they ended.",
        unit: None,
        kind: MetricType::Counter,
        encode: |reading, encoder| {
            let mut calls = reading.measures.calls();
            calls.try_for_each(|calls| {
                let labels = with(reading, ("operation", calls.operation().as_str()));
                counter(encoder, &labels, calls.given_up())
            })
        },
    },
    Family {
        name: "mortise_store_pool_wait",
        help: "How long calls waited until an instance was free for them.",
        unit: Some(Unit::Seconds),
        kind: MetricType::Histogram,
        encode: |reading, encoder| {
            histogram(encoder, &labels(reading), &reading.measures.waits.read())
        },
    },
    Family {
        name: "mortise_store_instances",
        help: "The instances that wait for a call, and those that serve one.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| {
            let counts = reading.instances();
            let states = [("idle", counts.idle), ("running", counts.running)];
            by_state(reading, encoder, &states)
        },
    },
    Family {
        name: "mortise_store_instances_max",
        help: "How many instances may serve at once.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| gauge(reading, encoder, reading.instances().max),
    },
    Family {
        name: "mortise_store_traps",
        help: "The calls in which the component trapped.",
        unit: None,
        kind: MetricType::Counter,
        encode: |reading, encoder| counter(encoder, &labels(reading), reading.measures.traps.get()),
    },
    Family {
        name: "mortise_store_breaker",
        help: "How many stores' breakers are in this state.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| {
            let states =
                ["closed", "open", "probing"].map(|state| (state, reading.breakers(state)));
            by_state(reading, encoder, &states)
        },
    },
    Family {
        name: "mortise_store_state_lost",
        help: "How many stores lost their records with a trap, and were not reopened.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| {
            let lost = reading.count(|store| store.status.state_lost);
            gauge(reading, encoder, lost)
        },
    },
    Family {
        name: "mortise_store_fallback",
        help: "How many stores stand in for a backend that did not open.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| {
            let standing_in = reading.count(|store| store.status.fallback.is_some());
            gauge(reading, encoder, standing_in)
        },
    },
    Family {
        name: "mortise_store_generation",
        help: "The generation of the backend that serves.",
        unit: None,
        kind: MetricType::Gauge,
        encode: |reading, encoder| match reading.stores.first() {
            Some(store) => encoder
                .encode_family(&labels(reading))?
                .encode_gauge(&store.status.generation),
            None => Ok(()),
        },
    },
    Family {
        name: "mortise_store_component",
        help: "The component that serves.",
        unit: None,
        kind: MetricType::Info,
        encode: |reading, encoder| match reading.stores.first() {
            Some(store) => encoder
                .encode_family(&labels(reading))?
                .encode_info(&[("digest", store.status.digest.to_string())]),
            None => Ok(()),
        },
    },
    Family {
        name: "mortise_store_snapshots",
        help: "What became of snapshots.",
        unit: None,
        kind: MetricType::Counter,
        encode: snapshots,
    },
    Family {
        name: "mortise_store_snapshot_timestamp",
        help: "When the last snapshot was taken since the store was opened.",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        encode: |reading, encoder| match reading.oldest_snapshot() {
            Some(at) => encoder.encode_family(&labels(reading))?.encode_gauge(&at),
            None => Ok(()),
        },
    },
    Family {
        name: "mortise_sqlite_commit_transactions",
        help: "How many transactions each commit took.",
        unit: None,
        kind: MetricType::Histogram,
        encode: |reading, encoder| match reading.count(|store| store.has_sqlite) {
            0 => Ok(()),
            _ => histogram(encoder, &labels(reading), &reading.measures.commits.read()),
        },
    },
];

/// Writes all families of these readings.
pub(crate) fn encode(readings: &[Reading], encoder: &mut DescriptorEncoder<'_>) -> Result {
    for family in &FAMILIES {
        let Family {
            name,
            help,
            unit,
            kind,
            encode,
        } = family;
        let mut encoder = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
        for reading in readings {
            encode(reading, &mut encoder)?;
        }
    }
    Ok(())
}

fn errors(reading: &Reading, encoder: &mut MetricEncoder<'_>) -> Result {
    for calls in reading.measures.calls() {
        let [store, backend, operation] = with(reading, ("operation", calls.operation().as_str()));
        for (kind, count) in calls.errors() {
            let labels = [store, backend, operation, ("kind", kind.as_str())];
            counter(encoder, &labels, count)?;
        }
    }
    Ok(())
}

fn snapshots(reading: &Reading, encoder: &mut MetricEncoder<'_>) -> Result {
    if reading.count(|store| store.takes_snapshots) == 0 {
        return Ok(());
    }
    let measures = &reading.measures;
    let outcomes = [
        ("taken", &measures.snapshots_taken),
        ("failed", &measures.snapshots_failed),
    ];
    for (outcome, count) in outcomes {
        counter(encoder, &with(reading, ("outcome", outcome)), count.get())?;
    }
    Ok(())
}

type Label<'a> = (&'static str, &'a str);

fn labels(reading: &Reading) -> [Label<'_>; 2] {
    [("store", &reading.store), ("backend", &reading.backend)]
}

fn with<'a>(reading: &'a Reading, label: Label<'a>) -> [Label<'a>; 3] {
    let [store, backend] = labels(reading);
    [store, backend, label]
}

fn gauge(reading: &Reading, encoder: &mut MetricEncoder<'_>, value: usize) -> Result {
    encoder
        .encode_family(&labels(reading))?
        .encode_gauge(&(value as u64))
}

fn by_state(
    reading: &Reading,
    encoder: &mut MetricEncoder<'_>,
    states: &[(&'static str, usize)],
) -> Result {
    states.iter().try_for_each(|(state, value)| {
        encoder
            .encode_family(&with(reading, ("state", state)))?
            .encode_gauge(&(*value as u64))
    })
}

fn counter(encoder: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> Result {
    let exemplar: Option<&Exemplar<NoLabelSet, f64>> = None;
    encoder
        .encode_family(labels)?
        .encode_counter(&value, exemplar)
}

fn histogram(
    encoder: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    counted: &Counted,
) -> Result {
    encoder
        .encode_family(labels)?
        .encode_histogram::<NoLabelSet>(counted.sum, counted.count, &counted.buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documentation_has_every_family() {
        let table = include_str!("lib.rs");
        let rows = table
            .lines()
            .filter(|line| line.starts_with("//! | `mortise_"));
        assert_eq!(rows.count(), FAMILIES.len());
        for Family {
            name, unit, kind, ..
        } in &FAMILIES
        {
            let unit = unit
                .as_ref()
                .map_or(String::new(), |unit| format!("_{}", unit.as_str()));
            let suffix = match kind {
                MetricType::Counter => "_total",
                MetricType::Info => "_info",
                _ => "",
            };
            let row = format!("//! | `{name}{unit}{suffix}` | {} |", kind.as_str());
            assert!(table.contains(&row), "no row begins with {row}");
        }
    }
}
