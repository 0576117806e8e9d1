//! Short trails of the past: what checks must know beyond the present state, such as how often a container restarted lately.
//!
//! Pure and bounded: a trail holds what a few named rules ask for, never versions of objects. What began before the snapshot did is known
//! as "at least since", and `is_exact` says so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Seq, Uid};
use serde::{Deserialize, Serialize};

use super::Observed;
use crate::document::Node;
use crate::field::{self, Condition};

/// How far back restarts are remembered: the longest window a check asks for.
const RESTARTS_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Restarts remembered of one container: a loop at its fastest makes some ten in ten minutes.
const RESTARTS_LIMIT: usize = 64;

/// Failed runs remembered of one cron job beyond those whose jobs are still there: more than anybody asks for before telling.
const RUNS_LIMIT: usize = 32;

/// A run of a cron job that failed, and whose job is gone: by default only the last one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedRun {
    /// When it failed.
    pub at: Timestamp,
    /// The last change of its job.
    pub seq: Seq,
}

/// A restart that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// When it was recorded.
    pub at: Timestamp,
    /// The count after it.
    pub count: i64,
    /// How many restarts it stands for: several, where versions in between were not seen; one, where the version before is so old that only
    /// the last of them is known to have happened lately.
    pub steps: i64,
    /// The change that showed it.
    pub seq: Seq,
    /// Whether the run before it was ended for want of memory.
    #[serde(default)]
    pub is_out_of_memory: bool,
}

/// A property and since when it has its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// Its value, as text.
    pub value: String,
    /// Since when; earlier by an unknown time unless `is_exact`.
    pub since: Timestamp,
    /// Whether its beginning was seen.
    pub is_exact: bool,
    /// The change that brought it.
    pub seq: Seq,
}

/// What is remembered of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Trail {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<String, Fact>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    restarts: BTreeMap<String, Vec<Restart>>,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    counts: Counts,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pull_errors: BTreeMap<String, (String, Seq)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_runs: Vec<FailedRun>,
}

/// Restarts by container. Every pod has one of these and most have one container, so it is a list and no tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, i64>", into = "BTreeMap<String, i64>")]
struct Counts(Vec<(Box<str>, i64)>);

impl Counts {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a count and gives the former one.
    fn insert(&mut self, container: &str, count: i64) -> Option<i64> {
        match self.0.binary_search_by(|(name, _)| (**name).cmp(container)) {
            Ok(place) => self.0.get_mut(place).map(|(_, known)| std::mem::replace(known, count)),
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (container.into(), count));
                None
            }
        }
    }
}

impl From<BTreeMap<String, i64>> for Counts {
    fn from(counts: BTreeMap<String, i64>) -> Self {
        Self(counts.into_iter().map(|(container, count)| (container.into(), count)).collect())
    }
}

impl From<Counts> for BTreeMap<String, i64> {
    fn from(counts: Counts) -> Self {
        counts.0.into_iter().map(|(container, count)| (container.into(), count)).collect()
    }
}

impl Trail {
    /// Since when a property has its value.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.get(name)
    }

    /// For what a container waits, where that is not only its turn, and since when. Failing pulls and their back-offs are one.
    pub fn waiting(&self, container: &str) -> Option<&Fact> {
        self.facts.get(&waiting_key(container))
    }

    /// The restarts of a container that were seen at or after a moment, oldest first.
    pub fn restarts_since(&self, container: &str, from: Timestamp) -> impl Iterator<Item = &Restart> {
        self.restarts.get(container).into_iter().flatten().filter(move |restart| restart.at >= from)
    }

    /// The runs of a cron job that failed since its last success, and whose jobs are gone, in the order in which these went.
    pub fn failed_runs(&self) -> &[FailedRun] {
        &self.failed_runs
    }

    /// The last message with which pulling the image of a container failed, and the change that showed it. The message of a back-off says
    /// only that there is one.
    pub fn pull_error(&self, container: &str) -> Option<(&str, Seq)> {
        self.pull_errors.get(container).map(|(message, seq)| (message.as_str(), *seq))
    }
}

/// Says when the state before the one that was just taken in was recorded. Of several restarts that came to be known at once only the last
/// surely happened lately, where the count before them is older than what is remembered: they count as one.
pub(super) fn date(trails: &mut BTreeMap<Uid, Trail>, observed: &Observed, former: Timestamp) {
    if observed.recorded_at.duration_since(former) <= RESTARTS_KEPT {
        return;
    }
    let Some(trail) = trails.get_mut(&observed.id.uid) else { return };
    for restart in trail.restarts.values_mut().flatten().filter(|restart| restart.seq == observed.seq) {
        restart.steps = 1;
    }
}

/// Takes in that an object is gone, which was last so: a failed job counts for its cron job as long as that has not succeeded.
pub(super) fn gone(trails: &mut BTreeMap<Uid, Trail>, last: &Observed) {
    let failed = || last.condition("Failed").ok().flatten().filter(Condition::is_true);
    let owner = || last.controller().filter(|owner| owner.kind.as_str() == "CronJob");
    if last.is("batch", "Job")
        && let Some(failed) = failed()
        && let Some(owner) = owner()
        && let Some(trail) = trails.get_mut(&owner.uid)
    {
        trail.failed_runs.push(FailedRun { at: failed.since.unwrap_or(last.recorded_at), seq: last.seq });
        let surplus = trail.failed_runs.len().saturating_sub(RUNS_LIMIT);
        trail.failed_runs.drain(..surplus);
    }
}

/// Something that is followed: its name, and what it is on an object.
type Followed = (&'static str, fn(Node<'_>) -> Option<String>);

const SHORTFALL: Followed = ("shortfall", shortfall);
const GENERATION: Followed = ("generation", |body| number(body, "/metadata/generation"));
const UPDATED_REPLICAS: Followed = ("updatedReplicas", |body| number(body, "/status/updatedReplicas"));
const PHASE: Followed = ("phase", |body| string(body, "/status/phase"));
/// Whether it is to have pods: a service over a workload that slept has waited for pods only since it woke.
const AWAKE: Followed = ("awake", |body| Some((number(body, "/spec/replicas")? != "0").to_string()));

/// What is followed of a kind, beside the restarts of pods.
fn followed(observed: &Observed) -> &'static [Followed] {
    match (observed.id.group.as_str(), observed.id.kind.as_str()) {
        ("apps", "StatefulSet") => &[
            SHORTFALL,
            GENERATION,
            AWAKE,
            ("readyReplicas", |body| number(body, "/status/readyReplicas")),
            UPDATED_REPLICAS,
            ("updateRevision", |body| string(body, "/status/updateRevision")),
        ],
        ("apps", "DaemonSet") => &[
            ("shortfall", lacks_pods),
            GENERATION,
            ("numberMisscheduled", |body| number(body, "/status/numberMisscheduled")),
            ("updatedNumberScheduled", |body| number(body, "/status/updatedNumberScheduled")),
        ],
        ("apps", "Deployment") => &[SHORTFALL, GENERATION, UPDATED_REPLICAS, AWAKE],
        ("apps", "ReplicaSet") => &[SHORTFALL, GENERATION, AWAKE],
        ("batch", "CronJob") => &[
            ("suspend", |body| Some(field::flag(body, "/spec/suspend").ok()?.unwrap_or(false).to_string())),
            ("schedule", |body| {
                Some(format!("{} {}", string(body, "/spec/schedule")?, string(body, "/spec/timeZone").unwrap_or_default()))
            }),
        ],
        ("policy", "PodDisruptionBudget") => &[
            ("disruptionsAllowed", |body| number(body, "/status/disruptionsAllowed")),
            ("shortfall", |body| Some(less(body, "/status/currentHealthy", "/status/desiredHealthy"))),
        ],
        ("autoscaling", "HorizontalPodAutoscaler") => &[
            ("atMaximum", |body| Some((number(body, "/status/currentReplicas") == number(body, "/spec/maxReplicas")).to_string())),
            ("scalingInactive", scaling_inactive),
        ],
        // The scheduler's word keeps its time when only its reason changes.
        ("", "Pod") => &[("isGated", |body| {
            let scheduled = field::condition(body, "PodScheduled").ok()??;
            scheduled.is_false().then(|| (scheduled.reason == "SchedulingGated").to_string())
        })],
        ("", "Node") => &[
            ("unschedulable", |body| Some(field::flag(body, "/spec/unschedulable").ok()??.to_string())),
            ("ready", |body| status_of(body, "Ready")),
            ("networkUnavailable", |body| status_of(body, "NetworkUnavailable")),
        ],
        ("", "PersistentVolumeClaim") => &[
            PHASE,
            ("placed", |body| {
                let annotations = body.pointer("/metadata/annotations");
                Some(annotations.is_some_and(|all| all.get("volume.kubernetes.io/selected-node").is_some()).to_string())
            }),
        ],
        ("", "PersistentVolume" | "Namespace") => &[PHASE],
        ("", "Service") => &[("loadBalancer", |body| {
            let addresses = body.pointer("/status/loadBalancer/ingress").and_then(Node::as_array);
            Some(addresses.is_some_and(|list| !list.is_empty()).to_string())
        })],
        // Servers of an operator that writes flags only do not say since when they are so. An error comes and goes while one is not ready.
        ("mcpruntime.org", "MCPServer") => &[PHASE, ("notReady", |body| Some((string(body, "/status/phase")? != "Ready").to_string()))],
        ("argoproj.io", "Application") => &[("sync", |body| string(body, "/status/sync/status"))],
        ("discovery.k8s.io", "EndpointSlice") => &[("ready", |body| {
            let is_ready = |endpoint: Node<'_>| endpoint.pointer("/conditions/ready").and_then(Node::as_bool).unwrap_or(true);
            let endpoints = body.get("endpoints").and_then(Node::as_array);
            Some(endpoints.is_some_and(|list| list.iter().any(is_ready)).to_string())
        })],
        _ => &[],
    }
}

fn shortfall(body: Node<'_>) -> Option<String> {
    let wanted = body.pointer("/spec/replicas").or_else(|| body.pointer("/status/desiredNumberScheduled"));
    let wanted = wanted.and_then(Node::as_i64).unwrap_or(1);
    let ready = body.pointer("/status/readyReplicas").or_else(|| body.pointer("/status/numberReady")).and_then(Node::as_i64).unwrap_or(0);
    Some((ready < wanted).to_string())
}

/// Whether an autoscaler cannot scale although its target runs. Of a target that sleeps the condition says `False` as well, and only its
/// reason changes when the target wakes.
fn scaling_inactive(body: Node<'_>) -> Option<String> {
    let active = field::condition(body, "ScalingActive").ok()??;
    Some((active.is_false() && active.reason != "ScalingDisabled").to_string())
}

/// Whether a daemon set lacks pods: that are ready, or that have been ready for long enough to be available.
fn lacks_pods(body: Node<'_>) -> Option<String> {
    let of = |path: &str| body.pointer(path).and_then(Node::as_i64);
    let wanted = of("/status/desiredNumberScheduled")?;
    let (ready, unavailable) = (of("/status/numberReady").unwrap_or(0), of("/status/numberUnavailable").unwrap_or(0));
    Some((ready < wanted || unavailable > 0).to_string())
}

fn less(body: Node<'_>, left: &str, right: &str) -> String {
    let of = |path: &str| body.pointer(path).and_then(Node::as_i64).unwrap_or(0);
    (of(left) < of(right)).to_string()
}

fn number(body: Node<'_>, path: &str) -> Option<String> {
    body.pointer(path).and_then(Node::as_i64).map(|number| number.to_string())
}

fn status_of(body: Node<'_>, condition: &str) -> Option<String> {
    Some(field::condition(body, condition).ok()??.status.to_owned())
}

fn string(body: Node<'_>, path: &str) -> Option<String> {
    body.pointer(path).and_then(Node::as_str).map(str::to_owned)
}

/// The name under which it is followed for what a container waits.
fn waiting_key(container: &str) -> String {
    format!("waiting:{container}")
}

/// Takes in a new state of an object; `is_first` when none was known before.
pub(super) fn follow(trails: &mut BTreeMap<Uid, Trail>, observed: &Observed, is_first: bool) {
    if followed(observed).is_empty() {
        return;
    }
    trails.entry(observed.id.uid.clone()).or_default().take(observed, is_first);
}

/// What an object alone, seen for the first time, would leave in its trail.
pub(super) fn at_first_sight(observed: &Observed) -> Trail {
    let mut trail = Trail::default();
    trail.take(observed, true);
    trail
}

impl Trail {
    fn take(&mut self, observed: &Observed, is_first: bool) {
        for (name, of) in followed(observed) {
            if let Some(value) = of(observed.body()) {
                self.note(name, value, observed, is_first);
            }
        }
        if observed.is("", "Pod") {
            self.containers(observed, is_first);
        }
        if observed.is("batch", "CronJob")
            && let Some(success) = observed.time("/status/lastSuccessfulTime").ok().flatten()
        {
            self.failed_runs.retain(|run| run.at > success);
        }
    }

    fn note(&mut self, name: &str, value: String, observed: &Observed, is_first: bool) {
        if self.facts.get(name).is_some_and(|fact| fact.value == value) {
            return;
        }
        // Something older than our first sight of it may have been so before.
        let is_exact = !is_first || observed.created_at().is_none_or(|created| observed.recorded_at.duration_since(created).as_secs() <= 1);
        self.facts.insert(name.to_owned(), Fact { value, since: observed.recorded_at, is_exact, seq: observed.seq });
    }

    fn containers(&mut self, pod: &Observed, is_first: bool) {
        for list in ["/status/initContainerStatuses", "/status/containerStatuses", "/status/ephemeralContainerStatuses"] {
            for status in pod.list(list).unwrap_or_default() {
                let Some(name) = field::text(status, "/name").ok().flatten() else { continue };
                if let Some(count) = field::int(status, "/restartCount").ok().flatten() {
                    let is_out_of_memory = status.pointer("/lastState/terminated/reason").and_then(Node::as_str) == Some("OOMKilled");
                    self.restarted(name, count, is_out_of_memory, pod);
                }
                let waiting = |key: &str| status.pointer(&format!("/state/waiting/{key}")).and_then(Node::as_str);
                let reason = waiting("reason");
                self.waits(name, reason, pod, is_first);
                match (reason, waiting("message")) {
                    (Some("ErrImagePull" | "RegistryUnavailable" | "ImageInspectError" | "SignatureValidationFailed"), Some(message))
                        if !message.is_empty() =>
                    {
                        self.pull_errors.insert(name.to_owned(), (message.to_owned(), pod.seq));
                    }
                    (Some("ImagePullBackOff"), _) => {}
                    _ => {
                        self.pull_errors.remove(name);
                    }
                }
            }
        }
    }

    fn waits(&mut self, container: &str, reason: Option<&str>, pod: &Observed, is_first: bool) {
        match reason {
            // Before every start: no trouble. Most pods have no facts, and no key is written for them.
            None | Some("" | "ContainerCreating" | "PodInitializing") if self.facts.is_empty() => {}
            None | Some("" | "ContainerCreating" | "PodInitializing") => drop(self.facts.remove(&waiting_key(container))),
            Some("ErrImagePull" | "RegistryUnavailable" | "ImageInspectError" | "SignatureValidationFailed") => {
                self.note(&waiting_key(container), "ImagePullBackOff".to_owned(), pod, is_first)
            }
            Some(reason) => self.note(&waiting_key(container), reason.to_owned(), pod, is_first),
        }
    }

    fn restarted(&mut self, container: &str, count: i64, is_out_of_memory: bool, pod: &Observed) {
        let Some(before) = self.counts.insert(container, count) else { return };
        if count <= before {
            return;
        }
        let seen = self.restarts.entry(container.to_owned()).or_default();
        let steps = count.saturating_sub(before);
        seen.push(Restart { at: pod.recorded_at, count, steps, seq: pod.seq, is_out_of_memory });
        let oldest = pod.recorded_at.checked_sub(RESTARTS_KEPT).unwrap_or(Timestamp::MIN);
        let surplus = seen.len().saturating_sub(RESTARTS_LIMIT);
        let keep_from = seen.iter().position(|restart| restart.at >= oldest).unwrap_or(seen.len()).max(surplus);
        seen.drain(..keep_from);
    }
}
