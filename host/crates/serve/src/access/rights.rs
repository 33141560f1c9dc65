//! What the sender of a request may do.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode};
use mortise_config::{Namespaces, Permission, TokenConfig};
use mortise_store::{Error, Store, Timestamp};
use mortise_wire::Record;

use super::rate::Requester;

/// What the sender of one request may do: everything on a server without tokens, else what its token allows.
/// Cheap to clone; it goes with the request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// On a server without tokens.
    Everything,
    /// Without a token, where one is asked for: what is answered to everybody.
    Nothing,
    /// What this token allows.
    Token(Arc<TokenConfig>),
}

/// Whether who may write a store also sees what is in it: to read is a permission of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight(bool);

impl Sight {
    /// What was written, as it is then, where it may be shown: there may be more in it than its sender wrote.
    pub(crate) fn written<T>(self, there: T) -> Option<T> {
        self.0.then_some(there)
    }

    /// The record that a failed write is about, as it is now, where it may be shown.
    pub(crate) fn current(self, error: &Error) -> Option<Record<'static>> {
        let current = error.current().filter(|_| self.0)?;
        Some(Record::of(current).into_owned())
    }
}

/// Why a request is refused. `Display` is for its sender, and says nothing of what it may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("this server asks for a token, expected the header Authorization: Bearer TOKEN")]
    Missing,
    #[error("the header Authorization has no token of this server, expected Bearer mortise_…")]
    Malformed,
    #[error("the token is none that this server knows")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    /// The same whether the store is there or not.
    #[error("the token does not allow to {} a store of this name", .0.as_str())]
    Store(Permission),
    #[error("the token does not allow to restart the server")]
    Operate,
}

impl AccessError {
    /// 401 where another token is needed to say who this is, 403 where it is known.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Malformed | Self::Unknown | Self::Expired => {
                StatusCode::UNAUTHORIZED
            }
            Self::Store(_) | Self::Operate => StatusCode::FORBIDDEN,
        }
    }

    /// The header `WWW-Authenticate` of the answer, as of RFC 6750.
    pub(crate) fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Missing => r#"Bearer realm="mortise""#,
            Self::Malformed | Self::Unknown | Self::Expired => {
                r#"Bearer realm="mortise", error="invalid_token""#
            }
            Self::Store(_) | Self::Operate => {
                r#"Bearer realm="mortise", error="insufficient_scope""#
            }
        })
    }
}

impl Access {
    /// What a token allows.
    pub(super) fn of(token: TokenConfig) -> Self {
        Self::Token(Arc::new(token))
    }

    /// The token's name; none without a token.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Token(token) => Some(&token.name),
            Self::Everything | Self::Nothing => None,
        }
    }

    /// Whose requests its requests are counted with.
    pub(crate) fn requester(&self, peer: IpAddr) -> Requester {
        match self {
            Self::Token(token) => Requester::Token(token.sha256),
            Self::Everything | Self::Nothing => Requester::peer(peer),
        }
    }

    /// Whether it may read the records of this store. One that it may not is in no list that it gets.
    pub(crate) fn may_read(&self, store: &Store) -> bool {
        self.may(Permission::Read, store.namespace())
    }

    /// Whether it may read the records of every store.
    pub(crate) fn may_read_all(&self) -> bool {
        self.allows(Permission::Read) && self.sees_every_namespace()
    }

    /// Whether it may restart the server.
    pub(crate) fn may_operate(&self) -> bool {
        self.allows(Permission::Operate)
    }

    /// The store that was found by a name that the sender gave, where it may read it.
    ///
    /// Of stores in other namespaces the sender must not even learn that they are there. So a name that no
    /// store has is refused like theirs: none is answered only to whom every namespace is open.
    pub(crate) fn to_read<'s>(
        &self,
        found: Option<&'s Store>,
    ) -> Result<Option<&'s Store>, AccessError> {
        self.admit(Permission::Read, found, Store::namespace)
    }

    /// The same, where it may write it.
    pub(crate) fn to_write<'s>(
        &self,
        found: Option<&'s Store>,
    ) -> Result<Option<&'s Store>, AccessError> {
        self.admit(Permission::Write, found, Store::namespace)
    }

    /// What it sees of a store that it may write.
    pub(crate) fn sight(&self, store: &Store) -> Sight {
        Sight(self.may_read(store))
    }

    /// Refuses a sender who may not restart the server.
    pub(crate) fn to_operate(&self) -> Result<(), AccessError> {
        match self.may_operate() {
            true => Ok(()),
            false => Err(AccessError::Operate),
        }
    }

    /// Whether the token has expired. What outlasts a request, as a session does, asks again.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        match self {
            Self::Token(token) => token.expires_at.is_some_and(|at| at <= now),
            Self::Everything | Self::Nothing => false,
        }
    }

    fn admit<'s, S>(
        &self,
        permission: Permission,
        found: Option<&'s S>,
        namespace: impl Fn(&'s S) -> &'s str,
    ) -> Result<Option<&'s S>, AccessError> {
        let may = match found {
            Some(store) => self.may(permission, namespace(store)),
            None => self.allows(permission) && self.sees_every_namespace(),
        };
        match may {
            true => Ok(found),
            false => Err(AccessError::Store(permission)),
        }
    }

    fn may(&self, permission: Permission, namespace: &str) -> bool {
        self.allows(permission)
            && match self {
                Self::Everything => true,
                Self::Nothing => false,
                Self::Token(token) => token.namespaces.contains(namespace),
            }
    }

    fn allows(&self, permission: Permission) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Token(token) => token.may.contains(&permission),
        }
    }

    fn sees_every_namespace(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Token(token) => matches!(token.namespaces, Namespaces::All),
        }
    }
}

#[cfg(test)]
mod tests {
    use mortise_store::Digest;

    use super::*;

    fn access(namespaces: &[&str], may: &[Permission]) -> Access {
        let namespaces = Namespaces::named(namespaces.iter().copied()).unwrap();
        let hash = Digest::of(b"");
        let token = TokenConfig::new("ci", hash, namespaces, may.iter().copied(), None);
        Access::of(token.unwrap())
    }

    /// A store, as far as access asks: its namespace.
    fn ask(access: &Access, may: Permission, found: Option<&str>) -> Result<bool, AccessError> {
        let admitted = access.admit(may, found.as_ref(), |namespace| namespace)?;
        Ok(admitted.is_some())
    }

    #[test]
    fn a_token_opens_its_namespaces_for_what_it_allows() {
        use Permission::{Operate, Read, Write};
        for (namespaces, may, allowed) in [
            (
                &["acme", "b"][..],
                &[Read, Write][..],
                &[("acme", Read), ("acme", Write), ("b", Read), ("b", Write)][..],
            ),
            (&["acme"], &[Read], &[("acme", Read)]),
            (&["acme"], &[Write], &[("acme", Write)]),
            (
                &["*"],
                &[Read],
                &[("acme", Read), ("b", Read), ("ACME", Read), ("acme ", Read)],
            ),
            (&[], &[Operate], &[]),
        ] {
            let access = access(namespaces, may);
            for namespace in ["acme", "b", "ACME", "acme "] {
                for permission in [Read, Write] {
                    let expected = allowed.contains(&(namespace, permission));
                    assert_eq!(
                        access.may(permission, namespace),
                        expected,
                        "{namespace} {permission:?}"
                    );
                }
            }
            assert_eq!(access.may_operate(), may.contains(&Operate));
            assert_eq!(access.to_operate().is_ok(), access.may_operate());
        }
    }

    #[test]
    fn a_server_without_tokens_allows_everything() {
        let access = Access::Everything;
        assert!(access.may(Permission::Write, "acme") && access.may_operate());
        assert_eq!(ask(&access, Permission::Read, None), Ok(false));
        assert_eq!(access.name(), None);
        assert!(!access.is_expired(Timestamp::MAX));
    }

    #[test]
    fn an_outsider_does_not_learn_whether_a_store_is_there() {
        let outsider = access(&["acme"], &[Permission::Read]);
        let hidden = ask(&outsider, Permission::Read, Some("other")).unwrap_err();
        let absent = ask(&outsider, Permission::Read, None).unwrap_err();
        assert_eq!(hidden, absent);
        assert_eq!(
            hidden.to_string(),
            "the token does not allow to read a store of this name"
        );
        assert_eq!(ask(&outsider, Permission::Read, Some("acme")), Ok(true));
        let forbidden = AccessError::Store(Permission::Write);
        assert_eq!(
            ask(&outsider, Permission::Write, Some("acme")),
            Err(forbidden)
        );
        assert_eq!(ask(&outsider, Permission::Write, None), Err(forbidden));
        let insider = access(&["*"], &[Permission::Read]);
        assert_eq!(ask(&insider, Permission::Read, None), Ok(false));
        assert_eq!(ask(&insider, Permission::Write, None), Err(forbidden));
    }

    #[test]
    fn a_refusal_tells_how_to_get_in() {
        let plain = r#"Bearer realm="mortise""#;
        for (error, status, more) in [
            (AccessError::Missing, 401, ""),
            (AccessError::Malformed, 401, r#", error="invalid_token""#),
            (AccessError::Unknown, 401, r#", error="invalid_token""#),
            (AccessError::Expired, 401, r#", error="invalid_token""#),
            (AccessError::Operate, 403, r#", error="insufficient_scope""#),
            (
                AccessError::Store(Permission::Read),
                403,
                r#", error="insufficient_scope""#,
            ),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error}");
            assert_eq!(error.challenge(), format!("{plain}{more}"), "{error}");
        }
    }
}
