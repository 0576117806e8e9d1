//! What several checks read from objects in the same way: the containers of a pod, and whether a pod is on its way out on purpose.
//!
//! Pure.

use jiff::Timestamp;
use proreus_observe::field::{self, Read, malformed};
use proreus_observe::{KindRef, Observed};
use serde_json::Value;

use crate::check::{Subject, Undecided};

/// A container of a pod with its status.
#[derive(Clone, Copy)]
pub(super) struct Container<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its entry in the status.
    pub(super) status: &'a Value,
    /// Whether it runs before the others.
    pub(super) is_init: bool,
}

impl<'a> Container<'a> {
    /// Reason and message of its waiting, where it waits.
    pub(super) fn waiting(&self) -> Read<Option<(&'a str, &'a str)>> {
        if field::map(self.status, "/state/waiting")?.is_none() {
            return Ok(None);
        }
        let reason = field::text(self.status, "/state/waiting/reason")?.unwrap_or_default();
        Ok(Some((reason, field::text(self.status, "/state/waiting/message")?.unwrap_or_default())))
    }

    /// Its end: the present one, or else the one before the present state.
    pub(super) fn terminated(&self, place: &'static str) -> Read<Option<Terminated<'a>>> {
        let path = |key: &str| format!("/{place}/terminated/{key}");
        if field::map(self.status, &format!("/{place}/terminated"))?.is_none() {
            return Ok(None);
        }
        Ok(Some(Terminated {
            reason: field::text(self.status, &path("reason"))?.unwrap_or_default(),
            message: field::text(self.status, &path("message"))?.unwrap_or_default(),
            exit_code: field::int(self.status, &path("exitCode"))?,
            finished_at: field::time(self.status, &path("finishedAt"))?,
        }))
    }

    /// How often it was restarted.
    pub(super) fn restarts(&self) -> Read<i64> {
        Ok(field::int(self.status, "/restartCount")?.unwrap_or_default())
    }

    /// Since when it runs, where it does.
    pub(super) fn running_since(&self) -> Read<Option<Timestamp>> {
        field::time(self.status, "/state/running/startedAt")
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminated<'a> {
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) exit_code: Option<i64>,
    pub(super) finished_at: Option<Timestamp>,
}

/// Every container that the status of a pod tells of: those that run first, the ordinary, the ephemeral.
pub(super) fn containers(pod: &Observed) -> Read<Vec<Container<'_>>> {
    let mut found = Vec::new();
    for (path, is_init) in
        [("/status/initContainerStatuses", true), ("/status/containerStatuses", false), ("/status/ephemeralContainerStatuses", false)]
    {
        for status in pod.list(path)? {
            let name = field::text(status, "/name")?.ok_or_else(|| malformed(path, "a list of entries with names", status))?;
            found.push(Container { name, status, is_init });
        }
    }
    Ok(found)
}

/// The phase of a pod; one without is not judged.
pub(super) fn phase<'a>(subject: &Subject<'a>) -> Result<&'a str, Undecided> {
    let pod = subject.known()?;
    pod.text("/status/phase")?.ok_or_else(|| Undecided::Unknown("/status/phase is not set".to_owned()))
}

/// Whether a pod goes away because somebody wanted it to: its troubles are nobody's.
pub(super) fn is_leaving(pod: &Observed) -> Read<bool> {
    if pod.map("/metadata")?.is_some_and(|metadata| metadata.get("deletionTimestamp").is_some_and(|value| !value.is_null())) {
        return Ok(true);
    }
    Ok(pod.condition("DisruptionTarget")?.is_some_and(|condition| condition.is_true()))
}

/// The node a pod is bound to.
pub(super) fn node_of(pod: &Observed) -> Read<Option<&str>> {
    pod.text("/spec/nodeName")
}

/// Whether none of the replicas of the workload that owns a pod is ready; a pod without a workload stands for itself.
pub(super) fn is_owner_down(subject: &Subject<'_>) -> bool {
    let owner = subject.view.top_owner(&subject.object.id);
    if owner == subject.object.id {
        return true;
    }
    let Some(owner) = subject.view.get(&owner) else { return false };
    let ready = if owner.is_a(KindRef::DAEMON_SET) { "/status/numberReady" } else { "/status/readyReplicas" };
    let counts = [KindRef::DEPLOYMENT, KindRef::STATEFUL_SET, KindRef::REPLICA_SET, KindRef::DAEMON_SET];
    counts.iter().any(|kind| owner.is_a(*kind)) && owner.int(ready).ok().flatten().unwrap_or(0) == 0
}
