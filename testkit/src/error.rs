//! The one error of the test kit: a variant a failed step.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;

/// What went wrong on the bench. The message says what was tried and, where there is one,
/// what to do about it.
#[derive(thiserror::Error)]
pub enum Error {
    /// The bench's programs are not built, or were built from other sources.
    #[error("no {program} for these versions in {}\nhint: run `cargo xtask bench-binaries`", dir.display())]
    BinaryMissing {
        /// The program's name, as on its command line.
        program: &'static str,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A `go.mod` under `tests/bench/` does not require the module it is there for.
    #[error("{} does not require {module}", file.display())]
    VersionMissing {
        /// The `go.mod` that was read.
        file: PathBuf,
        /// The Go module's path.
        module: &'static str,
    },
    /// Neither `PROREUS_CACHE`, `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    #[error("no cache directory\nhint: set PROREUS_CACHE")]
    CacheUnknown,
    /// Reading, writing or starting something on this machine failed.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "start".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No port of the bench's range could be claimed.
    #[error("no free port between {first} and {last} on 127.0.0.1")]
    PortsExhausted {
        /// The range's first port.
        first: u16,
        /// The range's last port.
        last: u16,
    },
    /// A certificate or key could not be made.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library offers no protocol version.
    #[error("failed to set up TLS")]
    Tls(#[from] rustls::Error),
    /// A program ended while it was waited for.
    #[error("{program} ended with {status} before it was ready; the end of its log:\n{log}")]
    Exited {
        /// The program's name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },
    /// Something did not come true within its bound.
    #[error("{what} did not happen within {seconds} s; last seen: {last}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// The bound.
        seconds: u64,
        /// The last answer or error.
        last: String,
    },
    /// `kubectl` ended with an error.
    #[error("kubectl {args} ended with {status}: {stderr}")]
    Kubectl {
        /// Its arguments, joined by blanks.
        args: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// No user of that name was configured.
    #[error("no user {0} on this control plane\nhint: add it to ControlPlaneOptions::users")]
    UserUnknown(String),
    /// The API server's address and credentials could not be read.
    #[error("failed to read a kubeconfig")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// The API server could not be reached, or refused.
    #[error("failed to ask the API server: {path}")]
    Api {
        /// The request's path.
        path: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// etcd could not be reached, or refused.
    #[error("failed to ask etcd: {path}")]
    Etcd {
        /// The request's path.
        path: &'static str,
        /// Why it failed.
        source: reqwest::Error,
    },
    /// etcd answered something that is not its documented answer.
    #[error("etcd answered {path} with something unexpected: {answer}")]
    EtcdAnswer {
        /// The request's path.
        path: &'static str,
        /// The answer, cut.
        answer: String,
    },
    /// The witness missed revisions: what it says is no proof any more.
    #[error("the witness lost revisions: {0}")]
    WitnessLost(String),
}

/// The same as for a person: tests unwrap, and what they then print must hold the hint.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Self::chain(self))
    }
}

impl Error {
    /// Names what was done to which path when an operation of this machine failed.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The error and all its causes on one line.
    pub(crate) fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
