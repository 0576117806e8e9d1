//! Looking after a journal with the real program: stats, verify, export, import, and lines of a watch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

use process::cluster::Cluster;
use process::{Ran, Running, Serving, day_files, proreus, ran, ran_with_input, story, text, until};
use serde_json::{Value, json};

/// Stands in every value that must not be kept.
const CANARY: &str = "canary-Xq7vR2mKpW9";

fn changes(dir: &Path) -> Vec<u8> {
    ran(&["changes", "--marks", "--full", "-o", "jsonl", "--data-dir", text(dir)]).exits(0).stdout
}

fn stats(dir: &Path) -> Value {
    ran(&["store", "stats", "-o", "json", "--data-dir", text(dir)]).exits(0).json()
}

fn verify(dir: &Path) -> Ran {
    ran(&["store", "verify", "-o", "json", "--data-dir", text(dir)])
}

#[track_caller]
fn sound(dir: &Path) {
    assert_eq!(verify(dir).exits(0).json()["sound"], true);
}

/// A line of a watch.
fn line(at: &str, event: &str, version: u32, name: &str, spec: &Value) -> String {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": spec,
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": version.to_string()}});
    json!({"ts": at, "type": event, "resource": "configmaps", "object": object}).to_string() + "\n"
}

/// A journal of three days, and with what lives on all of them.
fn three_days(dir: &Path) {
    let mut lines = String::new();
    for (day, version) in [(1, 100), (2, 200), (3, 300)] {
        for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
            let event = if day == 1 { "ADDED" } else { "MODIFIED" };
            let at = format!("2026-11-0{day}T10:00:0{number}Z");
            lines += &line(&at, event, version + number as u32, name, &json!({"day": day.to_string()}));
        }
    }
    ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(dir), "-"], lines.as_bytes()).exits(0);
}

#[test]
fn what_is_exported_is_the_same_journal_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let (journal, copy, piped) = (home.path().join("journal"), home.path().join("copy"), home.path().join("piped"));
    let file = home.path().join("stream");
    story(&journal);
    let exported = ran(&["store", "export", "--data-dir", text(&journal), text(&file)]).exits(0);
    assert_eq!(exported.text(), "", "a file was asked for");
    let imported = ran(&["store", "import", "-o", "json", "--data-dir", text(&copy), text(&file)]).exits(0).json();
    // As `kubectl exec` does it: stdout and stdin.
    let stream = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
    ran_with_input(&["store", "import", "--data-dir", text(&piped), "-"], &stream).exits(0);
    for there in [&copy, &piped] {
        assert_eq!(changes(&journal), changes(there));
        for question in [
            &["history", "deployment/web", "-n", "shop", "-o", "json"][..],
            &["get", "all", "-o", "json"],
            &["get", "all", "--at", "40", "-o", "json"],
        ] {
            let ask = |dir: &Path| ran(&[question, &["--data-dir", text(dir)]].concat()).exits(0).stdout;
            assert_eq!(ask(&journal), ask(there), "{question:?}");
        }
        sound(there);
        let (here, there) = (stats(&journal), stats(there));
        for key in ["changes", "objects", "rawBytes"] {
            assert_eq!(here[key], there[key], "{key}");
        }
    }
    assert_eq!(imported["records"].as_u64(), Some(changes(&journal).split(|byte| *byte == b'\n').count() as u64 - 1));
}

#[test]
fn stats_have_the_shape_that_others_rely_on_and_count_each_object_once() {
    let home = tempfile::tempdir().unwrap();
    three_days(home.path());
    let stats = stats(home.path());
    let keys: BTreeSet<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["changes", "objects", "rawBytes", "storedBytes", "bytesPerChange", "segments"]));
    assert_eq!((stats["changes"].as_u64(), stats["objects"].as_u64()), (Some(9), Some(3)));
    let segments = stats["segments"].as_array().unwrap();
    for segment in segments {
        let keys: BTreeSet<&str> = segment.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["day", "state", "changes", "bytes"]));
        assert_eq!(segment["changes"], 3);
    }
    let days: Vec<&str> = segments.iter().map(|segment| segment["day"].as_str().unwrap()).collect();
    assert_eq!(days, ["2026-11-01", "2026-11-02", "2026-11-03"]);
    let bytes: u64 = segments.iter().map(|segment| segment["bytes"].as_u64().unwrap()).sum();
    assert_eq!(stats["storedBytes"].as_u64(), Some(bytes));
    let lines = ran(&["changes", "--full", "-o", "jsonl", "--data-dir", text(home.path())]).exits(0).lines();
    let raw: usize = lines.iter().map(|change| serde_json::to_string(&change["object"]).unwrap().len()).sum();
    assert_eq!(stats["rawBytes"].as_u64(), Some(raw as u64), "what is stored, uncompressed");
    assert_eq!(stats["bytesPerChange"].as_f64(), Some(bytes as f64 / 9.0));
}

#[test]
fn a_flipped_day_is_named_and_costs_its_own_changes_only() {
    let home = tempfile::tempdir().unwrap();
    three_days(home.path());
    sound(home.path());
    let all = ran(&["changes", "-o", "jsonl", "--data-dir", text(home.path())]).exits(0).lines();
    let of_day = |lines: &[Value], day: &str| lines.iter().filter(|line| line["recordedAt"].as_str().unwrap().starts_with(day)).count();
    assert_eq!(of_day(&all, "2026-11-02"), 3);
    let second = day_files(home.path()).into_iter().find(|file| text(file).contains("2026-11-02")).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&second).unwrap();
    // The header of the first page: nothing of this file can be read any more.
    file.write_all_at(&[0x5a; 64], 0).unwrap();
    for _ in 0..2 {
        let found = verify(home.path()).exits(1);
        let report = found.json();
        assert_eq!(report["sound"], false);
        for segment in report["segments"].as_array().unwrap() {
            let damaged = segment["day"] == "2026-11-02";
            assert_eq!(!segment["damage"].as_array().unwrap().is_empty(), damaged, "{report}");
        }
        let table = ran(&["store", "verify", "--data-dir", text(home.path())]).exits(1);
        assert!(table.text().contains("2026-11-02") && table.stderr.contains("1 of 3 days damaged"), "{}{}", table.text(), table.stderr);
        let left = ran(&["changes", "-o", "jsonl", "--data-dir", text(home.path())]).exits(0).lines();
        assert_eq!((of_day(&left, "2026-11-01"), of_day(&left, "2026-11-02"), of_day(&left, "2026-11-03")), (3, 0, 3));
        // A stream without that day would be taken for a whole journal.
        let refused = ran(&["store", "export", "--data-dir", text(home.path()), "-"]).exits(2);
        assert!(refused.stderr.contains("store verify"), "{}", refused.stderr);
        // The second time round the day has been set aside by a writer.
        ran_with_input(
            &["store", "import", "--format", "watch-jsonl", "--data-dir", text(home.path()), "-"],
            line("2026-11-03T11:00:00Z", "MODIFIED", 400, "a", &json!({"day": "3"})).as_bytes(),
        )
        .exits(0);
    }
    assert!(stats(home.path())["segments"].as_array().unwrap().iter().any(|day| day["state"] == "damaged" && day["day"] == "2026-11-02"));
}

#[test]
fn flipped_bytes_within_a_day_are_found_or_change_no_answer() {
    /// Places in the file that are flipped, one after the other.
    const PARTS: usize = 12;
    let home = tempfile::tempdir().unwrap();
    let (written, journal) = (home.path().join("written"), home.path().join("journal"));
    story(&written);
    let stream = ran(&["store", "export", "--data-dir", text(&written), "-"]).exits(0).stdout;
    // A copy has no pages that nothing uses: those were of states that consumers have replaced since.
    ran_with_input(&["store", "import", "--data-dir", text(&journal), "-"], &stream).exits(0);
    let [day] = &day_files(&journal)[..] else { panic!("the story is of one day") };
    let whole = std::fs::read(day).unwrap();
    let mut found = 0;
    for part in 0..PARTS {
        let mut bytes = whole.clone();
        let at = whole.len() * part / PARTS + 1_000;
        bytes[at..at + 600].iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(day, &bytes).unwrap();
        let report = verify(&journal);
        assert!([0, 1].contains(&report.code), "{}", report.stderr);
        if report.code == 1 {
            found += 1;
            assert_eq!(report.json()["sound"], false);
            continue;
        }
        // Room within a page that nothing uses: then everything is as it was, the positions of the consumers included.
        let again = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
        assert!(again == stream, "bytes {at} to {} are believed although they were flipped", at + 600);
    }
    assert!(found * 2 > PARTS, "most of a file is in use: {found} of {PARTS}");
    std::fs::write(day, &whole).unwrap();
    sound(&journal);
}

#[test]
fn a_stream_that_is_cut_or_changed_is_refused_and_leaves_no_journal() {
    let home = tempfile::tempdir().unwrap();
    let journal = home.path().join("journal");
    story(&journal);
    let stream = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
    let mut flipped = stream.clone();
    flipped[stream.len() / 2] ^= 1;
    let garbage = b"this is no export\n".to_vec();
    for (name, bad) in [
        ("half", stream[..stream.len() / 2].to_vec()),
        ("almost", stream[..stream.len() - 1].to_vec()),
        ("flipped", flipped),
        ("none", Vec::new()),
        ("garbage", garbage),
    ] {
        let there = home.path().join(name);
        let refused = ran_with_input(&["store", "import", "--data-dir", text(&there), "-"], &bad).exits(1);
        assert!(refused.stderr.contains("error:") && refused.stderr.contains("hint:"), "{name}: {}", refused.stderr);
        assert!(!there.is_dir() || day_files(&there).is_empty(), "{name}: {:?}", day_files(&there));
        let asked = ran(&["changes", "--data-dir", text(&there)]).exits(1);
        assert!(asked.stderr.contains("no journal"), "{name}: {}", asked.stderr);
    }
    // The directory of a refused import is good for a whole one.
    ran_with_input(&["store", "import", "--data-dir", text(&home.path().join("half")), "-"], &stream).exits(0);
    assert_eq!(changes(&home.path().join("half")), changes(&journal));
    let again = ran_with_input(&["store", "import", "--data-dir", text(&home.path().join("half")), "-"], &stream).exits(1);
    assert!(again.stderr.contains("not empty"), "{}", again.stderr);
}

#[test]
fn an_import_that_is_killed_is_never_taken_for_a_journal() {
    let home = tempfile::tempdir().unwrap();
    let (journal, there) = (home.path().join("journal"), home.path().join("there"));
    story(&journal);
    let stream = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
    let mut command = proreus();
    command.args(["store", "import", "--data-dir", text(&there), "-"]).stdin(Stdio::piped());
    let mut importing = command.spawn().unwrap();
    let mut stdin = importing.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &stream[..stream.len() * 3 / 4]).unwrap();
    // It has begun, and waits for the rest, which never comes.
    until("the import has begun", || there.join("importing").exists() && !day_files(&there).is_empty());
    importing.kill().unwrap();
    importing.wait().unwrap();
    for words in [&["changes"][..], &["store", "stats"], &["store", "verify"]] {
        let asked = ran(&[words, &["--data-dir", text(&there)]].concat());
        assert!(asked.code != 0 && asked.stderr.contains("was not finished"), "{words:?}: {} {}", asked.code, asked.stderr);
    }
    ran_with_input(&["store", "import", "--data-dir", text(&there), "-"], &stream).exits(0);
    assert_eq!(changes(&there), changes(&journal));
}

/// Changes in a cluster, one after the other until it is dropped.
struct Churn {
    end: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Churn {
    fn start(cluster: &Cluster) -> Self {
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (ending, hand) = (end.clone(), cluster.hand());
        let thread = std::thread::spawn(move || {
            for round in 0.. {
                if ending.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                hand.config_map(&format!("churn-{}", round % 5), &format!("value {round}"));
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        let joined = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || joined.is_none_or(|joined| joined.is_ok()), "a write was refused");
    }
}

#[test]
fn a_journal_is_exported_whole_while_it_is_written() {
    let home = tempfile::tempdir().unwrap();
    let (journal, cluster) = (home.path().join("journal"), Cluster::start());
    let serving = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    serving.synced();
    let writing = Churn::start(&cluster);
    let mut lengths = BTreeSet::new();
    for round in 0..4 {
        let before = serving.get("/api/v1/store/stats")["changes"].as_u64();
        let stream = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
        let there = home.path().join(format!("copy-{round}"));
        ran_with_input(&["store", "import", "--data-dir", text(&there), "-"], &stream).exits(0);
        sound(&there);
        let (copied, held) = (changes(&there), stats(&there)["changes"].as_u64());
        assert!(held >= before, "what was there when it began is in it");
        assert!(changes(&journal).starts_with(&copied), "a prefix of the journal, to the byte");
        lengths.insert(copied.len());
        until("more is recorded", || serving.get("/api/v1/store/stats")["changes"].as_u64() > held);
    }
    drop(writing);
    assert_eq!(lengths.len(), 4, "it was written meanwhile");
    sound(&journal);
    serving.process.end();
}

#[test]
fn lines_of_a_watch_become_what_a_live_recording_would_have_kept() {
    let home = tempfile::tempdir().unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"password": "Y2FuYXJ5LVhxN3ZSMm1LcFc5"},
        "metadata": {"name": "s", "namespace": "shop", "uid": "uid-s", "resourceVersion": "9",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}, "managedFields": [{"manager": "kubectl", "operation": "Update"}]}});
    let heartbeat = |at: &str, version: u32, beat: &str| {
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "uid-n", "resourceVersion": version.to_string()},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": beat}]}});
        json!({"ts": at, "type": if version == 1 { "ADDED" } else { "MODIFIED" }, "resource": "nodes", "object": object}).to_string() + "\n"
    };
    let lines = [
        heartbeat("2026-11-01T10:00:00Z", 1, "2026-11-01T10:00:00Z"),
        line("2026-11-01T10:00:01Z", "ADDED", 2, "a", &json!({"k": "1"})),
        "{\"ts\": \"2026-11-01T10:00:02Z\", \"type\": \"BOOKMARK\", \"resource\": \"pods\", \"object\": {\"kind\": \"Pod\", \"metadata\": {\"resourceVersion\": \"3\"}}}\n".to_owned(),
        "this is no JSON\n".to_owned(),
        heartbeat("2026-11-01T10:00:10Z", 4, "2026-11-01T10:00:10Z"),
        line("2026-11-01T10:00:11Z", "MODIFIED", 5, "a", &json!({"k": "2"})),
        "{\"ts\": \"soon\", \"type\": \"ADDED\", \"resource\": \"pods\", \"object\": {}}\n".to_owned(),
        line("2026-11-01T10:00:12Z", "DELETED", 6, "a", &json!({"k": "2"})),
        json!({"ts": "2026-11-01T10:00:13Z", "type": "ADDED", "resource": "secrets", "object": secret}).to_string() + "\n",
    ]
    .concat();
    let file = home.path().join("watch.jsonl");
    std::fs::write(&file, &lines).unwrap();
    let (journal, noisy) = (home.path().join("journal"), home.path().join("noisy"));
    let words = ["store", "import", "--format", "watch-jsonl", "-o", "json", "--cluster", "c9"];
    let report = ran(&[&words[..], &["--data-dir", text(&journal), text(&file)]].concat()).exits(0);
    assert_eq!(report.json(), json!({"records": 5, "lines": {"read": 9, "noise": 1, "repeated": 0, "bookmarks": 1, "bad": 2}}));
    assert!(
        report.stderr.contains("line 4 was left out: invalid JSON") && report.stderr.contains("line 7 was left out: "),
        "{}",
        report.stderr
    );
    let recorded = ran(&["changes", "--full", "-o", "jsonl", "--data-dir", text(&journal)]).exits(0).lines();
    let said: Vec<String> = recorded
        .iter()
        .map(|of| format!("{} {} {}", of["recordedAt"].as_str().unwrap(), of["verb"].as_str().unwrap(), of["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            "2026-11-01T10:00:00Z create n",
            "2026-11-01T10:00:01Z create a",
            "2026-11-01T10:00:11Z update a",
            "2026-11-01T10:00:12Z delete a",
            "2026-11-01T10:00:13Z create s"
        ]
    );
    assert!(recorded.iter().all(|of| of["cluster"] == "c9"));
    let all_lines = ran(&[&words[..], &["--no-noise-policy", "--data-dir", text(&noisy), text(&file)]].concat()).exits(0).json();
    assert_eq!((all_lines["records"].as_u64(), all_lines["lines"]["noise"].as_u64()), (Some(6), Some(0)));
    // From stdin, once more into the same journal: nothing twice.
    let again = ran_with_input(&[&words[..], &["--data-dir", text(&journal), "-"]].concat(), lines.as_bytes()).exits(0).json();
    assert_eq!(again["lines"]["read"], 9);
    let twice = ran(&["changes", "--name", "s", "-o", "jsonl", "--data-dir", text(&journal)]).exits(0).lines();
    assert_eq!(twice.len(), 1, "the secret is there still, and was not recorded again");
    for dir in [&journal, &noisy] {
        sound(dir);
        let stored = changes(dir);
        for needle in [CANARY, "Y2FuYXJ5LVhxN3ZSMm1LcFc5"] {
            let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!holds(&stored), "{needle} in an answer");
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                assert!(!holds(&std::fs::read(&path).unwrap()), "{needle} in {}", path.display());
            }
        }
    }
}

#[test]
fn a_file_without_one_usable_line_is_refused_and_says_why() {
    let home = tempfile::tempdir().unwrap();
    let refused =
        ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(home.path()), "-"], b"<html>\n<body>\n").exits(1);
    assert!(refused.stderr.contains("line 1") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    let missing = ran(&["store", "import", "--data-dir", text(home.path()), "/nonexistent/export"]);
    assert!(missing.code != 0 && missing.stderr.contains("/nonexistent/export"), "{}", missing.stderr);
    let none = ran(&["store", "export", "--data-dir", text(&home.path().join("none")), text(&home.path().join("file"))]).exits(1);
    assert!(none.stderr.contains("no journal") && !home.path().join("file").exists(), "{}", none.stderr);
}

#[test]
fn an_export_that_cannot_be_written_to_its_end_says_so() {
    let home = tempfile::tempdir().unwrap();
    let journal = home.path().join("journal");
    story(&journal);
    let mut command = proreus();
    // Opened as stdout, so that it is written to and nothing else happens to it.
    command.args(["store", "export", "--data-dir", text(&journal), "-"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let piped = Ran::of(command.output().unwrap());
    assert!(piped.code == 2 && piped.stderr.contains("No space left"), "{} {}", piped.code, piped.stderr);
}

#[test]
fn an_export_takes_the_place_of_a_regular_file_only() {
    let home = tempfile::tempdir().unwrap();
    let (journal, file, link) = (home.path().join("journal"), home.path().join("file"), home.path().join("link"));
    story(&journal);
    std::fs::write(&file, "an older export").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for obstacle in [&link, &home.path().to_owned()] {
        let refused = ran(&["store", "export", "--data-dir", text(&journal), text(obstacle)]).exits(1);
        assert!(refused.stderr.contains("no regular file"), "{}", refused.stderr);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"an older export");
    ran(&["store", "export", "--data-dir", text(&journal), text(&file)]).exits(0);
    assert!(std::fs::read(&file).unwrap().len() > 1_000 && !home.path().join("file.part").exists());
}

#[test]
fn progress_is_told_on_stderr_alone() {
    let home = tempfile::tempdir().unwrap();
    let journal = home.path().join("journal");
    story(&journal);
    let verified = ran(&["store", "verify", "-o", "json", "--data-dir", text(&journal)]).exits(0);
    assert!(!verified.stderr.contains('\u{1b}') && verified.json()["sound"] == true, "no terminal, no bar: {}", verified.stderr);
    let mut running = Running::start({
        let mut command = proreus();
        command.args(["store", "export", "--data-dir", text(&journal), text(&home.path().join("file"))]);
        command
    });
    assert!(running.ended().success());
    assert!(!running.log().contains('\u{1b}'), "{}", running.log());
}
