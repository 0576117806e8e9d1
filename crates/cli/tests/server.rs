//! A server and a journal's files give the same answers, byte by byte: the command line shows the same object whoever was asked.

#![allow(clippy::unwrap_used)]

mod story;

use std::sync::{Arc, mpsc};

use jiff::Timestamp;
use proreus_app::access::Authenticator;
use proreus_app::monitors::{MonitorInputs, Monitors};
use proreus_app::status::NoRecording;
use proreus_app::{Application, Clock, Questions};
use proreus_serve::BoundServer;
use proreus_store::Journal;
use story::{Ran, With, ran, ran_with};
use tokio_util::sync::CancellationToken;

/// The present of the files is their last record, so the server's must be too.
struct LastRecord;

impl Clock for LastRecord {
    fn now(&self) -> Timestamp {
        "2026-11-21T08:10:01Z".parse().unwrap()
    }
}

/// A server over the story; ends when it is dropped.
struct Server {
    url: String,
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(door: Authenticator) -> Self {
        let shutdown = CancellationToken::new();
        let (tell, told) = mpsc::channel();
        let token = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let journal: Arc<dyn Journal> = Arc::new(story::journal());
                let (_, watermark) = tokio::sync::watch::channel(journal.watermark());
                let questions = Questions::new(journal);
                let monitors = Arc::new(Monitors::new(MonitorInputs::new(questions.clone(), Arc::new(LastRecord))));
                let app = Arc::new(Application {
                    questions,
                    door,
                    clock: Arc::new(LastRecord),
                    board: Arc::new(NoRecording),
                    emission: Arc::default(),
                    watermark,
                    watching: None,
                    monitors,
                    logs: None,
                    max_query_limit: 1_000,
                });
                let bound = BoundServer::bind(app, "127.0.0.1:0".parse().unwrap(), None, token).unwrap();
                tell.send(bound.address()).unwrap();
                bound.serve().await.unwrap();
            });
        });
        let url = format!("http://{}", told.recv().unwrap());
        Self { url, shutdown, thread: Some(thread) }
    }

    fn ran(&self, line: &str, env: &[(&'static str, String)]) -> Ran {
        ran_with(&format!("{line} --server {}", self.url), &With { env: env.to_vec(), ..With::default() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_server_and_files_give_the_same_answers() {
    let server = Server::start(Authenticator::Open);
    let lines = [
        "changes -o json",
        "changes --marks -o jsonl",
        "changes --full --kind po,secret -o jsonl",
        "changes --since 2026-11-21T08:03:00Z --until 2026-11-21T08:05:00Z -o yaml",
        "changes --limit 3 --marks -o json",
        "changes --resource nodes --marks -o jsonl",
        "changes --cluster prod --verb update --origin relist -o json",
        "history deploy/web -o json",
        "history po/web-7c9d8f5b6-x2x4k -n shop --full -o jsonl",
        "history Node/worker-2 --no-events -o json",
        "get all -o json",
        "get po --at 2026-11-21T08:04:00Z -o yaml",
        "get deploy/web --at 8",
        "get deploy/web --at 2026-11-21T08:04:00Z -o json",
        "get all --full --limit 2 -o jsonl",
        "diff 8 16 -o json",
    ];
    for line in lines {
        let (served, read) = (server.ran(line, &[]), ran(&format!("{line} --data-dir DIR")));
        assert_eq!((served.code, read.code), (0, 0), "{line}\n{}{}", served.stderr, read.stderr);
        assert_eq!(served.stdout, read.stdout, "{line}");
        assert!(!served.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_server_and_files_refuse_in_the_same_words() {
    let server = Server::start(Authenticator::Open);
    for line in
        ["changes --since yesterday", "history deploy/none", "get deploy none", "get po x --at never", "diff 2 3", "diff 2 999 -o json"]
    {
        let (served, read) = (server.ran(line, &[]), ran(&format!("{line} --data-dir DIR")));
        assert_eq!((served.code, read.code), (1, 1), "{line}\n{}{}", served.stderr, read.stderr);
        assert_eq!(served.stdout, "", "{line}");
    }
    let hint = server.ran("changes --since yesterday", &[]).stderr;
    assert!(hint.contains("hint: write RFC 3339"), "{hint}");
}

#[test]
fn a_servers_doctor_says_what_the_files_say() {
    let server = Server::start(Authenticator::Open);
    let lines = [
        "doctor",
        "doctor --all",
        "doctor --at 2026-11-21T08:04:00Z --all",
        "doctor --at 8",
        "doctor --namespace shop --fail-on never",
        "doctor --check crash-loop --strict",
    ];
    for line in lines {
        let (served, read) = (server.ran(line, &[]), ran(&format!("{line} --data-dir DIR")));
        assert_eq!(served.code, read.code, "{line}\n{}{}", served.stderr, read.stderr);
        // When what is within its grace will be told is known only to who judges.
        let plain =
            |text: &str| text.lines().map(|line| line.split(" (told in ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
        assert_eq!(plain(&served.stdout), plain(&read.stdout), "{line}");
    }
    let served = server.ran("doctor -o json --fail-on never", &[]);
    let report: serde_json::Value = serde_json::from_str(&served.stdout).unwrap();
    let read = ran("doctor -o json --fail-on never --data-dir DIR");
    let own: serde_json::Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!((&report["at"], &report["seq"], &report["objects"]), (&own["at"], &own["seq"], &own["objects"]));
    assert_eq!(report["findings"].as_array().map(Vec::len), own["findings"].as_array().map(Vec::len));
    assert!(server.ran("doctor -o junit --fail-on never", &[]).stdout.contains("<testsuite name=\"proreus doctor\""));
    let refused = server.ran("doctor --check nonsense", &[]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{}", refused.stderr);
    assert_eq!(server.ran("doctor --active", &[]).code, 1, "{}", "what a server records is not tried from here");
}

#[test]
fn the_environment_tells_the_doctor_whom_to_ask() {
    let server = Server::start(Authenticator::Open);
    let of = |line: &str| ran_with(line, &With { env: vec![("PROREUS_SERVER", server.url.clone())], ..With::default() });
    assert!(of("doctor --at 8").stderr.contains(&server.url));
    assert!(!of("doctor --at 8 --data-dir DIR").stderr.contains(&server.url));
    assert!(!of("doctor --at 8 --config settings.yaml").stderr.contains(&server.url));
}

#[test]
fn a_token_is_sent_from_a_file_or_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    std::fs::write(&path, "# ours\nalice: 0123456789abcdef\n").unwrap();
    let door = Authenticator::Tokens(proreus_app::access::TokenFile::open(path.clone()).unwrap());
    let server = Server::start(door);
    let refused = server.ran("changes -o json", &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("token") && !refused.stderr.contains("0123456789abcdef"), "{}", refused.stderr);
    let by_file = server.ran(&format!("changes -o json --token-file {}", path.display()), &[]);
    assert_eq!(by_file.code, 0, "{}", by_file.stderr);
    let by_env = server.ran("changes -o json", &[("PROREUS_TOKEN", "0123456789abcdef".to_owned())]);
    assert_eq!((by_env.code, by_env.stdout), (0, by_file.stdout), "{}", by_env.stderr);
    let wrong = server.ran("changes", &[("PROREUS_TOKEN", "fedcba9876543210".to_owned())]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
}

#[test]
fn the_environment_chooses_where_to_ask_and_flags_beat_it() {
    let server = Server::start(Authenticator::Open);
    let by_env = |name, value: &str, line: &str| ran_with(line, &With { env: vec![(name, value.to_owned())], ..With::default() });
    let expected = ran("changes -o json --data-dir DIR").stdout;
    assert_eq!(by_env("PROREUS_SERVER", &server.url, "changes -o json").stdout, expected);
    assert_eq!(by_env("PROREUS_DATA_DIR", "DIR", "changes -o json").stdout, expected);
    assert_eq!(by_env("PROREUS_DATA_DIR", "ELSEWHERE", &format!("changes -o json --server {}", server.url)).stdout, expected);
    assert_eq!(by_env("PROREUS_SERVER", "http://127.0.0.1:1", "changes -o json --data-dir DIR").stdout, expected);
}
