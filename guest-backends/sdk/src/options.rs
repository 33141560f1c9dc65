//! What `open` is given.

use crate::Error;

/// The options that the operator and the host set. A backend takes those that it knows; whatever is
/// left after [`Backend::open`](crate::Backend::open) is `invalid`.
#[derive(Debug)]
pub struct Options {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Options {
    /// Options as (name, value) pairs.
    pub fn new(given: Vec<(String, String)>) -> Self {
        Self {
            given,
            known: Vec::new(),
        }
    }

    /// The value of an option; none where it is not set.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    /// The value of an option that is a whole number of at least 0. Raises `invalid` where it is not.
    pub fn take_u64(&mut self, name: &'static str) -> Result<Option<u64>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::Invalid(format!(
                    "option {name}: {value:?} is not a whole number"
                ))),
            },
        }
    }

    /// Like [`take_u64`](Self::take_u64), for an option that the host always gives.
    pub fn require_u64(&mut self, name: &'static str) -> Result<u64, Error> {
        self.take_u64(name)?
            .ok_or_else(|| Error::Invalid(format!("option {name} is missing")))
    }

    /// Raises `invalid` where an option was given that nobody took, and names those that are known.
    pub fn finish(mut self) -> Result<(), Error> {
        let Some((unknown, _)) = self.given.first() else {
            return Ok(());
        };
        self.known.sort_unstable();
        Err(Error::Invalid(format!(
            "unknown option {unknown:?}; known: {}",
            self.known.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> Options {
        Options::new(
            given
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        )
    }

    #[test]
    fn numbers_are_parsed_and_absence_is_none() {
        let mut options = options(&[("a", "7"), ("b", "many")]);
        assert_eq!(options.take_u64("a"), Ok(Some(7)));
        assert_eq!(options.take_u64("c"), Ok(None));
        let error = options.take_u64("b").unwrap_err();
        assert!(matches!(error, Error::Invalid(text) if text.contains("\"many\"")));
    }

    #[test]
    fn a_missing_required_option_is_invalid() {
        let error = options(&[]).require_u64("max-page-bytes").unwrap_err();
        assert_eq!(
            error,
            Error::Invalid("option max-page-bytes is missing".into())
        );
    }

    #[test]
    fn what_nobody_took_is_invalid() {
        let mut options = options(&[("colour", "red"), ("b", "1")]);
        let _ = options.take("b");
        let _ = options.take("a");
        let error = options.finish().unwrap_err();
        assert_eq!(
            error,
            Error::Invalid("unknown option \"colour\"; known: a, b".into())
        );
    }
}
