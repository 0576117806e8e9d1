//! How the simulated world misbehaves, as scenarios ask for it: missing images, crashing containers, lost nodes, load, log lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::container::Exit;
use crate::status::ApiError;
use crate::tree;

/// Rules in force.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(super) missing_images: BTreeSet<String>,
    pub(super) lost_nodes: BTreeSet<String>,
    exits: Vec<(Scope, Exit, String)>,
    unready: Vec<Scope>,
    start_logs: Vec<(Scope, String)>,
    /// Autoscaler key → total load in percent of one replica's request.
    pub(super) load: BTreeMap<String, i64>,
}

/// Which containers a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    namespace: String,
    /// Name of the pod, or its beginning.
    pod: String,
    /// `""` for every container.
    container: String,
}

impl Scope {
    fn of(value: &Value) -> Self {
        let text = |field: &str| tree::text(value, &format!("/{field}")).to_owned();
        Self { namespace: text("namespace"), pod: text("pod"), container: text("container") }
    }

    /// True for a container that is meant.
    pub(super) fn covers(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.namespace == namespace && pod.starts_with(&self.pod) && (self.container.is_empty() || self.container == container)
    }
}

/// What is to be done beyond keeping the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    Nothing,
    NodeBack(String),
    Log(LogLines),
}

/// Lines to be written to running containers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLines {
    scope: Scope,
    text: String,
}

impl LogLines {
    /// True for a container that is meant.
    pub(crate) fn covers(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.scope.covers(namespace, pod, container)
    }

    /// The lines.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Script {
    /// Takes in one rule: a mapping with one key.
    pub(crate) fn learn(&mut self, rule: &Value) -> Result<Consequence, ApiError> {
        let map = rule.as_object().filter(|map| map.len() == 1);
        let Some((name, value)) = map.and_then(|map| map.iter().next()) else {
            return Err(ApiError::bad_request("a playground step is a mapping with one key, such as nodeLost: worker-2"));
        };
        let text = || value.as_str().unwrap_or_default().to_owned();
        let scope = Scope::of(value);
        match name.as_str() {
            "imageMissing" => drop(self.missing_images.insert(text())),
            "imageFound" => drop(self.missing_images.remove(&text())),
            "nodeLost" => drop(self.lost_nodes.insert(text())),
            "nodeBack" => {
                self.lost_nodes.remove(&text());
                return Ok(Consequence::NodeBack(text()));
            }
            "crash" => {
                let exit = Exit {
                    after_seconds: tree::number(value, "/afterSeconds").unwrap_or(10).max(1),
                    code: tree::number(value, "/exitCode").unwrap_or(1),
                    reason: Some(tree::text(value, "/reason")).filter(|text| !text.is_empty()).unwrap_or("Error").to_owned(),
                };
                self.exits.retain(|(known, _, _)| *known != scope);
                self.exits.push((scope, exit, tree::text(value, "/log").to_owned()));
            }
            "heal" => self.exits.retain(|(known, _, _)| *known != scope),
            "unready" => self.unready.push(scope),
            "ready" => self.unready.retain(|known| *known != scope),
            "startLog" => self.start_logs.push((scope, tree::text(value, "/text").to_owned())),
            "log" => return Ok(Consequence::Log(LogLines { scope, text: tree::text(value, "/text").to_owned() })),
            "load" => {
                let key = crate::store::key_of(tree::text(value, "/namespace"), tree::text(value, "/autoscaler"));
                self.load.insert(key, tree::number(value, "/percent").unwrap_or(0));
            }
            other => return Err(ApiError::bad_request(format!("the playground knows no behaviour {other:?}"))),
        }
        Ok(Consequence::Nothing)
    }

    /// The scripted end of a container's runs, newest rule first, with its last words.
    pub(super) fn exit(&self, namespace: &str, pod: &str, container: &str) -> Option<(&Exit, &str)> {
        self.exits.iter().rev().find(|(scope, _, _)| scope.covers(namespace, pod, container)).map(|(_, exit, log)| (exit, log.as_str()))
    }

    /// True for a container whose readiness probe fails.
    pub(super) fn is_unready(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.unready.iter().any(|scope| scope.covers(namespace, pod, container))
    }

    /// What a container writes when it starts.
    pub(super) fn start_log(&self, namespace: &str, pod: &str, container: &str) -> Option<&str> {
        self.start_logs.iter().rev().find(|(scope, _)| scope.covers(namespace, pod, container)).map(|(_, text)| text.as_str())
    }
}
