//! The command line, defined once: flags, help texts, completions and the reference page come from these types.
//!
//! No logic beyond parsing. A value that the application has to understand (a time, a kind) stays text here.

mod following;
mod judging;
mod reading;
mod running;
mod storing;

use clap::{Parser, Subcommand};

pub(crate) use following::MonitorFlags;
pub(crate) use judging::{
    DoctorFlags, DoctorFormat, ExplainFlags, FailOn, IncidentsFlags, ScenarioCheckFlags, ScenarioFlags, ScenarioVerb, StateWord,
};
pub(crate) use reading::{ChangesFlags, DiffFlags, GetFlags, HistoryFlags, OriginWord, OutputFlags, SelectionFlags, SourceFlags, VerbWord};
pub(crate) use running::{CompletionsFlags, DemoFlags, LogFlags, LogFormat, ManifestsFlags, McpFlags, PlaygroundFlags, ServeFlags};
pub(crate) use storing::{ExportFlags, ImportFlags, ImportFormat, JournalFlags, StoreFlags, StoreVerb};

use crate::terminal::paint::ColorChoice;

/// Help that stands below every page.
const AFTER_HELP: &str = "Exit codes: 0 done; 1 refused input, not found, or the bad news that was asked for; 2 we failed.\n\
    Data goes to stdout, everything else to stderr.";

/// Keeps the watch over Kubernetes clusters: records every change of every object and answers what changed, when, through which manager,
/// from what to what
#[derive(Debug, Parser)]
#[command(name = "proreus", version, after_help = AFTER_HELP, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// When to use colours; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Everywhere",
        hide_possible_values = false
    )]
    pub(crate) color: ColorChoice,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Watch the configured clusters, record every change and answer questions over HTTP
    Serve(ServeFlags),
    /// List changes, oldest first
    Changes(ChangesFlags),
    /// Tell the history of one object: every change with its fields, and the Events about it in between
    History(HistoryFlags),
    /// Show objects as they were at a time
    Get(GetFlags),
    /// Show which fields differ between two recorded changes of one object
    Diff(DiffFlags),
    /// Say what is wrong, since when, and what to do about it; exit 1 if anything is
    Doctor(DoctorFlags),
    /// List incidents: findings grouped by what they are wrong with, with what changed before
    Incidents(IncidentsFlags),
    /// Tell what a check looks for, or list them all
    Explain(ExplainFlags),
    /// Tell how far a cluster is that is being made: a dozen updates, and how it ended
    Monitor(MonitorFlags),
    /// Answer an agent over standard input and output by the Model Context Protocol
    Mcp(McpFlags),
    /// Look after a journal: verify, stats, export, import
    Store(StoreFlags),
    /// Play an outage in a small cluster of our own and record it: no cluster needed
    Demo(DemoFlags),
    /// Serve a small Kubernetes API that kubectl can talk to
    Playground(PlaygroundFlags),
    /// Check scenario files: what happens in a cluster, and what must come out
    Scenario(ScenarioFlags),
    /// Print the Kubernetes manifests that run `serve` inside a cluster
    Manifests(ManifestsFlags),
    /// Print the completion script of a shell
    Completions(CompletionsFlags),
    /// Print the version
    Version(OutputFlags),
}

impl Verb {
    /// Whether errors are wanted as JSON: what the person asked for with `-o json` or `-o jsonl`.
    pub(crate) fn wants_json(&self) -> bool {
        let output = match self {
            Self::Changes(flags) => flags.output.output,
            Self::History(flags) => flags.output.output,
            Self::Get(flags) => flags.output.output,
            Self::Diff(flags) => flags.output.output,
            Self::Monitor(flags) => flags.output.output,
            Self::Store(flags) => flags.verb.output(),
            Self::Demo(flags) => flags.output.output,
            Self::Version(flags) => flags.output,
            Self::Scenario(flags) => flags.verb.output(),
            Self::Doctor(flags) => return flags.output == Some(DoctorFormat::Json),
            Self::Explain(flags) => flags.output.output,
            Self::Incidents(flags) => flags.output.output,
            Self::Serve(_) | Self::Mcp(_) | Self::Playground(_) | Self::Manifests(_) | Self::Completions(_) => None,
        };
        output.is_some_and(crate::output::Format::is_json)
    }
}
