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

/// Flags of `doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorFlags {
    /// Directory of a journal; PROREUS_DATA_DIR [default: proreus-data]
    #[arg(long, value_name = "DIR", help_heading = "Where to ask")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Graces, thresholds and silences: the section `doctor` of this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Look at this moment instead of the last record: RFC 3339, a date, how long ago (15m), or a sequence number
    #[arg(long, value_name = "TIME")]
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
    /// Also what is wrong for less than its grace, and what could not be decided
    #[arg(short, long, help_heading = "How to show it")]
    pub(crate) all: bool,
    /// What to print [default: table]
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "How to show it")]
    pub(crate) output: Option<DoctorFormat>,
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
