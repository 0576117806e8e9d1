//! The configuration in force: parsed once, then trusted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use proreus_doctor::incidents::IncidentSettings;
use proreus_doctor::{DoctorSettings, SettingsError};
use serde_json::Value;

use super::auth::{self, AuthSettings};
use super::emit::{EmitSettings, resolve_emit};
use super::file::{ClusterEntry, FileConfig, ResourceEntry};
use super::monitor::{MonitorSettings, resolve_monitor};
use super::{ConfigError, parse_bytes};
use crate::questions::MAX_PAGE_LIMIT;

/// Port when none is named, the older service's Service port.
pub(crate) const DEFAULT_PORT: u16 = 8080;
/// Days kept when nothing is said, as the older service did.
pub(crate) const DEFAULT_RETENTION_DAYS: u32 = 14;
/// Longest retention that can be asked for: ten years.
const MAX_RETENTION_DAYS: u32 = 3_650;
/// Journal directory when none is named.
pub(crate) const DEFAULT_DATA_DIR: &str = "proreus-data";
/// Smallest journal bound: below it a single day of a small cluster would not fit.
pub(crate) const MIN_DISK_BYTES: u64 = 64 * 1024 * 1024;

/// Longest hold-down or window: a week. What is remembered of the past for longer would be asked of the journal.
const MAX_WINDOW_SECONDS: u32 = 7 * 24 * 3_600;

/// What flags and environment may override; `None` leaves it to the next layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--listen`, `PROREUS_LISTEN`.
    pub listen: Option<String>,
    /// `SERVER_PORT` of the older service: the port only.
    pub port: Option<String>,
    /// `--data-dir`, `PROREUS_DATA_DIR`, `BADGER_PATH`.
    pub data_dir: Option<String>,
    /// `--retention-days`, `PROREUS_RETENTION_DAYS`.
    pub retention_days: Option<String>,
    /// `--max-disk-bytes`, `PROREUS_MAX_DISK_BYTES`.
    pub max_disk_bytes: Option<String>,
    /// `--token-file`, `PROREUS_TOKEN_FILE`.
    pub token_file: Option<String>,
    /// `--tls-cert`, `PROREUS_TLS_CERT`.
    pub tls_cert: Option<String>,
    /// `--tls-key`, `PROREUS_TLS_KEY`.
    pub tls_key: Option<String>,
    /// `--insecure-no-auth`.
    pub insecure_no_auth: Option<bool>,
    /// `--kubeconfig`, `KUBECONFIG`.
    pub kubeconfig: Option<String>,
    /// `--context`, each one a cluster.
    pub contexts: Vec<String>,
    /// `--in-cluster`.
    pub in_cluster: bool,
}

impl Overrides {
    /// What the environment says; the older service's names come second.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| env(name).filter(|value| !value.is_empty());
        Self {
            listen: get("PROREUS_LISTEN"),
            port: get("SERVER_PORT"),
            data_dir: get("PROREUS_DATA_DIR").or_else(|| get("BADGER_PATH")),
            retention_days: get("PROREUS_RETENTION_DAYS"),
            max_disk_bytes: get("PROREUS_MAX_DISK_BYTES"),
            token_file: get("PROREUS_TOKEN_FILE"),
            tls_cert: get("PROREUS_TLS_CERT"),
            tls_key: get("PROREUS_TLS_KEY"),
            insecure_no_auth: None,
            kubeconfig: None,
            contexts: Vec::new(),
            in_cluster: false,
        }
    }
}

/// HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: PathBuf,
}

/// What is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordSelection {
    /// The older list: exactly these, plus custom resources if `discover_crds`.
    pub exactly: Option<Vec<ResourceEntry>>,
    /// With `exactly`: custom resources too.
    pub discover_crds: bool,
    /// Only these types; empty for all.
    pub include_kinds: Vec<String>,
    /// Not these types.
    pub exclude_kinds: Vec<String>,
    /// Only these namespaces; empty for all.
    pub include_namespaces: Vec<String>,
    /// Not these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// Only objects with these labels.
    pub label_selector: Option<String>,
    /// Whether noise is left out.
    pub noise_policy: bool,
    /// Further noise paths.
    pub noise_paths: Vec<String>,
    /// Words of environment variable names to redact; `None` for the built-in list.
    pub redact_env_words: Option<Vec<String>>,
    /// Annotations to leave out, beside the built-in list.
    pub drop_annotations: Vec<String>,
    /// Where the redaction key is; `None` for the data directory.
    pub redaction_key_file: Option<PathBuf>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Where the journal is.
    pub data_dir: PathBuf,
    /// Days kept.
    pub retention_days: u32,
    /// Bytes kept at most.
    pub max_disk_bytes: Option<u64>,
    /// Clusters to watch; empty means the default one.
    pub clusters: Vec<ClusterEntry>,
    /// Kubeconfig for clusters that name none.
    pub kubeconfig: Option<PathBuf>,
    /// Who may ask.
    pub auth: AuthSettings,
    /// HTTPS, or not.
    pub tls: Option<TlsSettings>,
    /// What is recorded.
    pub record: RecordSelection,
    /// Graces, severities, thresholds, silences of the checks.
    pub doctor: DoctorSettings,
    /// Hold-downs, windows and limits of incidents.
    pub incidents: IncidentSettings,
    /// How patient monitors are, and how many may listen.
    pub monitor: MonitorSettings,
    /// Who is told of incidents.
    pub emit: EmitSettings,
    /// Upper bound of the older endpoints' `limit`.
    pub max_query_limit: usize,
}

/// One value with the layer it came from.
struct Found<T> {
    origin: String,
    key: &'static str,
    value: T,
}

impl<T> Found<T> {
    fn refuse(&self, problem: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { origin: self.origin.clone(), key: self.key.to_owned(), problem: problem.into(), hint: hint.into() }
    }
}

/// Joins the layers: flags over environment over file over defaults.
///
/// # Errors
/// The first value that will not do, by its key, with what is allowed.
pub fn resolve(file: Option<(&str, FileConfig)>, env: &Overrides, flags: &Overrides) -> Result<Settings, ConfigError> {
    let (file_name, file) = file.map_or(("defaults".to_owned(), FileConfig::default()), |(name, file)| (name.to_owned(), file));
    let pick = |key: &'static str, flag: &Option<String>, env: &Option<String>, file: Option<String>| {
        let layers = [("flag".to_owned(), flag.clone()), ("environment".to_owned(), env.clone()), (file_name.clone(), file)];
        layers.into_iter().find_map(|(origin, value)| value.map(|value| Found { origin, key, value }))
    };
    let listen = pick("listen", &flags.listen, &env.listen, file.listen.clone());
    let port = pick("serverPort", &None, &env.port, file.server_port.map(|port| port.to_string()));
    let data_dir = pick("dataDir", &flags.data_dir, &env.data_dir, one_of(&file_name, &file)?);
    let days = pick("retentionDays", &flags.retention_days, &env.retention_days, file.retention_days.map(|days| days.to_string()));
    let disk = pick("maxDiskBytes", &flags.max_disk_bytes, &env.max_disk_bytes, quantity_text(&file_name, file.max_disk_bytes.as_ref())?);
    let token_file = pick("auth.tokenFile", &flags.token_file, &env.token_file, file.auth.token_file.clone());
    let cert = pick("tls.certFile", &flags.tls_cert, &env.tls_cert, file.tls.cert_file.clone());
    let key = pick("tls.keyFile", &flags.tls_key, &env.tls_key, file.tls.key_file.clone());

    let listen = resolve_listen(listen, port, env.port.is_some() && flags.listen.is_none() && env.listen.is_none())?;
    let insecure = flags.insecure_no_auth.or(file.insecure_no_auth).unwrap_or(false);
    let clusters = resolve_clusters(&file_name, &file, flags)?;
    Ok(Settings {
        auth: auth::resolve(&file_name, listen, token_file.map(|found| found.value), insecure, &file.auth, &clusters)?,
        listen,
        data_dir: data_dir.map_or_else(|| PathBuf::from(DEFAULT_DATA_DIR), |found| PathBuf::from(found.value)),
        retention_days: resolve_days(days)?,
        max_disk_bytes: disk.map(resolve_bytes).transpose()?,
        clusters,
        kubeconfig: flags.kubeconfig.clone().or(file.kubeconfig.clone()).map(PathBuf::from),
        tls: resolve_tls(cert, key)?,
        monitor: resolve_monitor(&file_name, &file.monitor)?,
        max_query_limit: resolve_query_limit(&file_name, file.max_query_limit)?,
        doctor: resolve_doctor(&file_name, file.doctor.clone())?,
        incidents: resolve_incidents(&file_name, file.incidents.clone())?,
        emit: resolve_emit(&file_name, file.emit.clone())?,
        record: resolve_record(file),
    })
}

/// `dataDir` or its older name, not both.
fn one_of(origin: &str, file: &FileConfig) -> Result<Option<String>, ConfigError> {
    match (&file.data_dir, &file.storage_path) {
        (Some(_), Some(_)) => Err(ConfigError {
            origin: origin.to_owned(),
            key: "storagePath".to_owned(),
            problem: "is set beside `dataDir`, which means the same".to_owned(),
            hint: "keep `dataDir`".to_owned(),
        }),
        (ours, older) => Ok(ours.clone().or_else(|| older.clone())),
    }
}

fn quantity_text(origin: &str, value: Option<&Value>) -> Result<Option<String>, ConfigError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(ConfigError {
            origin: origin.to_owned(),
            key: "maxDiskBytes".to_owned(),
            problem: format!("invalid type: {other}, expected bytes"),
            hint: "write a number of bytes or a quantity such as 20Gi".to_owned(),
        }),
    }
}

/// The older `SERVER_PORT` beats the file's address, as its documents promised; only the port, so that loopback stays loopback.
fn resolve_listen(listen: Option<Found<String>>, port: Option<Found<String>>, port_beats_file: bool) -> Result<SocketAddr, ConfigError> {
    let address = match &listen {
        Some(found) => Some(parse_listen(found)?),
        None => None,
    };
    let port = match &port {
        Some(found) => Some(
            found
                .value
                .parse::<u16>()
                .map_err(|_| found.refuse(format!("`{}` is no port", found.value), "give a whole number from 1 to 65535"))?,
        ),
        None => None,
    };
    Ok(match (address, port) {
        (Some(address), Some(port)) if port_beats_file => SocketAddr::new(address.ip(), port),
        (Some(address), _) => address,
        (None, port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.unwrap_or(DEFAULT_PORT)),
    })
}

fn parse_listen(found: &Found<String>) -> Result<SocketAddr, ConfigError> {
    let text = found.value.as_str();
    let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.replacen("localhost:", "127.0.0.1:", 1) };
    text.parse()
        .map_err(|_| found.refuse(format!("`{}` is no address and port", found.value), "write 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080"))
}

fn resolve_days(days: Option<Found<String>>) -> Result<u32, ConfigError> {
    let Some(found) = days else { return Ok(DEFAULT_RETENTION_DAYS) };
    let parsed = found.value.parse().ok().filter(|days| (1..=MAX_RETENTION_DAYS).contains(days));
    parsed.ok_or_else(|| {
        found.refuse(format!("`{}` is no number of days", found.value), format!("give a whole number from 1 to {MAX_RETENTION_DAYS}"))
    })
}

fn resolve_bytes(found: Found<String>) -> Result<u64, ConfigError> {
    parse_bytes(&found.value).filter(|bytes| *bytes >= MIN_DISK_BYTES).ok_or_else(|| {
        found.refuse(format!("`{}` is no size of at least 64Mi", found.value), "write a number of bytes or a quantity such as 20Gi")
    })
}

fn resolve_clusters(origin: &str, file: &FileConfig, flags: &Overrides) -> Result<Vec<ClusterEntry>, ConfigError> {
    let mut named: Vec<ClusterEntry> =
        flags.contexts.iter().map(|context| ClusterEntry { context: Some(context.clone()), ..ClusterEntry::default() }).collect();
    if flags.in_cluster {
        named.push(ClusterEntry { in_cluster: true, ..ClusterEntry::default() });
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let clusters = file.clusters.clone().unwrap_or_default();
    for (index, entry) in clusters.iter().enumerate() {
        if entry.in_cluster && (entry.context.is_some() || entry.kubeconfig.is_some()) {
            return Err(ConfigError {
                origin: origin.to_owned(),
                key: format!("clusters[{index}]"),
                problem: "sets `inCluster` beside `context` or `kubeconfig`".to_owned(),
                hint: "a cluster is reached in one way: keep one of them".to_owned(),
            });
        }
    }
    Ok(clusters)
}

fn resolve_tls(cert: Option<Found<String>>, key: Option<Found<String>>) -> Result<Option<TlsSettings>, ConfigError> {
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(TlsSettings { cert: cert.value.into(), key: key.value.into() })),
        (Some(found), None) | (None, Some(found)) => {
            Err(found.refuse("is set without its counterpart", "set both tls.certFile and tls.keyFile"))
        }
    }
}

fn resolve_query_limit(origin: &str, limit: Option<usize>) -> Result<usize, ConfigError> {
    let limit = limit.unwrap_or(MAX_PAGE_LIMIT);
    if (1..=MAX_PAGE_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(ConfigError {
        origin: origin.to_owned(),
        key: "maxQueryLimit".to_owned(),
        problem: format!("`{limit}` is out of range"),
        hint: format!("give a whole number from 1 to {MAX_PAGE_LIMIT}"),
    })
}

/// Checks and thresholds that do not exist are refused by the path of their key.
fn resolve_doctor(origin: &str, doctor: DoctorSettings) -> Result<DoctorSettings, ConfigError> {
    let refuse = |error: SettingsError| {
        let said = error.to_string();
        let (key, problem) = said.split_once(": ").unwrap_or(("doctor", &said));
        ConfigError {
            origin: origin.to_owned(),
            key: key.to_owned(),
            problem: problem.to_owned(),
            hint: "`proreus explain` lists the checks, and `proreus explain CHECK` its thresholds".to_owned(),
        }
    };
    doctor.validate().map(|()| doctor).map_err(refuse)
}

/// A limit of nothing would tell nothing.
fn resolve_incidents(origin: &str, incidents: IncidentSettings) -> Result<IncidentSettings, ConfigError> {
    let counts = [("incidents.stormLimit", incidents.storm_limit), ("incidents.registryOwners", incidents.registry_owners)];
    let times = [
        ("incidents.holdDownSeconds", incidents.hold_down_seconds),
        ("incidents.flapWindowSeconds", incidents.flap_window_seconds),
        ("incidents.stormWindowSeconds", incidents.storm_window_seconds),
        ("incidents.causeWindowSeconds", incidents.cause_window_seconds),
    ];
    let refuse = |key: &str, found: u32, allowed: String| ConfigError {
        origin: origin.to_owned(),
        key: key.to_owned(),
        problem: format!("`{found}` is out of range"),
        hint: allowed,
    };
    if let Some((key, found)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Err(refuse(key, found, "give a whole number from 1".to_owned()));
    }
    match times.into_iter().find(|(_, seconds)| *seconds > MAX_WINDOW_SECONDS) {
        Some((key, found)) => Err(refuse(key, found, format!("give whole seconds up to {MAX_WINDOW_SECONDS}, which is a week"))),
        None => Ok(incidents),
    }
}

fn resolve_record(file: FileConfig) -> RecordSelection {
    let record = file.record;
    RecordSelection {
        exactly: file.resources,
        discover_crds: file.discover_crds.unwrap_or(false),
        include_kinds: record.include_kinds.unwrap_or_default(),
        exclude_kinds: record.exclude_kinds.unwrap_or_default(),
        include_namespaces: record.include_namespaces.unwrap_or_default(),
        exclude_namespaces: record.exclude_namespaces.unwrap_or_default(),
        label_selector: record.label_selector,
        noise_policy: record.noise_policy.unwrap_or(true),
        noise_paths: record.noise_paths.unwrap_or_default(),
        redact_env_words: record.redact_env_words,
        drop_annotations: record.drop_annotations.unwrap_or_default(),
        redaction_key_file: record.redaction_key_file.map(PathBuf::from),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    fn settle(yaml: &str, env: Overrides, flags: Overrides) -> Result<Settings, String> {
        let file = parse_file("f.yaml", yaml).map_err(|error| error.to_string())?;
        resolve(Some(("f.yaml", file)), &env, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_beat_environment_beats_file() {
        let yaml = "dataDir: /file\nretentionDays: 3\nlisten: 127.0.0.1:1000\n";
        let env = Overrides { data_dir: Some("/env".into()), retention_days: Some("4".into()), ..Overrides::default() };
        let flags = Overrides { data_dir: Some("/flag".into()), ..Overrides::default() };
        let settings = settle(yaml, env, flags).expect("settled");
        assert_eq!(settings.data_dir, PathBuf::from("/flag"));
        assert_eq!(settings.retention_days, 4);
        assert_eq!(settings.listen.to_string(), "127.0.0.1:1000");
    }

    #[test]
    fn the_older_services_variables_beat_its_file() {
        let names = |name: &str| match name {
            "SERVER_PORT" => Some("9000".to_owned()),
            "BADGER_PATH" => Some("/env".to_owned()),
            _ => None,
        };
        let settings =
            settle("serverPort: 8000\nstoragePath: /data\n", Overrides::from_env(&names), Overrides::default()).expect("settled");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(settings.data_dir, PathBuf::from("/env"));
    }

    #[test]
    fn serves_others_only_with_authentication_or_on_the_operators_word() {
        let refused = settle("listen: 0.0.0.0:8080\n", Overrides::default(), Overrides::default()).expect_err("refused");
        assert!(refused.contains("`auth.tokenFile`: is not set, and 0.0.0.0:8080 can be reached by others"), "{refused}");
        let with = |yaml: &str| settle(yaml, Overrides::default(), Overrides::default()).map(|settings| settings.auth);
        assert_eq!(with("listen: 0.0.0.0:8080\ninsecureNoAuth: true\n"), Ok(AuthSettings::InsecureOpen));
        assert_eq!(with("listen: 0.0.0.0:8080\nauth: {tokenFile: /t}\n"), Ok(AuthSettings::TokenFile("/t".into())));
        assert_eq!(with("{}"), Ok(AuthSettings::Loopback));
    }

    #[test]
    fn names_the_key_the_finding_and_the_layer_of_a_bad_value() {
        let bad = |yaml: &str| settle(yaml, Overrides::default(), Overrides::default()).expect_err("refused");
        assert_eq!(bad("maxDiskBytes: 20GB\n"), "f.yaml: `maxDiskBytes`: `20GB` is no size of at least 64Mi");
        assert_eq!(bad("retentionDays: 0\n"), "f.yaml: `retentionDays`: `0` is no number of days");
        assert_eq!(bad("listen: here\n"), "f.yaml: `listen`: `here` is no address and port");
        assert_eq!(bad("tls: {certFile: a}\n"), "f.yaml: `tls.certFile`: is set without its counterpart");
        assert_eq!(bad("storagePath: a\ndataDir: b\n"), "f.yaml: `storagePath`: is set beside `dataDir`, which means the same");
    }
}
