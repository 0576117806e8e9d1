//! The rules that objects must keep, worded as the real server words them. The common ones; what is not checked here is let through.

use serde_json::{Value, json};

use crate::cluster::Target;
use crate::selector::Selector;
use crate::status::{ApiError, Cause};
use crate::structural;
use crate::tree;

/// Longest label value and DNS label, and longest name of most types.
const LABEL_LENGTH: usize = 63;
const NAME_LENGTH: usize = 253;
/// Sum of all values of a Secret or ConfigMap, as on a real server.
const DATA_LIMIT: usize = 1024 * 1024;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
    alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
    character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Checks a new object.
pub(crate) fn on_create(target: &Target, value: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    name(target, value, &mut causes);
    both(target, value, &mut causes);
    refuse(target, causes)
}

/// Checks a further version of an object.
pub(crate) fn on_update(target: &Target, before: &Value, value: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if target.subresource.is_empty() {
        both(target, value, &mut causes);
        fixed(target, before, value, &mut causes);
        finalizers(before, value, &mut causes);
    }
    refuse(target, causes)
}

fn refuse(target: &Target, causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(target.about_kind(), &causes)) }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn name(target: &Target, value: &Value, causes: &mut Vec<Cause>) {
    let name = tree::text(value, "/metadata/name");
    let free = matches!(target.def.group.as_str(), "rbac.authorization.k8s.io");
    let strict = matches!(target.def.kind.as_str(), "Namespace" | "Service") && !target.def.is_custom();
    let shown = Value::from(name);
    if free {
        if name.contains('/') || name.contains('%') || name == "." || name == ".." {
            causes.push(Cause::invalid("metadata.name", &shown, "may not contain '/'"));
        }
    } else if strict && (!is_label(name) || name.len() > LABEL_LENGTH) {
        causes.push(Cause::invalid("metadata.name", &shown, LABEL));
    } else if !strict && (name.len() > NAME_LENGTH || !name.split('.').all(is_label)) {
        causes.push(Cause::invalid("metadata.name", &shown, SUBDOMAIN));
    }
}

fn both(target: &Target, value: &Value, causes: &mut Vec<Cause>) {
    for (key, text) in tree::texts(value, "/metadata/labels") {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        if text.len() > LABEL_LENGTH {
            causes.push(Cause::invalid("metadata.labels", &text.into(), "must be no more than 63 bytes"));
        } else if !text.chars().all(inner) || !edge(text.chars().next()) || !edge(text.chars().last()) {
            causes.push(Cause::invalid("metadata.labels", &text.into(), LABEL_VALUE));
        }
        let _ = key;
    }
    if target.def.is_custom() {
        let schema = target.def.custom.get(&target.version).and_then(|custom| custom.schema.as_ref());
        causes.extend(structural::check(schema, value));
        return;
    }
    match target.def.kind.as_str() {
        "Pod" => containers(value, "spec", causes),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => workload(target, value, causes),
        "ConfigMap" | "Secret" => data(value, causes),
        "CustomResourceDefinition" => definition(value, causes),
        "Service" if needs_ports(value) && tree::items(value, "/spec/ports").is_empty() => causes.push(Cause::required("spec.ports", "")),
        _ => {}
    }
}

fn needs_ports(service: &Value) -> bool {
    tree::text(service, "/spec/type") != "ExternalName" && tree::text(service, "/spec/clusterIP") != "None"
}

fn containers(value: &Value, place: &str, causes: &mut Vec<Cause>) {
    let pointer = format!("/{}/containers", place.replace('.', "/"));
    let list = tree::items(value, &pointer);
    if list.is_empty() {
        causes.push(Cause::required(&format!("{place}.containers"), ""));
    }
    for (at, container) in list.iter().enumerate() {
        let field = |name: &str| format!("{place}.containers[{at}].{name}");
        if tree::text(container, "/name").is_empty() {
            causes.push(Cause::required(&field("name"), ""));
        } else if !is_label(tree::text(container, "/name")) {
            causes.push(Cause::invalid(&field("name"), &container["name"], LABEL));
        }
        if tree::text(container, "/image").is_empty() {
            causes.push(Cause::required(&field("image"), ""));
        }
    }
}

fn workload(target: &Target, value: &Value, causes: &mut Vec<Cause>) {
    if tree::number(value, "/spec/replicas").is_some_and(|replicas| replicas < 0) {
        causes.push(Cause::invalid("spec.replicas", &value["spec"]["replicas"], "must be greater than or equal to 0"));
    }
    let template_labels = value.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    match value.pointer("/spec/selector") {
        None => {
            causes.push(Cause::required("spec.selector", ""));
            let text = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", &template_labels, text));
        }
        Some(selector) => {
            let labelled = json!({"metadata": {"labels": template_labels}});
            if !Selector::of_labels(selector).matches(&labelled) {
                let text = "`selector` does not match template `labels`";
                causes.push(Cause::invalid("spec.template.metadata.labels", &template_labels, text));
            }
        }
    }
    let _ = target;
    containers(value, "spec.template.spec", causes);
}

fn data(value: &Value, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, text) in tree::texts(value, "/data") {
        size += text.len();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            let text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', \
                regex used for validation is '[-._a-zA-Z0-9]+')";
            causes.push(Cause::invalid(&format!("data[{key}]"), &key.into(), text));
        }
    }
    if size > DATA_LIMIT {
        let message = format!("Too long: may not be more than {DATA_LIMIT} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", message, field: String::new() });
    }
}

fn definition(value: &Value, causes: &mut Vec<Cause>) {
    let (plural, group) = (tree::text(value, "/spec/names/plural"), tree::text(value, "/spec/group"));
    let expected = format!("{plural}.{group}");
    if tree::text(value, "/metadata/name") != expected {
        let shown = Value::from(tree::text(value, "/metadata/name"));
        causes.push(Cause::invalid("metadata.name", &shown, "must be spec.names.plural+\".\"+spec.group"));
    }
    let storage = tree::items(value, "/spec/versions").iter().filter(|version| tree::flag(version, "/storage")).count();
    if storage != 1 {
        causes.push(Cause::invalid("spec.versions", &value["spec"]["versions"], "must have exactly one version marked as storage version"));
    }
}

/// An object on its way out takes no new finalizers.
fn finalizers(before: &Value, value: &Value, causes: &mut Vec<Cause>) {
    if tree::text(before, "/metadata/deletionTimestamp").is_empty() {
        return;
    }
    let known = tree::items(before, "/metadata/finalizers");
    let new: Vec<String> =
        tree::items(value, "/metadata/finalizers").iter().filter(|name| !known.contains(name)).map(Value::to_string).collect();
    if !new.is_empty() {
        let text =
            format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}", new.join(", "));
        // The real server complains twice, once for metadata and once for the object.
        causes.extend([Cause::forbidden("metadata.finalizers", &text), Cause::forbidden("metadata.finalizers", &text)]);
    }
}

/// What may not change any more.
fn fixed(target: &Target, before: &Value, value: &Value, causes: &mut Vec<Cause>) {
    if target.def.is_custom() {
        return;
    }
    let differs = |place: &str| before.pointer(place) != value.pointer(place);
    match target.def.kind.as_str() {
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" if differs("/spec/selector") => {
            let selector = value.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
            causes.push(Cause::invalid("spec.selector", &selector, "field is immutable"));
        }
        "ConfigMap" | "Secret" if tree::flag(before, "/immutable") => {
            if ["/data", "/binaryData"].iter().any(|place| differs(place)) {
                causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
            }
            if !tree::flag(value, "/immutable") {
                causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
            }
        }
        "Secret" if differs("/type") => causes.push(Cause::invalid("type", &value["type"], "field is immutable")),
        "Pod" => pod_update(before, value, causes),
        "Service" if differs("/spec/clusterIP") && tree::text(value, "/spec/type") != "ExternalName" => {
            let ip = value.pointer("/spec/clusterIP").cloned().unwrap_or(Value::Null);
            causes.push(Cause::invalid("spec.clusterIPs[0]", &json!([ip]), "may not change once set"));
        }
        "RoleBinding" | "ClusterRoleBinding" if differs("/roleRef") => {
            causes.push(Cause::invalid("roleRef", &value["roleRef"], "cannot change roleRef"));
        }
        _ => {}
    }
}

/// Of a pod's spec only images, the deadline, grace of running pods and further tolerations change.
fn pod_update(before: &Value, value: &Value, causes: &mut Vec<Cause>) {
    let plain = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or(Value::Null);
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                tree::take(container, &["image"]);
            }
        }
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
            tree::take(&mut spec, &[field]);
        }
        spec
    };
    if plain(before) != plain(value) {
        let text = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
            `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
            (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause::forbidden("spec", text));
    }
}
