//! Flags of the verbs that read: `changes`, `history`, `get`, `diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::output::Format;
use crate::terminal::times::TimeStyle;

/// Where the answers come from.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where to ask")]
pub(crate) struct SourceFlags {
    /// Ask a running server; PROREUS_SERVER [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub(crate) server: Option<String>,
    /// Read a journal's files, also while a server writes them; PROREUS_DATA_DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File with the bearer token for the server; PROREUS_TOKEN holds a token itself
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file of the authority that signed the server's certificate; PROREUS_CA_FILE
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How the answers look.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How to show it")]
pub(crate) struct OutputFlags {
    /// What to print; a listing in json is one array [default: table]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

/// How times look.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How to show it")]
pub(crate) struct TimeFlags {
    /// How times look in tables
    #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
    pub(crate) time: TimeStyle,
}

/// What happened, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerbWord {
    /// First sight of an object.
    Create,
    /// A further version.
    Update,
    /// The end of an object.
    Delete,
}

/// How a change became known, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OriginWord {
    /// A watch told it.
    Watch,
    /// It was there when recording began.
    Snapshot,
    /// Found by a fresh list after lost history.
    Relist,
    /// Versions before it were dropped under pressure.
    Gap,
}

/// Which changes. Repeated values are alternatives, different flags narrow.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which (repeat a flag or separate by commas for alternatives)")]
pub(crate) struct SelectionFlags {
    /// Configured name or id of a cluster
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) cluster: Vec<String>,
    /// Namespace; `_` is the cluster scope
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// Kind, plural or short name, optionally with its group: Pod, deploy, ingresses.networking.k8s.io
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<String>,
    /// Lower-case plural, exact: pods
    #[arg(long, value_name = "PLURAL", value_delimiter = ',')]
    pub(crate) resource: Vec<String>,
    /// Name, exact
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) name: Vec<String>,
    /// One incarnation of an object
    #[arg(long, value_name = "UID", value_delimiter = ',')]
    pub(crate) uid: Vec<String>,
    /// What happened
    #[arg(long, value_enum, value_name = "VERB", value_delimiter = ',')]
    pub(crate) verb: Vec<VerbWord>,
    /// How the change became known
    #[arg(long, value_enum, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) origin: Vec<OriginWord>,
    /// Field manager that wrote last
    #[arg(long, value_name = "MANAGER", value_delimiter = ',')]
    pub(crate) manager: Vec<String>,
}

/// Which time.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "When (2026-11-21T08:00:00Z, 2026-11-21, or how long ago: 90s, 15m, 2h, 7d)")]
pub(crate) struct RangeFlags {
    /// Recorded at or after; without it, from the beginning
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Recorded at or before; without it, up to now, which for --data-dir is the last record
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Stop after this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

/// Flags of `changes`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ChangesFlags {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,
    #[command(flatten)]
    pub(crate) range: RangeFlags,
    /// Print the marks too: what is true of the watching itself, such as a gap or a stale watch
    #[arg(long)]
    pub(crate) marks: bool,
    /// Print the whole object with each change (json, jsonl, yaml)
    #[arg(long)]
    pub(crate) full: bool,
    /// Go on with what is recorded from now on, until Ctrl-C
    #[arg(short = 'f', long = "watch", visible_alias = "follow", conflicts_with_all = ["limit", "until"])]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) time: TimeFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}

/// How one object is named.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which")]
pub(crate) struct ObjectFlags {
    /// Namespace; `_` is the cluster scope; needed only where several objects answer to the name
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Configured name or id of the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// One incarnation of the object
    #[arg(long, value_name = "UID")]
    pub(crate) uid: Option<String>,
}

/// Flags of `history`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct HistoryFlags {
    /// The object: deploy/web, Pod/web-7c9d, ingresses.networking.k8s.io/shop; `deploy web` will do too
    #[arg(value_name = "KIND/NAME")]
    pub(crate) object: String,
    /// The name, where it does not stand behind the kind
    #[arg(value_name = "NAME", hide = true)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) of: ObjectFlags,
    #[command(flatten)]
    pub(crate) range: RangeFlags,
    /// Leave out the Events about the object
    #[arg(long)]
    pub(crate) no_events: bool,
    /// Shorten nothing; with json, jsonl and yaml, print the whole object with each change
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}

/// Flags of `get`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GetFlags {
    /// Kind, plural or short name, optionally with its group; `all` for every kind; KIND/NAME for one object
    #[arg(value_name = "KIND")]
    pub(crate) kind: String,
    /// One object, printed as YAML
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The time: 2026-11-21T08:00:00Z, 2026-11-21, how long ago (15m, 2h), or the seq of a change; without it, now, which for --data-dir is
    /// the last record
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) of: ObjectFlags,
    /// Stop after this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Print the whole object with each item of a listing (json, jsonl, yaml)
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) time: TimeFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}

/// Flags of `diff`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DiffFlags {
    /// The earlier change, by its seq
    #[arg(value_name = "FROM")]
    pub(crate) from: u64,
    /// The later change, by its seq
    #[arg(value_name = "TO")]
    pub(crate) to: u64,
    /// Shorten nothing
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}
