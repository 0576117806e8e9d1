//! Where the bench's programs are, and whether they are those of the pinned versions.
//!
//! This file looks and never builds: `cargo xtask bench-binaries` builds. A program counts as
//! present only with a stamp beside it that holds the digest of the sources it was built from,
//! so a bumped version or an edited `main.go` is never run with an old binary.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The Go modules under `tests/bench/`, one binary each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// kube-apiserver, kube-controller-manager, kube-scheduler and kubectl in one binary.
    Kubernetes,
    /// etcd.
    Etcd,
    /// KWOK's controller, which plays the kubelets.
    Kwok,
}

impl Module {
    /// All of them, the slowest to build last so that failures show early.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::Kwok, Self::Kubernetes];

    /// The folder under `tests/bench/`, and the name of the binary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::Kwok => "kwok",
        }
    }

    /// The Go module whose required version is the version of the programs.
    #[must_use]
    pub fn requires(self) -> &'static str {
        match self {
            Self::Kubernetes => "k8s.io/kubernetes",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kwok => "sigs.k8s.io/kwok",
        }
    }

    /// The names the binary is called by besides its own.
    #[must_use]
    pub fn links(self) -> &'static [&'static str] {
        match self {
            Self::Kubernetes => &["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
            Self::Etcd | Self::Kwok => &[],
        }
    }

    /// The folder with its `go.mod`, `go.sum` and `main.go`.
    #[must_use]
    pub fn sources(self) -> PathBuf {
        bench_sources().join(self.name())
    }

    /// The version its `go.mod` requires, with the leading `v`.
    ///
    /// # Errors
    /// When the file cannot be read or has no such requirement.
    pub fn version(self) -> Result<String> {
        let file = self.sources().join("go.mod");
        let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        required_version(&text, self.requires()).ok_or(Error::VersionMissing { file, module: self.requires() })
    }

    /// SHA-256 of the sources, in hexadecimal: what a stamp holds.
    ///
    /// # Errors
    /// When a source file cannot be read.
    pub fn digest(self) -> Result<String> {
        let mut digest = Sha256::new();
        for name in ["go.mod", "go.sum", "main.go"] {
            let file = self.sources().join(name);
            let bytes = fs::read(&file).map_err(Error::io("read", &file))?;
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(&bytes);
        }
        Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The file in `dir` that says from which sources the binary beside it was built.
    #[must_use]
    pub fn stamp(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.sources", self.name()))
    }

    /// Whether `dir` holds this module's programs, built from the sources as they are now.
    ///
    /// # Errors
    /// When a source file cannot be read.
    pub fn is_built(self, dir: &Path) -> Result<bool> {
        let stamp = fs::read_to_string(self.stamp(dir)).unwrap_or_default();
        let present = std::iter::once(&self.name()).chain(self.links()).all(|name| dir.join(name).exists());
        Ok(present && stamp.trim() == self.digest()?)
    }
}

/// A program of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The API server's storage.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// Deployments to Pods, garbage collection, namespaces, service accounts.
    KubeControllerManager,
    /// Pods to nodes.
    KubeScheduler,
    /// The command line.
    Kubectl,
    /// Nodes and pods without machines.
    Kwok,
}

impl Program {
    /// Its name, as on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
        }
    }
}

/// The versions of the three modules, each with its leading `v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Of Kubernetes.
    pub kubernetes: String,
    /// Of etcd.
    pub etcd: String,
    /// Of KWOK.
    pub kwok: String,
}

impl Versions {
    /// What `tests/bench/*/go.mod` require.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn pinned() -> Result<Self> {
        Ok(Self { kubernetes: Module::Kubernetes.version()?, etcd: Module::Etcd.version()?, kwok: Module::Kwok.version()? })
    }
}

/// The built programs of the pinned versions.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// Finds them in the cache.
    ///
    /// # Errors
    /// When one is missing or was built from other sources; the message says what builds them.
    pub fn locate() -> Result<Self> {
        let dir = cache_dir()?;
        for module in Module::ALL {
            if !module.is_built(&dir)? {
                return Err(Error::BinaryMissing { program: module.name(), dir });
            }
        }
        Ok(Self { dir })
    }

    /// Where a program is.
    #[must_use]
    pub fn path(&self, program: Program) -> PathBuf {
        self.dir.join(program.name())
    }

    /// The directory of all of them; good as an entry of `PATH`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The folder `tests/bench` of this checkout.
#[must_use]
pub fn bench_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench")
}

/// Where the programs of the pinned versions belong, outside the checkout:
/// `${PROREUS_CACHE:-${XDG_CACHE_HOME:-~/.cache}/proreus}/bench/<kubernetes>-<etcd>-<kwok>`.
///
/// # Errors
/// When the environment names no cache or the versions cannot be read.
pub fn cache_dir() -> Result<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = of("PROREUS_CACHE")
        .or_else(|| of("XDG_CACHE_HOME").map(|cache| cache.join("proreus")))
        .or_else(|| of("HOME").map(|home| home.join(".cache/proreus")))
        .ok_or(Error::CacheUnknown)?;
    let Versions { kubernetes, etcd, kwok } = Versions::pinned()?;
    Ok(root.join("bench").join(format!("{kubernetes}-{etcd}-{kwok}")))
}

/// The version that the text of a `go.mod` requires of `module`.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let line = line.trim();
        let mut words = line.strip_prefix("require ").unwrap_or(line).split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten().filter(|word| word.starts_with('v')).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::required_version;

    #[test]
    fn finds_a_required_version_in_either_form_and_no_replaced_one() {
        let single = "module m\n\nrequire k8s.io/kubernetes v1.36.3\n";
        let block = "require (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";
        let replaced = "replace k8s.io/kubernetes => ../elsewhere\n";
        let longer = "require k8s.io/kubernetes-extra v9.9.9\n";
        assert_eq!(required_version(single, "k8s.io/kubernetes").as_deref(), Some("v1.36.3"));
        assert_eq!(required_version(block, "k8s.io/kubernetes").as_deref(), Some("v1.36.3"));
        assert_eq!(required_version(replaced, "k8s.io/kubernetes"), None);
        assert_eq!(required_version(longer, "k8s.io/kubernetes"), None);
    }
}
