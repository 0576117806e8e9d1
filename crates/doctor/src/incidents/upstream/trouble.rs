//! What goes wrong in the life of a pod, and what can bring that about.
//!
//! Pure. Whoever changes a quota makes no container crash, and no policy of the network keeps an image from being pulled.

use proreus_model::{FieldChange, ObjectId, Verb};
use proreus_observe::Observed;
use proreus_observe::document::Node;
use serde_json::Value;

use super::Upstream;
use super::references::Purpose;
use crate::incidents::incident::Incident;

/// Where in its life a pod is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The API server does not take it.
    Refused,
    /// No node takes it.
    Unplaced,
    /// Its images do not come.
    Pulling,
    /// Its containers are not started.
    Starting,
    /// Its containers end.
    Running,
    /// They end for lack of memory.
    Exhausted,
    /// It leaves its node, or its node leaves it.
    Leaving,
    /// Anything else, or nobody can tell.
    Other,
}

/// What goes wrong.
#[derive(Debug)]
pub(super) struct Trouble<'a> {
    stage: Stage,
    /// What the findings that name the incident say, and of which class they are.
    said: Vec<&'a str>,
    classes: Vec<&'static str>,
}

impl<'a> Trouble<'a> {
    pub(super) fn of(incident: &'a Incident) -> Self {
        let naming = || incident.findings().filter(|finding| finding.reason == incident.reason);
        // The first that came may be a consequence of the one that gave the incident its reason.
        let stage = match naming().next().map_or(incident.check, |finding| finding.check) {
            "replica-failure" => Stage::Refused,
            "pod-unschedulable" => Stage::Unplaced,
            "image-pull" | "pull-secret" => Stage::Pulling,
            "container-config" | "container-start" | "pod-pending" => Stage::Starting,
            "crash-loop" | "container-restarts" => Stage::Running,
            "oom-killed" => Stage::Exhausted,
            "pod-terminating" | "pod-evicted" | "pod-failed" | "daemonset-misscheduled" => Stage::Leaving,
            _ => Stage::Other,
        };
        let said = naming().map(|finding| finding.message.as_str()).collect();
        Self { stage, said, classes: naming().filter_map(|finding| finding.class).collect() }
    }

    /// Whether a thing of this kind can bring it about.
    pub(super) fn is_of(&self, object: &ObjectId) -> bool {
        use Stage::{Exhausted, Leaving, Other, Pulling, Refused, Running, Starting, Unplaced};
        match object.kind.as_str() {
            "ConfigMap" => matches!(self.stage, Starting | Running | Exhausted | Leaving | Other),
            "Secret" => matches!(self.stage, Pulling | Starting | Running | Exhausted | Leaving | Other),
            "PersistentVolumeClaim" => matches!(self.stage, Unplaced | Starting | Running | Leaving | Other),
            "ServiceAccount" => {
                matches!(self.stage, Pulling | Starting | Running | Leaving | Other) || self.is_refused_for(&["ServiceAccount"])
            }
            "NetworkPolicy" => matches!(self.stage, Running | Other),
            "Node" => self.stage == Other,
            "ResourceQuota" => self.stage == Refused && (self.classes.is_empty() || self.names(object.name.as_str())),
            // Defaults that are gone are missed by the quota.
            "LimitRange" => self.is_refused_for(&["LimitRange"]) || self.is_said("must specify"),
            "Namespace" => self.is_refused_for(&["PodSecurity"]),
            _ => false,
        }
    }

    /// Whether pods are refused, and for one of these classes as far as anybody says.
    fn is_refused_for(&self, classes: &[&str]) -> bool {
        self.stage == Stage::Refused && (self.classes.is_empty() || self.classes.iter().any(|class| classes.contains(class)))
    }

    fn is_said(&self, words: &str) -> bool {
        self.stage == Stage::Refused && self.said.iter().any(|text| text.contains(words))
    }

    /// Whether pods are refused by one of the webhooks of this configuration.
    pub(super) fn is_refused_by(&self, configuration: Option<&Observed>) -> bool {
        let webhooks = configuration.and_then(|configuration| configuration.body().get("webhooks")).and_then(Node::as_array);
        let mut names = webhooks.into_iter().flatten().filter_map(|webhook| webhook.get("name")?.as_str());
        self.stage == Stage::Refused && names.any(|name| self.names(name))
    }

    /// Whether the change of a service account, if it is one, can bring it about: its pull secrets matter for pulling, and nothing else of it.
    pub(super) fn is_of_account(&self, change: &Upstream) -> bool {
        if change.object.kind.as_str() != "ServiceAccount" || change.verb != Verb::Update {
            return true;
        }
        let is_for_pulling = |field: &FieldChange| field.path.starts_with("imagePullSecrets");
        match self.purpose() {
            Purpose::Pulling => change.changed.iter().any(is_for_pulling),
            Purpose::Running => !change.changed.iter().all(is_for_pulling),
            Purpose::Any => true,
        }
    }

    /// Whether the change of a node can bring it about; `is_its_own`: the pod is on it. A node that is cordoned takes no new pods, and does
    /// nothing to those it has.
    pub(super) fn is_of_node(&self, change: &Upstream, is_its_own: bool) -> bool {
        let is_cordon = |field: &FieldChange| field.path == "spec.unschedulable";
        match self.stage {
            Stage::Unplaced => {
                let is_in_the_way = |field| match is_cordon(field) {
                    true => field.after.is_some() && self.said.iter().any(|text| text.contains("were unschedulable")),
                    false => taints(field).iter().any(|key| self.names(key)),
                };
                change.changed.iter().any(is_in_the_way)
            }
            Stage::Leaving => is_its_own,
            _ => is_its_own && self.is_of(&change.object) && !(change.verb == Verb::Update && change.changed.iter().all(is_cordon)),
        }
    }

    /// Whether a field of what stands above a pod, and perhaps itself `makes_pods` from a template, can tell of it. How many pods there are
    /// matters where there is no room for them.
    pub(super) fn is_told_by(&self, makes_pods: bool, path: &str) -> bool {
        const TEMPLATES: [&str; 3] = ["spec.template", "spec.jobTemplate", "spec.volumeClaimTemplates"];
        match path {
            "spec.replicas" => matches!(self.stage, Stage::Refused | Stage::Unplaced),
            // Above a workload stand resources whose specification is all about the pods, in words of their own.
            _ => !makes_pods || TEMPLATES.iter().any(|template| path.starts_with(template)),
        }
    }

    /// What pods read that can bring it about.
    pub(super) fn purpose(&self) -> Purpose {
        match self.stage {
            Stage::Pulling => Purpose::Pulling,
            Stage::Starting | Stage::Running | Stage::Exhausted => Purpose::Running,
            Stage::Refused | Stage::Unplaced | Stage::Leaving | Stage::Other => Purpose::Any,
        }
    }

    /// Whether what is said names this, and not something whose name only begins or ends so.
    fn names(&self, name: &str) -> bool {
        let is_of_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        let stands = |text: &&str| {
            text.match_indices(name).any(|(start, _)| {
                let before = text.get(..start).and_then(|before| before.chars().next_back());
                let mut after = text.get(start + name.len()..).unwrap_or_default().chars();
                // A full stop ends a sentence, or goes on in a name.
                let goes_on = match after.next() {
                    Some('.') => after.next().is_some_and(is_of_name),
                    next => next.is_some_and(is_of_name),
                };
                !goes_on && !before.is_some_and(|char| is_of_name(char) || char == '.')
            })
        };
        !name.is_empty() && self.said.iter().any(stands)
    }
}

/// The keys of the taints that a field puts on a node: the whole list, one of it by its key, or one by its place.
fn taints(field: &FieldChange) -> Vec<&str> {
    let Some(rest) = field.path.strip_prefix("spec.taints") else { return Vec::new() };
    let by_path = rest.strip_prefix("[key=").and_then(|rest| rest.split(']').next());
    let list = field.after.as_ref().and_then(Value::as_array).into_iter().flatten();
    let values = list.chain(field.after.as_ref()).filter_map(|taint| taint.get("key")?.as_str());
    values.chain(by_path.filter(|_| field.after.is_some())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_one_that_begins_or_ends_so() {
        let said = |text| Trouble { stage: Stage::Refused, said: vec![text], classes: vec!["Quota"] };
        for text in ["exceeded quota: web, requested", "exceeded quota: web", "by \"web\".", "web"] {
            assert!(said(text).names("web"), "{text}");
        }
        for text in ["exceeded quota: web-2, requested", "my-web", "web.example", "example.web", "webs", ""] {
            assert!(!said(text).names("web"), "{text}");
        }
        assert!(!said("web").names(""));
    }
}
