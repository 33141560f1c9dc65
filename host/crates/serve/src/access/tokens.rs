//! Bearer tokens: how they are made, how they are kept, and who it is that sends one.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use mortise_config::TokenConfig;
use mortise_config::inside::TOKEN_PREFIX;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Clock, Digest, Error, ErrorKind, Operation, Result};

use super::rights::{Access, AccessError};

/// How many random bytes a token has.
const RANDOM_BYTES: usize = 32;
/// The scheme of RFC 6750, in any case.
const SCHEME: &str = "bearer";

/// A bearer token: `mortise_` and 256 random bits. Whoever has it gets in; a server keeps its hash alone.
///
/// The hash is plain SHA-256. Salts and slow hashes protect secrets that can be guessed; nobody guesses 256
/// random bits, and a fast hash can be taken of every request.
///
/// ```
/// # use mortise_serve::Token;
/// let token = Token::generate()?;
/// let again: Token = token.reveal().parse()?;
/// assert_eq!(again.sha256(), token.sha256()); // what TokenConfig::sha256 has
/// # Ok::<(), mortise_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one, from the random numbers of the operating system.
    ///
    /// # Errors
    ///
    /// `Io` where the system has none.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            let message = "the system gives no random numbers";
            Error::new(ErrorKind::Io, Operation::Configure, message).with_source(error)
        })?;
        Ok(Self(format!("{TOKEN_PREFIX}{}", BASE64.encode(bytes))))
    }

    /// Its text: the secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// SHA-256 of its text, as `printf %s TOKEN | sha256sum` tells it.
    pub fn sha256(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

/// What is of another form is refused, so that nothing that can be guessed is ever a token.
impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let random = text.strip_prefix(TOKEN_PREFIX);
        match random.map(|random| BASE64.decode(random)) {
            Some(Ok(bytes)) if bytes.len() == RANDOM_BYTES => Ok(Self(text.to_owned())),
            // Not the text: it may be nearly one.
            _ => {
                let message = format!(
                    "this is no token, expected {TOKEN_PREFIX} and 43 characters of base64url"
                );
                Err(Error::invalid(Operation::Configure, message)
                    .with_hint("make one with `mortise token new`"))
            }
        }
    }
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({TOKEN_PREFIX}…)")
    }
}

/// The tokens that a server knows.
pub(crate) struct Tokens {
    /// By their hashes; none where the server asks for no token.
    ///
    /// Looking one up takes a time that depends on the hashes, which does no harm: who sends a token does not
    /// choose its hash, so that its first bytes, once known, lead to no token with that hash. The token itself
    /// is compared with nothing.
    known: Option<HashMap<Digest, Access>>,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    /// The configured ones. Where there are none, everybody may do everything: the configuration's check has
    /// seen to it that such a server listens on loopback alone.
    pub(crate) fn new(tokens: &[TokenConfig], clock: Arc<dyn Clock>) -> Self {
        let access = |token: &TokenConfig| (token.sha256, Access::of(token.clone()));
        Self {
            known: (!tokens.is_empty()).then(|| tokens.iter().map(access).collect()),
            clock,
        }
    }

    /// Whether the server asks for none.
    pub(crate) fn are_none(&self) -> bool {
        self.known.is_none()
    }

    /// What the sender of a request may do, by its header `Authorization`.
    pub(crate) fn authenticate(
        &self,
        authorization: Option<&HeaderValue>,
    ) -> Result<Access, AccessError> {
        let Some(known) = &self.known else {
            return Ok(Access::Everything);
        };
        let token = bearer(authorization.ok_or(AccessError::Missing)?)?;
        let access = known.get(&token.sha256()).ok_or(AccessError::Unknown)?;
        if access.is_expired(self.clock.now()) {
            return Err(AccessError::Expired);
        }
        Ok(access.clone())
    }
}

/// The token in `Bearer TOKEN`.
fn bearer(authorization: &HeaderValue) -> Result<Token, AccessError> {
    let read = || {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(())?;
        token.trim_matches(' ').parse().ok()
    };
    read().ok_or(AccessError::Malformed)
}

#[cfg(test)]
mod tests {
    use mortise_config::{Namespaces, Permission};
    use mortise_store::ManualClock;

    use super::*;

    fn header(value: &str) -> HeaderValue {
        HeaderValue::from_str(value).unwrap()
    }

    /// A server that knows one token, which expires at 1,000.
    fn server() -> (Tokens, Token, Arc<ManualClock>) {
        let token = Token::generate().unwrap();
        let may = [Permission::Read];
        let config =
            TokenConfig::new("ci", token.sha256(), Namespaces::All, may, Some(1000)).unwrap();
        let clock = Arc::new(ManualClock::new(0));
        (Tokens::new(&[config], clock.clone()), token, clock)
    }

    fn refusal(tokens: &Tokens, authorization: &str) -> AccessError {
        let header = header(authorization);
        tokens.authenticate(Some(&header)).unwrap_err()
    }

    #[test]
    fn a_token_has_256_random_bits_and_its_own_hash() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), TOKEN_PREFIX.len() + 43);
        assert_eq!(one.sha256(), Digest::of(one.reveal().as_bytes()));
        assert_eq!(format!("{one:?}"), "Token(mortise_…)");
    }

    #[test]
    fn what_can_be_guessed_is_no_token_and_is_not_repeated() {
        let token = Token::generate().unwrap();
        let cut = &token.reveal()[..50];
        // The last character has 4 bits that mean something, and 2 that are 0.
        let odd = format!("{cut}-");
        let padded = format!("{}=", token.reveal());
        for text in [
            "",
            "password",
            "mortise_",
            "mortise_hunter2",
            cut,
            &odd,
            &padded,
        ] {
            let error = text.parse::<Token>().unwrap_err().to_string();
            assert_eq!(
                error,
                "configure: this is no token, expected mortise_ and 43 characters of base64url"
            );
        }
    }

    #[test]
    fn the_sender_of_a_known_token_gets_what_it_allows() {
        let (tokens, token, _) = server();
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let header = header(&format!("{scheme} {}", token.reveal()));
            let access = tokens.authenticate(Some(&header)).unwrap();
            assert_eq!(access.name(), Some("ci"));
            assert!(!access.may_operate());
        }
    }

    #[test]
    fn a_server_without_tokens_asks_for_none() {
        let tokens = Tokens::new(&[], Arc::new(ManualClock::new(0)));
        assert!(tokens.authenticate(None).unwrap().may_operate());
        let any = header("Basic YTpi");
        assert_eq!(tokens.authenticate(Some(&any)).unwrap().name(), None);
    }

    #[test]
    fn nobody_else_gets_in() {
        let (tokens, token, _) = server();
        assert_eq!(tokens.authenticate(None).unwrap_err(), AccessError::Missing);
        let text = token.reveal();
        for malformed in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer mortise_guess",
            "Basic YTpi",
            text,
            &format!("Basic {text}"),
            &format!("Bearer {text} {text}"),
            &format!("Bearer {text}x"),
        ] {
            assert_eq!(
                refusal(&tokens, malformed),
                AccessError::Malformed,
                "{malformed}"
            );
        }
        let not_text = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
        let refused = tokens.authenticate(Some(&not_text));
        assert_eq!(refused.unwrap_err(), AccessError::Malformed);
        let other = Token::generate().unwrap();
        let unknown = format!("Bearer {}", other.reveal());
        assert_eq!(refusal(&tokens, &unknown), AccessError::Unknown);
        // The hash, which is in the configuration, opens nothing.
        let hash = format!("Bearer {}", token.sha256());
        assert_eq!(refusal(&tokens, &hash), AccessError::Malformed);
    }

    #[test]
    fn a_token_expires_at_its_instant() {
        let (tokens, token, clock) = server();
        let authorization = format!("Bearer {}", token.reveal());
        clock.set(999);
        assert!(tokens.authenticate(Some(&header(&authorization))).is_ok());
        clock.set(1000);
        assert_eq!(refusal(&tokens, &authorization), AccessError::Expired);
    }
}
