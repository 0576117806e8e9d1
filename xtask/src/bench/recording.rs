//! The rows of a recording process: how late a write can be read, beside a raw watch of the same API server; memory per watched object.
//!
//! One real control plane and the real binary with its default configuration. Both the raw watch and the reader run in this process, on the
//! processors that everything else runs on too, so the differences are what counts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proreus_bench::{Report, Row, percentiles, tell};
use proreus_testkit::{Churn, ChurnOptions, ControlPlane, ControlPlaneOptions, Versions};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};

use super::arrivals::{Arrivals, watch_arrivals};
use super::memory;
use crate::load::wait_for_sync;

// KWOK and the controllers end their work on a new population well within this, on cores that others use too.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
// Nothing recorded for so long: the cluster has come to rest.
const REST: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);
// The design's bound for what recording adds to a watch.
const LATER_BY_MICROS: f64 = 50_000.0;
const MEMORY_RATIO: f64 = 2.0;

/// How large.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Nodes of the recorded cluster.
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// Its pods, of at least 4 KB each.
    #[arg(long, default_value_t = 4_000)]
    pods: usize,
    /// Writes whose way is timed, in each of two runs: with nothing else going on, and beside a churn.
    #[arg(long, default_value_t = 400)]
    writes: usize,
    /// Writes a second of the churn.
    #[arg(long, default_value_t = 50.0)]
    churn: f64,
    /// The binary to measure [default: the one built beside this program].
    #[arg(long)]
    pub(super) proreus: Option<PathBuf>,
}

/// Adds the rows.
pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let Options { nodes, pods, writes, .. } = options;
    let program = options.proreus.clone().map_or_else(built_proreus, Ok)?;
    let dir = tempfile::Builder::new().prefix("proreus-bench-").tempdir().context("failed to create a temporary directory")?;
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await?;
    let client = plane.client().await?;
    tell("recording an empty cluster");
    let before = memory::watched(&client).await?;
    let (mut recorder, _) = record(&program, plane.kubeconfig(), &dir.path().join("empty")).await?;
    let empty_peak = recorder.peak_bytes();
    anyhow::ensure!(recorder.terminate().await, "the recorder did not end in good order when it was asked to");

    tell(&format!("making {nodes} nodes and {pods} pods"));
    let churn = ChurnOptions {
        nodes: *nodes,
        pods: *pods,
        changes_per_second: options.churn,
        duration: super::arrivals::time_for(*writes),
        ..ChurnOptions::default()
    };
    let mut churn = Churn::new(plane.kubeconfig(), churn).await?;
    churn.populate(|_| {}).await?;
    tell("recording it");
    let (mut recorder, synced_after) = record(&program, plane.kubeconfig(), &dir.path().join("full")).await?;
    let peak = recorder.peak_bytes();
    let after = memory::watched(&client).await?;
    report.note(format!(
        "recorded: Kubernetes {} with {nodes} nodes and {pods} pods, {} objects of {} bytes in all, each {} on average; synced after {:.1} s",
        Versions::pinned()?.kubernetes,
        after.objects,
        after.bytes,
        after.bytes / after.objects.max(1),
        synced_after.as_secs_f64()
    ));
    let objects = (after.objects.saturating_sub(before.objects)).max(1) as f64;
    report.push(Row::new("peak memory of recording an empty cluster", mib(empty_peak), "MiB"));
    report.push(Row::new("peak memory, initial list included", mib(peak), "MiB"));
    report.push(
        Row::new("peak memory per watched object, above that of an empty cluster", peak.saturating_sub(empty_peak) as f64 / objects, "B")
            .against("bytes of that object", after.bytes.saturating_sub(before.bytes) as f64 / objects)
            .at_most(MEMORY_RATIO),
    );

    come_to_rest(&recorder).await?;
    let arrivals = watch_arrivals(&client, &recorder, *writes, "quiet").await?;
    tell_arrivals("nothing else going on", &arrivals, report);
    let (busy, arrivals) = tokio::join!(churn.run(), watch_arrivals(&client, &recorder, *writes, "busy"));
    tell_arrivals(&format!("beside {:.0} writes/s", busy.rate()), &arrivals?, report);
    report.push(Row::new("peak memory after that", mib(recorder.peak_bytes()), "MiB"));
    anyhow::ensure!(recorder.terminate().await, "the recorder did not end in good order when it was asked to");
    Ok(())
}

/// Starts a recorder and waits until it holds everything.
async fn record(program: &Path, kubeconfig: &Path, data_dir: &Path) -> Result<(RecorderProcess, Duration)> {
    let recorder = RecorderProcess::start(RecorderOptions {
        program: program.to_owned(),
        kubeconfig: kubeconfig.to_owned(),
        data_dir: data_dir.to_owned(),
        log: data_dir.with_extension("log"),
        arguments: Vec::new(),
    })
    .await?;
    let synced_after = wait_for_sync(&recorder).await?;
    // The peak is read several times a second.
    tokio::time::sleep(LOOK_EVERY).await;
    Ok((recorder, synced_after))
}

/// Waits until nothing is recorded any more.
async fn come_to_rest(recorder: &RecorderProcess) -> Result<()> {
    let begun = Instant::now();
    let (mut seen, mut since) = (recorder.watermark(), Instant::now());
    while since.elapsed() < REST {
        anyhow::ensure!(begun.elapsed() < SETTLED_WITHIN, "the cluster did not come to rest within {} s", SETTLED_WITHIN.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
        let now = recorder.watermark();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    Ok(())
}

fn tell_arrivals(when: &str, arrivals: &Arrivals, report: &mut Report) {
    report.push_times(&format!("API write → raw watch, {when}"), percentiles(arrivals.raw.clone()), None);
    report.push_times(&format!("API write → in `/api/v1/changes`, {when}"), percentiles(arrivals.listed.clone()), None);
    report.push_times(
        &format!("readable by REST after the raw watch, {when}"),
        percentiles(arrivals.listed_later()),
        Some(LATER_BY_MICROS),
    );
    report.push_times(
        &format!("in the SSE stream after the raw watch, {when}"),
        percentiles(arrivals.streamed_later()),
        Some(LATER_BY_MICROS),
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
