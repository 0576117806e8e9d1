//! Flags of the verb that follows a cluster: `monitor`.

use std::time::Duration;

use clap::Args;

use super::{OutputFlags, SourceFlags};

/// Longest time to wait: as long as a subscription may last.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Flags of `monitor`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Exit codes: 0 ready, deleted, or asked not to wait; 1 failed, timed out or not found; 2 we failed.")]
pub(crate) struct MonitorFlags {
    /// The ClusterDeployment, or the Cluster that has none
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) cluster_deployment: String,
    /// Configured name or id of the management cluster, where the journal holds several with that name
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Go on until it is ready, failed or deleted: as a server is asked anyway, unless --no-watch says otherwise; of a journal's files
    /// this also waits for one that does not exist yet
    #[arg(short = 'f', long = "watch", visible_alias = "follow")]
    pub(crate) watch: bool,
    /// Print what was told so far and end
    #[arg(long, conflicts_with_all = ["watch", "await_existence"])]
    pub(crate) no_watch: bool,
    /// Wait for one that does not exist yet; means --watch
    #[arg(long = "await")]
    pub(crate) await_existence: bool,
    /// Give up after so long: minutes, or a number with s, m or h
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = read_timeout)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
}

fn read_timeout(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.char_indices().last().filter(|(_, last)| !last.is_ascii_digit()) {
        Some((at, unit)) => (text.get(..at).unwrap_or_default(), unit),
        None => (text, 'm'),
    };
    let seconds = match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let timeout = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds)).map(Duration::from_secs);
    timeout
        .filter(|timeout| (Duration::from_secs(1)..=MAX_TIMEOUT).contains(timeout))
        .ok_or_else(|| "give minutes, or a time such as 90s, 45m or 2h, at most 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_minutes_and_times_and_refuses_what_is_neither() {
        for (text, seconds) in [("60", Some(3_600)), ("90s", Some(90)), ("2h", Some(7_200)), ("24h", Some(86_400))] {
            assert_eq!(read_timeout(text).ok().map(|timeout| timeout.as_secs()), seconds, "{text}");
        }
        for text in ["", "m", "0", "-1", "25h", "1d", "1.5h", "ten"] {
            assert!(read_timeout(text).is_err(), "{text}");
        }
    }
}
