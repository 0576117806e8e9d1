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

mod api_service;
mod argo_application;
mod capi_cluster;
mod certificate_expiry;
mod certificate_issuance;
mod claim_lost;
mod claim_pending;
mod claim_resize;
mod cluster_deployment;
mod condition_ready;
mod crd_established;
mod endpoints;
mod expiry;
mod finalizer_stuck;
mod flux;
mod gateway;
mod gateway_class;
mod helm_release;
mod ingress_backend;
mod ingress_class;
mod ingress_load_balancer;
mod ingress_tls;
mod issuer;
mod joins;
mod kinds;
mod machine;
mod machine_health_check;
mod machine_replicas;
mod mcp_image;
mod mcp_network_policy;
mod mcp_operator;
mod mcp_parts;
mod mcp_platform;
mod mcp_policy;
mod mcp_sentinel_keys;
mod mcp_server;
mod namespace_terminating;
mod node_cordoned;
mod node_kernel;
mod node_network;
mod node_not_ready;
mod node_pressure;
mod node_problem;
mod node_taint;
mod olm;
mod pull_secret;
mod route;
mod service_endpoints;
mod service_load_balancer;
mod storage_class_default;
mod tls_secret;
mod volume_attachment;
mod volume_failed;
mod volume_released;
mod webhook_service;

use crate::check::Check;
use crate::probes;

pub(crate) use image_pull::class_name as image_pull_class;
pub(crate) use reading::Readings;

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
    // Services and networks.
    &service_endpoints::CHECK,
    &service_load_balancer::CHECK,
    &ingress_class::CHECK,
    &ingress_backend::CHECK,
    &ingress_tls::CHECK,
    &ingress_load_balancer::CHECK,
    &gateway_class::CHECK,
    &gateway::CHECK,
    &route::CHECK,
    // Certificates.
    &certificate_issuance::CHECK,
    &certificate_expiry::CHECK,
    &issuer::CHECK,
    &tls_secret::CHECK,
    &pull_secret::CHECK,
    // Extensions of the API.
    &webhook_service::CHECK,
    &api_service::CHECK,
    &crd_established::CHECK,
    // Storage.
    &claim_pending::CHECK,
    &claim_lost::CHECK,
    &claim_resize::CHECK,
    &volume_failed::CHECK,
    &volume_released::CHECK,
    &volume_attachment::CHECK,
    &storage_class_default::CHECK,
    // Nodes and namespaces.
    &node_not_ready::CHECK,
    &node_pressure::CHECK,
    &node_network::CHECK,
    &node_problem::CHECK,
    &node_kernel::CHECK,
    &node_cordoned::CHECK,
    &node_taint::CHECK,
    &namespace_terminating::CHECK,
    &finalizer_stuck::CHECK,
    // Delivery and custom types.
    &flux::CHECK,
    &argo_application::CHECK,
    &helm_release::CHECK,
    &olm::CHECK,
    &condition_ready::CHECK,
    // MCP platform.
    &mcp_server::CHECK,
    &mcp_policy::CHECK,
    &mcp_operator::CHECK,
    &mcp_platform::CHECK,
    &mcp_image::CHECK,
    &mcp_sentinel_keys::CHECK,
    &mcp_network_policy::CHECK,
    // Clusters.
    &cluster_deployment::CHECK,
    &capi_cluster::CHECK,
    &machine::CHECK,
    &machine_replicas::CHECK,
    &machine_health_check::CHECK,
    // What is learned by doing something; see `probes`.
    &probes::API_HEALTH,
    &probes::POD_ADMISSION,
    &probes::SERVICE_ANSWERS,
    &probes::INGRESS_ANSWERS,
    &probes::POD_RUN,
];

/// The check of that id.
pub fn by_id(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().find(|check| check.id == id)
}
