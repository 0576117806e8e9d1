//! An invented trace, to try the bench with while no recorded one is at hand.
//!
//! Its first line says that it is invented and every report made from it repeats that: generators repeat themselves, so its sizes say
//! nothing about a cluster.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::questions::Chance;
use crate::trace::GENERATED;

/// Changes a second in the invented cluster.
const CHANGES_A_SECOND: i64 = 50;

/// Writes so many lines.
pub(crate) fn write(path: &Path, changes: usize, seed: u64) -> Result<()> {
    let file = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|extension| extension == "zst") {
        let mut encoder = zstd::Encoder::new(file, 3)?;
        write_lines(&mut encoder, changes, seed)?;
        encoder.finish()?.flush()?;
    } else {
        let mut file = file;
        write_lines(&mut file, changes, seed)?;
        file.flush()?;
    }
    Ok(())
}

/// An object that lives in the invented cluster.
struct Living {
    resource: &'static str,
    object: Value,
    versions: u32,
}

fn write_lines(to: &mut impl Write, changes: usize, seed: u64) -> Result<()> {
    writeln!(to, "{}", json!({"type": GENERATED}))?;
    let mut chance = Chance(seed);
    let mut now = Timestamp::from_second(1_767_571_200)?;
    let mut living: Vec<Living> = Vec::new();
    for version in 0..changes {
        now += SignedDuration::from_micros(1_000_000 / CHANGES_A_SECOND);
        let turn = chance.below(10);
        let (event, resource, object) = if turn < 5 || living.len() < 20 {
            let born = birth(&mut chance, now, version);
            let told = ("ADDED", born.resource, born.object.clone());
            living.push(born);
            told
        } else {
            let index = chance.below(living.len() as u64) as usize;
            if turn == 9 {
                let gone = living.swap_remove(index);
                ("DELETED", gone.resource, gone.object)
            } else {
                let Some(one) = living.get_mut(index) else { continue };
                progress(one, &mut chance, now, version);
                ("MODIFIED", one.resource, one.object.clone())
            }
        };
        writeln!(to, "{}", json!({"ts": now.to_string(), "type": event, "resource": resource, "object": object}))?;
    }
    Ok(())
}

fn uid(chance: &mut Chance) -> String {
    let (high, low) = (chance.below(u64::MAX), chance.below(u64::MAX));
    let hex = format!("{high:016x}{low:016x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-9{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
}

fn birth(chance: &mut Chance, now: Timestamp, version: usize) -> Living {
    let app = format!("app-{}", chance.below(80));
    let namespace = format!("team-{}", chance.below(12));
    let pod = format!("{app}-{:08x}-{:05x}", chance.below(1 << 32), chance.below(1 << 20));
    let pod_uid = uid(chance);
    let object_uid = uid(chance);
    let metadata = |name: String, uid: String| {
        json!({
            "name": name, "namespace": namespace, "uid": uid, "resourceVersion": version.to_string(), "creationTimestamp": now.to_string(),
            "labels": {"app": app, "pod-template-hash": format!("{:08x}", version / 50)},
            "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "time": now.to_string(), "fieldsV1": {}}],
        })
    };
    if chance.below(10) < 7 {
        let reasons = ["Scheduled", "Pulling", "Pulled", "Created", "Started", "BackOff", "Unhealthy"];
        let reason = reasons.get(chance.below(reasons.len() as u64) as usize).copied().unwrap_or_default();
        let object = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": metadata(format!("{pod}.{:016x}", chance.below(u64::MAX)), object_uid),
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace, "uid": pod_uid},
            "reason": reason, "message": format!("{reason} container {app} of pod {pod}"), "type": "Normal", "count": 1,
            "firstTimestamp": now.to_string(), "lastTimestamp": now.to_string(), "source": {"component": "kubelet", "host": "node-1"},
        });
        return Living { resource: "events", object, versions: 1 };
    }
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/{app}/{name}:1.{}", version / 500), "imagePullPolicy": "IfNotPresent",
            "env": (0..12).map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("{app}-{n}")})).collect::<Vec<_>>(),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": {"httpGet": {"path": "/livez", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "failureThreshold": 3},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5, "failureThreshold": 3},
        })
    };
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata(pod, object_uid),
        "spec": {"containers": [container("main"), container("proxy")], "nodeName": format!("node-{}", chance.below(50)),
            "restartPolicy": "Always", "serviceAccountName": app, "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready",
            "operator": "Exists", "tolerationSeconds": 300}]},
        "status": {"phase": "Pending", "conditions": []},
    });
    Living { resource: "pods", object, versions: 1 }
}

fn progress(one: &mut Living, chance: &mut Chance, now: Timestamp, version: usize) {
    one.versions += 1;
    one.object["metadata"]["resourceVersion"] = json!(version.to_string());
    one.object["metadata"]["managedFields"] =
        json!([{"manager": "kubelet", "operation": "Update", "time": now.to_string(), "fieldsV1": {}}]);
    if one.resource == "events" {
        one.object["count"] = json!(one.versions);
        one.object["lastTimestamp"] = json!(now.to_string());
    } else {
        let conditions: Vec<Value> = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
            .iter()
            .map(|kind| json!({"type": kind, "status": if chance.below(2) == 0 { "True" } else { "False" }, "lastTransitionTime": now.to_string()}))
            .collect();
        one.object["status"] = json!({"phase": "Running", "conditions": conditions, "podIP": format!("10.0.0.{}", chance.below(250)),
            "containerStatuses": [{"name": "main", "restartCount": one.versions, "containerID": format!("containerd://{:016x}", chance.below(u64::MAX))}]});
    }
}
