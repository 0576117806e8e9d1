//! What may be configured of incidents.
//!
//! Pure.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The `incidents` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IncidentSettings {
    /// How long everything must be well before an incident is resolved.
    pub hold_down_seconds: u32,
    /// An incident that comes back within this time of its end goes on, and its hold-down doubles.
    pub flap_window_seconds: u32,
    /// So many incidents within the storm's window; further ones go into a digest.
    pub storm_limit: u32,
    /// The storm's window.
    pub storm_window_seconds: u32,
    /// So many owners that cannot pull from one registry are one incident of the registry.
    pub registry_owners: u32,
    /// How long before its first symptom a change may be to count as what came before an incident.
    pub cause_window_seconds: u32,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self {
            // A rollout replaces a pod within some seconds, and a probe needs some more to fail again.
            hold_down_seconds: 90,
            flap_window_seconds: 600,
            // More than a person reads at once.
            storm_limit: 20,
            storm_window_seconds: 300,
            registry_owners: 3,
            // The default progress deadline of a rollout is ten minutes.
            cause_window_seconds: 900,
        }
    }
}

impl IncidentSettings {
    /// Doublings of the hold-down at most: an incident that flaps all day is resolved some quarter of an hour after its end.
    const DOUBLINGS_LIMIT: u32 = 3;

    /// The hold-down of an incident that came back so often.
    pub(super) fn hold_down(&self, flaps: u32) -> SignedDuration {
        let factor = 1_i64 << flaps.min(Self::DOUBLINGS_LIMIT);
        SignedDuration::from_secs(i64::from(self.hold_down_seconds).saturating_mul(factor))
    }

    pub(super) fn flap_window(&self) -> SignedDuration {
        SignedDuration::from_secs(self.flap_window_seconds.into())
    }

    pub(super) fn storm_window(&self) -> SignedDuration {
        SignedDuration::from_secs(self.storm_window_seconds.into())
    }

    pub(super) fn cause_window(&self) -> SignedDuration {
        SignedDuration::from_secs(self.cause_window_seconds.into())
    }
}
