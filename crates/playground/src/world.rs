//! The simulated world: a cluster and what acts in it.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Writer};
use crate::control::{Consequence, Controllers, Duty, emit_scripted, join};
use crate::logs::Of;
use crate::status::ApiError;
use crate::tree;

/// A cluster and its controllers.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    controllers: Controllers,
}

impl World {
    /// A world in which nothing happened yet.
    pub(crate) fn new(cluster: Cluster, runs_controllers: bool) -> Self {
        Self { cluster, controllers: Controllers::new(runs_controllers) }
    }

    /// What every cluster has from the beginning.
    pub(crate) fn bootstrap(&mut self, now: Timestamp) {
        let writer = Writer::component("kube-apiserver", now);
        for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
            self.create_built_in("", "namespaces", "", name, json!({}), &writer);
        }
        let labels = json!({"component": "apiserver", "provider": "kubernetes"});
        let ports = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]);
        let service = json!({"metadata": {"labels": labels}, "spec": {"ports": ports, "clusterIP": "10.96.0.1"}});
        self.create_built_in("", "services", "default", "kubernetes", service, &writer);
        for (name, value, global) in [("system-cluster-critical", 2_000_000_000, false), ("system-node-critical", 2_000_001_000, false)] {
            let class = json!({"value": value, "globalDefault": global, "description": "Used for system critical pods."});
            self.create_built_in("scheduling.k8s.io", "priorityclasses", "", name, class, &writer);
        }
        self.controllers.look_at(Duty::Sweep, "");
        self.settle(now);
    }

    /// Creates an object of our own making; a refusal is a fault of ours and is logged.
    fn create_built_in(&mut self, group: &str, plural: &str, namespace: &str, name: &str, mut body: Value, writer: &Writer) {
        tree::put(&mut body, &["metadata", "name"], name);
        let Some(target) = self.cluster.target(group, plural, namespace, "") else { return };
        if let Err(refusal) = self.cluster.create(&target, body, writer) {
            tracing::error!(plural, name, refusal = refusal.message, "the playground refused an object of its own");
        }
    }

    /// Lets the controllers work until nothing more is to be done at this moment.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.controllers.settle(&mut self.cluster, now);
    }

    /// When something is to be done next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.controllers.next_due()
    }

    /// Writes an Event that a scenario asks for.
    pub(crate) fn scripted_event(&mut self, event: &Value, now: Timestamp) -> Result<(), ApiError> {
        emit_scripted(&mut self.cluster, now, event)
    }

    /// Changes how the simulated world behaves, as a scenario asks for.
    pub(crate) fn behave(&mut self, behaviour: &Value, now: Timestamp) -> Result<(), ApiError> {
        if let Some(node) = behaviour.get("join") {
            return join(&mut self.cluster, node, now);
        }
        match self.controllers.script.learn(behaviour)? {
            Consequence::Nothing => {}
            Consequence::NodeBack(name) => self.controllers.look_at(Duty::Heartbeat, &name),
            Consequence::Log(lines) => self.write_log(&lines, now),
        }
        let pods: Vec<String> = self.cluster.objects("", "pods", "").map(|pod| crate::store::key_of(pod.namespace(), pod.name())).collect();
        for key in pods {
            self.controllers.look_at(Duty::Kubelet, &key);
        }
        Ok(())
    }

    fn write_log(&mut self, lines: &crate::control::LogLines, now: Timestamp) {
        let mut meant = Vec::new();
        for pod in self.cluster.objects("", "pods", "") {
            for status in tree::items(pod.value(), "/status/containerStatuses") {
                let container = tree::text(status, "/name");
                if tree::flag(status, "/started") && lines.covers(pod.namespace(), pod.name(), container) {
                    let restart = tree::number(status, "/restartCount").unwrap_or(0);
                    meant.push((pod.namespace().to_owned(), pod.name().to_owned(), container.to_owned(), restart));
                }
            }
        }
        for (namespace, pod, container, restart) in meant {
            self.cluster.logs.write(Of { namespace: &namespace, pod: &pod, container: &container, restart }, now, lines.text());
        }
    }
}
