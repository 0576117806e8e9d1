//! What several checks read from objects in the same way: the containers of a pod, and whether a pod is on its way out on purpose.
//!
//! Pure.

use std::cell::OnceCell;

use jiff::Timestamp;
use proreus_observe::document::Node;
use proreus_observe::field::{self, Condition, Read, malformed};
use proreus_observe::{Fact, KindRef, Observed, Restart};

use crate::check::{Severity, Subject, Undecided};

/// Which end of a container.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The present one: it does not run.
    Present,
    /// The one before its present state.
    Last,
}

impl End {
    /// Where the status tells of it.
    fn place(self) -> &'static str {
        match self {
            Self::Present => "/state/terminated",
            Self::Last => "/lastState/terminated",
        }
    }
}

/// The part a container has in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs to its end before the next is started.
    Init,
    /// It is started before the others and stays: an init container that is always restarted.
    Sidecar,
    /// One of those for which the pod is there.
    Main,
    /// Somebody put it into the pod later, to look around. It can neither be taken out nor mended.
    Ephemeral,
}

/// A container of a pod with its status.
#[derive(Clone, Copy)]
pub(super) struct Container<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its entry in the status.
    pub(super) status: Node<'a>,
    /// Its part in the pod.
    pub(super) role: Role,
}

impl<'a> Container<'a> {
    /// Its entry in the specification.
    pub(super) fn specification(&self, pod: &'a Observed) -> Read<Option<Node<'a>>> {
        let list = match self.role {
            Role::Init | Role::Sidecar => "/spec/initContainers",
            Role::Main => "/spec/containers",
            Role::Ephemeral => "/spec/ephemeralContainers",
        };
        named(pod, list, self.name)
    }

    /// How bad a trouble of this container is that would be so bad for the others: what somebody tries in a pod is nobody's outage.
    pub(super) fn at_most(&self, severity: Severity) -> Severity {
        if self.role == Role::Ephemeral { Severity::Info } else { severity }
    }

    /// Reason and message of its waiting, where it waits.
    pub(super) fn waiting(&self) -> Read<Option<(&'a str, &'a str)>> {
        let Some(waiting) = field::map(self.status, "/state/waiting")? else { return Ok(None) };
        let word = |key: &str| match waiting.get(key).filter(|value| !value.is_null()) {
            Some(value) => value.as_str().ok_or_else(|| malformed(&format!("/state/waiting/{key}"), "text", value)),
            None => Ok(""),
        };
        Ok(Some((word("reason")?, word("message")?)))
    }

    /// How it ended, where it did.
    pub(super) fn terminated(&self, end: End) -> Read<Option<Terminated<'a>>> {
        let place = end.place();
        if field::map(self.status, place)?.is_none() {
            return Ok(None);
        }
        let path = |key: &str| format!("{place}/{key}");
        Ok(Some(Terminated {
            reason: field::text(self.status, &path("reason"))?.unwrap_or_default(),
            message: field::text(self.status, &path("message"))?.unwrap_or_default(),
            exit_code: field::int(self.status, &path("exitCode"))?,
            started_at: field::time(self.status, &path("startedAt"))?,
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
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
}

/// What nearly every check reads of an object, read once for all that look at the same one.
#[derive(Default)]
pub(crate) struct Readings {
    leaves: OnceCell<Read<bool>>,
}

/// [`is_leaving`] of the pod before the check.
pub(super) fn leaves(subject: &Subject<'_>) -> Read<bool> {
    subject.readings.leaves.get_or_init(|| is_leaving(subject.object)).clone()
}

/// Every container that the status of a pod tells of: those that run first, the ordinary, the ephemeral.
pub(super) fn containers(pod: &Observed) -> Read<Vec<Container<'_>>> {
    let mut found = Vec::new();
    let Some(lists) = pod.map("/status")? else { return Ok(found) };
    let keys = [("initContainerStatuses", Role::Init), ("containerStatuses", Role::Main), ("ephemeralContainerStatuses", Role::Ephemeral)];
    for (key, role) in keys {
        let Some(list) = lists.get(key).filter(|list| !list.is_null()) else { continue };
        let path = || format!("/status/{key}");
        for status in list.as_array().ok_or_else(|| malformed(&path(), "a list", list))? {
            let name = field::text(status, "/name")?.ok_or_else(|| malformed(&path(), "a list of entries with names", status))?;
            let role = if role == Role::Init && is_sidecar(pod, name)? { Role::Sidecar } else { role };
            found.push(Container { name, status, role });
        }
    }
    Ok(found)
}

/// The entry of this name in a list of the specification.
fn named<'a>(pod: &'a Observed, list: &str, name: &str) -> Read<Option<Node<'a>>> {
    for entry in pod.list(list)? {
        if field::text(entry, "/name")? == Some(name) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn is_sidecar(pod: &Observed, name: &str) -> Read<bool> {
    let Some(entry) = named(pod, "/spec/initContainers", name)? else { return Ok(false) };
    Ok(field::text(entry, "/restartPolicy")? == Some("Always"))
}

/// Reasons for waiting that checks of their own tell.
const TOLD_WAITS: [&str; 14] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "PostStartHookError",
    "PreCreateHookError",
    "PreStartHookError",
    "RegistryUnavailable",
    "RunContainerError",
    "SignatureValidationFailed",
];

/// Whether a check of its own tells of a container that waits for this reason.
pub(super) fn is_told_elsewhere(reason: &str) -> bool {
    TOLD_WAITS.contains(&reason)
}

/// Since when a container can have waited for what it waits for: not before the pod had a node, the run before had ended, and the init
/// containers were done; nor before the reason was recorded, where that was seen. A pod may be years older than its trouble.
pub(super) fn waiting_since(subject: &Subject<'_>, container: &Container<'_>, all: &[Container<'_>]) -> Read<Option<Timestamp>> {
    let pod = subject.object;
    let recorded = subject.view.trail(&pod.id.uid).and_then(|trail| trail.waiting(container.name));
    if container.role == Role::Ephemeral {
        // Nothing in the pod says when it was put in.
        return Ok(recorded.map(|fact| fact.since));
    }
    let mut since = bound_since(pod)?.max(recorded.and_then(|fact| later_beginning(pod, fact)));
    since = since.max(container.terminated(End::Last)?.and_then(|end| end.finished_at));
    for other in all.iter().filter(|other| other.role == Role::Init && other.name != container.name) {
        since = since.max(other.terminated(End::Present)?.and_then(|end| end.finished_at));
    }
    Ok(since)
}

/// How many restarts fell after a moment, of those that were recorded after it. A record stands for several where versions between were not
/// seen; where the run before the present one began before the moment, only the last of them is certain.
pub(super) fn restarts_after(from: Timestamp, container: &Container<'_>, seen: &[&Restart]) -> Read<i64> {
    let counted: i64 = seen.iter().map(|restart| restart.steps).sum();
    let unseen = seen.last().map_or(0, |last| last.steps.saturating_sub(1));
    let is_older = unseen > 0 && container.terminated(End::Last)?.and_then(|end| end.started_at).is_some_and(|start| start < from);
    Ok(if is_older { counted.saturating_sub(unseen) } else { counted })
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

/// Kinds that count how many of their pods are ready.
const WORKLOADS: [KindRef; 4] = [KindRef::DEPLOYMENT, KindRef::STATEFUL_SET, KindRef::REPLICA_SET, KindRef::DAEMON_SET];

/// Whether none of the replicas of the workload that owns a pod is ready; a pod without an owner stands for itself. What owns the workload,
/// such as a resource of an operator, counts no replicas and is passed over.
pub(super) fn is_owner_down(subject: &Subject<'_>) -> bool {
    let (view, pod) = (subject.view, subject.object);
    let top = view.top_owner(&pod.id);
    if top == pod.id {
        return true;
    }
    // Of a workload that is named and not known, a replica set below it is only a part.
    let is_workload = WORKLOADS.iter().any(|kind| kind.group == top.group.as_str() && kind.kind == top.kind.as_str());
    if is_workload && view.get(&top).is_none() {
        return false;
    }
    let Some(workload) = view.controllers(pod).filter(|owner| WORKLOADS.iter().any(|kind| owner.is_a(*kind))).last() else { return false };
    let lacks_ready = |workload: &Observed| {
        let ready = if workload.is_a(KindRef::DAEMON_SET) { "/status/numberReady" } else { "/status/readyReplicas" };
        workload.int(ready).ok().flatten().unwrap_or(0) == 0
    };
    let above = workload.controller().filter(|_| workload.is_a(KindRef::REPLICA_SET));
    // Others than Deployments roll out by replica sets too: the pods of the former version may be ready.
    let is_sibling_ready =
        above.is_some_and(|owner| view.children(&owner.uid).any(|other| other.is_a(KindRef::REPLICA_SET) && !lacks_ready(other)));
    lacks_ready(workload) && !is_sibling_ready
}

/// Since when a pod is bound to its node; where that is not told, since it was made.
pub(super) fn bound_since(pod: &Observed) -> Read<Option<Timestamp>> {
    let bound = pod.condition("PodScheduled")?.filter(|condition| condition.is_true()).and_then(|condition| condition.since);
    Ok(bound.or_else(|| pod.created_at()))
}

/// Since when the scheduler refuses a pod: not before its gates were opened, for the condition keeps its time while only its reason changes.
pub(super) fn refused_since(subject: &Subject<'_>, scheduled: &Condition<'_>) -> Timestamp {
    let trail = subject.view.trail(&subject.object.id.uid);
    let ungated = trail.and_then(|trail| trail.fact("isGated")).and_then(|fact| later_beginning(subject.object, fact));
    subject.since(scheduled.since.or_else(|| subject.object.created_at()).max(ungated))
}

/// How many replicas a workload wants; the API's default is one.
pub(super) fn wanted_replicas(workload: &Observed) -> Read<i64> {
    Ok(workload.int("/spec/replicas")?.unwrap_or(1))
}

/// A workload whose controller has written a status about its newest specification.
///
/// # Errors
/// When there is no status, or one about an older specification: what it says is not about what is wanted now.
pub(super) fn observed<'a>(subject: &Subject<'a>) -> Result<&'a Observed, Undecided> {
    let workload = subject.known()?;
    if workload.map("/status")?.is_none_or(|status| status.is_empty()) {
        return Err(Undecided::Unknown("its controller has not written a status yet".to_owned()));
    }
    match workload.is_observed()? {
        true => Ok(workload),
        false => Err(Undecided::Unknown("its controller has not seen the newest specification yet".to_owned())),
    }
}

/// Since when something that is followed has the value that is wrong; since the last change, where it was not followed.
pub(super) fn fact_since(subject: &Subject<'_>, name: &str) -> Timestamp {
    let fact = subject.view.trail(&subject.object.id.uid).and_then(|trail| trail.fact(name));
    fact.map_or(subject.object.recorded_at, |fact| fact.since)
}

/// A state that began within this long of an object's creation is the one it was born with: kubelets report within seconds of joining.
const FIRST_SECONDS: i64 = 30;

/// What is told within this long of the first sight of an object is how it began: an object is made, and its status follows.
const BORN_SECONDS: i64 = 2;

/// Whether an object has been so since it was made. `false` where its making is not known.
pub(super) fn is_so_from_birth(object: &Observed, since: Timestamp) -> bool {
    object.created_at().is_some_and(|made| since.duration_since(made).as_secs() <= FIRST_SECONDS)
}

/// When something began that was seen to begin, unless it was so when the object was first seen: then the object's own words are the better ones.
fn later_beginning(object: &Observed, fact: &Fact) -> Option<Timestamp> {
    (fact.is_exact && fact.since.duration_since(object.first_seen).as_secs() >= BORN_SECONDS).then_some(fact.since)
}

/// Whether a followed fact about the object was seen to become other than it was at first.
pub(super) fn was_seen_to_change(subject: &Subject<'_>, name: &str) -> bool {
    let fact = subject.view.trail(&subject.object.id.uid).and_then(|trail| trail.fact(name));
    fact.is_some_and(|fact| fact.since > subject.object.first_seen)
}

/// The first of these texts that holds one of its words (lower case), by which a message is put into a class.
pub(super) fn class_of<T>(text: &str, classes: &'static [(T, &'static [&'static str])]) -> Option<&'static T> {
    let lower = text.to_ascii_lowercase();
    classes.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word))).map(|(class, _)| class)
}

/// A message of others, shortened for a sentence of ours.
pub(super) fn quoted(text: &str) -> String {
    const CHARS: usize = 400;
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(CHARS) {
        None => one_line,
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
    }
}

/// `message`, led in by a colon, or nothing.
pub(super) fn said(text: &str) -> String {
    let text = quoted(text);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The newest warning about an object with one of these reasons.
pub(super) fn last_warning<'a>(subject: &Subject<'a>, reasons: &[&str]) -> Option<proreus_observe::EventFacts<'a>> {
    let events = subject.view.events_of(&subject.object.id.uid);
    events.into_iter().rev().find(|event| event.is_warning() && reasons.contains(&event.reason))
}
