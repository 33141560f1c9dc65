//! Sessions over HTTP, and how they go on in another process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mortise_store::limits::{MAX_MCP_INITIALIZE_BYTES, MAX_MCP_SESSIONS};
use rmcp::model::{Extensions, InitializeRequestParams};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionHandle, LocalSessionManager,
};
use rmcp::transport::streamable_http_server::session::{
    SessionState as Restorable, SessionStore, SessionStoreError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use super::notice::Notice;

/// The header with a session's id.
pub(super) const SESSION_ID: &str = "mcp-session-id";
/// How soon a client comes back whose stream was ended for a restart.
const COME_BACK: Duration = Duration::from_millis(50);

/// A session, as it goes from one process to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    id: String,
    /// What the client said when it began.
    initialize: InitializeRequestParams,
    /// Whether it wants notices.
    notices: bool,
}

/// The sessions over HTTP: those of this process, and those that it took over.
///
/// A session is started anew where it is asked for and there is none: after a restart, and after five minutes of
/// silence. Beyond 4,096 sessions, the one that was silent for the longest is forgotten: its client begins again.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Those that are alive in this process.
    pub(super) alive: Arc<LocalSessionManager>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<String, Session>,
    /// Counts uses: the smallest is the longest ago.
    clock: u64,
}

#[derive(Debug)]
struct Session {
    initialize: InitializeRequestParams,
    wanted: bool,
    /// What it is to be told when it is started anew.
    notice: Option<Notice>,
    /// Whether the client has a stream of this process.
    listened: bool,
    used: u64,
    /// Held while it is started anew: until that is done, it takes no other request.
    starting: Arc<tokio::sync::Mutex<()>>,
}

impl Sessions {
    /// All of them, for [`restore`](Self::restore) in another process.
    pub fn export(&self) -> Vec<SessionState> {
        let known = self.known();
        let sessions = known.sessions.iter();
        let sessions = sessions.map(|(id, session)| SessionState {
            id: id.clone(),
            initialize: session.initialize.clone(),
            notices: session.wanted,
        });
        sessions.collect()
    }

    /// Goes on with the sessions of another process. Each is told the notice, where there is one, as soon as it is
    /// heard of.
    pub fn restore(&self, sessions: Vec<SessionState>, notice: Option<Notice>) {
        let mut known = self.known();
        for state in sessions {
            let session = known.session(state.initialize, state.notices, notice.clone());
            known.insert(state.id, session);
        }
    }

    /// Ends the streams that wait for messages of the server, and asks their clients to come back at once: to whichever
    /// process accepts connections by then. The sessions go on.
    pub async fn end_streams(&self) {
        let handles: Vec<LocalSessionHandle> =
            self.alive.sessions.read().await.values().cloned().collect();
        let ended = handles
            .iter()
            .map(|session| session.close_standalone_sse_stream(Some(COME_BACK)));
        // A session that is gone has no stream.
        let _ = join_all(ended).await;
    }

    /// How many are alive in this process.
    pub async fn alive(&self) -> usize {
        self.alive.sessions.read().await.len()
    }

    /// A session is not silent.
    pub(super) fn heard_of(&self, id: &str) {
        let mut known = self.known();
        known.clock += 1;
        let now = known.clock;
        if let Some(session) = known.sessions.get_mut(id) {
            session.used = now;
        }
    }

    /// Waits while another request starts a session anew. Where this one is to, others wait for it until what comes back
    /// is dropped.
    pub(super) async fn starting(&self, id: &str) -> Option<OwnedMutexGuard<()>> {
        let starting = Arc::clone(&self.known().sessions.get(id)?.starting);
        let starting = starting.lock_owned().await;
        let is_alive = self.alive.sessions.read().await.contains_key(id);
        (!is_alive).then_some(starting)
    }

    /// Whether this is the first stream that a client of the session asks this process for.
    pub(super) fn first_stream(&self, id: &str) -> bool {
        let mut known = self.known();
        let session = known.sessions.get_mut(id);
        session.is_some_and(|session| !std::mem::replace(&mut session.listened, true))
    }

    pub(super) fn set_wanted(&self, id: &str, wanted: bool) {
        if let Some(session) = self.known().sessions.get_mut(id) {
            session.wanted = wanted;
        }
    }

    /// A session was started anew: whether it wants notices, and what it is to be told.
    pub(super) fn restored(&self, id: &str) -> (bool, Option<Notice>) {
        let mut known = self.known();
        let session = known.sessions.get_mut(id);
        session.map_or((true, None), |session| {
            (session.wanted, session.notice.take())
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn session(
        &mut self,
        initialize: InitializeRequestParams,
        wanted: bool,
        notice: Option<Notice>,
    ) -> Session {
        self.clock += 1;
        Session {
            initialize,
            wanted,
            notice,
            listened: false,
            used: self.clock,
            starting: Arc::default(),
        }
    }

    /// Adds a session, in the place of the one that was silent for the longest where there are too many.
    fn insert(&mut self, id: String, session: Session) {
        if self.sessions.len() >= MAX_MCP_SESSIONS && !self.sessions.contains_key(&id) {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.sessions.remove(&oldest);
            }
        }
        self.sessions.insert(id, session);
    }
}

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn load(&self, id: &str) -> Result<Option<Restorable>, SessionStoreError> {
        let known = self.known();
        let session = known.sessions.get(id);
        Ok(session.map(|session| Restorable::new(session.initialize.clone())))
    }

    async fn store(&self, id: &str, state: &Restorable) -> Result<(), SessionStoreError> {
        let initialize = &state.initialize_params;
        let length = serde_json::to_vec(initialize)?.len();
        if length > MAX_MCP_INITIALIZE_BYTES {
            return Err(format!(
                "the client's initialize has {length} bytes, expected at most {MAX_MCP_INITIALIZE_BYTES}: its session \
                 ends with this process"
            )
            .into());
        }
        let mut known = self.known();
        let session = known.session(initialize.clone(), true, None);
        known.insert(id.to_owned(), session);
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.known().sessions.remove(id);
        Ok(())
    }
}

/// The session that a request belongs to; none over stdio.
pub(super) fn id_of(extensions: &Extensions) -> Option<&str> {
    let parts = extensions.get::<axum::http::request::Parts>()?;
    parts.headers.get(SESSION_ID)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ClientCapabilities, Implementation};

    use super::*;

    fn restorable(name: &str) -> Restorable {
        let client = Implementation::new(name, "1");
        Restorable::new(InitializeRequestParams::new(
            ClientCapabilities::default(),
            client,
        ))
    }

    #[tokio::test]
    async fn a_session_goes_on_in_another_process() {
        let old = Sessions::default();
        old.store("s", &restorable("client")).await.unwrap();
        old.set_wanted("s", false);
        let json = serde_json::to_string(&old.export()).unwrap();

        let new = Sessions::default();
        new.restore(serde_json::from_str(&json).unwrap(), None);
        let loaded = new.load("s").await.unwrap().unwrap();
        assert_eq!(loaded.initialize_params.client_info.name, "client");
        assert_eq!(new.restored("s"), (false, None));
        new.delete("s").await.unwrap();
        assert_eq!(new.export(), []);
    }

    #[tokio::test]
    async fn the_one_that_was_silent_for_the_longest_is_forgotten() {
        let sessions = Sessions::default();
        for number in 0..MAX_MCP_SESSIONS {
            let id = number.to_string();
            sessions.store(&id, &restorable("c")).await.unwrap();
        }
        sessions.heard_of("0");
        sessions.store("one more", &restorable("c")).await.unwrap();
        assert_eq!(sessions.export().len(), MAX_MCP_SESSIONS);
        assert!(sessions.load("0").await.unwrap().is_some());
        assert!(sessions.load("1").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_client_that_says_too_much_is_not_kept() {
        let sessions = Sessions::default();
        let name = "x".repeat(MAX_MCP_INITIALIZE_BYTES);
        let error = sessions.store("s", &restorable(&name)).await.unwrap_err();
        assert!(
            error.to_string().contains("expected at most 16384"),
            "{error}"
        );
        assert_eq!(sessions.export(), []);
    }

    #[test]
    fn a_stream_is_the_first_once() {
        let sessions = Sessions::default();
        let state = SessionState {
            id: "s".to_owned(),
            initialize: restorable("c").initialize_params,
            notices: true,
        };
        sessions.restore(vec![state], None);
        assert!(sessions.first_stream("s"));
        assert!(!sessions.first_stream("s"));
        assert!(!sessions.first_stream("another"));
    }
}
