//! What of an incident a caller sees: the whole, a part, or nothing.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_app::questions::{IncidentView, IncidentsQuestion};
use proreus_app::{AppError, Moment, Questions};
use proreus_doctor::DoctorSettings;
use proreus_doctor::incidents::{Effect, IncidentRecord, IncidentSettings, Watch};
use proreus_model::{Access, AccessRule, Change, Origin, Record, Seq, Verb};
use proreus_scenario::{Player, Scenario};
use proreus_store::{Batch, Journal, MemoryJournal};

/// A workload whose ConfigMap was changed, and whose pod then cannot start.
const STORY: &str = r#"
guarantee: a deployment whose pod cannot start since its ConfigMap was changed
---
apply:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop, uid: d1}
  spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {spec: {containers: [{name: web, envFrom: [{configMapRef: {name: web}}]}]}}}
  status: {replicas: 1, readyReplicas: 1, availableReplicas: 1}
- {kind: ConfigMap, metadata: {name: web, namespace: shop}, data: {a: "1"}}
---
at: +600s
patch: {kind: ConfigMap, namespace: shop, name: web, patch: {data: {a: "2"}}}
---
at: +610s
apply:
- apiVersion: v1
  kind: Pod
  metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: d1, controller: true}]}
  spec: {containers: [{name: web}]}
  status: {phase: Pending, containerStatuses: [{name: web, ready: false, restartCount: 0, state: {waiting: {reason: CreateContainerConfigError, message: "configmap \"web\" not found"}}}]}
"#;

fn told() -> (Arc<MemoryJournal>, IncidentRecord) {
    let scenario = Scenario::parse(STORY).expect("a scenario");
    let mut player = Player::new(&scenario);
    let mut records = player.begin();
    for step in &scenario.steps {
        records.extend(player.play(step).expect("a step that can be played"));
    }
    let journal = Arc::new(MemoryJournal::new());
    let epoch = journal.begin_epoch().expect("the writer");
    journal.append(epoch, &Batch { records: records.clone(), ..Batch::default() }).expect("an append");
    let mut watch = Watch::new(DoctorSettings::default(), IncidentSettings::default());
    let mut effects: Vec<Effect> = Vec::new();
    for (index, mut record) in records.into_iter().enumerate() {
        let seq = Seq(index as u64 + 1);
        match &mut record {
            Record::Change(change) => change.seq = seq,
            Record::Mark(mark) => mark.seq = seq,
        }
        effects.extend(watch.fold(&record));
    }
    let later: Timestamp = scenario.end().checked_add(jiff::SignedDuration::from_secs(300)).expect("time");
    effects.extend(watch.advance(later));
    let incident = effects.last().expect("an incident").incident().clone();
    let change = Change {
        seq: Seq(0),
        recorded_at: later,
        event_time: None,
        verb: Verb::Create,
        origin: Origin::Watch,
        gap: None,
        object: incident.record_id(),
        version: "v1".into(),
        resource: "incidents".into(),
        resource_version: "1".into(),
        generation: None,
        manager: None,
        regarding: None,
        body: Some(incident.body().into()),
    };
    journal.append(epoch, &Batch { records: vec![Record::Change(change)], ..Batch::default() }).expect("an append");
    (journal, incident)
}

fn only(cluster: &proreus_model::ClusterId, types: &[(&str, &str)], namespace: &str) -> Access {
    let rule = |(group, resource): &(&str, &str)| AccessRule {
        cluster: cluster.clone(),
        group: (*group).into(),
        resource: (*resource).into(),
        namespace: Some(namespace.into()),
    };
    Access::Only(types.iter().map(rule).collect())
}

#[test]
fn an_incident_is_shown_by_its_primary_object_and_each_part_by_its_own() {
    let (journal, incident) = told();
    let questions = Questions::new(journal);
    let seen =
        |access: &Access| -> Vec<IncidentView> { questions.incidents(&IncidentsQuestion::default(), access).expect("an answer").items };
    assert_eq!(incident.object.resource.as_str(), "deployments");
    let cause = incident.cause.clone().expect("a cause");
    assert_eq!((cause.resource.as_str(), cause.name.as_str()), ("configmaps", "web"));

    let all = seen(&Access::All);
    assert_eq!(all.len(), 1);
    assert_eq!(all.first().map(|view| &view.incident), Some(&incident), "what was recorded reads back as it was");

    let cluster = &incident.object.cluster;
    for nothing in [only(cluster, &[("", "pods"), ("", "configmaps")], "shop"), only(cluster, &[("apps", "deployments")], "bank")] {
        assert_eq!(seen(&nothing), []);
        let one = questions.incident(&incident.id, Moment::Now, &nothing);
        assert!(matches!(one, Err(AppError::NotFound { .. })), "{one:?}");
    }

    let part = seen(&only(cluster, &[("apps", "deployments")], "shop"));
    let view = part.first().expect("the incident");
    assert!(view.hides_cause && view.incident.cause.is_none());
    assert_eq!(view.hidden_findings, incident.findings.len());
    assert_eq!((view.incident.findings.len(), view.incident.evidence.len()), (0, 0));
    assert_eq!(view.hidden_evidence, incident.evidence.len());
    assert!(!view.incident.message.contains("configmap"), "{}", view.incident.message);

    let more = seen(&only(cluster, &[("apps", "deployments"), ("", "pods")], "shop"));
    let view = more.first().expect("the incident");
    assert!(view.hides_cause);
    assert_eq!((view.hidden_findings, view.hidden_evidence), (0, 0));
    assert_eq!(view.incident.message, incident.message);
}
