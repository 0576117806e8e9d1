//! The workspace's members and what they depend on, as cargo itself tells it. Nothing is resolved or fetched.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

/// One package of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its folder from the root, such as `crates/store`.
    pub(crate) folder: String,
    /// Its package name, such as `proreus-store`.
    pub(crate) package: String,
    /// What it names as dependencies.
    pub(crate) dependencies: Vec<Dependency>,
    /// Whether its manifest takes the workspace's lints.
    pub(crate) takes_lints: bool,
}

/// One named dependency.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    /// Package name.
    pub(crate) package: String,
    /// Only for tests and benches.
    pub(crate) dev: bool,
}

impl Member {
    /// The last part of the folder: how the map and the edge table call it.
    pub(crate) fn room(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or(&self.folder)
    }

    /// Where its manifest lies.
    pub(crate) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// The members of the workspace at `root`.
    pub(crate) fn of_workspace(root: &Path) -> anyhow::Result<Vec<Self>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root)
            .output()
            .context("failed to run cargo metadata")?;
        anyhow::ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata names no packages")?;
        let mut members = packages.iter().map(|package| Self::of_metadata(root, package)).collect::<anyhow::Result<Vec<_>>>()?;
        members.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(members)
    }

    fn of_metadata(root: &Path, package: &Value) -> anyhow::Result<Self> {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let manifest = text(package, "manifest_path").context("a package without a manifest")?;
        let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(root).ok());
        let folder = folder.and_then(Path::to_str).with_context(|| format!("`{manifest}` lies outside the workspace"))?.to_owned();
        let dependencies = package.get("dependencies").and_then(Value::as_array).into_iter().flatten().filter_map(|dependency| {
            Some(Dependency { package: text(dependency, "name")?, dev: text(dependency, "kind").as_deref() == Some("dev") })
        });
        let manifest_text = std::fs::read_to_string(&manifest).with_context(|| format!("failed to read `{manifest}`"))?;
        Ok(Self {
            folder,
            package: text(package, "name").context("a package without a name")?,
            dependencies: dependencies.collect(),
            takes_lints: manifest_text.contains("[lints]\nworkspace = true"),
        })
    }
}

#[cfg(test)]
impl Member {
    /// A member with its normal dependencies, and dev-dependencies marked by a leading `dev:`.
    pub(crate) fn of(folder: &str, package: &str, dependencies: &[&str]) -> Self {
        let dependencies = dependencies.iter().map(|name| match name.strip_prefix("dev:") {
            Some(name) => Dependency { package: name.to_owned(), dev: true },
            None => Dependency { package: (*name).to_owned(), dev: false },
        });
        Self { folder: folder.to_owned(), package: package.to_owned(), dependencies: dependencies.collect(), takes_lints: true }
    }
}
