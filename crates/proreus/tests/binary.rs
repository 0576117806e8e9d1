//! The real program in real pipes: what goes where, and how it ends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A started program must answer within this, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn proreus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proreus"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(words: &[&str]) -> Output {
    proreus().args(words).output().unwrap()
}

/// A journal of the demo's story.
fn story(dir: &Path) -> Output {
    ran(&["demo", "--once", "--data-dir", dir.to_str().unwrap(), "-o", "json"])
}

fn ended(child: &mut Child) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_demo_prints_one_object_and_nothing_else_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let output = story(&journal);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["changes", "kinds", "verbs", "bytes", "incidents", "dataDir", "scenarioStart", "scenarioEnd", "seed"] {
        assert!(report.get(key).is_some(), "{key} is missing in {report}");
    }
    let listed = ran(&["changes", "--data-dir", journal.to_str().unwrap(), "-o", "json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(Some(listed.len() as u64), report.get("changes").and_then(serde_json::Value::as_u64));
    let again = story(&journal);
    assert_eq!((again.status.code(), again.stdout.as_slice()), (Some(1), &b""[..]), "a directory in use is refused");
}

#[test]
fn a_reader_that_has_heard_enough_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    assert_eq!(story(&journal).status.code(), Some(0));
    // More than a pipe holds, so that the program is still writing when the reader goes.
    let mut child =
        proreus().args(["changes", "--full", "--marks", "-o", "json", "--data-dir", journal.to_str().unwrap()]).spawn().unwrap();
    let mut first = [0_u8; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(ended(&mut child), 0);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn errors_leave_stdout_empty() {
    for (words, code) in [
        (&["changes", "--data-dir", "/nonexistent/journal"][..], 1),
        (&["changes", "--nonsense"][..], 1),
        (&[][..], 1),
        (&["changes", "--server", "http://127.0.0.1:1", "-o", "json"][..], 2),
    ] {
        let output = ran(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn sigterm_ends_a_server_in_good_order() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let mut child = proreus().args(["demo", "--listen", "127.0.0.1:0", "--data-dir", journal.to_str().unwrap()]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().split_once("http://").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned()));
    let served = ran(&["changes", "-o", "json", "--server", &format!("http://{}", address.unwrap())]);
    assert_eq!(served.status.code(), Some(0), "{}", String::from_utf8_lossy(&served.stderr));
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(ended(&mut child), 0);
    let read = ran(&["changes", "-o", "json", "--data-dir", journal.to_str().unwrap()]);
    assert_eq!(read.stdout, served.stdout, "what was served is in the files");
}

#[test]
fn an_export_becomes_the_same_journal_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (journal, stream, copy) = (path("journal"), path("stream"), path("copy"));
    assert_eq!(story(Path::new(&journal)).status.code(), Some(0));
    let exported = ran(&["store", "export", "--data-dir", &journal, &stream]);
    assert_eq!((exported.status.code(), exported.stdout.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&exported.stderr));
    let piped = ran(&["store", "export", "--data-dir", &journal]);
    assert_eq!(piped.stdout, std::fs::read(&stream).unwrap(), "a pipe gets what a file gets");
    let imported = ran(&["store", "import", &stream, "--data-dir", &copy, "-o", "json"]);
    assert_eq!(imported.status.code(), Some(0), "{}", String::from_utf8_lossy(&imported.stderr));
    let listed = |dir: &str| ran(&["changes", "--marks", "--full", "-o", "jsonl", "--data-dir", dir]).stdout;
    assert_eq!(listed(&journal), listed(&copy));
    let again = ran(&["store", "import", &stream, "--data-dir", &copy]);
    assert_eq!(again.status.code(), Some(1), "what is there is not overwritten");
    std::fs::write(&stream, &piped.stdout[..piped.stdout.len() / 2]).unwrap();
    let cut = ran(&["store", "import", &stream, "--data-dir", &path("cut")]);
    assert_eq!(cut.status.code(), Some(1), "{}", String::from_utf8_lossy(&cut.stderr));
}

#[test]
fn verify_names_the_damaged_day_and_exits_with_the_bad_news() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let words = ["store", "verify", "-o", "json", "--data-dir", journal.to_str().unwrap()];
    assert_eq!(story(&journal).status.code(), Some(0));
    let sound = ran(&words);
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stderr));
    let days = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let day = days.filter(|path| path.extension().is_some_and(|of| of == "sqlite")).max_by_key(|path| path.metadata().unwrap().len());
    let day = day.unwrap();
    let mut bytes = std::fs::read(&day).unwrap();
    let (from, to) = (bytes.len() / 3, bytes.len() * 2 / 3);
    bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&day, bytes).unwrap();
    let damaged = ran(&words);
    assert_eq!(damaged.status.code(), Some(1), "{}", String::from_utf8_lossy(&damaged.stderr));
    let found: serde_json::Value = serde_json::from_slice(&damaged.stdout).unwrap();
    assert_eq!(found.get("sound"), Some(&serde_json::Value::Bool(false)), "{found}");
}
