//! Requests to a server, and what became of them.

use std::io;
use std::time::Duration;

use backon::Retryable as _;
use mortise_config::inside::{secret, tls};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::{self, RootCertStore};

use crate::address::Address;
use crate::problem::{Failure, Head, foreign, refusal};
use crate::retry::{Fate, Next, pauses};

/// How long a connection may take, its TLS included. A call that has less time left is not tried again, so that one
/// that ends without a connection is known to have done nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection is kept without a request. A server closes it after 30 s, and a write that is sent at just
/// that instant may have happened.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// A server, and the connections to it.
pub(crate) struct Server {
    client: reqwest::Client,
    connect_timeout: Duration,
    pub(crate) address: Address,
}

/// What is asked of a server.
pub(crate) struct Ask {
    pub(crate) operation: Operation,
    pub(crate) request: Request,
    /// The largest answer, in bytes.
    pub(crate) most: u64,
}

impl Server {
    /// Reads what the address names: the token, and whom to trust. Connects to nobody yet. Blocks while files are read.
    pub(crate) fn new(address: Address) -> Result<Self> {
        let mut headers = HeaderMap::new();
        let accepted = HeaderValue::from_static("application/json, application/problem+json");
        headers.insert(header::ACCEPT, accepted);
        let file = address.token_file.as_deref();
        if let Some(token) = secret("the token", file, address.token_env.as_deref())? {
            if !address.is_encrypted() && !address.is_loopback() {
                let server = address.server();
                tracing::warn!(server, "the token is sent without TLS: use https://");
            }
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| {
                Error::config("the token has characters that no token has, expected ASCII")
            })?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let authorities = match address.is_encrypted() {
            true => tls::authorities(address.ca_file.as_deref())?,
            false => RootCertStore::empty(),
        };
        let connect_timeout = CONNECT_TIMEOUT.min(address.timeout / 2);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::trusting(authorities))
            .default_headers(headers)
            .user_agent(concat!("mortise/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A token goes to the server that was named, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // What is tried again is decided in one place.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Error::config("the client does not start").with_source(error))?;
        Ok(Self {
            client,
            connect_timeout,
            address,
        })
    }

    /// Makes a request, again and again where that is safe, until there is an answer or the call's time is over. `read`
    /// reads the JSON of an answer, or an answer without content.
    pub(crate) async fn ask<T>(
        &self,
        ask: Ask,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T> {
        let (address, operation) = (&self.address, ask.operation);
        let (each, all) = match operation {
            Operation::Clear | Operation::Statistics => {
                (address.upkeep_timeout, address.upkeep_timeout)
            }
            _ => (address.attempt_timeout, address.timeout),
        };
        let deadline = Instant::now() + all;
        let left = || deadline.saturating_duration_since(Instant::now());
        let attempt = || async {
            let patience = each.min(left());
            let exchanged = timeout(patience, self.exchange(&ask, &read)).await;
            exchanged.unwrap_or_else(|_| {
                let what = format!("{} did not answer within {patience:?}", address.server());
                Err(Failure {
                    fate: Fate::Lost,
                    error: Error::new(ErrorKind::Deadline, operation, what),
                })
            })
        };
        let next = |failure: &Failure| failure.fate.next(operation.writes());
        let answer = attempt
            .retry(pauses())
            // Who asks how a store is doing is told how it is, not how it will be.
            .when(|failure| operation != Operation::Health && next(failure) == Next::Again)
            .adjust(|failure, pause| failure.fate.pause(pause?, left(), self.connect_timeout))
            .notify(|failure, pause| {
                let (server, reason) = (address.server(), failure.error.with_causes());
                tracing::warn!(server, reason, ?pause, "a call is tried again");
            })
            .await;
        answer.map_err(|failure| match next(&failure) {
            Next::TellAmbiguous => failure.error.into_ambiguous(),
            Next::Again | Next::Tell => failure.error,
        })
    }

    /// One attempt.
    async fn exchange<T>(
        &self,
        ask: &Ask,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let operation = ask.operation;
        let request = ask.request.try_clone().expect("its body is no stream");
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| self.not_answered(operation, error))?;
        let head = Head::of(&response);
        let body = self.body(ask, &head, response).await?;
        let readable = match head.status {
            StatusCode::OK | StatusCode::CREATED => head.media_type == JSON,
            status => status == StatusCode::NO_CONTENT,
        };
        if readable {
            return read(&body).map_err(|reason| foreign(operation, &head, &body, Some(&reason)));
        }
        if head.media_type == PROBLEM
            && let Ok(problem) = serde_json::from_slice(&body)
            && let Some(failure) = refusal(operation, &head, problem)
        {
            return Err(failure);
        }
        Err(foreign(operation, &head, &body, None))
    }

    /// The body of an answer, which is not read on where it has more bytes than it may have.
    async fn body(
        &self,
        ask: &Ask,
        head: &Head,
        mut response: Response,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    let what = format!("the answer of {} was cut", self.address.server());
                    let error = Error::new(ErrorKind::Unavailable, ask.operation, what)
                        .with_source(error.without_url());
                    return Err(Failure {
                        fate: Fate::Lost,
                        error,
                    });
                }
            }
            if body.len() as u64 > ask.most {
                let reason = format!("more than {} bytes", ask.most);
                return Err(foreign(ask.operation, head, &body, Some(&reason)));
            }
        }
    }

    /// What became of a request that was not answered.
    fn not_answered(&self, operation: Operation, error: reqwest::Error) -> Failure {
        let server = self.address.server();
        let told = |fate, kind, what: String| Failure {
            fate,
            error: Error::new(kind, operation, what),
        };
        let failure = if error.is_builder() {
            let what = format!("no request to {server} can be made of it");
            told(Fate::Settled, ErrorKind::Invalid, what)
        } else if error.is_connect() && is_untrusted(&error) {
            let what = format!("{server} does not prove who it is");
            let mut failure = told(Fate::Settled, ErrorKind::Config, what);
            let hint = "name the certificate of its authority as ?ca-file=PATH";
            failure.error = failure.error.with_hint(hint);
            failure
        } else if error.is_connect() {
            let what = format!("{server} cannot be reached, nothing happened");
            let mut failure = told(Fate::NotSent, ErrorKind::Unavailable, what);
            let hint = "does `mortise serve` run there?";
            failure.error = failure.error.with_hint(hint);
            failure
        } else {
            let what = format!("the answer of {server} was lost");
            told(Fate::Lost, ErrorKind::Unavailable, what)
        };
        Failure {
            fate: failure.fate,
            error: failure.error.with_source(error.without_url()),
        }
    }
}

/// Whether rustls refused the connection: what it finds wrong with a certificate stays wrong.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // What an I/O error wraps is not its source.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => is_untrusted(wrapped),
        None => error.source().is_some_and(is_untrusted),
    }
}

/// Adds a body of JSON.
pub(crate) fn with_json(mut request: Request, value: &impl serde::Serialize) -> Request {
    let json = serde_json::to_vec(value).expect("what goes over the wire can be written as JSON");
    let media_type = HeaderValue::from_static(JSON);
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    *request.body_mut() = Some(json.into());
    request
}

/// Adds what the request wants to be there.
pub(crate) fn comparing(mut request: Request, name: HeaderName, tag: String) -> Request {
    let tag = HeaderValue::try_from(tag).expect("digits in quotes, and *, are a header's value");
    request.headers_mut().insert(name, tag);
    request
}
