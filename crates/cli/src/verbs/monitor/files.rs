//! A monitor out of a journal's files: folded here, beside whoever writes them.

use std::time::Instant;

use jiff::SignedDuration;
use proreus_app::questions::{Monitoring, Target, Told};

use super::view::View;
use super::{Wanted, timed_out};
use crate::failure::Failure;
use crate::flags::MonitorFlags;
use crate::run::Context;
use crate::source::directory::{Directory, POLL};

/// How far behind the writer we look while we watch: what it is just writing must not be overtaken by what is due.
const BEHIND: SignedDuration = SignedDuration::from_secs(2);

/// Tells what the files hold, and goes on if that is wanted.
pub(super) async fn follow(
    directory: &Directory,
    wanted: &Wanted,
    flags: &MonitorFlags,
    view: &mut View,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let cluster = flags.cluster.as_deref().map(|word| directory.cluster(word)).transpose()?;
    let is_wanted = |told: &Told| {
        told.progress.namespace.as_str() == wanted.namespace
            && told.progress.name.as_str() == wanted.name
            && cluster.as_ref().is_none_or(|cluster| *cluster == told.progress.cluster)
    };
    let (mut monitoring, mut before) = directory.monitoring()?;
    before.extend(monitoring.catch_up(None)?);
    for told in before.into_iter().filter(is_wanted) {
        view.tell(directory.update(told), context)?;
    }
    if !(flags.watch || flags.await_existence) {
        return if view.last().is_none() { Err(not_found(wanted, &monitoring)) } else { Ok(()) };
    }
    let deadline = Instant::now() + flags.timeout;
    let (mut last, mut seen) = (directory.last_recorded_at(), Instant::now());
    while !view.last().is_some_and(|last| last.terminal) {
        if Instant::now() >= deadline {
            return Err(timed_out(wanted, flags));
        }
        tokio::time::sleep(POLL).await;
        let newest = directory.last_recorded_at();
        if newest != last {
            (last, seen) = (newest, Instant::now());
        }
        // Time passes on the writer's clock too while it has nothing to write.
        let passed = SignedDuration::try_from(seen.elapsed()).unwrap_or_default();
        let now = last.and_then(|last| last.checked_add(passed).ok()?.checked_sub(BEHIND).ok());
        for told in monitoring.catch_up(now)?.into_iter().filter(is_wanted) {
            view.tell(directory.update(told), context)?;
        }
    }
    Ok(())
}

fn not_found(wanted: &Wanted, monitoring: &Monitoring) -> Failure {
    /// Names in a hint: enough to see a slip, few enough to read.
    const NAMES: usize = 5;
    let known: Vec<String> = monitoring.targets().take(NAMES).map(|Target { namespace, name, .. }| format!("{namespace}/{name}")).collect();
    let hint = match known.is_empty() {
        true => "the journal holds no ClusterDeployment and no Cluster; --watch waits for one".to_owned(),
        false => format!("the journal holds {}; --watch waits for one that is not there yet", known.join(", ")),
    };
    Failure::Usage { problem: format!("no cluster {}/{} was recorded", wanted.namespace, wanted.name), hint }
}
