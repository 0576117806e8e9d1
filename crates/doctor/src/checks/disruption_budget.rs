//! Disruption budgets that are spent, that keep a node from being drained, or that guard nothing.
//!
//! Pure. A budget without slack is how many people run a single replica, so it is told only where it stands in somebody's way.

use std::sync::Arc;

use proreus_observe::{KindRef, Observed, Selector};

use super::joins::{self, unknown};
use super::kinds;
use super::reading;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "disruption-budget",
    title: "A disruption budget is spent, blocks a drain, or guards nothing",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "bring the pods it guards back to health, or give the budget more room",
    kinds: &[KindRef::POD_DISRUPTION_BUDGET],
    needs: &[KindRef::POD],
    reads: &[kinds::ROLLOUT],
    reasons: &["PdbUnhealthy", "PdbBlocksDrain", "PdbNoMatch"],
    examine,
    ..Check::BASE
};

/// Looks at one budget.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let budget = reading::observed(subject)?;
    let selector = Selector::of_terms(budget.body(), "/spec/selector")?;
    if selector.is_empty() || joins::is_going(budget)? {
        return Ok(Vec::new());
    }
    let mut pods = subject.view.pods_matching(&budget.id.cluster, &budget.id.namespace, &selector);
    let number = |path: &str| Ok::<_, Undecided>(budget.int(path)?.unwrap_or(0));
    if pods.is_empty() && number("/status/expectedPods")? == 0 {
        return guards_nothing(subject, &selector);
    }
    let remains = pods.len();
    pods.retain(|pod| !joins::has_ended(pod));
    // What has ended is no pod to guard, although the controller counts it, as long as nobody wants others in its place.
    if pods.is_empty() && remains > 0 && !workloads(subject, &selector).any(wants_pods) {
        return Ok(Vec::new());
    }
    if number("/status/disruptionsAllowed")? > 0 {
        return Ok(Vec::new());
    }
    let (Some(healthy), Some(wanted)) = (budget.int("/status/currentHealthy")?, budget.int("/status/desiredHealthy")?) else {
        return unknown("its status does not say how many pods must be healthy, or are");
    };
    let owner = pods.first().map(|pod| subject.view.top_owner(&pod.id));
    if healthy < wanted {
        let text = format!("{healthy} of {wanted} pods that must stay healthy are; none may be evicted");
        let finding = subject.finding("PdbUnhealthy", text, reading::fact_since(subject, "shortfall")).consequence();
        return Ok(vec![match owner {
            Some(owner) => finding.owned_by(owner),
            None => finding,
        }]);
    }
    let cordoned = pods.iter().find_map(|pod| cordoned_node(subject, pod));
    let Some((node, since)) = cordoned else { return Ok(Vec::new()) };
    let text = format!("node `{node}` is being emptied, and the budget lets none of its pods go");
    let remedy = "give the workload one replica more, or lower minAvailable, until the drain is done";
    Ok(vec![subject.finding("PdbBlocksDrain", text, since).remedy(remedy)])
}

/// The node of a pod, if nothing new may come to it, and since when.
fn cordoned_node(subject: &Subject<'_>, pod: &Observed) -> Option<(String, jiff::Timestamp)> {
    let name = reading::node_of(pod).ok()??;
    let node = subject.view.named(&pod.id.cluster, KindRef::NODE, &"".into(), &name.into())?;
    let is_cordoned = node.flag("/spec/unschedulable").ok()? == Some(true);
    let since = subject.view.trail(&node.id.uid).and_then(|trail| trail.fact("unschedulable")).map_or(node.recorded_at, |fact| fact.since);
    is_cordoned.then(|| (name.to_owned(), since))
}

/// Whether a workload wants pods; one that cannot be read may.
fn wants_pods(workload: &Arc<Observed>) -> bool {
    joins::wanted_replicas(workload).ok() != Some(0)
}

/// The workloads whose pods a selector matches.
fn workloads<'a>(subject: &Subject<'a>, selector: &Selector) -> impl Iterator<Item = &'a Arc<Observed>> {
    let (view, id) = (subject.view, &subject.object.id);
    let kinds = [KindRef::DEPLOYMENT, KindRef::STATEFUL_SET, KindRef::REPLICA_SET, kinds::ROLLOUT].into_iter();
    let all = kinds.flat_map(move |kind| view.in_namespace(&id.cluster, kind, &id.namespace));
    all.filter(move |workload| selector.matches(workload.map("/spec/template/metadata/labels").ok().flatten()))
}

/// No pod matches; one that waits for a workload scaled to zero is as it should be.
fn guards_nothing(subject: &Subject<'_>, selector: &Selector) -> Verdict {
    if workloads(subject, selector).next().is_some() {
        return Ok(Vec::new());
    }
    let finding = subject.finding("PdbNoMatch", "no pod and no workload matches its selector", subject.object.first_seen);
    Ok(vec![finding.severity(Severity::Info).remedy("correct its selector, or delete it")])
}
