//! Reads the log of a container: what is not recorded, and is there only as long as the pod is.
//!
//! Hands only: who may read which log is decided by whoever asks. Invariant: of a log only the newest `KEPT_BYTES` are told, and what
//! looks like a secret is hidden before anybody is given a line.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cluster_api::{ApiError, ByteStream, ClusterApi, LogPath};
use crate::connect::ClusterSource;
use crate::log_words::{LogWords, SecretNames};

/// Bytes of a log that are kept, the newest: more than anybody reads at once.
const KEPT_BYTES: usize = 256 * 1024;
/// How long the end of a log may take to come: some megabytes take a second.
const READ_WITHIN: Duration = Duration::from_secs(20);
/// Longest line: what is longer is cut there.
const LINE_BYTES: usize = 16 * 1024;
/// Portions of a followed log that wait for their reader; then the API server waits.
const WAITING: usize = 16;
/// How long a followed log is waited for before it counts as open: a container that says nothing has no answer to begin with.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);

/// Which log, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuestion {
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its container; may be left out where it has one.
    pub container: Option<String>,
    /// Last lines at most.
    pub tail_lines: u64,
    /// Not older than this.
    pub since_seconds: Option<u64>,
    /// Of the container before its last restart.
    pub previous: bool,
}

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LogRefusal {
    /// What the API server answered; `None` where there was no answer.
    pub code: Option<u16>,
    /// What happened.
    pub message: String,
}

impl From<ApiError> for LogRefusal {
    fn from(error: ApiError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    /// Its lines, oldest first.
    pub lines: Vec<String>,
    /// Whether older lines that were asked for are not among them.
    pub is_cut: bool,
}

/// Reads the logs of one cluster.
#[derive(Clone)]
pub struct LogReader {
    api: ClusterApi,
    names: SecretNames,
}

impl LogReader {
    /// By the client that records the cluster. Values behind names with one of `secret_words` are hidden, besides those of the built-in words.
    pub fn new(source: &ClusterSource, secret_words: &[String]) -> Self {
        Self { api: ClusterApi::new(source.client.clone()), names: SecretNames::with(secret_words) }
    }

    /// The end of a log as it is now.
    ///
    /// # Errors
    /// What the API server said against it.
    pub async fn tail(&self, of: &LogQuestion) -> Result<LogTail, LogRefusal> {
        tokio::time::timeout(READ_WITHIN, self.read(of)).await.unwrap_or_else(|_| {
            let message = format!("it did not come within {} s; ask for fewer lines, or for those of fewer seconds", READ_WITHIN.as_secs());
            Err(LogRefusal { code: None, message })
        })
    }

    async fn read(&self, of: &LogQuestion) -> Result<LogTail, LogRefusal> {
        let mut stream = self.api.open(&path(of, false), ACCEPT).await?;
        // The oldest line comes first, so everything is read and the newest kept; cut now and then, not for every chunk.
        let (mut kept, mut is_cut) = (Vec::new(), false);
        let mut cut = |kept: &mut Vec<u8>| {
            if kept.len() > KEPT_BYTES {
                kept.drain(..kept.len() - KEPT_BYTES);
                is_cut = true;
            }
        };
        while let Some(chunk) = stream.prompt_chunk().await? {
            kept.extend_from_slice(&chunk);
            if kept.len() > 2 * KEPT_BYTES {
                cut(&mut kept);
            }
        }
        cut(&mut kept);
        // The first line is half a line then.
        if is_cut && let Some(end) = kept.iter().position(|byte| *byte == b'\n') {
            kept.drain(..=end);
        }
        let mut words = LogWords::of(&self.names);
        let lines = lines_of(&kept).into_iter().map(|line| words.hide(&line)).collect();
        Ok(LogTail { lines, is_cut })
    }

    /// A log from now on, with its last lines before.
    ///
    /// # Errors
    /// What the API server said against it at once; what it says later ends the log.
    pub async fn follow(&self, of: &LogQuestion) -> Result<LogFollower, LogRefusal> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let ending = CancellationToken::new();
        let (api, path, words) = (self.api.clone(), path(of, true), LogWords::of(&self.names));
        let cancelled = ending.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = carry(api, path, words, sender) => {}
            }
        });
        let mut follower = LogFollower { receiver, first: None, _ending: ending.drop_guard() };
        match tokio::time::timeout(REFUSED_WITHIN, follower.receiver.recv()).await {
            Ok(Some(Err(refusal))) => return Err(refusal),
            Ok(first) => follower.first = Some(first),
            Err(_) => {}
        }
        Ok(follower)
    }
}

/// A log that goes on.
pub struct LogFollower {
    receiver: mpsc::Receiver<Result<Vec<String>, LogRefusal>>,
    /// What came while it was opened.
    first: Option<Option<Result<Vec<String>, LogRefusal>>>,
    _ending: DropGuard,
}

impl LogFollower {
    /// The next lines; `None` when the log has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why it broke off.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, LogRefusal> {
        match self.first.take() {
            Some(first) => first.transpose(),
            None => self.receiver.recv().await.transpose(),
        }
    }
}

const ACCEPT: &str = "text/plain, */*";

fn path(of: &LogQuestion, follow: bool) -> String {
    let LogQuestion { namespace, pod, container, tail_lines, since_seconds, previous } = of;
    LogPath {
        namespace,
        pod,
        container: container.as_deref(),
        tail_lines: *tail_lines,
        since_seconds: *since_seconds,
        previous: *previous,
        follow,
    }
    .to_string()
}

/// Carries a followed log to its reader, until it ends or breaks off.
async fn carry(api: ClusterApi, path: String, words: LogWords, sender: mpsc::Sender<Result<Vec<String>, LogRefusal>>) {
    let outcome = match api.open_patiently(&path, ACCEPT).await {
        Ok(stream) => carry_lines(stream, words, &sender).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        // Whoever is gone does not want to hear it.
        let _ = sender.send(Err(error.into())).await;
    }
}

async fn carry_lines(
    mut stream: ByteStream,
    mut words: LogWords,
    sender: &mpsc::Sender<Result<Vec<String>, LogRefusal>>,
) -> Result<(), ApiError> {
    let mut begun = Vec::new();
    while let Some(chunk) = stream.chunk().await? {
        begun.extend_from_slice(&chunk);
        let Some(end) = begun.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1) else {
            // Of a line without end only the beginning is told: in pieces a secret could be cut in two.
            begun.truncate(LINE_BYTES + 1);
            continue;
        };
        let whole: Vec<u8> = begun.drain(..end).collect();
        let lines = lines_of(&whole).into_iter().map(|line| words.hide(&line)).collect();
        if sender.send(Ok(lines)).await.is_err() {
            return Ok(());
        }
    }
    if !begun.is_empty() {
        let lines = lines_of(&begun).into_iter().map(|line| words.hide(&line)).collect();
        let _ = sender.send(Ok(lines)).await;
    }
    Ok(())
}

/// The lines of a text that may be no UTF-8, each cut to its limit.
fn lines_of(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let cut = |line: &str| match line.char_indices().find(|(at, sign)| at + sign.len_utf8() > LINE_BYTES) {
        Some((end, _)) => line.get(..end).unwrap_or_default().to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_what_was_asked_for() {
        let of = LogQuestion { namespace: "shop".into(), pod: "web 1".into(), tail_lines: 20, ..LogQuestion::default() };
        assert_eq!(path(&of, false), "/api/v1/namespaces/shop/pods/web%201/log?tailLines=20");
        let of = LogQuestion { container: Some("a&b".into()), since_seconds: Some(60), previous: true, ..of };
        assert_eq!(
            path(&of, true),
            "/api/v1/namespaces/shop/pods/web%201/log?tailLines=20&container=a%26b&sinceSeconds=60&previous=true&follow=true"
        );
    }

    #[test]
    fn cuts_lines_at_their_limit_and_takes_any_bytes() {
        assert_eq!(lines_of(b"a\r\nb\n\xff\n"), ["a", "b", "\u{fffd}"]);
        assert_eq!(lines_of("ä".repeat(LINE_BYTES).as_bytes())[0].len(), LINE_BYTES);
    }
}
