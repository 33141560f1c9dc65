//! The server: what it says about itself, and which tools it has.
#![expect(deprecated, reason = "the revisions that are spoken have logging")]

use std::borrow::Cow;
use std::sync::Arc;

use mortise_restart::inside::Gate;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, SetLevelRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::transport::streamable_http_server::session::SessionRestoreMarker;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tracing::Instrument as _;

use super::call::{self, Call};
use super::notice::{Audience, Notice, Wanted, tell};
use super::restarts::Restarts;
use super::sessions::{self, Sessions};
use super::tool::{Entry, ON_STORES, ON_THE_SERVER};
use crate::access::Served;

/// The newest revision that has sessions, and messages outside of requests.
const NEWEST: ProtocolVersion = ProtocolVersion::V_2025_11_25;
/// The methods that are known, and whose parameters can be wrong.
const METHODS: [&str; 5] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "logging/setLevel",
];

/// What a model is told about all tools together.
const INSTRUCTIONS: &str = "Keeps the state of agents: tasks (conversations, item by item) and entities (jobs, cases, \
    objects of any kind, in collections). list_stores tells which stores there are. Reads answer a revision; \
    update_task expects the one that the task was read at, and fails with conflict where somebody else was faster. \
    Failed calls answer a kind and often a hint.";

/// The stores as an MCP server. Cheap to clone: all clones are one server.
#[derive(Clone)]
pub struct Mcp(Arc<Shared>);

struct Shared {
    served: Arc<Served>,
    restarts: Option<Arc<dyn Restarts>>,
    sessions: Arc<Sessions>,
    audience: Audience,
}

impl Mcp {
    /// Serves these stores.
    pub fn new(served: impl Into<Arc<Served>>) -> Self {
        Self::start(served.into(), None)
    }

    /// Serves these stores, with the tools that restart the server.
    pub fn with_restarts(served: impl Into<Arc<Served>>, restarts: Arc<dyn Restarts>) -> Self {
        Self::start(served.into(), Some(restarts))
    }

    fn start(served: Arc<Served>, restarts: Option<Arc<dyn Restarts>>) -> Self {
        Self(Arc::new(Shared {
            served,
            restarts,
            sessions: Arc::default(),
            audience: Audience::default(),
        }))
    }

    /// The sessions over HTTP.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.0.sessions
    }

    /// Tells every client that is connected, over stdio and HTTP, and that did not ask for warnings alone. Ends when
    /// all were told; one that does not read is given up after a second.
    pub async fn notify(&self, notice: &Notice) {
        self.0.audience.tell(notice).await;
    }

    pub(super) fn audience(&self) -> &Audience {
        &self.0.audience
    }

    fn tools(&self) -> impl Iterator<Item = &'static Entry> {
        let on_the_server = self.0.restarts.iter().flat_map(|_| ON_THE_SERVER.iter());
        ON_STORES.iter().chain(on_the_server)
    }
}

impl std::fmt::Debug for Mcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mcp")
            .field("served", &self.0.served)
            .finish_non_exhaustive()
    }
}

/// What answers one client.
pub(super) struct Handler {
    mcp: Mcp,
    wanted: Wanted,
    /// By which calls can be given up.
    calls: Gate,
}

impl Handler {
    pub(super) fn new(mcp: Mcp, wanted: Wanted, calls: Gate) -> Self {
        Self { mcp, wanted, calls }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder();
        let capabilities = capabilities.enable_tools().enable_logging().build();
        let about = Implementation::new("mortise", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities)
            .with_protocol_version(NEWEST)
            .with_server_info(about.with_title("Mortise"))
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::known_up_to(&NEWEST))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.mcp.tools().map(|entry| entry.listed.clone());
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = &*request.name;
        let mut tools = self.mcp.tools();
        let Some(tool) = tools.find(|entry| entry.listed.name == name) else {
            let what = format!("unknown tool: {name:?}; tools/list has their names");
            return Err(ErrorData::invalid_params(what, None));
        };
        let span = call::span(&context);
        span.in_scope(|| tracing::debug!(tool = name, "called"));
        let call = Call {
            served: Arc::clone(&self.mcp.0.served),
            restarts: self.mcp.0.restarts.clone(),
            context,
        };
        let pass = self.calls.within("tool");
        let result = tokio::select! {
            result = (tool.run)(call).instrument(span) => result,
            () = pass.cut() => tool.given_up(),
        };
        Ok(result.into())
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let wanted = match request.level {
            LoggingLevel::Debug | LoggingLevel::Info | LoggingLevel::Notice => true,
            LoggingLevel::Warning
            | LoggingLevel::Error
            | LoggingLevel::Critical
            | LoggingLevel::Alert
            | LoggingLevel::Emergency => false,
        };
        self.wanted.set(wanted);
        if let Some(id) = sessions::id_of(&context.extensions) {
            self.mcp.0.sessions.set_wanted(id, wanted);
        }
        Ok(())
    }

    /// What is none of the protocol's requests, by its method or by its parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        if METHODS.contains(&&*method) {
            let what = format!("the parameters of {method} are not those of the protocol");
            return Err(ErrorData::invalid_params(what, None));
        }
        let what = format!("there is no method {method:?}");
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, what, None))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let NotificationContext {
            peer, extensions, ..
        } = context;
        self.mcp.audience().add(peer.clone(), self.wanted.clone());
        let Some(SessionRestoreMarker { id, .. }) = extensions.get() else {
            return;
        };
        let (wanted, notice) = self.mcp.0.sessions.restored(id);
        self.wanted.set(wanted);
        if let Some(notice) = notice.filter(|_| wanted) {
            tell(&peer, &notice).await;
        }
    }
}
