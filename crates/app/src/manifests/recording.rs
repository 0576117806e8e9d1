//! What Proreus may see: the ClusterRole, with or without Secrets, with or without questions about callers.
//!
//! Pure. Only `list` and `watch`: these are what a recorder does. `get` on everything would also be a way into the kubelets
//! (`nodes/proxy`) and the pods (`pods/exec` by websocket), so it is given for one namespace, by its name, and for the definitions of
//! custom types.

use super::{Callers, DnsName, LogAccess, ManifestOptions};

/// Whether changes of Secrets are recorded. Their values never are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretAccess {
    /// Everything that can be listed, now and later: new resource types need no change of the role.
    Recorded,
    /// Everything but Secrets. Permissions cannot be subtracted, so the groups are listed one by one.
    Excluded {
        /// API groups of custom resources to record besides the built-in ones, such as `example.com`.
        custom_groups: Vec<DnsName>,
    },
}

/// The listable types of the core group but `secrets`.
const CORE: [&str; 14] = [
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "resourcequotas",
    "serviceaccounts",
    "services",
];

/// The built-in groups beside the core. None of them holds Secrets.
const GROUPS: [&str; 18] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether Events are written on the objects that incidents are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventAccess {
    /// Nothing is ever written into the cluster.
    None,
    /// Events are made and brought up to date; nothing else is.
    Written,
}

const ROLE: &str = include_str!("templates/role.yaml");
const EVERYTHING: &str = include_str!("templates/rules-everything.yaml");
const WITHOUT_SECRETS: &str = include_str!("templates/rules-without-secrets.yaml");

const LOGS: &str = include_str!("templates/rules-logs.yaml");
const REVIEWS: &str = include_str!("templates/rules-reviews.yaml");

/// The ClusterRole as a template of its own, with the rules in place.
pub(super) fn cluster_role(options: &ManifestOptions) -> String {
    let reviews = match options.callers {
        Callers::TokenOnly => "",
        Callers::KubernetesIdentities => REVIEWS,
    };
    let written = match options.events {
        EventAccess::None => "",
        EventAccess::Written => EVENTS,
    };
    let logs = match options.logs {
        LogAccess::None => "",
        LogAccess::Asked => LOGS,
    };
    let role = ROLE.replace("${recorded}", &recorded(&options.secrets)).replace("${reviews}", reviews);
    role.replace("${events}", written).replace("${logs}", logs)
}

/// The lines of the configuration that switch Events on; empty when they are off.
pub(super) fn emit_keys(events: EventAccess) -> &'static str {
    match events {
        EventAccess::None => "",
        EventAccess::Written => EMIT,
    }
}

/// The lines of the configuration under `auth` for callers besides those with the token.
pub(super) fn caller_keys(callers: Callers) -> &'static str {
    match callers {
        Callers::TokenOnly => "",
        Callers::KubernetesIdentities => KUBERNETES,
    }
}

const KUBERNETES: &str = "\n      # Tokens that this cluster accepts, for what their users may list.\n      kubernetes: {}";

/// The lines of the configuration under `record`; empty when there is nothing to say.
pub(super) fn record_keys(options: &ManifestOptions) -> String {
    let excluded = match options.secrets {
        SecretAccess::Recorded => "",
        SecretAccess::Excluded { .. } => EXCLUDED,
    };
    let key = if options.redaction_key.is_some() { KEY } else { "" };
    if excluded.is_empty() && key.is_empty() { String::new() } else { format!("\n    record:{excluded}{key}") }
}

const EVENTS: &str = include_str!("templates/rules-events.yaml");
const EMIT: &str = "\n    emit:\n      endpoints:\n        - name: kubernetes-events\n          type: kubernetesEvents";
const EXCLUDED: &str = "\n      # The role does not allow them either; without this line their watch would be reported as stale.\n      excludeKinds: [secrets]";
const KEY: &str = "\n      redactionKeyFile: /etc/proreus/redaction/redaction.key";

fn recorded(secrets: &SecretAccess) -> String {
    match secrets {
        SecretAccess::Recorded => EVERYTHING.to_owned(),
        SecretAccess::Excluded { custom_groups } => {
            let groups = GROUPS.iter().map(ToString::to_string).chain(custom_groups.iter().map(ToString::to_string));
            WITHOUT_SECRETS.replace("${core}", &lines(CORE.iter().map(ToString::to_string))).replace("${groups}", &lines(groups))
        }
    }
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("      - {item}\n")).collect()
}
