//! The test bench by hand: a control plane, filled and churned if asked, until Ctrl-C.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use proreus_testkit::{Binaries, Churn, ChurnOptions, ChurnReport, ControlPlane, ControlPlaneOptions, Population};
use tokio::signal::unix::{SignalKind, signal};

use crate::bench_binaries;

/// What `bench-up` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Nodes to create, played by KWOK.
    #[arg(long, default_value_t = 0)]
    nodes: usize,
    /// Pods to create on them, of at least 4 KB each; needs nodes.
    #[arg(long, default_value_t = 0, requires = "nodes")]
    pods: usize,
    /// Changes a second, after everything is created.
    #[arg(long, default_value_t = 0.0, requires = "pods")]
    churn: f64,
    /// How long to change things.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The churn's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End when the churn has, instead of waiting for Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Also write the kubeconfig to this file.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
}

/// Builds what is missing, starts everything, says how to use it and waits.
pub(crate) fn run(args: &Args) -> Result<()> {
    bench_binaries::build_missing()?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("failed to wait for SIGTERM")?;
        // Whichever comes, the control plane is dropped here and takes its processes and files along.
        tokio::select! {
            result = up(args) => result,
            interrupted = tokio::signal::ctrl_c() => interrupted.context("failed to wait for Ctrl-C"),
            _ = terminated.recv() => Ok(()),
        }
    })
}

async fn up(args: &Args) -> Result<()> {
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await?;
    if let Some(file) = &args.kubeconfig {
        std::fs::copy(plane.kubeconfig(), file).with_context(|| format!("failed to write {}", file.display()))?;
    }
    say(&how_to_use(&plane)?);
    if args.nodes > 0 {
        let report = load(args, &plane).await?;
        say(&summary(&report));
    }
    if !args.once {
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn load(args: &Args, plane: &ControlPlane) -> Result<ChurnReport> {
    let options = ChurnOptions {
        seed: args.seed,
        nodes: args.nodes,
        pods: args.pods,
        changes_per_second: args.churn,
        duration: Duration::from_secs(args.seconds),
        ..ChurnOptions::default()
    };
    let bar = ProgressBar::new(Population::of(&options).total() as u64);
    bar.set_style(ProgressStyle::with_template("creating {wide_bar} {pos}/{len} objects, {eta} left")?);
    let mut churn = Churn::new(plane.kubeconfig(), options).await?;
    churn.populate(|made| bar.set_position(made as u64)).await?;
    bar.finish_and_clear();
    if args.churn <= 0.0 {
        return Ok(ChurnReport::default());
    }
    Ok(churn.run().await)
}

fn how_to_use(plane: &ControlPlane) -> Result<String> {
    Ok(format!(
        "export KUBECONFIG={}\nexport PATH={}:$PATH\n# etcd {}, logs in {}; Ctrl-C ends it all",
        plane.kubeconfig().display(),
        Binaries::locate()?.dir().display(),
        plane.etcd_url(),
        plane.dir().display(),
    ))
}

fn summary(report: &ChurnReport) -> String {
    let mut text = format!(
        "# {} changes in {:.0} s ({:.0}/s), {} refused, {} failed",
        report.accepted_total(),
        report.elapsed.as_secs_f64(),
        report.rate(),
        report.refused,
        report.failed,
    );
    for (what, count) in &report.accepted {
        text.push_str(&format!("\n#   {count:>7} {what}"));
    }
    for example in &report.examples {
        text.push_str(&format!("\n#   not done: {example}"));
    }
    text
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
