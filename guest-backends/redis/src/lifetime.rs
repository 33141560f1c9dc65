//! How long records live whose drafts name no expiry.

use mortise_guest::{Error, Options, Timestamp};

/// The last instant of the year 9999: the greatest timestamp of the contract.
pub const LAST_INSTANT: Timestamp = 253_402_300_799_999;

const TTL: &str = "ttl";
const POLICY: &str = "ttl-policy";

/// How long records live, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody removes them.
    Unlimited,
    /// From their creation on, whatever is written to them.
    Fixed(u64),
    /// From their last write on.
    OnWrite(u64),
}

impl Lifetime {
    /// What the operator set.
    pub fn from_options(options: &mut Options) -> Result<Self, Error> {
        let ttl = options.take(TTL);
        let policy = options.take(POLICY);
        let Some(ttl) = ttl else {
            return match policy {
                None => Ok(Self::Unlimited),
                Some(_) => Err(Error::Invalid(format!(
                    "option {POLICY} is set, but {TTL} is not"
                ))),
            };
        };
        let ttl = milliseconds(&ttl).ok_or_else(|| {
            Error::Invalid(format!(
                "option {TTL} is {ttl:?}, expected a time such as \"90s\", \"24h\" or \"7d\""
            ))
        })?;
        match policy.as_deref() {
            Some("fixed") => Ok(Self::Fixed(ttl)),
            // What is worked on does not expire under way.
            None | Some("on-write") => Ok(Self::OnWrite(ttl)),
            Some(other) => Err(Error::Invalid(format!(
                "option {POLICY} is {other:?}, expected \"fixed\" or \"on-write\""
            ))),
        }
    }

    /// The lifetime that the host counts from a record's creation.
    pub fn since_creation(self) -> Option<u64> {
        match self {
            Self::Fixed(ttl) => Some(ttl),
            Self::Unlimited | Self::OnWrite(_) => None,
        }
    }
}

/// A whole number of at least 1 and a unit: `ms`, `s`, `m`, `h` or `d`.
fn milliseconds(text: &str) -> Option<u64> {
    let unit = text.find(|char: char| !char.is_ascii_digit())?;
    let factor = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number: u64 = text[..unit].parse().ok()?;
    number
        .checked_mul(factor)
        .filter(|time| (1..=LAST_INSTANT).contains(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(given: &[(&str, &str)]) -> Result<Lifetime, Error> {
        let given = given.iter();
        let given = given.map(|(name, value)| (name.to_string(), value.to_string()));
        Lifetime::from_options(&mut Options::new(given.collect()))
    }

    #[test]
    fn a_ttl_has_a_unit_and_a_policy() {
        assert_eq!(lifetime(&[]), Ok(Lifetime::Unlimited));
        assert_eq!(lifetime(&[(TTL, "250ms")]), Ok(Lifetime::OnWrite(250)));
        let day = Lifetime::Fixed(86_400_000);
        for ttl in ["1d", "24h", "1440m", "86400s"] {
            assert_eq!(lifetime(&[(TTL, ttl), (POLICY, "fixed")]), Ok(day));
        }
        let on_write = lifetime(&[(TTL, "1m"), (POLICY, "on-write")]);
        assert_eq!(on_write, Ok(Lifetime::OnWrite(60_000)));
    }

    #[test]
    fn what_is_no_ttl_is_refused_by_name() {
        for ttl in [
            "",
            "1",
            "0s",
            "-1s",
            "s",
            "1.5h",
            "99999999999999999999d",
            "1 d",
            "1w",
        ] {
            let error = lifetime(&[(TTL, ttl)]).unwrap_err();
            assert!(matches!(error, Error::Invalid(text) if text.contains("option ttl ")));
        }
        assert!(lifetime(&[(POLICY, "fixed")]).is_err());
        assert!(lifetime(&[(TTL, "1d"), (POLICY, "sliding")]).is_err());
    }
}
