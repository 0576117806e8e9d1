//! `cargo xtask chaos`: rounds of faults on the real control plane while the real binary records it, judged against etcd.
//!
//! The rounds and the judge are in `proreus-tests`, which runs a few of them in every test run; this is the large run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proreus_tests::built_proreus;
use proreus_tests::chaos::{self, ChaosOptions, ChaosReport, Faults};

use crate::bench_binaries;

// More would scroll the first ones away, and the first ones tell the most.
const VIOLATIONS_TOLD: usize = 20;

/// What `chaos` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds, each with one to three faults.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Decides the faults and the churn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes a second to the API server.
    #[arg(long, default_value_t = 25.0)]
    changes_per_second: f64,
    /// Least seconds a round takes.
    #[arg(long, default_value_t = 15)]
    round_seconds: u64,
    /// Nodes, played by KWOK.
    #[arg(long, default_value_t = 20)]
    nodes: usize,
    /// Pods on them.
    #[arg(long, default_value_t = 200)]
    pods: usize,
    /// Keep the journal and the recorder's log here instead of in a temporary directory.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The binary to try [default: the one built beside this program].
    #[arg(long)]
    proreus: Option<PathBuf>,
}

/// Runs the rounds; an error when the judge found a violation.
pub(crate) fn run(args: &Args) -> Result<()> {
    bench_binaries::build_missing()?;
    let temporary = tempfile::Builder::new().prefix("proreus-chaos-").tempdir().context("failed to create a temporary directory")?;
    let options = ChaosOptions {
        rounds: args.rounds,
        faults: Faults::Seeded,
        seed: args.seed,
        changes_per_second: args.changes_per_second,
        round: Duration::from_secs(args.round_seconds),
        nodes: args.nodes,
        pods: args.pods,
        data_dir: args.data_dir.clone().unwrap_or_else(|| temporary.path().join("data")),
        proreus: args.proreus.clone().map_or_else(built_proreus, Ok)?,
    };
    say(&format!("seed {}, {} rounds, {}", options.seed, options.rounds, options.proreus.display()));
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    let told = runtime.block_on(chaos::run(&options, say)).and_then(|report| tell(&options, &report));
    if told.is_err() {
        // Whoever looks into it needs the journal and the recorder's log; the rounds' own directory is gone by now.
        let kept = if args.data_dir.is_none() { temporary.keep().join("data") } else { options.data_dir };
        say(&format!("the journal is in {}, the recorder's log beside it", kept.display()));
    }
    told
}

fn tell(options: &ChaosOptions, report: &ChaosReport) -> Result<()> {
    say(&format!(
        "{} changes by the churn ({:.0}/s, {} refused, {} failed), {} ends of the recorder, arrived after {:.0} s, peak memory {} MiB",
        report.churn.accepted_total(),
        report.churn.rate(),
        report.churn.refused,
        report.churn.failed,
        report.restarts,
        report.arrived_after.as_secs_f64(),
        report.peak_bytes / (1024 * 1024),
    ));
    say(&report.verdict.to_string());
    for violation in report.verdict.violations.iter().take(VIOLATIONS_TOLD) {
        say(&format!("  VIOLATION {violation}"));
    }
    let again = format!(
        "hint: cargo xtask chaos --rounds {} --seed {} --changes-per-second {} --round-seconds {} --nodes {} --pods {} --data-dir DIR",
        options.rounds,
        options.seed,
        options.changes_per_second,
        options.round.as_secs(),
        options.nodes,
        options.pods
    );
    if !report.verdict.violations.is_empty() {
        bail!("{} violations\n{again}", report.verdict.violations.len());
    }
    if !report.ended_in_good_order {
        bail!("the recorder did not end in good order when it was asked to\n{again}");
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
