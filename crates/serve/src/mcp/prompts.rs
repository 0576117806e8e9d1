//! The four prompts of the older audit service, by their names and arguments: an order in which to look, in the words of the tools.
//!
//! Pure.

use serde_json::{Value, json};

use super::answers::clipped;
use super::refusal::Refusal;
use super::rpc::JsonObject;

/// Longest argument that is taken into a text.
const ARGUMENT_CHARS: usize = 253;

/// A prompt.
pub(crate) struct Entry {
    /// What clients call it by.
    pub(crate) name: &'static str,
    title: &'static str,
    /// What it is for.
    pub(crate) description: &'static str,
    /// Name, meaning, whether it must be given.
    pub(crate) arguments: &'static [(&'static str, &'static str, bool)],
    text: fn(&Given) -> String,
}

const WINDOW: (&str, &str, bool) = ("time_window", "How far to look back, such as 1h, 24h or 7d; 1h unless said otherwise", false);

/// Every prompt.
pub(crate) const PROMPTS: [Entry; 4] = [
    Entry {
        name: "investigate_pod_failure",
        title: "Investigate a pod's failure",
        description: "Find out why a pod fails: what is wrong with it, what happened to it, what changed before.",
        arguments: &[("pod_name", "The pod", true), ("namespace", "Its namespace", true), WINDOW],
        text: pod_failure,
    },
    Entry {
        name: "diagnose_cluster_health",
        title: "Diagnose a cluster",
        description: "Find out what is wrong in a cluster, worst first, and where it comes from.",
        arguments: &[WINDOW, ("focus_area", "nodes, pods, storage, network or all; all unless said otherwise", false)],
        text: cluster_health,
    },
    Entry {
        name: "analyze_deployment_rollout",
        title: "Analyse a rollout",
        description: "Find out how a deployment's rollout went, what it changed, and whether it did harm.",
        arguments: &[("deployment_name", "The deployment", true), ("namespace", "Its namespace", true), WINDOW],
        text: rollout,
    },
    Entry {
        name: "troubleshoot_volume_issues",
        title: "Troubleshoot a volume",
        description: "Find out why a volume claim is not bound or its volume not attached.",
        arguments: &[("pvc_name", "The PersistentVolumeClaim", true), ("namespace", "Its namespace", true)],
        text: volume,
    },
];

/// Arguments that were given.
struct Given(Vec<(&'static str, String)>);

impl Given {
    fn of(&self, name: &str, default: &str) -> String {
        let found = self.0.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone());
        found.unwrap_or_else(|| default.to_owned())
    }
}

/// The prompts as they are listed.
pub(crate) fn list() -> Vec<Value> {
    PROMPTS
        .iter()
        .map(|entry| {
            let arguments =
                entry.arguments.iter().map(|(name, meaning, required)| json!({"name": name, "description": meaning, "required": required}));
            json!({
                "name": entry.name, "title": entry.title, "description": entry.description,
                "arguments": arguments.collect::<Vec<Value>>(),
            })
        })
        .collect()
}

/// One prompt with its arguments filled in.
pub(crate) fn get(name: &str, given: Option<&JsonObject>) -> Result<Value, Refusal> {
    let entry = PROMPTS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = PROMPTS.iter().map(|entry| entry.name).collect();
        Refusal::argument(format!("there is no prompt `{name}`"), format!("there are {}", names.join(", ")))
    })?;
    let mut taken = Vec::new();
    for (name, _, required) in entry.arguments {
        let value = given.and_then(|given| given.get(*name)).and_then(Value::as_str).map(str::trim).filter(|value| !value.is_empty());
        match (value, required) {
            // A name goes into a text that a model follows: it is kept on one line, and short.
            (Some(value), _) => taken.push((*name, clipped(&value.replace(|letter: char| letter.is_control(), " "), ARGUMENT_CHARS))),
            (None, true) => return Err(Refusal::argument(format!("`{name}` is missing"), format!("the prompt {} needs it", entry.name))),
            (None, false) => {}
        }
    }
    let text = (entry.text)(&Given(taken));
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    Ok(json!({"description": entry.description, "messages": [message]}))
}

fn pod_failure(given: &Given) -> String {
    let (pod, namespace, window) = (given.of("pod_name", ""), given.of("namespace", ""), given.of("time_window", "1h"));
    format!(
        "Find out why the pod `{pod}` in namespace `{namespace}` fails. Look back {window}.\n\n\
         1. Call `doctor` with namespace `{namespace}`: what is wrong with the pod, its workload and its node?\n\
         2. Call `history` with kind `Pod`, name `{pod}`, namespace `{namespace}`, since `{window}`: what happened to it, and what did the Events say?\n\
         3. Call `incidents` with namespace `{namespace}`: when did it open, and which cause does it name?\n\
         4. Call `what_changed_before` with at set to the time it began and namespace `{namespace}`. Call `diff` for a change that looks like the cause.\n\n\
         Then say what fails, since when, which change or fault it comes from (by seq), how sure you are, and what to do. If something is unknown, say so."
    )
}

fn cluster_health(given: &Given) -> String {
    let (window, focus) = (given.of("time_window", "1h"), given.of("focus_area", "all"));
    let look = match focus.as_str() {
        "nodes" => "Look at nodes only: `check_node_health`, then `history` of a node that is not well.",
        "pods" => "Look at pods and workloads only: `check_pod_issues`, then `history` of what is worst.",
        "storage" => "Look at volumes and claims only: `check_volume_issues`, then `history` of the claim.",
        "network" => "Look at services, ingresses, gateways and network policies only, among what `doctor` finds.",
        _ => "Look at everything, worst first.",
    };
    format!(
        "Find out what is wrong in the cluster. Look back {window}. {look}\n\n\
         1. Call `doctor`: what is wrong now, and what could not be decided?\n\
         2. Call `incidents` with since `{window}`: what opened and resolved, and which causes are named?\n\
         3. For what is worst, call `what_changed_before` with at set to its openedAt.\n\n\
         Then report: what is wrong (critical first), since when, what it comes from, and what to do first. Say what is unknown."
    )
}

fn rollout(given: &Given) -> String {
    let (name, namespace, window) = (given.of("deployment_name", ""), given.of("namespace", ""), given.of("time_window", "1h"));
    format!(
        "Find out how the last rollout of the deployment `{name}` in namespace `{namespace}` went. Look back {window}.\n\n\
         1. Call `history` with kind `Deployment`, name `{name}`, namespace `{namespace}`, since `{window}`: which changes of specification were there, by which \
         field manager?\n\
         2. Call `diff` between the change before the rollout and the one after it.\n\
         3. Call `changes` with kind `ReplicaSet,Pod`, namespace `{namespace}`, since `{window}`: did the new pods become ready?\n\
         4. Call `incidents` with namespace `{namespace}`: did anything open after it?\n\n\
         Then say what was changed, whether the rollout came to its end, what harm it did, and whether to go back."
    )
}

fn volume(given: &Given) -> String {
    let (name, namespace) = (given.of("pvc_name", ""), given.of("namespace", ""));
    format!(
        "Find out what is wrong with the volume claim `{name}` in namespace `{namespace}`.\n\n\
         1. Call `object` with kind `PersistentVolumeClaim`, name `{name}`, namespace `{namespace}`: its phase, storage class and volume.\n\
         2. Call `history` of the claim, with its Events: what did the provisioner say?\n\
         3. Call `doctor` with namespace `{namespace}`, and `state` with kind `StorageClass`: is there a class that serves it?\n\
         4. If it is bound, look at its PersistentVolume and at VolumeAttachments on the pod's node.\n\n\
         Then say why it is not bound or not attached, since when, and what to do."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_only_tools_that_exist_and_takes_in_what_was_given() {
        let given = |entry: &Entry| -> JsonObject {
            entry.arguments.iter().map(|(name, _, _)| ((*name).to_owned(), Value::String(format!("the-{name}")))).collect()
        };
        for entry in &PROMPTS {
            let result = get(entry.name, Some(&given(entry))).expect("prompt");
            let text = result["messages"].to_string();
            for word in text.split('`').skip(1).step_by(2).filter(|word| word.contains('_') && !word.starts_with("the-")) {
                assert!(super::super::tools::named(word).is_some(), "{}: {word}", entry.name);
            }
            for (name, _, required) in entry.arguments.iter().filter(|(name, ..)| *name != "focus_area") {
                assert!(text.contains(&format!("the-{name}")), "{}: {name}", entry.name);
                let mut without = given(entry);
                without.remove(*name);
                assert_eq!(get(entry.name, Some(&without)).is_err(), *required, "{}: {name}", entry.name);
            }
        }
        assert!(get("nothing", None).is_err());
    }
}
