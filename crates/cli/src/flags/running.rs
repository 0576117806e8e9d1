//! Flags of the verbs that run something or print something of ours: `serve`, `demo`, `playground`, `manifests`, `completions`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{OutputFlags, SourceFlags};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how. Logs go to stderr.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogFlags {
    /// How log lines look; PROREUS_LOG_FORMAT [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, or filters such as info,proreus_record=debug; PROREUS_LOG_LEVEL [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// Flags of `serve`. Each beats its environment variable, which beats the file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeFlags {
    /// Configuration file, see docs/reference/configuration.md; CONFIG_PATH
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address and port to listen on; PROREUS_LISTEN [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Where the journal is kept; PROREUS_DATA_DIR [default: proreus-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Kubeconfig file; KUBECONFIG [default: ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Clusters")]
    pub(crate) kubeconfig: Option<String>,
    /// Context to watch; repeat for several clusters [default: the current one, or the cluster we run in]
    #[arg(long, value_name = "NAME", help_heading = "Clusters")]
    pub(crate) context: Vec<String>,
    /// Watch the cluster we run in, by the pod's service account
    #[arg(long, help_heading = "Clusters")]
    pub(crate) in_cluster: bool,
    /// File of bearer tokens, one a line, optionally name:token; PROREUS_TOKEN_FILE
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) token_file: Option<String>,
    /// PEM certificate chain, serves HTTPS; PROREUS_TLS_CERT
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) tls_cert: Option<String>,
    /// PEM key of the certificate; PROREUS_TLS_KEY
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) tls_key: Option<String>,
    /// Answer everybody who reaches the address, without any token
    #[arg(long, help_heading = "Access")]
    pub(crate) insecure_no_auth: bool,
    /// Days a change is kept; PROREUS_RETENTION_DAYS [default: 14]
    #[arg(long, value_name = "DAYS", help_heading = "How much to keep")]
    pub(crate) retention_days: Option<String>,
    /// Bytes the journal may take, such as 20Gi; the oldest days go first; PROREUS_MAX_DISK_BYTES [default: no bound]
    #[arg(long, value_name = "BYTES", help_heading = "How much to keep")]
    pub(crate) max_disk_bytes: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

/// Flags of `demo`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DemoFlags {
    /// Play to the end, print the figures and exit, instead of serving until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep the journal here; refused where one is already [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address and port to listen on, without --once [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub(crate) listen: Option<SocketAddr>,
    /// Names and uids follow from it [default: the story's own]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

/// Flags of `playground`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaygroundFlags {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// Seconds of the scenario in one second; 1 is real time
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Write a kubeconfig for it here
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

/// Flags of `manifests`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ManifestsFlags {
    /// Namespace to run in
    #[arg(short, long, value_name = "NAMESPACE", default_value = "proreus")]
    pub(crate) namespace: String,
    /// Name of everything that is made
    #[arg(long, value_name = "NAME", default_value = "proreus")]
    pub(crate) name: String,
    /// Container image, with a tag or a digest
    #[arg(long, value_name = "IMAGE", default_value = concat!("proreus:", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,
    /// Size of the volume
    #[arg(long, value_name = "SIZE", default_value = "20Gi")]
    pub(crate) storage: String,
    /// Storage class of the volume [default: the cluster's own default]
    #[arg(long, value_name = "CLASS")]
    pub(crate) storage_class: Option<String>,
    /// Days a change is kept, unless the volume is too small for them
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) retention_days: u32,
    /// Bytes the journal may take, such as 40Gi; the oldest days go first [default: 90 % of the volume]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_disk_bytes: Option<String>,
    /// Leave the Namespace out: it is there already
    #[arg(long)]
    pub(crate) no_namespace: bool,
    /// Leave the bearer token's Secret out: one of the same name is there already
    #[arg(long)]
    pub(crate) no_token: bool,
    /// Give no permission on Secrets, whose values are never recorded, only that they change
    #[arg(long)]
    pub(crate) without_secrets: bool,
    /// With --without-secrets: API group of custom resources to record, such as example.com; repeat for several
    #[arg(long, value_name = "GROUP", requires = "without_secrets")]
    pub(crate) custom_group: Vec<String>,
    /// Let the cluster's own users ask too, for what its RBAC lets them list; allows us to create TokenReviews and SubjectAccessReviews
    #[arg(long)]
    pub(crate) kubernetes_identities: bool,
    /// Write Events on the objects that incidents are about, and give the permission for that
    #[arg(long)]
    pub(crate) emit_events: bool,
    /// Give the permission to read logs of containers, for agents whose caller may read them too
    #[arg(long)]
    pub(crate) pod_logs: bool,
    /// Secret whose key `redaction.key` holds 32 bytes, to go on with after a restore [default: a key made in the volume]
    #[arg(long, value_name = "SECRET")]
    pub(crate) redaction_key_secret: Option<String>,
}

/// Flags of `completions`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsFlags {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// Flags of `mcp`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Example, in the configuration of an agent:\n  \
    {\"mcpServers\": {\"proreus\": {\"command\": \"proreus\", \"args\": [\"mcp\", \"--server\", \"http://127.0.0.1:8080\"]}}}\n\n\
    AUDIT_API_URL, as the older audit server took it, is understood as --server.")]
pub(crate) struct McpFlags {
    #[command(flatten)]
    pub(crate) source: SourceFlags,
    #[command(flatten)]
    pub(crate) log: LogFlags,
}
