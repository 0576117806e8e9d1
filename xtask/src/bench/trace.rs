//! The trace that the journal is measured on: what a raw watch of every type of a real control plane saw while a cluster was at work.
//!
//! Kept beside the Kubernetes programs and taken again when any of its conditions is another. Invariant: a file under its final name is
//! whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use proreus_bench::tell;
use proreus_testkit::{Churn, ChurnOptions, ControlPlane, ControlPlaneOptions, cache_dir};

use crate::load::trace::Tracer;

// No Event may expire unseen while the trace is taken.
const EVENT_TTL: Duration = Duration::from_secs(24 * 3600);

/// Where the trace comes from.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure on this trace instead of a cached one: watch lines `{ts, type, resource, object}`, plain or zstd.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Nodes of the cluster that is traced.
    #[arg(long, default_value_t = 100)]
    trace_nodes: usize,
    /// Its pods, of at least 4 KB each.
    #[arg(long, default_value_t = 1_000)]
    trace_pods: usize,
    /// Writes a second; the control plane adds its own.
    #[arg(long, default_value_t = 150.0)]
    trace_rate: f64,
    /// How long.
    #[arg(long, default_value_t = 240)]
    trace_seconds: u64,
}

/// The trace that was asked for, the cached one, or a new one.
pub(super) async fn find_or_take(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.trace {
        return Ok(path.clone());
    }
    let Options { trace_nodes, trace_pods, trace_rate, trace_seconds, .. } = options;
    let path = cache_dir()?.join(format!("trace-{trace_nodes}-{trace_pods}-{trace_rate}-{trace_seconds}.jsonl.zst"));
    if path.is_file() {
        return Ok(path);
    }
    tell(&format!("taking a trace of {trace_nodes} nodes and {trace_pods} pods for {trace_seconds} s into `{}`", path.display()));
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    let taken = take(options, &unfinished).await;
    if taken.is_err() {
        // What was asked for failed already; a file that is left over is only untidy.
        let _ = std::fs::remove_file(&unfinished);
    }
    tell(&format!("a trace of {} lines", taken?));
    std::fs::rename(&unfinished, &path).with_context(|| format!("failed to keep the trace as `{}`", path.display()))?;
    Ok(path)
}

async fn take(options: &Options, path: &Path) -> Result<u64> {
    let plane = ControlPlane::start(ControlPlaneOptions { event_ttl: EVENT_TTL, ..ControlPlaneOptions::full() }).await?;
    let tracer = Tracer::start(plane.client().await?, path).await?;
    let churn = ChurnOptions {
        nodes: options.trace_nodes,
        pods: options.trace_pods,
        changes_per_second: options.trace_rate,
        duration: Duration::from_secs(options.trace_seconds),
        ..ChurnOptions::default()
    };
    let mut churn = Churn::new(plane.kubeconfig(), churn).await?;
    churn.populate(|_| {}).await?;
    let report = churn.run().await;
    tell(&format!("{} writes, {:.0} a second", report.accepted_total(), report.rate()));
    tracer.finish().await
}
