//! Builds the bench's programs into the cache.
//!
//! A module whose stamp says that it was built from the sources as they are now is not built
//! again. Each binary is built aside and renamed into place, its stamp last, so a build that is
//! killed leaves nothing that looks finished; a lock keeps two builds apart.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use proreus_testkit::{Module, cache_dir};

// Smooth to the eye, and nothing beside a compiler.
const SPINNER_TICK: Duration = Duration::from_millis(120);

/// What `bench-binaries` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the directory of the programs to standard output when they are there.
    #[arg(long)]
    print_dir: bool,
}

/// Builds what is missing, and tells where it is if asked to.
pub(crate) fn run(args: &Args) -> Result<()> {
    let dir = build_missing()?;
    if args.print_dir {
        print_line(&dir.display().to_string());
    }
    Ok(())
}

/// Builds what is missing and returns the directory with all of it.
pub(crate) fn build_missing() -> Result<PathBuf> {
    let dir = cache_dir()?;
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let lock_path = dir.join("build.lock");
    let lock = File::create(&lock_path).with_context(|| format!("failed to create {}", lock_path.display()))?;
    lock.lock().context("failed to wait for another build of the bench")?;
    for module in Module::ALL {
        if module.is_built(&dir)? {
            continue;
        }
        let version = module.version()?;
        let spinner = spinner(format!("building {} {version}", module.name()));
        let started = Instant::now();
        build(module, &version, &dir)?;
        let seconds = started.elapsed().as_secs();
        spinner.finish_and_clear();
        // Not through the spinner: it prints nothing where standard error is no terminal.
        report(&format!("built {} {version} in {seconds} s", module.name()));
    }
    Ok(dir)
}

/// Builds one module and puts its binary, its links and its stamp into `dir`.
fn build(module: Module, version: &str, dir: &Path) -> Result<()> {
    // Taken before the build: an edit while it runs must not be stamped as built.
    let digest = module.digest()?;
    let aside = tempfile::tempdir_in(dir).context("failed to create a directory to build in")?;
    let binary = aside.path().join(module.name());
    let output = Command::new("go")
        // Neither this checkout's commit nor the caller's flags may change what is built.
        .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
        .args(["-ldflags", &link_flags(module, version), "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(module.sources())
        .env("CGO_ENABLED", "0")
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "no `go` on PATH, and the bench is built from Go modules\n\
             hint: install Go 1.26 or newer (package `golang-go`)"
        ),
        other => other.context("failed to start `go build`")?,
    };
    if !output.status.success() {
        bail!("`go build` of {} {version} failed:\n{}", module.name(), String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&binary, dir.join(module.name())).context("failed to put the binary into the cache")?;
    for link in module.links() {
        let fresh = aside.path().join(link);
        symlink(module.name(), &fresh).and_then(|()| fs::rename(&fresh, dir.join(link))).context("failed to link")?;
    }
    fs::write(module.stamp(dir), digest).context("failed to stamp the binary")?;
    Ok(())
}

/// Stripped, and stamped with the version the API server says it is.
fn link_flags(module: Module, version: &str) -> String {
    let mut flags = String::from("-s -w");
    if module == Module::Kubernetes {
        let mut parts = version.trim_start_matches('v').split('.');
        let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
        for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
            flags.push_str(&format!(" -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"));
        }
    }
    flags
}

fn spinner(message: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(message);
    spinner.enable_steady_tick(SPINNER_TICK);
    spinner
}

#[allow(clippy::print_stderr)]
fn report(line: &str) {
    eprintln!("{line}");
}

#[allow(clippy::print_stdout)]
fn print_line(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::{Module, link_flags};

    #[test]
    fn stamps_the_pinned_version_into_kubernetes_only() {
        let flags = link_flags(Module::Kubernetes, "v1.36.3");
        assert!(flags.contains("component-base/version.gitVersion=v1.36.3"));
        assert!(flags.contains("component-base/version.gitMinor=36"));
        assert_eq!(link_flags(Module::Etcd, "v3.6.16"), "-s -w");
    }
}
