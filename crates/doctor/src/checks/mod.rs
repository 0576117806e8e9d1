//! The checks, one file each. A file holds one definition and one function; what they share stands in `reading`.
//!
//! To add one: write its file, name it here and in `CHECKS`, and put a scenario with a fault and one with healthy noise under
//! `tests/scenarios/doctor/`.

mod autoscaler_at_maximum;
mod autoscaler_inactive;
mod container_config;
mod container_restarts;
mod container_start;
mod crash_loop;
mod cronjob_failing;
mod cronjob_missed;
mod daemonset_misscheduled;
mod daemonset_unavailable;
mod deployment_degraded;
mod deployment_progress;
mod deployment_unavailable;
mod disruption_budget;
mod generation_stale;
mod image_pull;
mod job_failed;
mod job_stuck;
mod oom_killed;
mod pod_evicted;
mod pod_failed;
mod pod_not_ready;
mod pod_pending;
mod pod_terminating;
mod pod_unschedulable;
mod quota_exhausted;
mod reading;
mod replica_failure;
mod schedule;
mod statefulset_stuck;

use crate::check::Check;

/// Every check, in the order of the catalogue.
pub const CHECKS: &[&Check] = &[
    // Containers.
    &image_pull::CHECK,
    &crash_loop::CHECK,
    &oom_killed::CHECK,
    &container_config::CHECK,
    &container_start::CHECK,
    &container_restarts::CHECK,
    // Pods.
    &pod_unschedulable::CHECK,
    &pod_pending::CHECK,
    &pod_not_ready::CHECK,
    &pod_evicted::CHECK,
    &pod_failed::CHECK,
    &pod_terminating::CHECK,
    // Workloads.
    &deployment_progress::CHECK,
    &deployment_unavailable::CHECK,
    &deployment_degraded::CHECK,
    &statefulset_stuck::CHECK,
    &daemonset_unavailable::CHECK,
    &daemonset_misscheduled::CHECK,
    &replica_failure::CHECK,
    &generation_stale::CHECK,
    &job_failed::CHECK,
    &job_stuck::CHECK,
    &cronjob_missed::CHECK,
    &cronjob_failing::CHECK,
    &autoscaler_inactive::CHECK,
    &autoscaler_at_maximum::CHECK,
    &disruption_budget::CHECK,
    &quota_exhausted::CHECK,
];

/// The check of that id.
pub fn by_id(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().find(|check| check.id == id)
}
