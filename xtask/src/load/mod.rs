//! `cargo xtask load`: the large run. A population, changes at a given rate, one recording process; then figures, and the judge.

pub(crate) mod trace;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proreus_store::{Journal, SqliteJournal};
use proreus_testkit::{Churn, ChurnOptions, ChurnReport, ControlPlane, ControlPlaneOptions, Population, Witness};
use proreus_tests::judge::{Case, Depth, Verdict, WitnessTruth, judge};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};

use crate::bench_binaries;
use trace::Tracer;

// Two cores that also run the control plane list ten thousand pods in well under this.
const SYNCED_WITHIN: Duration = Duration::from_secs(300);
const ARRIVES_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_secs(2);
// No Event may expire unseen during the run.
const EVENT_TTL: Duration = Duration::from_secs(24 * 3600);
const VIOLATIONS_TOLD: usize = 20;

/// What `load` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Nodes, played by KWOK.
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// Pods on them, of at least 4 KB each.
    #[arg(long, default_value_t = 10_000)]
    pods: usize,
    /// Writes a second to the API server.
    #[arg(long, default_value_t = 60.0)]
    changes_per_second: f64,
    /// How long to change things.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The churn's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the journal and the recorder's log here instead of in a temporary directory.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The binary to try [default: the one built beside this program].
    #[arg(long)]
    proreus: Option<PathBuf>,
    /// Fail when the recorder's peak memory is above this many MiB.
    #[arg(long, default_value_t = 200)]
    max_memory_mib: u64,
    /// Also write what a raw watch of every type sees, one JSON line a change, compressed with zstd.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// With --trace: trace only, record nothing.
    #[arg(long, requires = "trace")]
    trace_only: bool,
}

/// Runs it; an error when the judge found a violation or memory is above the bound.
pub(crate) fn run(args: &Args) -> Result<()> {
    bench_binaries::build_missing()?;
    let temporary = tempfile::Builder::new().prefix("proreus-load-").tempdir().context("failed to create a temporary directory")?;
    let data_dir = args.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    runtime.block_on(load(args, data_dir))
}

/// What is measured.
struct Figures {
    population: usize,
    churn: ChurnReport,
    synced_after: Duration,
    peak_after_list: u64,
    peak: u64,
    arrived_after: Duration,
    stored_bytes: u64,
    raw_bytes: u64,
    verdict: Verdict,
}

async fn load(args: &Args, data_dir: PathBuf) -> Result<()> {
    let plane = ControlPlane::start(ControlPlaneOptions { event_ttl: EVENT_TTL, ..ControlPlaneOptions::full() }).await?;
    let witness = Witness::start(plane.etcd_url())?;
    let tracer = match &args.trace {
        Some(path) => Some(Tracer::start(plane.client().await?, path).await?),
        None => None,
    };
    let options = ChurnOptions {
        seed: args.seed,
        nodes: args.nodes,
        pods: args.pods,
        changes_per_second: args.changes_per_second,
        duration: Duration::from_secs(args.seconds),
        ..ChurnOptions::default()
    };
    let mut churn = Churn::new(plane.kubeconfig(), options.clone()).await?;
    say(&format!("populating: {} objects", Population::of(&options).total()));
    let population = churn.populate(|_| {}).await?.total();
    if args.trace_only {
        let report = churn.run().await;
        say(&format!("{} changes in {:.0} s ({:.0}/s)", report.accepted_total(), report.elapsed.as_secs_f64(), report.rate()));
        return finish_trace(tracer).await;
    }
    let mut recorder = RecorderProcess::start(RecorderOptions {
        program: args.proreus.clone().map_or_else(built_proreus, Ok)?,
        kubeconfig: plane.kubeconfig().to_owned(),
        data_dir: data_dir.clone(),
        log: data_dir.with_extension("log"),
        arguments: Vec::new(),
    })
    .await?;
    let synced_after = wait_for_sync(&recorder).await?;
    let peak_after_list = recorder.peak_bytes();
    say(&format!("synced after {:.1} s, peak {} MiB; changing", synced_after.as_secs_f64(), mib(peak_after_list)));
    let churn = churn.run().await;
    finish_trace(tracer).await?;
    let until = witness.catch_up().await?;
    let begun = Instant::now();
    while begun.elapsed() < ARRIVES_WITHIN {
        let verdict = look(&recorder, &witness, until, Depth::Positions).await?;
        if verdict.violations.is_empty() || !verdict.may_heal() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let arrived_after = begun.elapsed();
    let peak = recorder.peak_bytes();
    anyhow::ensure!(recorder.terminate().await, "the recorder did not end in good order when it was asked to");
    let verdict = look(&recorder, &witness, until, Depth::Bodies).await?;
    let segments = SqliteJournal::open_read_only(&data_dir)?.segments()?;
    tell(
        args,
        &Figures {
            population,
            churn,
            synced_after,
            peak_after_list,
            peak,
            arrived_after,
            stored_bytes: segments.iter().map(|segment| segment.stored_bytes).sum(),
            raw_bytes: segments.iter().map(|segment| segment.raw_bytes).sum(),
            verdict,
        },
    )
}

async fn finish_trace(tracer: Option<Tracer>) -> Result<()> {
    if let Some(tracer) = tracer {
        let lines = tracer.finish().await?;
        say(&format!("trace: {lines} lines"));
    }
    Ok(())
}

/// Waits until every watch is synced, and tells how long that took.
pub(crate) async fn wait_for_sync(recorder: &RecorderProcess) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let waiting = recorder.unsynced().await?;
        if waiting.as_ref().is_some_and(Vec::is_empty) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > SYNCED_WITHIN {
            bail!("not synced within {} s: {waiting:?}", SYNCED_WITHIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY / 4).await;
    }
}

async fn look(recorder: &RecorderProcess, witness: &Witness, until: u64, depth: Depth) -> Result<Verdict> {
    let journal = SqliteJournal::open_read_only(recorder.data_dir()).context("failed to open the journal to read")?;
    let last = journal.watermark();
    witness.catch_up().await?;
    let truth = WitnessTruth::of(witness);
    judge(&Case { journal: &journal, last, truth: &truth, until, durable: &[] }, depth).context("failed to ask the journal")
}

fn tell(args: &Args, figures: &Figures) -> Result<()> {
    let Figures { population, churn, synced_after, peak_after_list, peak, arrived_after, stored_bytes, raw_bytes, verdict } = figures;
    say(&format!(
        "{population} objects made; {} writes in {:.0} s ({:.1}/s, {} refused, {} failed)",
        churn.accepted_total(),
        churn.elapsed.as_secs_f64(),
        churn.rate(),
        churn.refused,
        churn.failed
    ));
    say(&format!(
        "peak memory {} MiB, {} MiB after the first list; arrived {:.1} s after the last write",
        mib(*peak),
        mib(*peak_after_list),
        arrived_after.as_secs_f64()
    ));
    say(&format!("stored {} MiB for {} MiB of canonical JSON", mib(*stored_bytes), mib(*raw_bytes)));
    say(&verdict.to_string());
    verdict.violations.iter().take(VIOLATIONS_TOLD).for_each(|violation| say(&format!("  VIOLATION {violation}")));
    let json: Value = json!({
        "nodes": args.nodes, "pods": args.pods, "seed": args.seed, "objects": population,
        "writes": churn.accepted_total(), "writesPerSecond": churn.rate(), "writeSeconds": churn.elapsed.as_secs_f64(),
        "writesRefused": churn.refused, "writesFailed": churn.failed,
        "syncedAfterSeconds": synced_after.as_secs_f64(), "arrivedAfterSeconds": arrived_after.as_secs_f64(),
        "peakBytes": peak, "peakAfterListBytes": peak_after_list,
        "storedBytes": stored_bytes, "rawBytes": raw_bytes,
        "changes": verdict.changes, "marks": verdict.marks, "noise": verdict.excuses.noise,
        "violations": verdict.violations.len(),
    });
    say(&json.to_string());
    if !verdict.violations.is_empty() {
        bail!("{} violations", verdict.violations.len());
    }
    if mib(*peak) > args.max_memory_mib {
        bail!("peak memory {} MiB is above {} MiB", mib(*peak), args.max_memory_mib);
    }
    Ok(())
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
