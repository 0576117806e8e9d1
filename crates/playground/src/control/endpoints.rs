//! Services: which pods are behind each, as an EndpointSlice and as the older Endpoints.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployments::owner_reference;
use super::podstatus::{is_finished, is_ready};
use super::{Place, Step};
use crate::selector::Selector;
use crate::store::{Object, key_of};
use crate::{time, tree};

/// True when a service sends to a pod.
pub(super) fn selects(service: &Object, pod: &Object) -> bool {
    let selector = service.value().pointer("/spec/selector").filter(|selector| selector.as_object().is_some_and(|map| !map.is_empty()));
    selector.is_some_and(|selector| Selector::of_labels(selector).matches(pod.value()))
}

/// Looks at one service.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(service) = step.get("", "services", key) else {
        if step.get("", "endpoints", key).is_some() {
            step.delete("", "endpoints", key, &crate::remove::DeleteOptions::default());
        }
        return;
    };
    if service.is_terminating() || service.value().pointer("/spec/selector").is_none() {
        return;
    }
    let pods: Vec<Arc<Object>> = step
        .cluster
        .objects("", "pods", service.namespace())
        .filter(|pod| selects(&service, pod) && !is_finished(pod.value()) && !tree::text(pod.value(), "/status/podIP").is_empty())
        .cloned()
        .collect();
    write_slice(step, &service, &pods);
    write_endpoints(step, &service, &pods);
}

/// The port of a pod that a service port leads to.
fn target_port(port: &Value, pods: &[Arc<Object>]) -> Value {
    match port.get("targetPort") {
        Some(Value::Number(number)) => Value::Number(number.clone()),
        Some(Value::String(name)) => pods
            .first()
            .into_iter()
            .flat_map(|pod| tree::items(pod.value(), "/spec/containers"))
            .flat_map(|container| tree::items(container, "/ports"))
            .find(|port| tree::text(port, "/name") == name)
            .and_then(|port| port.get("containerPort").cloned())
            .or_else(|| port.get("port").cloned())
            .unwrap_or(Value::Null),
        _ => port.get("port").cloned().unwrap_or(Value::Null),
    }
}

fn ports(service: &Object, pods: &[Arc<Object>]) -> Vec<Value> {
    let of = |port: &Value| json!({"name": tree::text(port, "/name"), "port": target_port(port, pods), "protocol": port.get("protocol").cloned().unwrap_or_else(|| "TCP".into())});
    tree::items(service.value(), "/spec/ports").iter().map(of).collect()
}

fn target_ref(pod: &Object) -> Value {
    json!({"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()})
}

fn labels(service: &Object, own: &[(&str, &str)]) -> Value {
    let mut out = service.value().pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    for (key, value) in own {
        tree::put(&mut out, &[key], *value);
    }
    out
}

fn write_slice(step: &mut Step<'_>, service: &Object, pods: &[Arc<Object>]) {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let ready = is_ready(pod.value());
            let going = pod.is_terminating();
            json!({
                "addresses": [tree::text(pod.value(), "/status/podIP")],
                "conditions": {"ready": ready && !going, "serving": ready, "terminating": going},
                "nodeName": tree::text(pod.value(), "/spec/nodeName"),
                "targetRef": target_ref(pod),
            })
        })
        .collect();
    let ports = ports(service, pods);
    let own =
        [("kubernetes.io/service-name", service.name()), ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io")];
    let labels = labels(service, &own);
    let existing = step.owned(service.uid(), "discovery.k8s.io", "endpointslices").into_iter().next();
    let change = time::seconds(step.now);
    let Some(slice) = existing else {
        let body = json!({
            "metadata": {
                "generateName": format!("{}-", service.name()),
                "namespace": service.namespace(),
                "labels": labels,
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": change},
                "ownerReferences": [owner_reference(service.value(), "v1", "Service")],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        let _ = step.create("discovery.k8s.io", "endpointslices", service.namespace(), body, "kube-controller-manager");
        return;
    };
    let same = slice.value().get("endpoints").is_some_and(|known| *known == json!(endpoints))
        && slice.value().get("ports").is_some_and(|known| *known == json!(ports));
    if same {
        return;
    }
    let key = key_of(slice.namespace(), slice.name());
    let place = Place { group: "discovery.k8s.io", plural: "endpointslices", key: &key, subresource: "" };
    step.change(place, "kube-controller-manager", |value| {
        tree::put(value, &["endpoints"], endpoints);
        tree::put(value, &["ports"], ports);
        tree::put(value, &["metadata", "labels"], labels);
        tree::put(value, &["metadata", "annotations", "endpoints.kubernetes.io/last-change-trigger-time"], change);
    });
}

fn write_endpoints(step: &mut Step<'_>, service: &Object, pods: &[Arc<Object>]) {
    let address = |pod: &Arc<Object>| {
        json!({
            "ip": tree::text(pod.value(), "/status/podIP"),
            "nodeName": tree::text(pod.value(), "/spec/nodeName"),
            "targetRef": target_ref(pod),
        })
    };
    let pick = |ready: bool| -> Vec<Value> {
        pods.iter().filter(|pod| !pod.is_terminating() && is_ready(pod.value()) == ready).map(address).collect()
    };
    let (ready, not_ready) = (pick(true), pick(false));
    let mut subset = json!({"ports": ports(service, pods)});
    if !ready.is_empty() {
        subset["addresses"] = ready.clone().into();
    }
    if !not_ready.is_empty() {
        subset["notReadyAddresses"] = not_ready.clone().into();
    }
    let subsets = if ready.is_empty() && not_ready.is_empty() { Vec::new() } else { vec![subset] };
    let labels = labels(service, &[("endpoints.kubernetes.io/managed-by", "endpoint-controller")]);
    let key = key_of(service.namespace(), service.name());
    let fill = |value: &mut Value| {
        tree::put(value, &["metadata", "labels"], labels.clone());
        if subsets.is_empty() {
            tree::take(value, &["subsets"]);
        } else {
            tree::put(value, &["subsets"], subsets.clone());
        }
    };
    if step.get("", "endpoints", &key).is_none() {
        let mut body = json!({"metadata": {"name": service.name(), "namespace": service.namespace()}});
        fill(&mut body);
        let _ = step.create("", "endpoints", service.namespace(), body, "kube-controller-manager");
        return;
    }
    step.change(Place { group: "", plural: "endpoints", key: &key, subresource: "" }, "kube-controller-manager", fill);
}
