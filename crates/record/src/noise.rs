//! What of an object is noise: fields that change without anything having happened.
//!
//! A policy never changes what is stored; it decides whether a version says anything new. Two versions say the same when their prints
//! are equal: a hash over the canonical form without the noise. Invariant: a version with any other difference is recorded whole, the
//! noisy fields included.

use proreus_model::{Group, Resource};
use sha2::{Digest, Sha256};

use crate::json::Node;

/// A hash over what an object says, noise left out, in two parts. Compared only between versions of one object, where 64 bits are plenty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    /// Of all but `status`. Never zero, which means "not known" where prints are kept.
    pub(crate) rest: u64,
    /// Of `status`; zero without one.
    pub(crate) status: u64,
}

/// Fields that are noise in some types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseRule {
    /// API group; `None` for every group.
    pub group: Option<Group>,
    /// Lower-case plural; `None` for every type.
    pub resource: Option<Resource>,
    /// Where the noise is.
    pub path: NoisePath,
}

/// A path from the root: `status.conditions[*].lastHeartbeatTime`; a key with dots in it goes in quotes, as in
/// `metadata.annotations["control-plane.alpha.kubernetes.io/leader"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoisePath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    AnyItem,
}

/// A path that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "noise path `{path}` is not valid: {reason}; write it as `status.conditions[*].lastHeartbeatTime` or `metadata.annotations[\"a.b/c\"]`"
)]
pub struct NoisePathError {
    path: String,
    reason: &'static str,
}

impl std::str::FromStr for NoisePath {
    type Err = NoisePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| NoisePathError { path: text.to_owned(), reason };
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[*]") {
                steps.push(Step::AnyItem);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("[\"") {
                let (key, after) = after.split_once("\"]").ok_or(refuse("a quoted key does not end"))?;
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else {
                let plain = if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or(refuse("expected `.` or `[`"))? };
                let end = plain.find(['.', '[']).unwrap_or(plain.len());
                let (key, after) = plain.split_at(end);
                if key.is_empty() {
                    return Err(refuse("an empty key"));
                }
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            }
        }
        if steps.is_empty() { Err(refuse("it is empty")) } else { Ok(Self(steps)) }
    }
}

/// Which updates say nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoisePolicy {
    /// Whether updates are dropped at all; off keeps every version that the API server sends.
    pub enabled: bool,
    /// The rules in force.
    pub rules: Vec<NoiseRule>,
}

/// The leader record keeps its holder: a change of leaders is no noise, its renewal is.
const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// The rules that ship: group (`*` any, `core` for the core group), resource, path.
const BUILT_IN: &[(&str, &str, &str)] = &[
    ("*", "*", "metadata.resourceVersion"),
    ("core", "nodes", "status.conditions[*].lastHeartbeatTime"),
    ("coordination.k8s.io", "leases", "spec.renewTime"),
    ("core", "endpoints", "metadata.annotations[\"endpoints.kubernetes.io/last-change-trigger-time\"]"),
    ("discovery.k8s.io", "endpointslices", "metadata.annotations[\"endpoints.kubernetes.io/last-change-trigger-time\"]"),
    ("autoscaling", "horizontalpodautoscalers", "status.currentMetrics"),
    ("autoscaling", "horizontalpodautoscalers", "status.currentCPUUtilizationPercentage"),
    ("autoscaling", "horizontalpodautoscalers", "metadata.annotations[\"autoscaling.alpha.kubernetes.io/current-metrics\"]"),
    ("*", "*", "status.observedTime"),
    ("*", "*", "status.lastHeartbeatTime"),
    ("*", "*", "status.conditions[*].lastProbeTime"),
];

impl Default for NoisePolicy {
    fn default() -> Self {
        let rules = BUILT_IN
            .iter()
            .map(|(group, resource, path)| NoiseRule {
                group: match *group {
                    "*" => None,
                    "core" => Some(Group::default()),
                    name => Some(name.into()),
                },
                resource: if *resource == "*" { None } else { Some((*resource).into()) },
                path: path.parse().expect("the built-in noise paths are valid, a test parses them"),
            })
            .collect();
        Self { enabled: true, rules }
    }
}

impl NoisePolicy {
    /// A policy that drops nothing.
    pub fn disabled() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// The part that concerns one type.
    pub(crate) fn filter(&self, group: &Group, resource: &Resource) -> NoiseFilter {
        let concerns = |rule: &&NoiseRule| {
            rule.group.as_ref().is_none_or(|wanted| wanted == group) && rule.resource.as_ref().is_none_or(|wanted| wanted == resource)
        };
        NoiseFilter { enabled: self.enabled, paths: self.rules.iter().filter(concerns).map(|rule| rule.path.0.clone()).collect() }
    }
}

/// The noise of one type.
#[derive(Clone, Debug)]
pub(crate) struct NoiseFilter {
    pub(crate) enabled: bool,
    paths: Vec<Vec<Step>>,
}

impl NoiseFilter {
    /// The print of a canonical, redacted object.
    pub(crate) fn print(&self, object: &Node<'_>) -> Print {
        let (mut rest, mut status) = (Sha256::new(), None);
        let active: Vec<&[Step]> = self.paths.iter().map(Vec::as_slice).collect();
        match object {
            Node::Map(members) => {
                for (key, value) in members {
                    if *key == STATUS {
                        hash_member(key, value, &active, status.get_or_insert_with(Sha256::new));
                    } else {
                        hash_member(key, value, &active, &mut rest);
                    }
                }
            }
            // No object, but a hash needs no opinion.
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => hash(object, &active, &mut rest),
        }
        Print { rest: half(rest).max(1), status: status.map_or(0, half) }
    }
}

const STATUS: &str = "status";

fn half(hasher: Sha256) -> u64 {
    hasher.finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Hashes a value; `active` are the rests of the noise paths that lead into it.
fn hash(node: &Node<'_>, active: &[&[Step]], hasher: &mut Sha256) {
    match node {
        Node::Map(members) => {
            hasher.update(b"{");
            members.iter().for_each(|(key, value)| hash_member(key, value, active, hasher));
            hasher.update(b"}");
        }
        Node::List(items) => {
            let below: Vec<&[Step]> = active
                .iter()
                .filter(|path| matches!(path.first(), Some(Step::AnyItem)))
                .map(|path| path.get(1..).unwrap_or_default())
                .collect();
            hasher.update(b"[");
            items.iter().for_each(|item| hash(item, &below, hasher));
            hasher.update(b"]");
        }
        Node::Text(text) => hash_text(text, hasher),
        Node::Number(text) => {
            hasher.update(b"#");
            hash_text(text, hasher);
        }
        Node::Bool(true) => hasher.update(b"t"),
        Node::Bool(false) => hasher.update(b"f"),
        Node::Null => hasher.update(b"n"),
    }
}

fn hash_member(key: &str, value: &Node<'_>, active: &[&[Step]], hasher: &mut Sha256) {
    let below: Vec<&[Step]> = active
        .iter()
        .filter(|path| matches!(path.first(), Some(Step::Key(step)) if step == key))
        .map(|path| path.get(1..).unwrap_or_default())
        .collect();
    if below.iter().any(|rest| rest.is_empty()) {
        return;
    }
    hash_text(key, hasher);
    match value {
        Node::Text(record) if key == LEADER_ANNOTATION => hash_text(&holder(record), hasher),
        _ => hash(value, &below, hasher),
    }
}

fn hash_text(text: &str, hasher: &mut Sha256) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

fn holder(record: &str) -> String {
    crate::json::parse(record.as_bytes(), crate::json::MAX_DEPTH)
        .ok()
        .and_then(|record| record.text_at(&["holderIdentity"]).map(str::to_owned))
        .unwrap_or_else(|| record.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::json::{MAX_DEPTH, parse};

    /// Whether the update from `before` to `after` is noise in `group/resource`.
    fn is_noise(group: &str, resource: &str, before: &str, after: &str) -> bool {
        let filter = NoisePolicy::default().filter(&group.into(), &resource.into());
        let print = |text: &str| filter.print(&parse(text.as_bytes(), MAX_DEPTH).unwrap());
        print(before) == print(after)
    }

    #[test]
    fn a_heartbeat_of_a_node_is_noise_and_its_condition_is_not() {
        let node = |version: u32, beat: &str, status: &str| {
            format!(
                r#"{{"metadata":{{"resourceVersion":"{version}"}},"status":{{"conditions":[{{"type":"Ready","status":"{status}","lastHeartbeatTime":"{beat}"}}]}}}}"#
            )
        };
        assert!(is_noise("", "nodes", &node(1, "10:00", "True"), &node(2, "10:05", "True")));
        assert!(!is_noise("", "nodes", &node(1, "10:00", "True"), &node(2, "10:05", "Unknown")));
        assert!(!is_noise("", "pods", &node(1, "10:00", "True"), &node(2, "10:05", "True")));
    }

    #[test]
    fn renewing_leadership_is_noise_and_a_new_leader_is_not() {
        let record = |holder: &str, renewed: &str| {
            format!(
                r#"{{"metadata":{{"annotations":{{"control-plane.alpha.kubernetes.io/leader":"{{\"holderIdentity\":\"{holder}\",\"renewTime\":\"{renewed}\"}}"}}}}}}"#
            )
        };
        assert!(is_noise("", "configmaps", &record("a", "1"), &record("a", "2")));
        assert!(!is_noise("", "configmaps", &record("a", "1"), &record("b", "2")));
    }

    #[test]
    fn the_trigger_time_of_an_endpoint_slice_is_noise() {
        let slice = |at: &str, ready: bool| {
            format!(
                r#"{{"endpoints":[{{"conditions":{{"ready":{ready}}}}}],"metadata":{{"annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"{at}"}}}}}}"#
            )
        };
        assert!(is_noise("discovery.k8s.io", "endpointslices", &slice("1", true), &slice("2", true)));
        assert!(!is_noise("discovery.k8s.io", "endpointslices", &slice("1", true), &slice("2", false)));
    }

    #[test]
    fn measured_load_of_an_autoscaler_is_noise_and_its_replicas_are_not() {
        let scaler =
            |load: u32, replicas: u32| format!(r#"{{"status":{{"currentMetrics":[{{"v":{load}}}],"currentReplicas":{replicas}}}}}"#);
        assert!(is_noise("autoscaling", "horizontalpodautoscalers", &scaler(1, 2), &scaler(9, 2)));
        assert!(!is_noise("autoscaling", "horizontalpodautoscalers", &scaler(1, 2), &scaler(1, 3)));
    }

    #[test]
    fn tells_a_change_of_status_from_one_beside_it() {
        let filter = NoisePolicy::default().filter(&"".into(), &"pods".into());
        let print = |text: &str| filter.print(&parse(text.as_bytes(), MAX_DEPTH).unwrap());
        let before = print(r#"{"spec":{"a":1},"status":{"b":1}}"#);
        let status = print(r#"{"spec":{"a":1},"status":{"b":2}}"#);
        let spec = print(r#"{"spec":{"a":2},"status":{"b":1}}"#);
        assert!(before.rest == status.rest && before.status != status.status);
        assert!(before.rest != spec.rest && before.status == spec.status);
        assert_eq!(print(r#"{"spec":{"a":1}}"#).status, 0);
        assert_ne!(print(r#"{"status":{}}"#).status, 0);
    }

    #[test]
    fn values_that_look_alike_are_told_apart() {
        for (before, after) in
            [(r#"{"a":1}"#, r#"{"a":"1"}"#), (r#"["a","b"]"#, r#"["ab"]"#), (r#"{"a":null}"#, "{}"), ("[[]]", "[]"), ("1", "1.0")]
        {
            assert!(!is_noise("", "pods", before, after), "{before} {after}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_read_says_why() {
        for (text, reason) in
            [("", "it is empty"), ("a..b", "an empty key"), ("a[\"b", "a quoted key does not end"), ("a[*]b", "expected `.` or `[`")]
        {
            assert!(text.parse::<NoisePath>().unwrap_err().to_string().contains(reason), "{text}");
        }
    }
}
