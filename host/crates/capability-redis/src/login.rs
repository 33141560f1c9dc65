//! What is said to a server first: who this is, and which database is meant.

use mortise_config::RedisGrant;
use mortise_config::inside::{Address, secret};
use mortise_store::Result;
use redis::RedisConnectionInfo;

/// Reads the password from where the grant says it is.
pub(crate) fn login(grant: &RedisGrant, address: &Address) -> Result<RedisConnectionInfo> {
    let mut login = RedisConnectionInfo::default().set_db(address.database);
    if let Some(username) = grant.username.as_ref().or(address.username.as_ref()) {
        login = login.set_username(username);
    }
    let file = grant.password_file.as_deref();
    let kept = secret("the password of Redis", file, grant.password_env.as_deref())?;
    match kept.or_else(|| address.password.clone()) {
        Some(password) => Ok(login.set_password(password)),
        None => Ok(login),
    }
}
