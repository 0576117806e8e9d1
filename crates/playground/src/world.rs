//! The simulated world: a cluster and what acts in it.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Writer};

/// A cluster and its controllers.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    runs_controllers: bool,
}

impl World {
    /// A world in which nothing happened yet.
    pub(crate) fn new(cluster: Cluster, runs_controllers: bool) -> Self {
        Self { cluster, runs_controllers }
    }

    /// What every cluster has from the beginning.
    pub(crate) fn bootstrap(&mut self, now: Timestamp, _address: SocketAddr) {
        let writer = Writer::component("kube-apiserver", now);
        for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
            self.create_built_in("", "namespaces", "", name, json!({}), &writer);
        }
    }

    /// Creates an object of our own making; a refusal is a fault of ours and is logged.
    pub(crate) fn create_built_in(&mut self, group: &str, plural: &str, namespace: &str, name: &str, mut body: Value, writer: &Writer) {
        crate::tree::put(&mut body, &["metadata", "name"], name);
        let Some(target) = self.cluster.target(group, plural, namespace, "") else { return };
        if let Err(refusal) = self.cluster.create(&target, body, writer) {
            tracing::error!(plural, name, refusal = refusal.message, "the playground refused an object of its own");
        }
    }

    /// Lets the controllers work until nothing more is to be done at this moment.
    pub(crate) fn settle(&mut self, _now: Timestamp) {
        let _ = self.runs_controllers;
    }

    /// When something is to be done next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// Writes an Event that a scenario asks for.
    pub(crate) fn scripted_event(&mut self, _event: &Value, _now: Timestamp) -> Result<(), crate::status::ApiError> {
        Ok(())
    }

    /// Changes how the simulated world behaves, as a scenario asks for.
    pub(crate) fn behave(&mut self, _behaviour: &Value, _now: Timestamp) -> Result<(), crate::status::ApiError> {
        Ok(())
    }
}
