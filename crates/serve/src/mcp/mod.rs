//! The Model Context Protocol: what agents ask by. Streamable HTTP at `/mcp` and standard input, in both eras of the protocol.
//!
//! Hosting and conversion only: a tool, a resource or a completion reads its arguments, asks one method of the application that REST or the
//! command line asks too, and converts the answer. Invariants: everything is read-only; every answer is bounded; whatever is asked is asked
//! with the caller's access.

mod answers;
mod asker;
mod completion;
mod http;
mod profile;
mod prompts;
mod protocol;
mod reference;
mod refusal;
mod resources;
mod rpc;
mod schema;
mod sessions;
mod stdio;
mod subscriptions;
mod tools;
mod uri;
mod words;

use std::io;
use std::sync::Arc;

use proreus_app::Application;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub(crate) use http::{PATH, route};
pub use profile::{AgentProfile, Telling};
pub use reference::reference;
pub use stdio::{LineWriter, Lines};

use crate::limits::Gates;
use crate::metrics::Metrics;
use crate::shared::{Exposure, ServeOptions, Shared};

/// Answers from `app` what comes in on `input`, one message a line, until it ends or `shutdown`.
///
/// # Errors
/// When the output cannot be written.
pub async fn serve_lines<R, W>(app: Arc<Application>, input: R, output: W, shutdown: CancellationToken) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let metrics = Arc::new(Metrics::new(&app));
    let options = ServeOptions::new(Exposure::Loopback, shutdown);
    let shared = Arc::new(Shared { app, metrics, gates: Gates::new(), options });
    stdio::serve(shared, input, output).await
}
