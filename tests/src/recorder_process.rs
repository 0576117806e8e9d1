//! The recording process: the real binary, started, asked, killed and started again on the same data directory.
//!
//! While it runs, a task asks it several times a second for its durable watermark and reads its peak memory from the kernel, so that what
//! it had reported is known at any moment at which it may be killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proreus_store::SqliteJournal;
use proreus_testkit::{Child, Port};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::judge::{Durable, durable_at};

// Several times within the writer's own second, and little beside the churn's requests.
const ASK_EVERY: Duration = Duration::from_millis(200);
// A busy machine takes seconds to start a process; a minute is a hang.
const READY_WITHIN: Duration = Duration::from_secs(60);
// The contract: SIGTERM commits what is in hand and exits within ten seconds.
const END_WITHIN: Duration = Duration::from_secs(10);
// One question must not hold up the next.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const PROGRAM: &str = "proreus";

/// How to start it.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// The binary.
    pub program: PathBuf,
    /// What it records.
    pub kubeconfig: PathBuf,
    /// Where it records to.
    pub data_dir: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// More arguments for `serve`.
    pub arguments: Vec<String>,
}

/// A recording process that may be killed and started again.
#[derive(Debug)]
pub struct RecorderProcess {
    options: RecorderOptions,
    port: Port,
    client: reqwest::Client,
    child: Option<Child>,
    asking: Option<JoinHandle<()>>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    watermark: AtomicU64,
    peak_kib: AtomicU64,
}

/// The `proreus` that was built beside the running test or chore.
///
/// # Errors
/// When there is none.
pub fn built_proreus() -> Result<PathBuf> {
    let this = std::env::current_exe().context("failed to find the running program")?;
    // A test lies in `deps/`, a chore beside the binary.
    let found = this.ancestors().skip(1).take(2).map(|dir| dir.join(PROGRAM)).find(|path| path.is_file());
    found.with_context(|| format!("no `{PROGRAM}` beside {}\nhint: run `cargo build -p proreus` first", this.display()))
}

impl RecorderProcess {
    /// Starts it and returns when it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer within a minute.
    pub async fn start(options: RecorderOptions) -> Result<Self> {
        if let Some(directory) = options.log.parent() {
            std::fs::create_dir_all(directory).context("failed to make the directory of the log")?;
        }
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().context("failed to make a client")?;
        let mut process = Self { options, port: Port::claim()?, client, child: None, asking: None, seen: Arc::default() };
        process.start_again().await?;
        Ok(process)
    }

    /// Starts it on the same data, unless it runs, and returns when it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer within a minute.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let mut command = Command::new(&self.options.program);
        command.arg("serve").arg("--kubeconfig").arg(&self.options.kubeconfig);
        command.arg("--data-dir").arg(&self.options.data_dir).args(["--listen", &format!("127.0.0.1:{}", self.port.number())]);
        command.args(&self.options.arguments);
        for variable in ["KUBECONFIG", "CONFIG_PATH", "BADGER_PATH", "SERVER_PORT"] {
            command.env_remove(variable);
        }
        self.child = Some(Child::start(PROGRAM, command, &self.options.log)?);
        let deadline = Instant::now() + READY_WITHIN;
        while self.get("/livez").await.is_err() {
            if let Some(child) = &mut self.child {
                child.check()?;
            }
            if Instant::now() >= deadline {
                bail!("the recorder does not answer within {} s; its log: {}", READY_WITHIN.as_secs(), self.options.log.display());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        let (client, url, seen) = (self.client.clone(), self.url("/metrics"), Arc::clone(&self.seen));
        let pid = self.pid().unwrap_or_default();
        self.asking = Some(tokio::spawn(async move {
            loop {
                seen.look(&client, &url, pid).await;
                tokio::time::sleep(ASK_EVERY).await;
            }
        }));
        Ok(())
    }

    /// Whether it was started and has neither been ended nor died.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.ended().is_none())
    }

    /// Kills it, as `kill -9` does, and reads what its journal holds of what it had reported.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn kill(&mut self) -> Result<Durable> {
        self.stop_asking();
        if let Some(mut child) = self.child.take() {
            child.kill();
        }
        self.durable()
    }

    /// Asks it to end. Tells whether it did so in good order, with exit code 0 and in time.
    pub async fn terminate(&mut self) -> bool {
        self.stop_asking();
        let Some(mut child) = self.child.take() else { return true };
        child.terminate(END_WITHIN).await && child.ended().is_some_and(|status| status.success())
    }

    /// What the journal holds now of what was reported as durable.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn durable(&self) -> Result<Durable> {
        let reported = self.watermark();
        if reported == 0 {
            return Ok(Durable { watermark: 0, print: None });
        }
        let journal = SqliteJournal::open_read_only(self.data_dir()).context("failed to open the journal to read")?;
        durable_at(&journal, reported).context("failed to read the journal")
    }

    /// The highest watermark that it ever reported.
    #[must_use]
    pub fn watermark(&self) -> u64 {
        self.seen.watermark.load(Ordering::Relaxed)
    }

    /// The highest peak of resident memory (`VmHWM`) of any of its lives, in bytes.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.seen.peak_kib.load(Ordering::Relaxed) * 1024
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its journal is.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.child.as_ref().map_or_else(String::new, Child::log_tail)
    }

    /// Asks it for a path and gives the answer's text.
    ///
    /// # Errors
    /// When there is no answer, or one that is no success.
    pub async fn get(&self, path: &str) -> Result<String> {
        let answer = self.client.get(self.url(path)).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// The watches that are not synced, each with its state; none before the first one began.
    ///
    /// # Errors
    /// When there is no answer that makes sense.
    pub async fn unsynced(&self) -> Result<Option<Vec<String>>> {
        let page: Value = serde_json::from_str(&self.get("/api/v1/watches").await?)?;
        let items = page.get("items").and_then(Value::as_array).context("the answer has no items")?;
        let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let waiting = items.iter().filter(|item| !matches!(text(item, "state").as_str(), "synced" | "stopped"));
        // The connection itself is one of them.
        Ok((items.len() > 1).then(|| waiting.map(|item| format!("{} {}", text(item, "resource"), text(item, "state"))).collect()))
    }

    /// Where it answers a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    fn stop_asking(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.abort();
        }
    }
}

impl Drop for RecorderProcess {
    fn drop(&mut self) {
        self.stop_asking();
    }
}

impl Seen {
    async fn look(&self, client: &reqwest::Client, url: &str, pid: u32) {
        if let Some(peak) = peak_kib(pid) {
            self.peak_kib.fetch_max(peak, Ordering::Relaxed);
        }
        let Ok(answer) = client.get(url).send().await else { return };
        let Ok(text) = answer.text().await else { return };
        let reported = text.lines().find_map(|line| line.strip_prefix("proreus_journal_last_seq ")?.trim().parse().ok());
        if let Some(reported) = reported {
            self.watermark.fetch_max(reported, Ordering::Relaxed);
        }
    }
}

/// `VmHWM` of a process in KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}
