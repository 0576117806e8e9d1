//! Nodes that join the simulated cluster: the object a kubelet registers, in its usual size.

use serde_json::{Value, json};

use crate::cluster::{Cluster, Writer};
use crate::status::ApiError;
use crate::tree;

/// Images that every node has: name, size in bytes.
const IMAGES: &[(&str, i64)] = &[
    ("registry.k8s.io/kube-proxy:v1.36.3", 38_651_213),
    ("registry.k8s.io/coredns/coredns:v1.13.1", 22_384_805),
    ("registry.k8s.io/pause:3.10.1", 320_448),
    ("registry.shop.example/base/node-agent:5.2.0", 61_447_120),
];

/// Registers a node: `name`, and if wanted `zone`, `role`, `cpu`, `memory`, `pods`.
pub(crate) fn join(cluster: &mut Cluster, rule: &Value, now: jiff::Timestamp) -> Result<(), ApiError> {
    let name = tree::text(rule, "/name");
    if name.is_empty() {
        return Err(ApiError::bad_request("playground join: a name is needed"));
    }
    let number = u32::try_from(cluster.objects("", "nodes", "").count()).unwrap_or(0) + 1;
    let target = cluster.target("", "nodes", "", "").ok_or_else(ApiError::no_such_path)?;
    let body = node(name, rule, number, cluster);
    cluster.create(&target, body, &Writer::component("kubelet", now)).map(|_| ())
}

fn node(name: &str, rule: &Value, number: u32, cluster: &mut Cluster) -> Value {
    let text = |field: &str, otherwise: &str| match tree::text(rule, &format!("/{field}")) {
        "" => otherwise.to_owned(),
        found => found.to_owned(),
    };
    let (zone, role) = (text("zone", "eu-1a"), text("role", "worker"));
    let (cpu, memory, pods) = (text("cpu", "8"), text("memory", "32864208Ki"), text("pods", "110"));
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name, "node.kubernetes.io/instance-type": "m8.large",
        "topology.kubernetes.io/region": zone.trim_end_matches(char::is_alphabetic), "topology.kubernetes.io/zone": zone,
    });
    tree::put(&mut labels, &[&format!("node-role.kubernetes.io/{role}")], "");
    let cidr = format!("10.244.{number}.0/24");
    let mut spec = json!({"podCIDR": cidr, "podCIDRs": [cidr], "providerID": format!("playground://{zone}/{name}")});
    if role == "control-plane" {
        spec["taints"] = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
    }
    let images: Vec<Value> = IMAGES
        .iter()
        .map(|(image, size)| {
            let (base, _) = image.rsplit_once(':').unwrap_or((image, ""));
            json!({"names": [format!("{base}@sha256:{}", super::container::digest(image)), image], "sizeBytes": size})
        })
        .collect();
    let annotations = json!({"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"});
    let capacity = json!({
        "cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "101430960Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": spec,
        "status": {
            "addresses": [{"type": "InternalIP", "address": format!("192.0.2.{}", 10 + number)}, {"type": "Hostname", "address": name}],
            "capacity": capacity,
            "allocatable": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": images,
            "nodeInfo": {
                "architecture": "amd64", "bootID": cluster.ids.uid(), "containerRuntimeVersion": "containerd://2.2.1",
                "kernelVersion": "6.12.41", "kubeProxyVersion": "", "kubeletVersion": "v1.36.3", "machineID": cluster.ids.hex64().get(..32),
                "operatingSystem": "linux", "osImage": "Talos (v1.12.0)", "systemUUID": cluster.ids.uid(),
            },
        },
    })
}
