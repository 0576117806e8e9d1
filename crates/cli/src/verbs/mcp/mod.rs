//! `mcp`: answers an agent over standard input and output, from a journal's files or through a running server.
//!
//! Nothing but JSON-RPC goes to standard output.

mod bridge;
mod pipes;

use proreus_app::application_over_files;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::flags::McpFlags;
use crate::run::Context;
use crate::signals::Signals;
use crate::source::Source;

/// An agent shows what comes on stderr, or keeps it: only what is wrong is told.
const DEFAULT_LOG_LEVEL: &str = "warn";

/// Runs the verb.
pub(crate) async fn run(flags: &McpFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    crate::logging::start(&flags.log, DEFAULT_LOG_LEVEL, context)?;
    let mut signals = Signals::take()?;
    let source = Source::choose(&flags.source, context.around)?;
    let ending = CancellationToken::new();
    let answering = async {
        match source {
            Source::Directory(directory) => {
                let app = application_over_files(directory.questions().clone(), context.around.clock.clone(), ending.clone());
                proreus_serve::mcp::serve_lines(app, pipes::input(), pipes::Output, ending.clone()).await.map_err(Failure::Output)
            }
            Source::Server(server) => {
                let (client, url, token) = server.place("mcp");
                bridge::run(client, url, token, ending.clone()).await
            }
        }
    };
    tokio::select! {
        answered = answering => answered,
        () = signals.next() => {
            ending.cancel();
            Ok(())
        }
    }
}
