//! How the lists and maps of an object merge: by key, as sets, or only as a whole. One answer for managed fields, server-side apply and
//! strategic merge patches.
//!
//! For built-in types the answer is a table over (parent field, field), which is unambiguous there; for custom resources it is read from
//! the schema of their definition. What is in neither merges as a plain map or a whole list.

use serde_json::Value;

use crate::resource::ResourceDef;

/// A place in the schema of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema<'a> {
    /// In a built-in type: the kind, the field that holds the parent, the field itself.
    BuiltIn { kind: &'a str, parent: &'a str, field: &'a str },
    /// In `metadata`, which is the same for custom and built-in types.
    Meta { parent: &'a str, field: &'a str },
    /// In a custom resource; `None` where nothing is declared.
    Custom { node: Option<&'a Value>, root: bool },
}

/// How a list merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListKind<'a> {
    /// Only as a whole.
    Atomic,
    /// As a set of scalars.
    Set,
    /// Item by item, items being told apart by these fields.
    Keyed(Vec<&'a str>),
}

/// Keyed lists: parent (`*` for any), field, keys for managed fields and apply, key for strategic merge patches (`""` for none).
const KEYED: &[(&str, &str, &[&str], &str)] = &[
    ("metadata", "ownerReferences", &["uid"], "uid"),
    ("*", "containers", &["name"], "name"),
    ("*", "initContainers", &["name"], "name"),
    ("*", "ephemeralContainers", &["name"], "name"),
    ("spec", "volumes", &["name"], "name"),
    ("*", "imagePullSecrets", &["name"], "name"),
    ("spec", "hostAliases", &["ip"], "ip"),
    ("spec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"], "topologyKey"),
    ("spec", "resourceClaims", &["name"], "name"),
    ("spec", "schedulingGates", &["name"], "name"),
    ("containers", "ports", &["containerPort", "protocol"], "containerPort"),
    ("initContainers", "ports", &["containerPort", "protocol"], "containerPort"),
    ("*", "env", &["name"], "name"),
    ("*", "volumeMounts", &["mountPath"], "mountPath"),
    ("*", "volumeDevices", &["devicePath"], "devicePath"),
    ("status", "conditions", &["type"], "type"),
    ("status", "podIPs", &["ip"], "ip"),
    ("status", "addresses", &["type"], "type"),
    ("*", "secrets", &["name"], "name"),
    ("*", "webhooks", &["name"], "name"),
    ("webhooks", "matchConditions", &["name"], ""),
];

/// Lists of scalars that merge as sets: parent, field.
const SETS: &[(&str, &str)] = &[("metadata", "finalizers"), ("spec", "podCIDRs"), ("spec", "finalizers")];

/// Objects that are written as a whole only, by the field that holds them.
const WHOLE: &[&str] = &[
    "selector",
    "nodeSelector",
    "labelSelector",
    "namespaceSelector",
    "podSelector",
    "objectSelector",
    "secretKeyRef",
    "configMapKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "secretRef",
    "involvedObject",
    "regarding",
    "related",
    "targetRef",
    "claimRef",
    "dataSource",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "roleRef",
    "ownerReferences",
    "imagePullSecrets",
    "secrets",
];

/// Fields that would be whole by their name, but are not under these parents.
const NOT_WHOLE: &[(&str, &str)] = &[("podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"), ("envFrom", "secretRef")];

impl<'a> Schema<'a> {
    /// The root of objects of a type, in one of its versions.
    pub(crate) fn of(def: &'a ResourceDef, version: &str) -> Self {
        match def.custom.get(version) {
            Some(custom) => Self::Custom { node: custom.schema.as_ref(), root: true },
            None if def.is_custom() => Self::Custom { node: None, root: true },
            None => Self::BuiltIn { kind: &def.kind, parent: "", field: "" },
        }
    }

    /// The member `name` of an object at this place.
    pub(crate) fn field(self, name: &'a str) -> Self {
        match self {
            Self::BuiltIn { kind, field, .. } => Self::BuiltIn { kind, parent: field, field: name },
            Self::Meta { field, .. } => Self::Meta { parent: field, field: name },
            Self::Custom { root: true, .. } if name == "metadata" => Self::Meta { parent: "", field: "metadata" },
            Self::Custom { node, .. } => {
                let declared = node.and_then(|node| node.get("properties")?.get(name));
                let any = || node.and_then(|node| node.get("additionalProperties")).filter(|any| any.is_object());
                Self::Custom { node: declared.or_else(any), root: false }
            }
        }
    }

    /// An item of a list at this place.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Custom { node, .. } => Self::Custom { node: node.and_then(|node| node.get("items")), root: false },
            // Members of items look up their list's field as parent.
            same @ (Self::BuiltIn { .. } | Self::Meta { .. }) => same,
        }
    }

    /// How a list at this place merges in managed fields and apply.
    pub(crate) fn list_kind(self) -> ListKind<'a> {
        match self {
            Self::BuiltIn { kind, parent, field } => built_in_list(kind, parent, field),
            Self::Meta { parent, field } => built_in_list("", parent, field),
            Self::Custom { node: None, .. } => ListKind::Atomic,
            Self::Custom { node: Some(node), .. } => match node.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("set") => ListKind::Set,
                Some("map") => ListKind::Keyed(
                    node.get("x-kubernetes-list-map-keys")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .collect(),
                ),
                Some(_) | None => ListKind::Atomic,
            },
        }
    }

    /// How a list at this place merges in a strategic merge patch: the key, `Some("")` for a set, `None` for a list that is replaced.
    pub(crate) fn patch_key(self) -> Option<&'static str> {
        let (kind, parent, field) = match self {
            Self::BuiltIn { kind, parent, field } => (kind, parent, field),
            Self::Meta { parent, field } => ("", parent, field),
            Self::Custom { .. } => return None,
        };
        if field == "ports" && kind == "Service" {
            return Some("port");
        }
        if SETS.contains(&(parent, field)) {
            return Some("");
        }
        keyed(parent, field).map(|(_, _, _, patch_key)| *patch_key).filter(|key| !key.is_empty())
    }

    /// True for an object at this place that is only ever written as a whole.
    pub(crate) fn is_whole(self) -> bool {
        match self {
            Self::BuiltIn { parent, field, .. } => WHOLE.contains(&field) && !NOT_WHOLE.contains(&(parent, field)),
            Self::Meta { field, .. } => field == "ownerReferences",
            Self::Custom { node, root } => {
                !root && node.is_some_and(|node| node.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"))
            }
        }
    }
}

fn keyed(parent: &str, field: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str], &'static str)> {
    KEYED.iter().find(|(row_parent, row_field, _, _)| *row_field == field && (*row_parent == "*" || *row_parent == parent))
}

fn built_in_list(kind: &str, parent: &str, field: &str) -> ListKind<'static> {
    match (kind, parent, field) {
        ("Service", "spec", "ports") => return ListKind::Keyed(vec!["port", "protocol"]),
        // Jobs declare their conditions as one whole list.
        ("Job", "status", "conditions") | ("ServiceAccount", "", "imagePullSecrets") => return ListKind::Atomic,
        _ => {}
    }
    if SETS.contains(&(parent, field)) {
        return ListKind::Set;
    }
    keyed(parent, field).map_or(ListKind::Atomic, |(_, _, keys, _)| ListKind::Keyed(keys.to_vec()))
}

/// The default of a key field that an item leaves out.
pub(crate) fn key_default(key: &str) -> Option<Value> {
    (key == "protocol").then(|| "TCP".into())
}
