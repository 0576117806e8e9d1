//! A monitor of a server: its log so far, then its stream, again from the last cursor when the connection breaks.

use std::time::Duration;

use tokio::time::Instant;

use super::view::View;
use super::{Wanted, timed_out};
use crate::failure::Failure;
use crate::flags::MonitorFlags;
use crate::run::Context;
use crate::source::Server;

/// Pause before a lost stream is asked for again; a server that restarts is back within seconds.
const RETRY: Duration = Duration::from_secs(1);
/// How long a server may be gone before we say so: longer than a restart takes, shorter than a person waits.
const GONE_FOR: Duration = Duration::from_secs(60);

/// Tells what the server's log holds, and goes on unless that is not wanted.
pub(super) async fn follow(
    server: &Server,
    wanted: &Wanted,
    flags: &MonitorFlags,
    view: &mut View,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let cluster = flags.cluster.as_deref();
    let mut cursor: Option<String> = None;
    loop {
        match server.monitor(&wanted.namespace, &wanted.name, cluster, cursor.as_deref()).await {
            Ok(page) => {
                for update in page.items {
                    view.tell(update, context)?;
                }
                cursor = Some(page.end_cursor);
                if page.next_cursor.is_none() {
                    break;
                }
            }
            Err(Failure::Refused { status: 404, .. }) if flags.await_existence && cursor.is_none() => break,
            Err(failure) => return Err(failure),
        }
    }
    if flags.no_watch || view.last().is_some_and(|last| last.terminal) {
        return Ok(());
    }
    view.wait_for(&format!("{}/{}", wanted.namespace, wanted.name));
    let deadline = Instant::now() + flags.timeout;
    let mut answered = Instant::now();
    while Instant::now() < deadline {
        match listen(server, wanted, flags, &mut cursor, deadline, view, context).await {
            Ok(true) => return Ok(()),
            Ok(false) => answered = Instant::now(),
            Err(failure @ Failure::Unreachable { .. }) if answered.elapsed() >= GONE_FOR => return Err(failure),
            Err(Failure::Unreachable { .. }) => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + RETRY)).await;
    }
    Err(timed_out(wanted, flags))
}

/// One stream: true when it came to the monitor's end, false when it broke off.
async fn listen(
    server: &Server,
    wanted: &Wanted,
    flags: &MonitorFlags,
    cursor: &mut Option<String>,
    deadline: Instant,
    view: &mut View,
    context: &mut Context<'_, '_>,
) -> Result<bool, Failure> {
    // A second more than we wait ourselves: then the end is ours to tell.
    let timeout = deadline.saturating_duration_since(Instant::now()).as_secs() + 1;
    let ask =
        server.monitor_stream(&wanted.namespace, &wanted.name, flags.cluster.as_deref(), cursor.as_deref(), timeout, flags.await_existence);
    let mut stream = ask.await?;
    loop {
        match tokio::time::timeout_at(deadline, stream.update()).await {
            Err(_) => return Err(timed_out(wanted, flags)),
            Ok(Ok(None)) => return Ok(false),
            // Broken in the middle: what comes after the last cursor is asked for again.
            Ok(Err(Failure::Unreachable { .. })) => return Ok(false),
            Ok(Err(failure)) => return Err(failure),
            Ok(Ok(Some(update))) => {
                *cursor = Some(update.cursor.clone());
                let is_end = update.terminal;
                view.tell(update, context)?;
                if is_end {
                    return Ok(true);
                }
            }
        }
    }
}
