//! `monitor`: how far a cluster is that is being made. Lines for people, or the updates as JSON; a bar below them on a terminal.
//!
//! The exit code is the outcome: a cluster that failed, or did not come to its end in time, is the bad news that was asked for.

mod files;
mod remote;
mod view;

use proreus_app::questions::Phase;

use crate::failure::Failure;
use crate::flags::MonitorFlags;
use crate::run::Context;
use crate::source::Source;
use crate::terminal::fit::clean;
use view::View;

/// Reason of the word with which a server ends a subscription that took too long.
const TIMED_OUT: &str = "TimeoutExceeded";

/// Which monitor.
struct Wanted {
    namespace: String,
    name: String,
}

/// Runs the verb.
pub(crate) async fn run(flags: &MonitorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let wanted = read_name(&flags.cluster_deployment)?;
    let source = Source::choose(&flags.source, context.around)?;
    let is_watching = match &source {
        Source::Directory(_) => flags.watch || flags.await_existence,
        Source::Server(_) => !flags.no_watch,
    };
    let mut view = View::new(flags, is_watching, context);
    let outcome = match &source {
        Source::Directory(directory) => files::follow(directory, &wanted, flags, &mut view, context).await,
        Source::Server(server) => remote::follow(server, &wanted, flags, &mut view, context).await,
    };
    let last = view.finish(context)?;
    outcome?;
    match last.filter(|last| last.terminal) {
        Some(last) if last.reason == TIMED_OUT => Err(timed_out(&wanted, flags)),
        Some(last) if last.phase == Phase::Failed => {
            Err(Failure::BadNews { problem: format!("{}/{} failed", wanted.namespace, wanted.name), hint: clean(&last.message) })
        }
        Some(_) | None => Ok(()),
    }
}

fn read_name(text: &str) -> Result<Wanted, Failure> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'));
    let (namespace, name) = parts.ok_or_else(|| Failure::Usage {
        problem: format!("`{text}` names no cluster"),
        hint: "write NAMESPACE/NAME of the ClusterDeployment, such as kcm-system/prod".to_owned(),
    })?;
    Ok(Wanted { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn timed_out(wanted: &Wanted, flags: &MonitorFlags) -> Failure {
    let seconds = flags.timeout.as_secs();
    let time = if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") };
    Failure::BadNews {
        problem: format!("{}/{} did not come to its end within {time}", wanted.namespace, wanted.name),
        hint: "raise --timeout, or ask again: nothing that was told is lost".to_owned(),
    }
}
