//! How checks look from one object to another: what is there, what is surely missing, and what nobody can tell.
//!
//! Pure. Invariant: an object is called missing only while its kind is being watched; otherwise the absence is a doubt, and a doubt is
//! never health.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::document::Node;
use proreus_observe::field::{self, Condition, Read};
use proreus_observe::{Freshness, KindRef, Observed};

use super::reading;
use crate::check::{Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// What is known of an object that another one names.
#[derive(Clone, Debug)]
pub(super) enum Sight<'a> {
    /// It is there.
    There(&'a Observed),
    /// It is not there, and we would know.
    Missing,
    /// Nobody can tell, with the reason.
    Unsure(String),
}

/// Looks for an object by its name; `namespace` is `""` for kinds of the cluster.
pub(super) fn look<'a>(subject: &Subject<'a>, kind: KindRef, namespace: &str, name: &str) -> Sight<'a> {
    let cluster = &subject.object.id.cluster;
    match subject.view.named(cluster, kind, &namespace.into(), &name.into()) {
        Some(found) if found.is_known() => Sight::There(found),
        Some(_) => Sight::Unsure(format!("of the {} `{name}` nothing but its existence is recorded", kind.kind)),
        None => match is_watched(subject, kind) {
            Ok(()) => Sight::Missing,
            Err(why) => Sight::Unsure(format!("the {} `{name}` is not known, and {why}", kind.kind)),
        },
    }
}

/// Whether an object of this kind that is not known does not exist; otherwise why that cannot be told.
pub(super) fn is_watched(subject: &Subject<'_>, kind: KindRef) -> Result<(), String> {
    let freshness = subject.view.freshness(&subject.object.id.cluster, kind);
    if freshness.is_certain_at(subject.now) {
        return Ok(());
    }
    Err(match freshness {
        Freshness::Fresh => format!("{} are watched", kind.resource),
        Freshness::Stale { since, .. } => format!("{} were last seen {since}", kind.resource),
        Freshness::NotRecorded { .. } => format!("{} are not recorded", kind.resource),
        Freshness::Forbidden { .. } => format!("{} may not be read", kind.resource),
    })
}

/// Findings and doubts about one object.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    found: Vec<Finding>,
    doubts: Vec<String>,
}

impl Gathered {
    /// Something is wrong.
    pub(super) fn tell(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Something cannot be told.
    pub(super) fn doubt(&mut self, why: impl Into<String>) {
        self.doubts.push(why.into());
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// What was found stands whatever the doubts; without findings, a doubt means that nobody can tell.
    pub(super) fn verdict(self) -> Verdict {
        match self.found.is_empty() && !self.doubts.is_empty() {
            true => Err(Undecided::Unknown(self.doubts.join("; "))),
            false => Ok(self.found),
        }
    }
}

/// `Unknown`, with the reason.
pub(super) fn unknown<T>(why: impl Into<String>) -> Result<T, Undecided> {
    Err(Undecided::Unknown(why.into()))
}

/// `Skipped`, with the reason.
pub(super) fn skipped<T>(why: impl Into<String>) -> Result<T, Undecided> {
    Err(Undecided::Skipped(why.into()))
}

/// Whether somebody asked for the object to be deleted.
pub(super) fn is_going(object: &Observed) -> Read<bool> {
    Ok(object.time("/metadata/deletionTimestamp")?.is_some())
}

/// Whether a pod has come to its end, be it well or evicted.
pub(super) fn has_ended(pod: &Observed) -> bool {
    matches!(pod.text("/status/phase"), Ok(Some("Succeeded" | "Failed")))
}

/// Whether a pod says that it is ready.
pub(super) fn is_ready(pod: &Observed) -> bool {
    pod.condition("Ready").ok().flatten().is_some_and(|ready| ready.is_true())
}

/// The node of a pod, where it is known.
pub(super) fn node_of<'a>(subject: &Subject<'a>, pod: &Observed) -> Option<&'a Observed> {
    let name = reading::node_of(pod).ok()??;
    subject.view.named(&pod.id.cluster, KindRef::NODE, &"".into(), &name.into()).map(AsRef::as_ref)
}

/// When the node of a pod, which reports, began to: what a pod was before, while its node was away, says nothing of the pod.
pub(super) fn node_back_at(subject: &Subject<'_>, pod: &Observed) -> Option<Timestamp> {
    let node = node_of(subject, pod)?;
    let ready = node.condition("Ready").ok()??;
    // A node's clock may run ahead of ours.
    ready.since.filter(|_| ready.is_true()).map(|since| since.min(node.recorded_at))
}

/// Since when a claim that is followed is true; since the last change, where the trail does not say that it is.
pub(super) fn true_since(subject: &Subject<'_>, name: &str) -> Timestamp {
    let trail = subject.view.trail(&subject.object.id.uid);
    let fact = trail.and_then(|trail| trail.fact(name)).filter(|fact| fact.value == "true");
    fact.map_or(subject.object.recorded_at, |fact| fact.since)
}

/// When a claim that is followed became true, where that was seen and it still is.
pub(super) fn began_at(subject: &Subject<'_>, name: &str) -> Option<Timestamp> {
    began_at_of(subject, subject.object, name)
}

/// The same of another object than the one that is looked at.
pub(super) fn began_at_of(subject: &Subject<'_>, object: &Observed, name: &str) -> Option<Timestamp> {
    let fact = subject.view.trail(&object.id.uid)?.fact(name)?;
    (fact.value == "true" && fact.is_exact).then_some(fact.since)
}

/// A condition that speaks of the newest specification.
///
/// # Errors
/// `Unknown` when the condition is absent, or speaks of an older specification than the present one.
pub(super) fn condition<'a>(object: &'a Observed, of: &str) -> Result<Condition<'a>, Undecided> {
    if !object.is_observed()? {
        return unknown("its controller has not seen the newest specification yet");
    }
    let Some(found) = object.condition(of)? else { return unknown(format!("it has no {of} condition")) };
    match is_outdated(object, &found)? {
        true => unknown(format!("its {of} condition speaks of an older specification")),
        false => Ok(found),
    }
}

/// Whether a condition speaks of an older specification than the object has.
pub(super) fn is_outdated(object: &Observed, condition: &Condition<'_>) -> Read<bool> {
    let generation = object.int("/metadata/generation")?;
    Ok(generation.zip(condition.observed_generation).is_some_and(|(generation, seen)| seen < generation))
}

/// Whether a condition speaks of the newest specification: by its own word where it has one, else by that of the whole status. Some
/// controllers take the status as a whole forward only when they succeed, and each condition whenever they write it.
pub(super) fn is_current(object: &Observed, condition: &Condition<'_>) -> Read<bool> {
    match condition.observed_generation {
        Some(_) => Ok(!is_outdated(object, condition)?),
        None => object.is_observed(),
    }
}

/// The condition of a type in a list of conditions that does not stand at `status.conditions`.
pub(super) fn condition_in<'a>(root: Node<'a>, list: &str, of: &str) -> Read<Option<Condition<'a>>> {
    for entry in field::list(root, list)? {
        if field::text(entry, "/type")? == Some(of) {
            return field::read_condition(entry).map(Some);
        }
    }
    Ok(None)
}

/// Whether a condition is `True`.
///
/// # Errors
/// `Unknown` when it is neither `True` nor `False`: its controller cannot tell, or has not written it whole.
pub(super) fn holds(condition: &Condition<'_>, of: &str) -> Result<bool, Undecided> {
    match condition.status {
        "True" => Ok(true),
        "False" => Ok(false),
        other => unknown(format!("its {of} condition is `{other}`")),
    }
}

/// An autoscaler that its controller has looked at.
///
/// # Errors
/// `Unknown` when it has no conditions: nobody has said that it works.
pub(super) fn scaler<'a>(subject: &Subject<'a>) -> Result<&'a Observed, Undecided> {
    let scaler = reading::observed(subject)?;
    match scaler.list("/status/conditions")?.is_empty() {
        true => unknown("its controller has not written conditions yet"),
        false => Ok(scaler),
    }
}

/// How many replicas a workload wants; the API's default is one.
///
/// # Errors
/// `Unknown` when it has no specification: what it wants is not known.
pub(super) fn wanted_replicas(workload: &Observed) -> Result<i64, Undecided> {
    match workload.map("/spec")? {
        Some(_) => Ok(reading::wanted_replicas(workload)?),
        None => unknown("/spec is not set"),
    }
}

/// A finding that becomes worse with time: as it is for so long, and then with the other severity.
pub(super) fn worsening(finding: Finding, after_seconds: i64, then: Severity) -> Vec<Finding> {
    let turn = later(finding.since, after_seconds);
    let mut worse = finding.clone().severity(then).grace(0);
    worse.since = turn;
    vec![finding.until(turn), worse]
}

/// A moment so many seconds after another one.
pub(super) fn later(moment: Timestamp, seconds: i64) -> Timestamp {
    moment.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// The seconds from a moment to another one, where there is one and it is later.
pub(super) fn seconds_between(moment: Timestamp, later: Option<Timestamp>) -> i64 {
    later.map_or(0, |later| later.duration_since(moment).as_secs().max(0))
}

/// A moment so many seconds before another one.
pub(super) fn earlier(moment: Timestamp, seconds: i64) -> Timestamp {
    moment.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

/// `Kind namespace/name`, as people write it.
pub(super) fn called(object: &Observed) -> String {
    match object.id.namespace.as_str() {
        "" => format!("{} `{}`", object.id.kind, object.name()),
        namespace => format!("{} `{namespace}/{}`", object.id.kind, object.name()),
    }
}

/// The static text that equals a text which came from outside: classes and reasons are words of ours.
pub(super) fn word_of(text: &str, words: &'static [&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| *word == text)
}
