//! The test bench, by hand: a control plane that runs until Ctrl-C.

use std::path::PathBuf;

use anyhow::{Context, Result};
use proreus_testkit::{Binaries, ControlPlane, ControlPlaneOptions};

use crate::bench_binaries;

/// What `bench-up` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also write the kubeconfig to this file.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
}

/// Builds what is missing, starts everything, says how to use it and waits.
pub(crate) fn run(args: &Args) -> Result<()> {
    bench_binaries::build_missing()?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    runtime.block_on(async {
        let plane = ControlPlane::start(ControlPlaneOptions::full()).await?;
        if let Some(file) = &args.kubeconfig {
            std::fs::copy(plane.kubeconfig(), file)
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        say(&plane)?;
        tokio::signal::ctrl_c()
            .await
            .context("failed to wait for Ctrl-C")
    })
}

#[allow(clippy::print_stdout)]
fn say(plane: &ControlPlane) -> Result<()> {
    let binaries = Binaries::locate()?;
    println!("export KUBECONFIG={}", plane.kubeconfig().display());
    println!("export PATH={}:$PATH", binaries.dir().display());
    println!(
        "# etcd: {}   logs: {}   Ctrl-C ends it",
        plane.etcd_url(),
        plane.dir().display()
    );
    Ok(())
}
