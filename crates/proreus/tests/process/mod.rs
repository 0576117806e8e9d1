//! The real program as a process: run to its end, or serving until it is told to end. Everything that is started here is ended by its id.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test file uses a part of it, and a test stops at the first thing that does not hold"
)]

pub(crate) mod cluster;
pub(crate) mod http;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Whatever is waited for comes within this, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `holds`, and says what did not come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The program with an environment of its own.
pub(crate) fn proreus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proreus"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What came of a command line that ends by itself.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON value on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.text(), self.stderr))
    }

    /// The JSON lines on stdout.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Itself, when it ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.text().chars().take(2_000).collect::<String>(), self.stderr);
        self
    }
}

pub(crate) fn ran(words: &[&str]) -> Ran {
    Ran::of(proreus().args(words).output().unwrap())
}

/// The same with something on stdin.
pub(crate) fn ran_with_input(words: &[&str], input: &[u8]) -> Ran {
    let mut child = proreus().args(words).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that has heard enough closes its end.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ran = Ran::of(child.wait_with_output().unwrap());
    writing.join().unwrap();
    ran
}

/// A journal of the demo's story.
pub(crate) fn story(dir: &Path) {
    ran(&["demo", "--once", "--data-dir", text(dir), "-o", "json"]).exits(0);
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The day files of a journal, oldest first.
pub(crate) fn day_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut days: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ending| ending == "sqlite")).collect();
    days.sort();
    days
}

/// A program that goes on until it is told to end. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reading = std::thread::spawn({
            let log = log.clone();
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap();
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        Self { child, log, reading: Some(reading) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said on stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it says something.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() || self.log().contains(words), "it ended with {ended:?} and did not say `{words}`:\n{}", self.log());
            assert!(Instant::now() < deadline, "it did not say `{words}`:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(reading) = self.reading.take() {
                    reading.join().unwrap();
                }
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it in good order.
    #[track_caller]
    pub(crate) fn end(mut self) -> String {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }

    /// Ends it as a machine without power would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.ended();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or it ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `proreus serve` that answers.
pub(crate) struct Serving {
    pub(crate) process: Running,
    pub(crate) address: String,
}

impl Serving {
    /// Serves a directory, recording the cluster of a kubeconfig; returns when it answers.
    #[track_caller]
    pub(crate) fn start(dir: &Path, kubeconfig: &Path, more: &[&str]) -> Self {
        let mut command = proreus();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", text(dir), "--kubeconfig", text(kubeconfig)]).args(more);
        Self::of(Running::start(command))
    }

    #[track_caller]
    pub(crate) fn of(mut process: Running) -> Self {
        process.says("answering on http://");
        let log = process.log();
        let (_, rest) = log.split_once("answering on http://").unwrap();
        let address: String = rest.chars().take_while(|sign| sign.is_ascii_digit() || matches!(sign, '.' | ':')).collect();
        Self { process, address }
    }

    /// The answer to a question, when it is a success.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = http::get(&self.address, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until every watch is synced.
    #[track_caller]
    pub(crate) fn synced(&self) {
        until(&format!("all watches synced\n{}", self.process.log()), || {
            let ready = self.get("/readyz");
            ready["synced"].as_u64() > Some(5) && ready["listing"] == 0 && ready["stale"] == 0
        });
    }

    /// All changes that match a query, over all pages, oldest first.
    #[track_caller]
    pub(crate) fn changes(&self, query: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/changes?order=asc&limit=200&{query}{cursor}"));
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }
}
