//! Flags of the verb that follows a cluster: `monitor`.

use clap::Args;

use super::{OutputFlags, SourceFlags};

/// Flags of `monitor`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Exit codes: 0 ready, deleted or under way; 1 failed, timed out or not found; 2 we failed.")]
pub(crate) struct MonitorFlags {
    /// The ClusterDeployment, or the Cluster that has none
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) cluster_deployment: String,
    /// Configured name or id of the management cluster, where the journal holds several with that name
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Go on until it is ready, failed or deleted; also waits for one that does not exist yet
    #[arg(short = 'f', long = "watch", visible_alias = "follow")]
    pub(crate) watch: bool,
    /// With --watch: give up after so many minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "watch", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) timeout: u32,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}
