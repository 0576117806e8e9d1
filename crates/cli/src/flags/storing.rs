//! Flags of `store`: verify, stats, export, import.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::OutputFlags;
use crate::output::Format;

/// Flags of `store`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreFlags {
    #[command(subcommand)]
    pub(crate) verb: StoreVerb,
}

/// What to do with a journal.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Read every byte and say what is damaged; exit 1 if anything is
    Verify(JournalFlags),
    /// Tell how much is kept, and what a change costs
    Stats(JournalFlags),
    /// Write the whole journal as one stream, also while a server records into it
    Export(ExportFlags),
    /// Take an exported stream, or a file of watch events, into a journal
    Import(ImportFlags),
}

impl StoreVerb {
    /// The format asked for.
    pub(crate) fn output(&self) -> Option<Format> {
        match self {
            Self::Verify(flags) | Self::Stats(flags) => flags.output.output,
            Self::Export(_) => None,
            Self::Import(flags) => flags.output.output,
        }
    }
}

/// A journal and how to show what is found.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JournalFlags {
    /// The journal; PROREUS_DATA_DIR [default: proreus-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Flags of `store export`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExportFlags {
    /// Write here; `-` is stdout
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// The journal; PROREUS_DATA_DIR [default: proreus-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What is imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// What `store export` wrote.
    #[default]
    Export,
    /// Lines of `{ts, type, resource, object}`, as a watch gives them.
    WatchJsonl,
}

/// Flags of `store import`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ImportFlags {
    /// Read this; `-` is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What it holds
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: ImportFormat,
    /// With watch-jsonl: id of the cluster whose lines these are
    #[arg(long, value_name = "ID", default_value = "imported")]
    pub(crate) cluster: String,
    /// With watch-jsonl: keep every line, heartbeats too
    #[arg(long)]
    pub(crate) no_noise_policy: bool,
    /// The journal, with format export an empty directory; PROREUS_DATA_DIR [default: proreus-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}
