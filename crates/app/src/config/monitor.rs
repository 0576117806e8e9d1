//! The `monitor` section: how patient monitors are, and how many may listen.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::monitors::{MAX_TIMEOUT, MIN_TIMEOUT, MonitorLimits};
use crate::questions::PhaseOptions;

/// Most subscriptions that can be allowed: each holds a connection, and a process has some tens of thousands of them.
const MAX_SUBSCRIPTIONS: u32 = 20_000;
/// Longest patience that can be set: a day, after which nobody waits any more.
const MAX_PATIENCE_SECONDS: u32 = 24 * 60 * 60;

/// Monitors as the file sets them. What is left out keeps its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MonitorSection {
    /// Subscriptions of one client.
    pub subscriptions_per_client: Option<u32>,
    /// Subscriptions of all clients together.
    pub subscriptions: Option<u32>,
    /// How long a subscription lasts that names no timeout.
    pub timeout_seconds: Option<u32>,
    /// How long before its end it is warned.
    pub timeout_warning_seconds: Option<u32>,
    /// How long every source must agree before `Ready`.
    pub settle_seconds: Option<u32>,
    /// How long a classified cause must stand, without progress, before `Failed`.
    pub failed_grace_seconds: Option<u32>,
    /// The same for a lack of machines at the provider.
    pub capacity_grace_seconds: Option<u32>,
    /// The same for a service inside a cluster that is there already.
    pub service_grace_seconds: Option<u32>,
    /// How long nothing may move before it is called stalled.
    pub stall_seconds: Option<u32>,
    /// How long the watch of the cluster's own object may be stale before the phase is `Unknown`.
    pub stale_seconds: Option<u32>,
}

/// Monitors in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonitorSettings {
    /// Who may listen, and for how long.
    pub limits: MonitorLimits,
    /// How patient the fold is.
    pub phases: PhaseOptions,
}

/// Puts a section on top of the defaults.
pub(super) fn resolve_monitor(origin: &str, section: &MonitorSection) -> Result<MonitorSettings, ConfigError> {
    let within = |key: &str, value: Option<u32>, least: u32, most: u32, default: u32| match value {
        None => Ok(default),
        Some(value) if (least..=most).contains(&value) => Ok(value),
        Some(value) => Err(ConfigError {
            origin: origin.to_owned(),
            key: format!("monitor.{key}"),
            problem: format!("`{value}` is out of range"),
            hint: format!("give a whole number from {least} to {most}"),
        }),
    };
    let (limits, phases) = (MonitorLimits::default(), PhaseOptions::default());
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    let patience = |key: &str, value: Option<u32>, default: u32| within(key, value, 0, MAX_PATIENCE_SECONDS, default);
    let count = |key: &str, value: Option<u32>, default: usize| {
        within(key, value, 1, MAX_SUBSCRIPTIONS, u32::try_from(default).unwrap_or(MAX_SUBSCRIPTIONS)).map(|count| count as usize)
    };
    let (least, most) = (seconds(MIN_TIMEOUT), seconds(MAX_TIMEOUT));
    let timeout = within("timeoutSeconds", section.timeout_seconds, least, most, seconds(limits.timeout))?;
    let warning = within("timeoutWarningSeconds", section.timeout_warning_seconds, 0, most, seconds(limits.warning))?;
    Ok(MonitorSettings {
        limits: MonitorLimits {
            per_client: count("subscriptionsPerClient", section.subscriptions_per_client, limits.per_client)?,
            in_all: count("subscriptions", section.subscriptions, limits.in_all)?,
            timeout: Duration::from_secs(u64::from(timeout)),
            warning: Duration::from_secs(u64::from(warning)),
            ..limits
        },
        phases: PhaseOptions {
            settle_seconds: patience("settleSeconds", section.settle_seconds, phases.settle_seconds)?,
            failed_grace_seconds: patience("failedGraceSeconds", section.failed_grace_seconds, phases.failed_grace_seconds)?,
            capacity_grace_seconds: patience("capacityGraceSeconds", section.capacity_grace_seconds, phases.capacity_grace_seconds)?,
            service_grace_seconds: patience("serviceGraceSeconds", section.service_grace_seconds, phases.service_grace_seconds)?,
            stall_seconds: patience("stallSeconds", section.stall_seconds, phases.stall_seconds)?,
            stale_seconds: patience("staleSeconds", section.stale_seconds, phases.stale_seconds)?,
            medians: phases.medians,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_defaults_and_refuses_what_is_out_of_range() {
        assert_eq!(resolve_monitor("f", &MonitorSection::default()), Ok(MonitorSettings::default()));
        let section = MonitorSection { subscriptions_per_client: Some(3), timeout_seconds: Some(120), ..MonitorSection::default() };
        let settings = resolve_monitor("f", &section).expect("in range");
        assert_eq!((settings.limits.per_client, settings.limits.timeout), (3, Duration::from_secs(120)));
        let none = MonitorSection { subscriptions: Some(0), ..MonitorSection::default() };
        let refused = resolve_monitor("f", &none).expect_err("refused");
        assert_eq!(refused.to_string(), "f: `monitor.subscriptions`: `0` is out of range");
    }
}
