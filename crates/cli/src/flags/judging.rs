//! Flags of the verbs that judge: `doctor`, `incidents`, `explain`, `scenario check`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{OutputFlags, SourceFlags};
use crate::output::Format;

/// Flags of `scenario`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScenarioFlags {
    #[command(subcommand)]
    pub(crate) verb: ScenarioVerb,
}

/// What to do with scenario files.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ScenarioVerb {
    /// Play files and print what came out and how it differs; exit 1 on a difference. UPDATE=1 rewrites what they expect
    Check(ScenarioCheckFlags),
}

impl ScenarioVerb {
    /// The format asked for.
    pub(crate) fn output(&self) -> Option<Format> {
        match self {
            Self::Check(flags) => flags.output.output,
        }
    }
}

/// Flags of `scenario check`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScenarioCheckFlags {
    /// Scenario files, or folders of them, see docs/reference/scenario-format.md
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Tell differences only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// What `doctor` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorFormat {
    /// For people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// One YAML document.
    Yaml,
    /// JUnit XML, for pipelines: one test case a check.
    Junit,
}

/// From which severity on a finding is bad news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Any finding.
    Info,
    /// A warning or worse.
    #[default]
    Warning,
    /// Something critical.
    Critical,
    /// Nothing: exit 0 whatever is found.
    Never,
}

/// Where `doctor` looks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where to look")]
pub(crate) struct PatientFlags {
    /// Kubeconfig file; KUBECONFIG [default: ~/.kube/config]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "server"])]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one, or the cluster we run in]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data_dir", "server"])]
    pub(crate) context: Option<String>,
    /// The cluster we run in, by the pod's service account
    #[arg(long, conflicts_with_all = ["kubeconfig", "context", "data_dir", "server"])]
    pub(crate) in_cluster: bool,
    /// Directory of a journal instead of a cluster; PROREUS_DATA_DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Ask a running server, which judges by its own settings; PROREUS_SERVER
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub(crate) server: Option<String>,
    /// File with the bearer token for the server; PROREUS_TOKEN holds a token itself
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file of the authority that signed the server's certificate; PROREUS_CA_FILE
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl PatientFlags {
    /// What is read where a journal or a server is asked.
    pub(crate) fn source(&self) -> SourceFlags {
        SourceFlags {
            server: self.server.clone(),
            data_dir: self.data_dir.clone(),
            token_file: self.token_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }

    /// Whether a cluster is named.
    pub(crate) fn names_a_cluster(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.in_cluster
    }
}

/// What `doctor --active` does.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Trying things in the cluster")]
pub(crate) struct ActiveFlags {
    /// Also try things: a pod is made and deleted, others are rehearsed, Services and ingresses are asked; told before it is done
    #[arg(long, conflicts_with_all = ["at", "data_dir", "server"])]
    pub(crate) active: bool,
    /// Image of the pod that is made; it is pulled anew
    #[arg(long, value_name = "IMAGE", requires = "active", default_value = "registry.k8s.io/pause:3.10")]
    pub(crate) probe_image: String,
    /// Namespace in which the pod is made [default: one of its own, which is deleted afterwards]
    #[arg(long, value_name = "NAMESPACE", requires = "active")]
    pub(crate) probe_namespace: Option<String>,
    /// How long the pod may take to run
    #[arg(long, value_name = "SECONDS", requires = "active", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) probe_timeout_seconds: u32,
}

/// Flags of `doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorFlags {
    /// Graces, thresholds and silences: the section `doctor` of this configuration
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) config: Option<PathBuf>,
    /// Look at this moment of a journal or a server instead of its last record: RFC 3339, a date, how long ago (15m), or a sequence number
    #[arg(long, value_name = "TIME", conflicts_with_all = ["kubeconfig", "context", "in_cluster"])]
    pub(crate) at: Option<String>,
    /// Only this check, by id or by a reason it gives; repeat for several
    #[arg(long, value_name = "CHECK")]
    pub(crate) check: Vec<String>,
    /// Only objects in this namespace; repeat for several
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Vec<String>,
    /// From which severity on to exit 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t)]
    pub(crate) fail_on: FailOn,
    /// Exit 2 when a check could not look at what it is for: a kind that is not recorded or may not be read
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) patient: PatientFlags,
    /// Also what is wrong for less than its grace, and what could not be decided
    #[arg(short, long, help_heading = "How to show it")]
    pub(crate) all: bool,
    /// What to print [default: table]
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "How to show it")]
    pub(crate) output: Option<DoctorFormat>,
    #[command(flatten)]
    pub(crate) trying: ActiveFlags,
}

/// Flags of `explain`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainFlags {
    /// Id of a check, or a reason that one gives; without, every check is listed
    #[arg(value_name = "CHECK")]
    pub(crate) check: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Which incidents are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateWord {
    /// Every one.
    #[default]
    All,
    /// Those that go on.
    Open,
    /// Those that are over.
    Resolved,
}

/// Flags of `incidents`.
#[derive(Clone, Debug, Args)]
pub(crate) struct IncidentsFlags {
    /// As they were known at this moment: RFC 3339, a date, how long ago (15m), or a sequence number
    #[arg(long, value_name = "TIME", conflicts_with = "watch")]
    pub(crate) at: Option<String>,
    /// Only open or only resolved ones
    #[arg(long, value_enum, value_name = "STATE", default_value_t)]
    pub(crate) state: StateWord,
    /// Only about this namespace; repeat for several
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Vec<String>,
    /// Only those that this check found; repeat for several
    #[arg(long, value_name = "CHECK")]
    pub(crate) check: Vec<String>,
    /// Only those that were not resolved before
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only those that had opened by then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Go on and print what opens, changes and is resolved
    #[arg(short = 'f', long = "watch", visible_alias = "follow")]
    pub(crate) watch: bool,
    /// With --data-dir: fold the records anew instead of reading what was recorded of incidents
    #[arg(long, conflicts_with = "server")]
    pub(crate) replay: bool,
    /// With --data-dir: fold the records anew under the sections `doctor` and `incidents` of this configuration
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}
