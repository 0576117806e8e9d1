//! Rewrites the bench's `go.mod` files for a version.
//!
//! Kubernetes keeps its libraries in its own tree and its `go.mod` points there by `replace`, which
//! counts only inside that tree. A module that requires Kubernetes must repeat each of those lines
//! with the library's published version, so the list is generated from Kubernetes' own `go.mod`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use proreus_testkit::Module;

/// What `bench-modules` takes; what is not given stays as it is.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kubernetes' version, such as v1.36.3.
    #[arg(long)]
    kubernetes: Option<String>,
    /// etcd's version, such as v3.6.16.
    #[arg(long)]
    etcd: Option<String>,
    /// KWOK's version, such as v0.8.0.
    #[arg(long)]
    kwok: Option<String>,
}

/// Rewrites all three and resolves their sums.
pub(crate) fn run(args: &Args) -> Result<()> {
    for module in Module::ALL {
        let wanted = match module {
            Module::Kubernetes => &args.kubernetes,
            Module::Etcd => &args.etcd,
            Module::Kwok => &args.kwok,
        };
        let version = wanted.clone().map_or_else(|| module.version(), Ok)?;
        let own = own_go_mod(module, &version)?;
        let text = go_mod(module, &version, &own)?;
        let file = module.sources().join("go.mod");
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
        go(module, &["mod", "tidy"])?;
    }
    Ok(())
}

/// The `go.mod` that the version was published with.
fn own_go_mod(module: Module, version: &str) -> Result<String> {
    let answer = go(module, &["mod", "download", "-json", &format!("{}@{version}", module.requires())])?;
    let path = answer
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"GoMod\": \"")?.strip_suffix("\","))
        .context("`go mod download` named no go.mod")?;
    fs::read_to_string(path).with_context(|| format!("failed to read {path}"))
}

/// The bench's `go.mod`, before `go mod tidy` adds the indirect requirements.
fn go_mod(module: Module, version: &str, own: &str) -> Result<String> {
    let directive = |name: &str| own.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    let go = directive("go ").context("the published go.mod has no go directive")?;
    let mut text = format!("module proreus/bench/{}\n\n{go}\n", module.name());
    if let Some(godebug) = directive("godebug ") {
        text.push_str(&format!("\n{godebug}\n"));
    }
    text.push_str(&format!("\nrequire {} {version}\n", module.requires()));
    let staged: Vec<&str> = own
        .lines()
        .filter_map(|line| {
            let (name, target) = line.trim().split_once(" => ")?;
            target.starts_with("./staging/").then(|| name.trim_start_matches("replace "))
        })
        .collect();
    if !staged.is_empty() {
        // Kubernetes v1.X.Y publishes its libraries as v0.X.Y.
        let library = version.strip_prefix("v1.").context("a Kubernetes version starts with v1.")?;
        text.push_str("\nreplace (\n");
        for name in staged {
            text.push_str(&format!("\t{name} => {name} v0.{library}\n"));
        }
        text.push_str(")\n");
    }
    Ok(text)
}

fn go(module: Module, args: &[&str]) -> Result<String> {
    let output = Command::new("go").args(args).current_dir(module.sources()).output().context("failed to start `go`")?;
    if !output.status.success() {
        bail!("`go {}` failed:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Module, go_mod};

    #[test]
    fn replaces_each_staged_library_by_its_published_version() {
        let own = "module k8s.io/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nreplace (\n\
                   \tk8s.io/api => ./staging/src/k8s.io/api\n\texample.org/x => example.org/y v1.0.0\n)\n";
        let expected = "module proreus/bench/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\n\
                        require k8s.io/kubernetes v1.36.3\n\nreplace (\n\tk8s.io/api => k8s.io/api v0.36.3\n)\n";
        assert_eq!(go_mod(Module::Kubernetes, "v1.36.3", own).unwrap(), expected);
    }

    #[test]
    fn refuses_a_kubernetes_version_that_is_none() {
        let own = "go 1.26.0\nreplace k8s.io/api => ./staging/src/k8s.io/api\n";
        assert!(go_mod(Module::Kubernetes, "1.36.3", own).is_err());
    }
}
