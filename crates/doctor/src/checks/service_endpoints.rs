//! Services behind which nobody answers, and why.
//!
//! Pure. The truth is in the EndpointSlices; pods and workloads of the namespace only explain it. A workload that was scaled to zero, or
//! whose pods have done their work, is no fault.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::document::Fields;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed, Selector};

use super::deployment_unavailable::{starting_grace_seconds, starts};
use super::endpoints::{self, Endpoints};
use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "service-no-endpoints",
    title: "Nobody answers behind a service",
    severity: Severity::Critical,
    grace_seconds: 120,
    remediation: "compare the service's selector and target ports with its pods, and see why none of them is ready",
    kinds: &[KindRef::SERVICE],
    needs: &[KindRef::POD],
    reads: &[
        KindRef::ENDPOINT_SLICE,
        kinds::ENDPOINTS,
        KindRef::DEPLOYMENT,
        KindRef::STATEFUL_SET,
        KindRef::DAEMON_SET,
        KindRef::REPLICA_SET,
        KindRef::JOB,
        KindRef::CRON_JOB,
    ],
    reasons: &["ServiceNoEndpoints", "ServicePortWithoutEndpoints"],
    examine,
    ..Check::BASE
};

/// Grace while pods start for the first time: slow starts are no outage.
const STARTING_GRACE_SECONDS: i64 = 300;
/// A pod this much older than the loss of the last endpoint is no replacement of the one that was lost: it was there before.
const REPLACING: SignedDuration = SignedDuration::from_secs(5);
/// Within this time of its making or its waking a workload makes its first pods.
const FIRST_PODS: SignedDuration = SignedDuration::from_secs(30);
/// Pods named in one message.
const PODS_NAMED_LIMIT: usize = 3;

/// Looks at one Service.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let service = subject.known()?;
    if joins::is_going(service)? || service.text("/spec/type")? == Some("ExternalName") {
        return Ok(Vec::new());
    }
    if service.map("/spec")?.is_none() {
        return unknown("/spec is not set");
    }
    let selector = Selector::of_map(service.body(), "/spec/selector")?;
    let found = endpoints::of_service(subject, service)?;
    let has_ports = !service.list("/spec/ports")?.is_empty();
    if found.usable > 0 || (found.ready > 0 && !has_ports) {
        return ports_without_endpoints(subject, &found, selector.is_empty());
    }
    match selector.is_empty() {
        true => without_selector(subject, &found),
        false => explain(subject, &selector, &found),
    }
}

/// Ports of a Service on which none of its ready endpoints listens.
fn ports_without_endpoints(subject: &Subject<'_>, found: &Endpoints, is_by_hand: bool) -> Verdict {
    let (Some(known), service) = (&found.ports, subject.object) else { return Ok(Vec::new()) };
    let mut missing = Vec::new();
    for port in service.list("/spec/ports")? {
        let name = field::text(port, "/name")?.unwrap_or_default();
        if name.is_empty() || known.iter().any(|known| known == name) {
            continue;
        }
        let target = field::at(port, "/targetPort")?.and_then(|target| target.as_str()).unwrap_or(name);
        let (class, text, remedy) = match is_by_hand {
            true => (
                "CustomEndpoints",
                format!(
                    "none of its EndpointSlices has a port with the name `{name}`; it has no selector, so somebody writes them by hand"
                ),
                "give the port in the EndpointSlice the name that it has in the service",
            ),
            false => (
                "TargetPortMissing",
                format!("no ready pod listens on port `{name}`: none names a container port `{target}`"),
                "give the container port the name that the service's targetPort has, or write the number",
            ),
        };
        let finding = subject.finding("ServicePortWithoutEndpoints", text, service.recorded_at).severity(Severity::Warning);
        missing.push(finding.part(name).class(class).remedy(remedy).shown_by(found.seqs.clone()));
    }
    Ok(missing)
}

fn without_selector(subject: &Subject<'_>, found: &Endpoints) -> Verdict {
    if !found.is_published {
        return skipped("it has no selector, and nobody has written endpoints for it");
    }
    let text =
        format!("none of its {} endpoints is ready; it has no selector, so somebody writes them by hand", found.unready + found.going);
    let remedy = "see what writes the service's EndpointSlices, and whether the addresses in them answer";
    Ok(vec![tell(subject, found, "CustomEndpoints", text, None).severity(Severity::Warning).remedy(remedy)])
}

/// Why there are no endpoints: from the pods that are selected, or the lack of them.
fn explain(subject: &Subject<'_>, selector: &Selector, found: &Endpoints) -> Verdict {
    let (service, view) = (subject.object, subject.view);
    let pods = view.pods_matching(&service.id.cluster, &service.id.namespace, selector);
    let pods: Vec<&Observed> = pods.into_iter().map(AsRef::as_ref).collect();
    if pods.is_empty() {
        return nobody_selected(subject, selector, found);
    }
    let (mut ready, mut unready, mut going) = (Vec::new(), Vec::new(), Vec::new());
    for pod in &pods {
        if matches!(pod.text("/status/phase")?, Some("Succeeded" | "Failed")) {
            continue;
        }
        match (reading::is_leaving(pod)?, pod.condition("Ready")?.is_some_and(|ready| ready.is_true())) {
            (true, _) => going.push(*pod),
            (false, true) => ready.push(*pod),
            (false, false) => unready.push(*pod),
        }
    }
    match () {
        () if !ready.is_empty() => ready_but_unlisted(subject, found, &ready),
        () if !unready.is_empty() => pods_not_ready(subject, found, &unready),
        () if !going.is_empty() => {
            let text = format!("all of its {} pods are going, and none has come in their place", going.len());
            Ok(vec![tell(subject, found, "AllTerminating", text, None).shown_by(going.iter().map(|pod| pod.seq))])
        }
        () => skipped("the pods it selects have done their work"),
    }
}

fn pods_not_ready(subject: &Subject<'_>, found: &Endpoints, pods: &[&Observed]) -> Verdict {
    let mut since: Option<Timestamp> = None;
    let mut is_starting = true;
    for pod in pods {
        let moment = pod.condition("Ready")?.and_then(|ready| ready.since).or_else(|| pod.created_at());
        since = since.max(moment.map(|moment| moment.min(pod.recorded_at)));
        // Who lost its last endpoint when this pod was already there does not start.
        let was_served = found.lost_at.zip(pod.created_at()).is_some_and(|(lost, made)| lost.duration_since(made) > REPLACING);
        is_starting &= !was_served && starts_quietly(pod)?;
    }
    // What pods were while their nodes were away says nothing of them; nothing is excused where one of them has not this excuse.
    since = since.max(pods.iter().map(|pod| joins::node_back_at(subject, pod)).min().flatten());
    let names: Vec<&str> = pods.iter().take(PODS_NAMED_LIMIT).map(|pod| pod.name()).collect();
    let more = if pods.len() > names.len() { ", …" } else { "" };
    let text = format!("none of the {} pods it selects is ready ({}{more})", pods.len(), names.join(", "));
    let remedy = "the pods' own findings say why they are not ready: mend them first, the service follows by itself";
    let grace = match (is_starting, owner_starts(subject, pods)) {
        (true, true) => starting_grace_seconds(pods.iter().copied())?,
        (true, false) if says_it_starts(pods)? => STARTING_GRACE_SECONDS,
        _ => CHECK.grace_seconds,
    };
    let mut finding = tell(subject, found, "PodsNotReady", text, since).remedy(remedy).grace(grace).consequence();
    // Where all of them belong to one workload, its trouble is this trouble.
    let owners: Vec<_> = pods.iter().map(|pod| subject.view.top_owner(&pod.id)).collect();
    if let [first, rest @ ..] = owners.as_slice()
        && rest.iter().all(|owner| owner == first)
    {
        finding.owner = first.clone();
    }
    Ok(vec![finding.shown_by(pods.iter().map(|pod| pod.seq))])
}

/// Whether every pod itself says that it is being started: it is still being made, or a startup probe has not passed.
fn says_it_starts(pods: &[&Observed]) -> Result<bool, Undecided> {
    for pod in pods {
        let mut starts = pod.text("/status/phase")? == Some("Pending");
        for container in reading::containers(pod)? {
            let is_made = matches!(container.waiting()?, Some(("ContainerCreating" | "PodInitializing", _)));
            starts |= is_made || field::flag(container.status, "/started")? == Some(false);
        }
        if !starts {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether all the pods belong to workloads that start, for the first time or after sleep.
fn owner_starts(subject: &Subject<'_>, pods: &[&Observed]) -> bool {
    let owner_of = |object: &Observed| subject.view.by_uid(&object.controller()?.uid).map(AsRef::as_ref);
    for pod in pods {
        let Some(owner) = owner_of(pod) else { return false };
        let deployment: Option<&Observed> = owner_of(owner).filter(|owner| owner.is_a(KindRef::DEPLOYMENT));
        let is_start = match deployment {
            Some(deployment) => starts(subject, deployment).unwrap_or(false),
            // Others say nothing of that: their first pods come when they are made, or wake.
            None => {
                let began = owner.created_at().max(joins::began_at_of(subject, owner, "awake"));
                pod.created_at().zip(began).is_some_and(|(made, began)| made.duration_since(began) <= FIRST_PODS)
            }
        };
        if !is_start {
            return false;
        }
    }
    true
}

/// Whether a pod has not been ready yet and nothing went wrong so far.
fn starts_quietly(pod: &Observed) -> Result<bool, Undecided> {
    let since = pod.condition("Ready")?.and_then(|ready| ready.since);
    // A pod is not ready from the second on in which the kubelet takes it.
    if pod.created_at().is_some() && since.is_some_and(|since| !reading::is_so_from_birth(pod, since)) {
        return Ok(false);
    }
    for container in reading::containers(pod)? {
        let waiting = container.waiting()?.map_or("", |(reason, _)| reason);
        if container.restarts()? > 0 || !matches!(waiting, "" | "ContainerCreating" | "PodInitializing") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Pods are ready and yet no endpoint is usable: a named port that they do not have, or nobody keeps the slices.
fn ready_but_unlisted(subject: &Subject<'_>, found: &Endpoints, ready: &[&Observed]) -> Verdict {
    for port in subject.object.list("/spec/ports")? {
        let Some(target) = field::at(port, "/targetPort")?.and_then(|target| target.as_str()) else { continue };
        let mut is_named = false;
        for pod in ready {
            is_named |= names_port(pod, target)?;
        }
        if !is_named {
            let text = format!("its {} ready pods name no container port `{target}`, which is the service's targetPort", ready.len());
            let remedy = "give the container port that name, or write the number as the service's targetPort";
            let finding = tell(subject, found, "TargetPortMissing", text, Some(subject.object.recorded_at)).remedy(remedy);
            return Ok(vec![finding.shown_by(ready.iter().map(|pod| pod.seq))]);
        }
    }
    unknown(format!("{} of its pods are ready, and no EndpointSlice lists them as such", ready.len()))
}

fn names_port(pod: &Observed, target: &str) -> Result<bool, Undecided> {
    for container in pod.list("/spec/containers")?.iter().chain(pod.list("/spec/initContainers")?) {
        for port in field::list(container, "/ports")? {
            if field::text(port, "/name")? == Some(target) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// No pod has the labels: the workload that should make them, or the nearest labels.
fn nobody_selected(subject: &Subject<'_>, selector: &Selector, found: &Endpoints) -> Verdict {
    if let Err(why) = joins::is_watched(subject, KindRef::POD) {
        return unknown(why);
    }
    if found.unready > 0 {
        let text = format!("none of its {} endpoints is ready", found.unready);
        let remedy = "see what the addresses in its EndpointSlices belong to: no pod that is known has the service's labels";
        return Ok(vec![tell(subject, found, "PodsNotReady", text, None).remedy(remedy)]);
    }
    let mut judged = Vec::new();
    let mut excuse = None;
    for workload in workloads(subject) {
        let labels = template_labels(workload);
        if labels.is_none() || !selector.matches(labels) || workload.controller().is_some_and(|owner| judged.contains(&owner.uid)) {
            continue;
        }
        judged.push(workload.id.uid.clone());
        let (wanted, why) = wanted_pods(workload)?;
        if wanted == 0 {
            // Another one may have to answer in its place, such as the green one of a blue and a green.
            excuse.get_or_insert_with(|| format!("{} {why}", joins::called(workload)));
            continue;
        }
        let text = format!("{} should have {wanted} pods, and there is none", joins::called(workload));
        let remedy = "see why the workload does not make its pods: its own conditions and events say it";
        // Nobody missed its pods while it was not there, or slept.
        let wished = workload.created_at().max(joins::began_at_of(subject, workload, "awake"));
        let since = found.empty_since.map(|empty| wished.map_or(empty, |wished| empty.max(wished.min(workload.recorded_at))));
        let mut finding = tell(subject, found, "NoPods", text, since).remedy(remedy).consequence().shown_by([workload.seq]);
        finding.owner = subject.view.top_owner(&workload.id);
        return Ok(vec![finding]);
    }
    if let Some(why) = excuse {
        return skipped(why);
    }
    let hint = nearest(subject, selector).map(|hint| format!("; {hint}")).unwrap_or_default();
    let labels: Vec<String> = selector.labels().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let text = format!("no pod in the namespace has the labels {}{hint}", labels.join(", "));
    let remedy = "make the service's selector equal the labels of the pods that should answer";
    Ok(vec![tell(subject, found, "NoMatchingPods", text, None).remedy(remedy)])
}

/// The labels of the pods that a workload makes.
fn template_labels(workload: &Observed) -> Option<Fields<'_>> {
    let template = if workload.is_a(KindRef::CRON_JOB) { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    workload.body().pointer(template)?.pointer("/metadata/labels")?.as_object()
}

/// How many pods a workload should have now, and why it need not have any where that is none.
fn wanted_pods(workload: &Observed) -> Result<(i64, &'static str), Undecided> {
    if workload.is_a(KindRef::CRON_JOB) {
        return Ok((0, "has pods only while it runs"));
    }
    if workload.is_a(KindRef::JOB) {
        for of in ["Complete", "Failed", "Suspended"] {
            if workload.condition(of)?.is_some_and(|condition| condition.is_true()) {
                return Ok((0, "is done, or suspended"));
            }
        }
        return Ok((workload.int("/spec/parallelism")?.unwrap_or(1), "is to have no pods at a time"));
    }
    let counts = if workload.is_a(KindRef::DAEMON_SET) { "/status/desiredNumberScheduled" } else { "/spec/replicas" };
    Ok((workload.int(counts)?.unwrap_or(1), "is scaled to zero"))
}

/// Who may make pods in the namespace, owners before what they own.
fn workloads<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Observed> + use<'a> {
    let (view, id) = (subject.view, &subject.object.id);
    let kinds = [KindRef::DEPLOYMENT, KindRef::STATEFUL_SET, KindRef::DAEMON_SET, KindRef::REPLICA_SET, KindRef::CRON_JOB, KindRef::JOB];
    kinds.into_iter().flat_map(move |kind| view.in_namespace(&id.cluster, kind, &id.namespace)).map(AsRef::as_ref)
}

/// The pod whose labels come nearest to the selector, and the first label in which it differs.
fn nearest(subject: &Subject<'_>, selector: &Selector) -> Option<String> {
    let id = &subject.object.id;
    let fitting = |pod: &Observed| selector.labels().iter().filter(|(key, value)| pod.label(key) == Some(value.as_str())).count();
    let named = |pod: &Observed| selector.labels().keys().filter(|key| pod.label(key).is_some()).count();
    let pods = subject.view.in_namespace(&id.cluster, KindRef::POD, &id.namespace);
    let best = pods.filter(|pod| named(pod) > 0).max_by_key(|pod| (fitting(pod), named(pod), std::cmp::Reverse(pod.id.name.clone())))?;
    let (key, value) = selector.labels().iter().find(|(key, value)| best.label(key) != Some(value.as_str()))?;
    Some(match best.label(key) {
        Some(other) => format!("the nearest is pod `{}`, with {key}=`{other}` in place of `{value}`", best.name()),
        None => format!("the nearest is pod `{}`, which has no label {key}", best.name()),
    })
}

fn tell(subject: &Subject<'_>, found: &Endpoints, class: &'static str, text: String, since: Option<Timestamp>) -> Finding {
    let service = subject.object;
    let since = since.or(found.empty_since).unwrap_or(service.recorded_at);
    let text = format!("nobody answers behind the service: {text}");
    subject.finding("ServiceNoEndpoints", text, since).class(class).shown_by(found.seqs.clone())
}
