//! The configuration file as it is written.

use proreus_doctor::DoctorSettings;
use proreus_doctor::incidents::IncidentSettings;
use serde::Deserialize;
use serde_json::Value;

use super::auth::AuthSection;
use super::{ConfigError, EmitSection, MonitorSection};

/// Every key of the file. All are optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FileConfig {
    /// Address and port to listen on.
    pub listen: Option<String>,
    /// Where the journal is.
    pub data_dir: Option<String>,
    /// Days a change is kept.
    pub retention_days: Option<u32>,
    /// Bytes the journal may take: a number, or a quantity such as `20Gi`.
    pub max_disk_bytes: Option<Value>,
    /// Kubeconfig file for clusters that name none.
    pub kubeconfig: Option<String>,
    /// The clusters to watch; left out, the current context or the cluster we run in.
    pub clusters: Option<Vec<ClusterEntry>>,
    /// Who may ask.
    pub auth: AuthSection,
    /// Serve HTTPS.
    pub tls: TlsSection,
    /// Serve without authentication on an address beyond loopback.
    pub insecure_no_auth: Option<bool>,
    /// What is recorded.
    pub record: RecordSection,
    /// Graces, severities, thresholds, silences of the checks.
    pub doctor: DoctorSettings,
    /// Hold-downs, windows and limits of incidents.
    pub incidents: IncidentSettings,
    /// How patient monitors are, and how many may listen.
    pub monitor: MonitorSection,
    /// Who is told of incidents.
    pub emit: EmitSection,
    /// Upper bound of the older endpoints' `limit`.
    pub max_query_limit: Option<usize>,
    /// The older service's list: exactly these types are recorded.
    pub resources: Option<Vec<ResourceEntry>>,
    /// With `resources`: custom resources too.
    #[serde(rename = "discoverCRDs")]
    pub discover_crds: Option<bool>,
    /// The older name of `dataDir`.
    pub storage_path: Option<String>,
    /// The older way to say the port; the address stays loopback.
    pub server_port: Option<u16>,
}

/// One cluster to watch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterEntry {
    /// Context in the kubeconfig; left out, its current one.
    pub context: Option<String>,
    /// Kubeconfig file.
    pub kubeconfig: Option<String>,
    /// Use the service account of the pod we run in.
    pub in_cluster: bool,
    /// What to call it; left out, the context's name.
    pub name: Option<String>,
}

/// Serve HTTPS.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsSection {
    /// PEM chain.
    pub cert_file: Option<String>,
    /// PEM key.
    pub key_file: Option<String>,
}

/// What is recorded.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordSection {
    /// Only these types: `pods`, `deployments.apps`, `*.example.com`.
    pub include_kinds: Option<Vec<String>>,
    /// Not these types.
    pub exclude_kinds: Option<Vec<String>>,
    /// Only these namespaces (cluster-scoped objects are not touched by it).
    pub include_namespaces: Option<Vec<String>>,
    /// Not these namespaces.
    pub exclude_namespaces: Option<Vec<String>>,
    /// Only objects with these labels, in Kubernetes' own syntax.
    pub label_selector: Option<String>,
    /// Whether heartbeats and other noise are left out.
    pub noise_policy: Option<bool>,
    /// Further paths whose change alone is noise, such as `status.observedTime`.
    pub noise_paths: Option<Vec<String>>,
    /// Words in the name of an environment variable whose value is redacted. In logs, values behind them are hidden besides those behind the
    /// built-in ones.
    pub redact_env_words: Option<Vec<String>>,
    /// Annotations that are left out altogether.
    pub drop_annotations: Option<Vec<String>>,
    /// The redaction key, when it is not in the data directory.
    pub redaction_key_file: Option<String>,
}

/// One type of the older service's list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResourceEntry {
    /// API group, `""` for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural.
    pub plural: String,
    /// Scope.
    pub namespaced: bool,
}

/// Reads the text of a file; an empty one is all defaults.
///
/// # Errors
/// The path of the offending key, what was found and what is allowed.
pub fn parse_file(origin: &str, text: &str) -> Result<FileConfig, ConfigError> {
    let fail = |key: &str, problem: String| ConfigError {
        origin: origin.to_owned(),
        key: key.to_owned(),
        problem,
        hint: "every key, its type and its default are in docs/reference/configuration.md".to_owned(),
    };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(FileConfig::default());
    }
    let tree: Value =
        serde_saphyr::from_str(text).map_err(|error| fail("(file)", format!("is not valid YAML: {}", one_line(&error.to_string()))))?;
    if tree.is_null() {
        return Ok(FileConfig::default());
    }
    serde_path_to_error::deserialize(&tree).map_err(|error| {
        let path = error.path().to_string();
        let said = one_line(&error.inner().to_string());
        let found =
            value_at(&tree, error.path()).filter(|value| !value.is_object() && !value.is_array()).map(|value| format!(", found `{value}`"));
        fail(if path == "." { "(file)" } else { &path }, said + &found.unwrap_or_default())
    })
}

/// What stands at a path; `None` for an unknown key's parent and the like.
fn value_at<'a>(tree: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    use serde_path_to_error::Segment;
    path.iter().try_fold(tree, |at, segment| match segment {
        Segment::Seq { index } => at.get(*index),
        Segment::Map { key } => at.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse_file("proreus.yaml", text).err().map_or("accepted".to_owned(), |error| error.to_string())
    }

    #[test]
    fn names_the_path_of_an_unknown_key() {
        let said = refusal("record:\n  includeKind: [pods]\n");
        assert!(
            said.starts_with("proreus.yaml: `record.includeKind`: unknown field `includeKind`, expected one of `includeKinds`"),
            "{said}"
        );
    }

    #[test]
    fn names_the_path_and_the_finding_of_a_wrong_type() {
        assert_eq!(
            refusal("clusters:\n- context: a\n- inCluster: perhaps\n"),
            "proreus.yaml: `clusters[1].inCluster`: invalid type: string \"perhaps\", expected a boolean, found `\"perhaps\"`"
        );
        assert_eq!(refusal("retentionDays: -1\n"), "proreus.yaml: `retentionDays`: invalid number, found `-1`");
    }

    #[test]
    fn refuses_what_is_no_yaml() {
        assert!(refusal("a: [1\n").contains("is not valid YAML"));
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(parse_file("f", "\n# nothing yet\n"), Ok(FileConfig::default()));
        assert_eq!(parse_file("f", "---\n"), Ok(FileConfig::default()));
    }

    #[test]
    fn takes_the_older_services_file_unchanged() {
        let text = "resources:\n  - group: \"\"\n    version: v1\n    kind: Pod\n    plural: pods\n    namespaced: true\n\
                    discoverCRDs: true\nstoragePath: /data/watch-events\nretentionDays: 14\nserverPort: 8000\nmaxQueryLimit: 1000\n";
        let config = parse_file("f", text).expect("accepted");
        assert_eq!(config.resources.map(|list| list.len()), Some(1));
        assert_eq!(config.discover_crds, Some(true));
        assert_eq!(config.server_port, Some(8000));
    }
}
