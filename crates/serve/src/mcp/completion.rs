//! Completion of arguments of prompts and addresses: names that are recorded.

use std::collections::BTreeSet;

use proreus_app::AppError;
use proreus_app::questions::{Selection, StateQuestion};
use proreus_app::{Application, Moment};
use proreus_model::Access;
use serde_json::{Value, json};

use super::asker::Asker;
use super::refusal::Refusal;
use super::rpc::JsonObject;

/// Objects looked at for one completion: names of a thousand objects are more than anybody chooses from.
const LOOKED_AT: usize = 1_000;

/// Values of one completion: as many as the protocol allows.
const MAX_VALUES: usize = 100;

/// What may stand where an argument is being written.
pub(crate) async fn complete(asker: &Asker, params: &JsonObject) -> Result<Value, Refusal> {
    let word = |of: &str, name: &str| params.get(of).and_then(|of| of.get(name)).and_then(Value::as_str).map(str::to_owned);
    let (argument, begun) = match (word("argument", "name"), word("argument", "value")) {
        (Some(argument), Some(begun)) => (argument, begun),
        _ => return Err(Refusal::argument("`argument` has no `name` or no `value`", "send both, and `ref`")),
    };
    let uri = match word("ref", "type").as_deref() {
        Some("ref/prompt") => None,
        Some("ref/resource") => word("ref", "uri"),
        _ => {
            return Err(Refusal::argument(
                "`ref` is neither a prompt nor a resource",
                "send type ref/prompt with a name or ref/resource with a uri",
            ));
        }
    };
    let known = params.get("context").and_then(|context| context.get("arguments"));
    let namespace = known.and_then(|known| known.get("namespace")).and_then(Value::as_str).map(str::to_owned);
    let subject = match (uri.as_deref(), argument.as_str()) {
        (Some(uri), "name") if uri.contains("cluster-monitor") => "ClusterDeployment,Cluster".to_owned(),
        (Some(uri), "namespace") if uri.contains("cluster-monitor") => "monitored namespaces".to_owned(),
        _ => argument,
    };
    let mut found = asker.ask(move |app, access| candidates(app, &subject, namespace, access)).await?;
    found.retain(|word| word.starts_with(&begun));
    let (total, more) = (found.len(), found.len() > MAX_VALUES);
    found.truncate(MAX_VALUES);
    Ok(json!({"completion": {"values": found, "total": total, "hasMore": more}}))
}

fn candidates(app: &Application, argument: &str, namespace: Option<String>, access: &Access) -> Result<Vec<String>, AppError> {
    let fixed = |words: &[&str]| Ok(words.iter().map(|word| (*word).to_owned()).collect());
    match argument {
        "namespace" => names(app, "Namespace", None, access),
        "monitored namespaces" => {
            let views = app.monitors.list(access)?;
            let found: BTreeSet<String> = views.into_iter().map(|view| view.now.progress.namespace.to_string()).collect();
            Ok(found.into_iter().collect())
        }
        "ClusterDeployment,Cluster" => {
            let views = app.monitors.list(access)?.into_iter().map(|view| view.now.progress);
            let in_place = views.filter(|of| namespace.as_deref().is_none_or(|namespace| namespace == of.namespace.as_str()));
            Ok(in_place.map(|of| of.name.to_string()).collect::<BTreeSet<_>>().into_iter().collect())
        }
        "pod" | "pod_name" => names(app, "Pod", namespace, access),
        "deployment_name" => names(app, "Deployment", namespace, access),
        "pvc_name" => names(app, "PersistentVolumeClaim", namespace, access),
        "node_name" => names(app, "Node", None, access),
        "cluster" => Ok(app.clusters(access)?.into_iter().map(|(id, name)| name.unwrap_or_else(|| id.to_string())).collect()),
        "kind" => Ok(types(app, |of| of.kind.to_string())?),
        "resource_type" => Ok(types(app, |of| of.resource.to_string())?),
        "time_range" | "time_window" => fixed(&["1h", "24h", "7d"]),
        "focus_area" => fixed(&["all", "network", "nodes", "pods", "storage"]),
        "await" => fixed(&["false", "true"]),
        _ => Ok(Vec::new()),
    }
}

fn types(app: &Application, word: impl Fn(&proreus_model::ResourceType) -> String) -> Result<Vec<String>, AppError> {
    let found: BTreeSet<String> = app.questions.journal().types()?.iter().map(word).collect();
    Ok(found.into_iter().collect())
}

fn names(app: &Application, kind: &str, namespace: Option<String>, access: &Access) -> Result<Vec<String>, AppError> {
    let asked = Selection { kinds: vec![kind.to_owned()], namespaces: namespace.into_iter().collect(), ..Selection::default() };
    let question = StateQuestion { at: Moment::Now, filter: app.questions.select(&asked)?, after: None, limit: LOOKED_AT, full: false };
    let found: BTreeSet<String> =
        app.questions.state(&question, access)?.items.into_iter().map(|item| item.change.object.name.to_string()).collect();
    Ok(found.into_iter().collect())
}
