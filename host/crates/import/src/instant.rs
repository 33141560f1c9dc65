//! Times as other platforms write them.

/// The instant of a time as Python writes it: with an offset, or without, which counts as UTC.
pub(crate) fn instant(text: &str) -> Option<jiff::Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(local).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_as_instants() {
        let noon = instant("2025-06-02T12:00:00Z").unwrap();
        for same in [
            "2025-06-02T12:00:00",
            "2025-06-02 12:00:00.000000",
            "2025-06-02T14:00:00+02:00",
            "2025-06-02T06:30:00.000-05:30",
        ] {
            assert_eq!(instant(same), Some(noon), "{same}");
        }
        assert!(instant("2025-06-02T12:00:00.000001") > Some(noon));
        for none in ["", "yesterday", "2025-13-02T12:00:00"] {
            assert_eq!(instant(none), None, "{none}");
        }
    }
}
