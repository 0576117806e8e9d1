//! What every handler reaches: the application, the figures, the gates, the end.

use std::sync::Arc;

use proreus_app::Application;
use tokio_util::sync::CancellationToken;

use crate::limits::Gates;
use crate::mcp::AgentProfile;
use crate::metrics::Metrics;

/// Who may reach the server at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This machine only. A page in a browser on this machine must not get in by a name that it made resolve to us, so foreign `Host` and
    /// `Origin` headers are refused.
    Loopback,
    /// Whoever has a route; the names by which that happens are not known here.
    Network,
}

/// How to host.
#[derive(Clone)]
pub struct ServeOptions {
    /// Who may reach the server.
    pub exposure: Exposure,
    /// Ends streams, and the server.
    pub shutdown: CancellationToken,
    /// What agents are offered besides.
    pub profile: Option<Arc<dyn AgentProfile>>,
}

impl ServeOptions {
    /// With nothing besides.
    pub fn new(exposure: Exposure, shutdown: CancellationToken) -> Self {
        Self { exposure, shutdown, profile: None }
    }
}

/// What every handler reaches.
pub(crate) struct Shared {
    pub(crate) app: Arc<Application>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gates: Gates,
    pub(crate) options: ServeOptions,
}
