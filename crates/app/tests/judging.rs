//! What the doctor says when it cannot know, and what incidents hold whatever happens: replay, storms, silence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use proreus_doctor::checks::CHECKS;
use proreus_doctor::incidents::{IncidentSettings, IncidentState, Watch};
use proreus_doctor::{DoctorSettings, Report, UnsettledState, examine};
use proreus_model::Record;
use proreus_observe::{KindRef, Snapshot};
use proreus_scenario::{Player, Scenario};

fn records(scenario: &Scenario) -> Vec<Record> {
    let mut player = Player::new(scenario);
    let mut all = player.begin();
    for step in &scenario.steps {
        all.extend(player.play(step).expect("a step that can be played"));
    }
    all
}

fn report(text: &str) -> Report {
    let scenario = Scenario::parse(text).expect("scenario");
    let mut view = Snapshot::new();
    records(&scenario).iter().for_each(|record| view.apply(record));
    examine(&view, &DoctorSettings::default(), scenario.end(), |_| true)
}

/// What could not be decided, as `check state object: reason`.
fn unsettled(report: &Report) -> Vec<String> {
    let told = report.unsettled.iter().map(|one| {
        let state = if one.state == UnsettledState::Unknown { "unknown" } else { "skipped" };
        let object = one.object.as_ref().map_or("*", |object| object.name.as_str());
        format!("{} {state} {object}: {}", one.check, one.reason)
    });
    told.collect()
}

#[test]
fn a_window_that_reaches_before_the_recorded_past_is_unknown() {
    let report = report(
        r#"
guarantee: how often it restarted before anybody looked is not known
---
apply:
  kind: Pod
  metadata: {name: web-0, creationTimestamp: -30d}
  spec: {containers: [{name: web}]}
  status: {phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: web, ready: true, restartCount: 9, state: {running: {startedAt: -2m}}, lastState: {terminated: {exitCode: 1, reason: Error, finishedAt: -2m}}}]}
---
at: +10s
"#,
    );
    assert!(report.findings.is_empty());
    let told = unsettled(&report);
    assert!(told.iter().any(|one| one.starts_with("crash-loop unknown web-0: ")), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("container-restarts unknown web-0: ")), "{told:?}");
}

#[test]
fn a_kind_that_may_not_be_read_is_skipped_with_the_reason() {
    let report = report(
        r#"
guarantee: forbidden is not healthy
---
mark: {stopped: [pods, deployments], reason: "forbidden: pods is forbidden"}
---
at: +60s
apply: {kind: Job, metadata: {name: x}, status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}
"#,
    );
    let told = unsettled(&report);
    assert!(told.contains(&"image-pull skipped *: pods may not be read: forbidden: pods is forbidden".to_owned()), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("disruption-budget skipped *: pods may not be read")), "{told:?}");
    assert_eq!(report.findings.len(), 1, "the other kinds are examined all the same");
}

#[test]
fn what_nobody_looks_at_any_more_is_unknown_and_a_finding_about_it_stays() {
    let report = report(
        r#"
guarantee: stale is not healthy
---
apply:
- {kind: Pod, metadata: {name: fine}, spec: {}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}
- {kind: Pod, metadata: {name: bad}, spec: {}, status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 2}}}]}}
---
at: +10s
mark: {stale: pods}
---
at: +60s
"#,
    );
    assert_eq!(report.findings.iter().map(|finding| (finding.object.name.as_str(), finding.is_stale)).collect::<Vec<_>>(), [("bad", true)]);
    assert!(unsettled(&report).iter().any(|one| one.starts_with("image-pull unknown fine: last seen ")));
}

#[test]
fn mistyped_objects_are_unknown_to_every_check_and_break_none() {
    let values = ["null", "\"x\"", "7", "[]", "{}", "[1]", "{a: 1}", "true", "[{name: 1}]", "[{type: Ready, status: 5}]"];
    let examined = CHECKS.iter().flat_map(|check| check.kinds.iter().chain(check.needs).chain(check.reads));
    let mut kinds: BTreeSet<(&str, &str)> = examined.filter(|kind| **kind != KindRef::ANY).map(|kind| (kind.group, kind.kind)).collect();
    kinds.insert(("example.org", "Widget"));
    let fields = [
        "status",
        "spec",
        "webhooks",
        "endpoints",
        "safeFacts",
        "conditions",
        "containerStatuses",
        "phase",
        "replicas",
        "rules",
        "tls",
        "services",
        "loadBalancer",
        "observedGeneration",
        "lastTransitionTime",
    ];
    let mut unknown = 0;
    for (group, kind) in kinds {
        let mut text = "guarantee: nothing breaks a check\n---\napply:\n".to_owned();
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        for (index, value) in values.iter().enumerate() {
            for field in fields {
                let body = match field {
                    "status" | "spec" | "webhooks" | "endpoints" | "safeFacts" => format!("{field}: {value}"),
                    "phase" => format!("status: {{{field}: {value}}}"),
                    "lastTransitionTime" => {
                        format!("status: {{phase: Pending, conditions: [{{type: Ready, status: \"False\", {field}: {value}}}]}}")
                    }
                    _ => format!("spec: {{{field}: {value}}}, status: {{phase: Running, {field}: {value}}}"),
                };
                let name = format!("{}-{index}", field.to_lowercase());
                text.push_str(&format!("- {{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}}}, {body}}}\n"));
            }
        }
        let report = report(&text);
        let failed: Vec<&str> =
            report.findings.iter().filter(|finding| finding.reason == "CheckFailed").map(|finding| finding.message.as_str()).collect();
        assert_eq!(failed, [""; 0], "{kind}");
        unknown += report.unsettled.iter().filter(|one| one.state == UnsettledState::Unknown).count();
    }
    assert!(unknown > 500, "only {unknown} objects were called unknown");
}

fn scenario_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => scenario_files(&path, found),
            false => found.push(path),
        }
    }
}

fn incidents_as_text(watch: &Watch) -> String {
    serde_json::to_string_pretty(&watch.incidents()).expect("json")
}

#[test]
fn looking_at_other_times_in_between_changes_no_incident() {
    let mut files = Vec::new();
    scenario_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios"), &mut files);
    let mut compared = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        let scenario = Scenario::parse(&text).expect("a scenario");
        let (all, end) = (records(&scenario), scenario.end());
        let settings = IncidentSettings { hold_down_seconds: 7, ..IncidentSettings::default() };
        let mut replayed = Watch::new(DoctorSettings::default(), settings.clone());
        all.iter().for_each(|record| drop(replayed.fold(record)));
        replayed.advance(end);
        let mut live = Watch::new(DoctorSettings::default(), settings);
        let mut clock = scenario.start;
        for record in &all {
            // A clock that ticks between records, at odd moments.
            while clock < record.recorded_at() {
                live.advance(clock);
                clock = clock.checked_add(SignedDuration::from_millis(6_100)).expect("time");
            }
            live.fold(record);
        }
        live.advance(end);
        assert_eq!(incidents_as_text(&replayed), incidents_as_text(&live), "{}", file.display());
        compared += replayed.incidents().len();
    }
    assert!(compared > 20, "only {compared} incidents were compared");
}

#[test]
fn a_storm_is_told_in_a_digest_of_bounded_size() {
    const PODS: usize = 3_000;
    let mut text = "guarantee: a storm\n---\napply:\n".to_owned();
    for index in 0..PODS {
        text.push_str(&format!(
            "- {{kind: Pod, metadata: {{name: pod-{index}, namespace: ns-{}}}, spec: {{}}, status: {{phase: Failed, containerStatuses: [{{name: a, state: {{terminated: {{exitCode: 2}}}}}}]}}}}\n",
            index % 50
        ));
    }
    let scenario = Scenario::parse(&text).expect("scenario");
    let mut watch = Watch::new(DoctorSettings::default(), IncidentSettings::default());
    records(&scenario).iter().for_each(|record| drop(watch.fold(record)));
    watch.advance(scenario.start);
    let incidents = watch.incidents();
    assert_eq!(incidents.len(), 21);
    let digest = incidents.iter().find(|incident| incident.reason == "IncidentStorm").expect("a digest");
    assert_eq!((digest.count(), digest.findings().count()), (PODS as u64 - 20, 100));
    assert!(incidents.iter().all(|incident| incident.state == IncidentState::Open));
    let later: Timestamp = scenario.start.checked_add(SignedDuration::from_hours(1)).expect("time");
    assert!(watch.advance(later).is_empty(), "nothing changes by itself");
}

#[test]
fn a_thousand_pods_that_fail_with_their_node_are_one_incident() {
    const PODS: usize = 1_000;
    let pod = |index: usize, ready: &str, now: &str| {
        format!(
            "- {{kind: Pod, metadata: {{name: pod-{index}, namespace: ns-{}}}, spec: {{nodeName: worker-1}}, status: {{phase: Running, \
             conditions: [{{type: Ready, status: \"{ready}\"}}], containerStatuses: [{{name: a, ready: {now}, restartCount: 0, state: {{running: {{}}}}}}]}}}}\n",
            index % 20
        )
    };
    let node = |status: &str| {
        format!("- {{kind: Node, metadata: {{name: worker-1}}, status: {{conditions: [{{type: Ready, status: \"{status}\"}}]}}}}\n")
    };
    let mut text = "guarantee: a node\n---\napply:\n".to_owned() + &node("True");
    (0..PODS).for_each(|index| text.push_str(&pod(index, "True", "true")));
    text.push_str("---\nat: +600s\napply:\n");
    (0..PODS).for_each(|index| text.push_str(&pod(index, "False", "false")));
    text.push_str(&node("Unknown"));
    text.push_str("---\nat: +2000s\n");
    let scenario = Scenario::parse(&text).expect("scenario");
    let mut watch = Watch::new(DoctorSettings::default(), IncidentSettings::default());
    records(&scenario).iter().for_each(|record| drop(watch.fold(record)));
    watch.advance(scenario.end());
    let told: Vec<(&str, &str, u64)> =
        watch.incidents().iter().map(|incident| (incident.reason, incident.owner.name.as_str(), incident.count())).collect();
    assert_eq!(told, [("NodeNotReady", "worker-1", PODS as u64 + 1)]);
}
