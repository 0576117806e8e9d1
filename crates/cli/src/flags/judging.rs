//! Flags of the verbs that judge: `scenario check`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputFlags;
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
