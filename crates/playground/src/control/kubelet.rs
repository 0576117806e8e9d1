//! The kubelets: run the simulated containers of the pods on their nodes, and report. The containers themselves are in `container`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::container::{Container, Ended, Exit, Facts, Phase, Restart, Told, digest};
use super::podstatus::is_finished;
use super::{Duty, Message, Step, after, controller_of, events::status_of};
use crate::logs::Of;
use crate::store::Object;
use crate::{time, tree};

/// Seconds a container takes to stop when it is asked to; shorter than any sensible grace.
const STOP_SECONDS: i64 = 2;
/// Seconds that containers of Jobs run when nothing else is said.
const JOB_SECONDS: i64 = 20;
/// Annotations by which a pod says how long its containers run, and how they end.
const RUN_SECONDS: &str = "/metadata/annotations/playground.proreus.dev~1run-seconds";
const EXIT_CODE: &str = "/metadata/annotations/playground.proreus.dev~1exit-code";

/// The running side of one pod.
#[derive(Debug)]
pub(crate) struct PodRun {
    uid: String,
    ip: String,
    since: Timestamp,
    containers: Vec<Container>,
    stops: Option<Timestamp>,
    /// Restart count up to which first and last words were written, by container (and its end).
    logged: BTreeMap<String, i64>,
}

/// Looks at one pod.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(pod) = step.get("", "pods", key) else {
        step.runs.remove(key);
        return;
    };
    let node_name = tree::text(pod.value(), "/spec/nodeName").to_owned();
    if node_name.is_empty() || step.script.lost_nodes.contains(&node_name) {
        return;
    }
    let Some(node) = step.get("", "nodes", &node_name) else { return };
    let mut run = match step.runs.remove(key) {
        Some(run) if run.uid == pod.uid() => run,
        Some(_) | None => begin(step, &pod, &node),
    };
    if pod.is_terminating() {
        return stop(step, key, &pod, &node_name, run);
    }
    if is_finished(pod.value()) {
        step.runs.insert(key.to_owned(), run);
        return;
    }
    let mut due: Option<Timestamp> = None;
    for at in 0..run.containers.len() {
        let Some(container) = run.containers.get_mut(at) else { continue };
        let facts = facts(step, pod.value(), container);
        let told = container.step(&facts, step.now);
        let loops = container.is_crash_looping();
        write_logs(step, pod.value(), container, &mut run.logged);
        report(step, pod.value(), &node_name, &run.containers[at], &facts, &told, loops);
        due = [due, run.containers[at].due()].into_iter().flatten().min();
    }
    let status = status(&pod, &node, &run, step);
    step.runs.insert(key.to_owned(), run);
    step.change(status_of("", "pods", key), "kubelet", |value| tree::put(value, &["status"], status));
    if let Some(due) = due {
        step.again(due, Duty::Kubelet, key);
    }
}

fn begin(step: &mut Step<'_>, pod: &Object, node: &Object) -> PodRun {
    let names = tree::items(pod.value(), "/spec/containers").iter().map(|container| tree::text(container, "/name"));
    let containers = names.map(|name| Container::new(name, step.now)).collect();
    let ip = if tree::flag(pod.value(), "/spec/hostNetwork") { node_ip(node) } else { step.cluster.pod_ip(node) };
    PodRun { uid: pod.uid().to_owned(), ip, since: step.now, containers, stops: None, logged: BTreeMap::new() }
}

/// The internal address of a node.
pub(super) fn node_ip(node: &Object) -> String {
    let addresses = tree::items(node.value(), "/status/addresses").iter();
    let internal = addresses.into_iter().find(|address| tree::text(address, "/type") == "InternalIP");
    internal.map_or_else(String::new, |address| tree::text(address, "/address").to_owned())
}

fn facts(step: &Step<'_>, pod: &Value, container: &Container) -> Facts {
    let spec = tree::items(pod, "/spec/containers").iter().find(|spec| tree::text(spec, "/name") == container.name);
    let empty = Value::Null;
    let spec = spec.unwrap_or(&empty);
    let (namespace, name) = (tree::text(pod, "/metadata/namespace"), tree::text(pod, "/metadata/name"));
    let image = tree::text(spec, "/image").to_owned();
    let annotated = |place: &str| tree::text(pod, place).parse::<i64>().ok();
    let is_job = controller_of(pod).is_some_and(|(kind, _, _)| kind == "Job");
    let own_exit = (is_job || annotated(RUN_SECONDS).is_some()).then(|| {
        let code = annotated(EXIT_CODE).unwrap_or(0);
        let reason = if code == 0 { "Completed" } else { "Error" };
        Exit { after_seconds: annotated(RUN_SECONDS).unwrap_or(JOB_SECONDS), code, reason: reason.to_owned() }
    });
    let restart = match tree::text(pod, "/spec/restartPolicy") {
        "Never" => Restart::Never,
        "OnFailure" => Restart::OnFailure,
        _ => Restart::Always,
    };
    let probe = |field: &str| tree::number(spec, &format!("/readinessProbe/{field}"));
    let ready_after = spec.get("readinessProbe").map_or(0, |_| probe("initialDelaySeconds").unwrap_or(0) + 1);
    Facts {
        image_missing: step.script.missing_images.contains(&image),
        image_present: tree::text(spec, "/imagePullPolicy") != "Always" && container.pulled,
        // Some images are larger than others.
        pull_seconds: 1 + i64::from(crate::ids::fnv32(image.as_bytes()) % 4),
        ready_after_seconds: ready_after,
        unready: step.script.is_unready(namespace, name, &container.name),
        exit: step.script.exit(namespace, name, &container.name).map(|(exit, _)| exit.clone()).or(own_exit),
        restart,
        identity: format!("{}/{}", tree::text(pod, "/metadata/uid"), container.name),
        pod: format!("{name}_{namespace}({})", tree::text(pod, "/metadata/uid")),
        image,
    }
}

fn write_logs(step: &mut Step<'_>, pod: &Value, container: &Container, logged: &mut BTreeMap<String, i64>) {
    let (namespace, name) = (tree::text(pod, "/metadata/namespace"), tree::text(pod, "/metadata/name"));
    let of = |restart: i64| Of { namespace, pod: name, container: &container.name, restart };
    if container.started && logged.get(&container.name).is_none_or(|known| *known < container.restarts) {
        logged.insert(container.name.clone(), container.restarts);
        let text = step.script.start_log(namespace, name, &container.name).map_or_else(|| "started".to_owned(), str::to_owned);
        step.cluster.logs.write(of(container.restarts), step.now, &text);
    }
    let ended_now = container.last.as_ref().is_some_and(|last| last.finished == step.now) && !container.started;
    let end = format!("{} ended", container.name);
    if !ended_now || logged.insert(end, container.restarts) == Some(container.restarts) {
        return;
    }
    if let Some((_, words)) = step.script.exit(namespace, name, &container.name).filter(|(_, words)| !words.is_empty()) {
        let words = words.to_owned();
        step.cluster.logs.write(of(container.restarts), step.now, &words);
    }
}

fn report(step: &mut Step<'_>, pod: &Value, node: &str, container: &Container, facts: &Facts, told: &[Told], loops: bool) {
    let field_path = format!("spec.containers{{{}}}", container.name);
    let message = |warning: bool, reason, text| Message {
        component: "kubelet",
        host: node,
        warning,
        reason,
        text,
        field_path: field_path.clone(),
        action: "",
    };
    for event in told {
        step.tell(pod, &message(event.warning, event.reason, event.text.clone()));
    }
    if loops {
        let text = format!("Back-off restarting failed container {} in pod {}", container.name, facts.pod);
        step.tell(pod, &message(true, "BackOff", text));
    }
}

/// Ends a pod that is to go: containers stop, the last status is written, the object is removed.
fn stop(step: &mut Step<'_>, key: &str, pod: &Object, node: &str, mut run: PodRun) {
    let Some(due) = run.stops else {
        let grace = tree::number(pod.value(), "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        let due = after(step.now, grace.min(STOP_SECONDS));
        run.stops = Some(due);
        for container in run.containers.iter().filter(|container| container.started) {
            let message = Message {
                host: node,
                field_path: format!("spec.containers{{{}}}", container.name),
                ..Message::normal("kubelet", "Killing", format!("Stopping container {}", container.name))
            };
            step.tell(pod.value(), &message);
        }
        step.runs.insert(key.to_owned(), run);
        step.again(due, Duty::Kubelet, key);
        return;
    };
    if due > step.now {
        step.runs.insert(key.to_owned(), run);
        step.again(due, Duty::Kubelet, key);
        return;
    }
    let now = step.now;
    for container in &mut run.containers {
        if let Phase::Running { since, .. } = container.phase {
            let id = digest(&format!("{}/{}/{}", pod.uid(), container.name, container.restarts));
            container.last = Some(Ended { code: 0, reason: "Completed".to_owned(), started: since, finished: now, id });
        }
        container.phase = Phase::Done;
        (container.ready, container.started) = (false, false);
    }
    if let Some(host) = step.get("", "nodes", node) {
        let status = status(pod, &host, &run, step);
        step.change(status_of("", "pods", key), "kubelet", |value| tree::put(value, &["status"], status));
    }
    let options = crate::remove::DeleteOptions { grace_seconds: Some(0), uid: Some(pod.uid().to_owned()), ..Default::default() };
    step.delete("", "pods", key, &options);
}

fn ended_value(ended: &Ended) -> Value {
    json!({"terminated": {
        "containerID": format!("containerd://{}", ended.id),
        "exitCode": ended.code,
        "finishedAt": time::seconds(ended.finished),
        "reason": ended.reason,
        "startedAt": time::seconds(ended.started),
    }})
}

fn state(container: &Container, facts: &Facts) -> Value {
    let waiting = |reason: &str, text: Option<String>| match text {
        Some(text) => json!({"waiting": {"reason": reason, "message": text}}),
        None => json!({"waiting": {"reason": reason}}),
    };
    let missing = || {
        format!(
            "failed to pull and unpack image {:?}: failed to resolve reference {:?}: {}: not found",
            facts.image, facts.image, facts.image
        )
    };
    match &container.phase {
        Phase::Creating { .. } | Phase::Pulling { .. } => waiting("ContainerCreating", None),
        Phase::PullFailed { waiting: false, .. } => {
            waiting("ErrImagePull", Some(format!("rpc error: code = NotFound desc = {}", missing())))
        }
        Phase::PullFailed { waiting: true, .. } => {
            let text = format!("Back-off pulling image {:?}: ErrImagePull: rpc error: code = NotFound desc = {}", facts.image, missing());
            waiting("ImagePullBackOff", Some(text))
        }
        Phase::Running { since, .. } => json!({"running": {"startedAt": time::seconds(*since)}}),
        Phase::BackOff { .. } if container.is_crash_looping() => {
            let wait = human_back_off(container.back_off_seconds());
            let text = format!("back-off {wait} restarting failed container={} pod={}", container.name, facts.pod);
            waiting("CrashLoopBackOff", Some(text))
        }
        Phase::BackOff { .. } | Phase::Done => container.last.as_ref().map_or_else(|| json!({}), ended_value),
    }
}

fn human_back_off(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

fn container_status(pod: &Value, container: &Container, step: &Step<'_>) -> Value {
    let facts = facts(step, pod, container);
    let shows_end =
        matches!(container.phase, Phase::Done) || matches!(container.phase, Phase::BackOff { .. }) && !container.is_crash_looping();
    let mut out = json!({
        "name": container.name,
        "image": facts.image,
        "imageID": if container.pulled { format!("{}@sha256:{}", facts.image.split(':').next().unwrap_or_default(), digest(&facts.image)) } else { String::new() },
        "lastState": {},
        "ready": container.ready,
        "restartCount": container.restarts,
        "started": container.started,
        "state": state(container, &facts),
    });
    match &container.last {
        Some(last) if shows_end => out["containerID"] = format!("containerd://{}", last.id).into(),
        Some(last) => {
            out["lastState"] = ended_value(last);
            let id = if container.started { container.id(&facts) } else { last.id.clone() };
            out["containerID"] = format!("containerd://{id}").into();
        }
        None if container.started => out["containerID"] = format!("containerd://{}", container.id(&facts)).into(),
        None => {}
    }
    let spec = tree::items(pod, "/spec/containers").iter().find(|spec| tree::text(spec, "/name") == container.name);
    if let Some(resources) =
        spec.and_then(|spec| spec.get("resources")).filter(|resources| resources.as_object().is_some_and(|map| !map.is_empty()))
    {
        out["resources"] = resources.clone();
        if let Some(requests) = resources.get("requests") {
            out["allocatedResources"] = requests.clone();
        }
    }
    if let Some(mounts) = spec.and_then(|spec| spec.get("volumeMounts")) {
        let mut mounts = mounts.clone();
        for mount in mounts.as_array_mut().into_iter().flatten().filter(|mount| tree::flag(mount, "/readOnly")) {
            mount["recursiveReadOnly"] = "Disabled".into();
        }
        out["volumeMounts"] = mounts;
    }
    out
}

fn status(pod: &Object, node: &Object, run: &PodRun, step: &Step<'_>) -> Value {
    let value = pod.value();
    let mut out = value.get("status").cloned().unwrap_or_else(|| json!({}));
    let done = run.containers.iter().all(|container| container.phase == Phase::Done);
    let failed = run.containers.iter().any(|container| container.last.as_ref().is_some_and(|last| last.code != 0));
    let began = run.containers.iter().any(|container| container.pulled);
    let phase = match (done, failed, began) {
        (true, false, _) => "Succeeded",
        (true, true, _) => "Failed",
        (false, _, true) => "Running",
        (false, _, false) => "Pending",
    };
    let ready = run.containers.iter().all(|container| container.ready);
    let names = |pick: &dyn Fn(&Container) -> bool| {
        run.containers.iter().filter(|container| pick(container)).map(|container| container.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let why = match (ready, done, failed) {
        (true, _, _) => None,
        (false, true, false) => Some(("PodCompleted", String::new())),
        (false, true, true) => Some(("PodFailed", String::new())),
        (false, false, _) => {
            Some(("ContainersNotReady", format!("containers with unready status: [{}]", names(&|container| !container.ready))))
        }
    };
    let now = time::seconds(step.now);
    tree::put(&mut out, &["phase"], phase);
    tree::put(&mut out, &["hostIP"], node_ip(node));
    tree::put(&mut out, &["hostIPs"], json!([{"ip": node_ip(node)}]));
    tree::put(&mut out, &["startTime"], time::seconds(run.since));
    tree::put_default(&mut out, &["qosClass"], "BestEffort");
    tree::put(&mut out, &["observedGeneration"], tree::number(value, "/metadata/generation").unwrap_or(1));
    if began {
        tree::put(&mut out, &["podIP"], run.ip.clone());
        tree::put(&mut out, &["podIPs"], json!([{"ip": run.ip}]));
    }
    condition(&mut out, "PodReadyToStartContainers", began && !done, None, &now);
    let initialized = if done && !failed { Some(("PodCompleted", String::new())) } else { None };
    condition(&mut out, "Initialized", true, initialized, &now);
    condition(&mut out, "Ready", ready, why.clone(), &now);
    condition(&mut out, "ContainersReady", ready, why, &now);
    let statuses: Vec<Value> = run.containers.iter().map(|container| container_status(value, container, step)).collect();
    tree::put(&mut out, &["containerStatuses"], statuses);
    out
}

fn condition(status: &mut Value, kind: &str, good: bool, why: Option<(&str, String)>, now: &str) {
    let state = if good { "True" } else { "False" };
    let list = tree::list_mut(status, &["conditions"]);
    let at = list.iter().position(|condition| tree::text(condition, "/type") == kind);
    let old = at.and_then(|at| list.get(at)).cloned().unwrap_or(Value::Null);
    let since = if tree::text(&old, "/status") == state { tree::text(&old, "/lastTransitionTime") } else { now };
    let mut new = json!({"type": kind, "status": state, "lastProbeTime": null, "lastTransitionTime": since, "observedGeneration": 1});
    if let Some((reason, text)) = why {
        new["reason"] = reason.into();
        if !text.is_empty() {
            new["message"] = text.into();
        }
    }
    match at.and_then(|at| list.get_mut(at)) {
        Some(place) => *place = new,
        None => list.push(new),
    }
}
