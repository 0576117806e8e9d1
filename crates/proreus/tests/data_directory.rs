//! Data directories as they come: read-only, in use, too new, damaged, without their key, full. And how the program ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use process::cluster::Cluster;
use process::{Running, Serving, day_files, http, proreus, ran, ran_with_input, story, text, until};
use serde_json::json;

/// Somebody who is not root, for whom the modes of files count.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0)
}

/// Runs the program as somebody for whom modes count.
fn as_nobody(mut command: Command) -> Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn serve(dir: &Path, kubeconfig: &Path, more: &[&str]) -> Command {
    let mut command = proreus();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", text(dir), "--kubeconfig", text(kubeconfig)]).args(more);
    command
}

/// Everything in a directory, to the byte.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    // What SQLite keeps beside a file while it is read, and who has the directory, are no content.
    all.retain(|path| !["-wal", "-shm", "/lock"].iter().any(|ending| text(path).ends_with(ending)));
    all.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn set_modes(dir: &Path, of_dir: u32, of_files: u32) {
    for entry in std::fs::read_dir(dir).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(of_files)).unwrap();
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(of_dir)).unwrap();
}

#[test]
fn a_read_only_directory_is_refused_for_recording_and_answers_questions() {
    let home = tempfile::tempdir().unwrap();
    let journal = home.path().join("journal");
    story(&journal);
    let expected = ran(&["changes", "-o", "jsonl", "--data-dir", text(&journal)]).exits(0).stdout;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    set_modes(&journal, 0o555, 0o444);
    let cluster = Cluster::start();
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::copy(cluster.kubeconfig(), &kubeconfig).unwrap();
    std::fs::set_permissions(&kubeconfig, std::fs::Permissions::from_mode(0o644)).unwrap();
    let before = contents(&journal);

    let mut refused = Running::start(as_nobody(serve(&journal, &kubeconfig, &[])));
    let status = refused.ended();
    assert_eq!(status.code(), Some(2), "{}", refused.log());
    let log = refused.log();
    assert!(log.contains("cannot be written") && log.contains(text(&journal)) && log.contains("hint:"), "{log}");
    for words in [&["changes", "-o", "jsonl"][..], &["store", "stats"], &["store", "verify"], &["store", "export", "-"]] {
        let mut command = proreus();
        command.args(words).args(["--data-dir", text(&journal)]);
        let read = process::Ran::of(as_nobody(command).output().unwrap()).exits(0);
        if words[0] == "changes" {
            assert_eq!(read.stdout, expected);
        }
    }
    let mut command = proreus();
    command.args(["store", "import", "--format", "watch-jsonl", "--data-dir", text(&journal), "/dev/null"]);
    let refused = process::Ran::of(as_nobody(command).output().unwrap());
    assert!(refused.code != 0 && refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    assert!(before == contents(&journal), "nothing was overwritten");
    set_modes(&journal, 0o755, 0o644);
}

#[test]
fn a_second_process_waits_for_the_directory_and_says_so() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    let first = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    cluster.config_map("by-the-first", "1");
    until("it is recorded", || !first.changes("name=by-the-first").is_empty());
    let mut second = Running::start(serve(&journal, &cluster.kubeconfig(), &[]));
    second.says("waiting for another process to let go of the data directory");
    assert!(second.log().contains(&first.process.id().to_string()), "it says who: {}", second.log());
    // Reading goes on beside both; taking lines in is writing, and is told at once.
    ran(&["store", "verify", "--data-dir", text(&journal)]).exits(0);
    let busy = ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(&journal), "-"], b"");
    assert!(busy.code != 0 && busy.stderr.contains("in use by another process") && busy.stderr.contains("hint:"), "{}", busy.stderr);
    first.process.end();
    let second = Serving::of(second);
    cluster.config_map("by-the-second", "1");
    until("it is recorded", || !second.changes("name=by-the-second").is_empty());
    assert_eq!(second.changes("name=by-the-first").len(), 1);
    // One that waits ends as it is told.
    let mut third = Running::start(serve(&journal, &cluster.kubeconfig(), &[]));
    third.says("waiting for another process");
    third.signal("TERM");
    assert_eq!(third.ended().code(), Some(0), "{}", third.log());
    second.process.end();
}

#[test]
fn a_journal_of_a_newer_program_is_refused_and_left_alone() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    story(&journal);
    let day = day_files(&journal).pop().unwrap();
    // `user_version`, by SQLite's file format at byte 60.
    std::fs::OpenOptions::new().write(true).open(&day).unwrap().write_all_at(&77_u32.to_be_bytes(), 60).unwrap();
    let before = contents(&journal);
    let mut serving = Running::start(serve(&journal, &cluster.kubeconfig(), &[]));
    assert_eq!(serving.ended().code(), Some(1), "{}", serving.log());
    let newer = |said: &str| said.contains("format version 77") && said.contains("reads up to") && said.contains("hint:");
    assert!(newer(&serving.log()), "{}", serving.log());
    for words in [
        &["changes"][..],
        &["store", "verify"],
        &["store", "stats"],
        &["store", "export"],
        &["store", "import", "--format", "watch-jsonl", "/dev/null"],
    ] {
        let refused = ran(&[words, &["--data-dir", text(&journal)]].concat()).exits(1);
        assert!(newer(&refused.stderr), "{words:?}: {}", refused.stderr);
    }
    assert!(before == contents(&journal), "nothing was overwritten");
}

#[test]
fn a_damaged_day_is_set_aside_and_the_rest_serves() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    let line = |day: u32| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata":
            {"name": format!("of-day-{day}"), "namespace": "default", "uid": format!("uid-{day}"), "resourceVersion": day.to_string()}});
        json!({"ts": format!("2026-11-1{day}T10:00:00Z"), "type": "ADDED", "resource": "configmaps", "object": object}).to_string() + "\n"
    };
    let lines: String = (1..4).map(line).collect();
    ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(&journal), "-"], lines.as_bytes()).exits(0);
    let second = day_files(&journal).into_iter().find(|file| text(file).contains("2026-11-12")).unwrap();
    std::fs::OpenOptions::new().write(true).open(&second).unwrap().write_all_at(&[0x5a; 64], 0).unwrap();
    let serving = Serving::start(&journal, &cluster.kubeconfig(), &["--retention-days", "3650"]);
    assert!(serving.process.log().contains("set aside") && serving.process.log().contains("2026-11-12"), "{}", serving.process.log());
    assert_eq!(
        (serving.changes("name=of-day-1").len(), serving.changes("name=of-day-2").len(), serving.changes("name=of-day-3").len()),
        (1, 0, 1)
    );
    cluster.config_map("later", "1");
    until("recording goes on", || !serving.changes("name=later").is_empty());
    let stats = serving.get("/api/v1/store/stats");
    assert!(stats["segments"].as_array().unwrap().iter().any(|day| day["day"] == "2026-11-12" && day["state"] == "damaged"), "{stats}");
    serving.process.end();
    let found = ran(&["store", "verify", "--data-dir", text(&journal)]).exits(1);
    assert!(found.text().contains("2026-11-12") && found.text().contains("set aside"), "{}", found.text());
}

#[test]
fn a_lost_redaction_key_is_replaced_with_a_warning_and_a_mark() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    let secret = |value: &str| {
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": value}});
        cluster.apply("/api/v1/namespaces/default/secrets", "s", &body);
    };
    secret("one");
    let first = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    until("the secret", || !first.changes("name=s").is_empty());
    first.process.end();
    let key = journal.join("redaction.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let lost = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let second = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    secret("two");
    until("the new value", || second.changes("name=s").len() > 1);
    let log = second.process.end();
    assert!(log.contains("WARN") && log.contains("redaction key was replaced"), "{log}");
    assert_ne!(std::fs::read(&key).unwrap(), lost);
    let marks = ran(&["changes", "--marks", "-o", "jsonl", "--data-dir", text(&journal)]).exits(0).lines();
    let told: Vec<&str> =
        marks.iter().filter_map(|mark| mark["reason"].as_str()).filter(|reason| reason.contains("redaction key")).collect();
    assert_eq!(told, ["the redaction key was replaced: tags from before cannot be compared with later ones"]);
    // Open for others is no way to keep a key, and nothing is recorded under it.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut open = Running::start(serve(&journal, &cluster.kubeconfig(), &[]));
    assert!(!open.ended().success() && open.log().contains("redaction.key") && open.log().contains("defaultMode"), "{}", open.log());
}

/// A file system of its own that can be full; unmounted when dropped. `None` where nobody may mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none", text(&at)]).output().is_ok_and(|out| out.status.success());
        mounted.then_some(Self(at))
    }

    /// Takes all room that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        for size in [1 << 20, 1 << 12] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever is still open there goes with the process that holds it.
        let _ = Command::new("umount").args(["--lazy", text(&self.0)]).status();
    }
}

#[test]
fn a_full_disk_pauses_recording_until_there_is_room_and_removes_no_day_on_its_own() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let Some(disk) = SmallDisk::mount(home.path().join("disk"), 48) else {
        eprintln!("not tried: nobody here may mount a small disk; the store's own tests fill one that is made up");
        return;
    };
    let journal = disk.0.join("journal");
    let old = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": "default", "uid": "u", "resourceVersion": "1"}});
    let line = json!({"ts": "2026-11-10T10:00:00Z", "type": "ADDED", "resource": "configmaps", "object": old}).to_string() + "\n";
    ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(&journal), "-"], line.as_bytes()).exits(0);
    let mut serving = Serving::start(&journal, &cluster.kubeconfig(), &["--retention-days", "3650", "--max-disk-bytes", "1Gi"]);
    serving.synced();
    cluster.config_map("before", "1");
    until("it is recorded", || !serving.changes("name=before").is_empty());
    let ballast = disk.fill();
    // More than fits into what is left of pages that are there already.
    let mut seed = 1_u64;
    for round in 0..40 {
        let value: String = (0..60_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (seed >> 57) as u8 % 90)
            })
            .filter(|sign| !matches!(sign, '"' | '\\'))
            .collect();
        cluster.config_map(&format!("while-full-{round}"), &value);
    }
    serving.process.says("recording is paused");
    let ready = http::get(&serving.address, "/readyz");
    assert!(ready.status == 200 && ready.body.contains("paused"), "questions are answered: {} {}", ready.status, ready.body);
    assert_eq!((serving.changes("name=before").len(), serving.changes("name=old").len()), (1, 1), "no day went: the bound allows more");
    // A kill in the middle of it costs nothing that was durable.
    serving.process.kill();
    // Started again on the full disk, it answers, and goes on by itself when there is room.
    let mut serving = Serving::start(&journal, &cluster.kubeconfig(), &["--retention-days", "3650"]);
    serving.process.says("recording is paused");
    assert_eq!((serving.changes("name=before").len(), serving.changes("name=old").len()), (1, 1));
    std::fs::remove_file(ballast).unwrap();
    serving.process.says("recording goes on");
    for round in 0..40 {
        until("everything is recorded after all", || serving.changes(&format!("name=while-full-{round}")).len() == 1);
    }
    assert_eq!((serving.changes("name=before").len(), serving.changes("name=old").len()), (1, 1));
    serving.process.end();
    ran(&["store", "verify", "--data-dir", text(&journal)]).exits(0);
}

#[test]
fn recording_goes_on_by_itself_when_there_is_room_again() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let Some(disk) = SmallDisk::mount(home.path().join("disk"), 32) else {
        eprintln!("not tried: nobody here may mount a small disk; the store's own tests fill one that is made up");
        return;
    };
    let journal = disk.0.join("journal");
    let mut serving = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    serving.synced();
    let ballast = disk.fill();
    let mut round = 0;
    while !serving.process.log().contains("recording is paused") {
        cluster.config_map(&format!("while-full-{round}"), &format!("{round}").repeat(500));
        round += 1;
        assert!(round < 20_000, "{}", serving.process.log());
    }
    std::fs::remove_file(ballast).unwrap();
    serving.process.says("recording goes on");
    until("everything is recorded", || serving.changes(&format!("name=while-full-{}", round - 1)).len() == 1);
    let recorded =
        serving.changes("kind=ConfigMap").into_iter().filter(|of| of["name"].as_str().unwrap().starts_with("while-full-")).count();
    assert_eq!(recorded, round, "each once");
    let marks = serving.get("/api/v1/marks?kind=gap");
    assert!(marks.to_string().contains("recording was paused"), "{marks}");
    serving.process.end();
}

#[test]
fn days_beyond_the_size_limit_go_oldest_first_and_a_restart_goes_on_without_them() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    let line = |day: u32, event: &str, version: u32| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata":
            {"name": format!("of-day-{day}"), "namespace": "default", "uid": format!("u-{day}"), "resourceVersion": version.to_string()}});
        json!({"ts": format!("2026-11-1{day}T10:00:0{version}Z"), "type": event, "resource": "configmaps", "object": object}).to_string()
            + "\n"
    };
    let lines: String = (1..4).flat_map(|day| [line(day, "ADDED", 1), line(day, "DELETED", 2)]).collect();
    ran_with_input(&["store", "import", "--format", "watch-jsonl", "--data-dir", text(&journal), "-"], lines.as_bytes()).exits(0);
    let days = |dir: &Path| -> Vec<String> {
        day_files(dir).iter().map(|file| file.file_name().unwrap().to_str().unwrap()[..10].to_owned()).collect()
    };
    assert_eq!(days(&journal), ["2026-11-11", "2026-11-12", "2026-11-13"]);
    // As large as busy days: SQLite goes by the size in its header, and retention by that of the file.
    for file in &day_files(&journal)[..2] {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(40 << 20).unwrap();
    }
    let bound = ["--retention-days", "3650", "--max-disk-bytes", "64Mi"];
    let serving = Serving::start(&journal, &cluster.kubeconfig(), &bound);
    until("the oldest day went", || !days(&journal).contains(&"2026-11-11".to_owned()));
    assert!(days(&journal).contains(&"2026-11-12".to_owned()), "no more than the bound asks for: {:?}", days(&journal));
    assert_eq!((serving.changes("name=of-day-1").len(), serving.changes("name=of-day-2").len()), (0, 2));
    cluster.config_map("kept", "1");
    until("recording goes on", || !serving.changes("name=kept").is_empty());
    serving.process.end();
    // Position 1 is no longer kept: starting, asking, checking, carrying must not need it.
    let serving = Serving::start(&journal, &cluster.kubeconfig(), &bound);
    cluster.config_map("kept", "2");
    until("recording goes on after a restart", || serving.changes("name=kept").len() == 2);
    assert!(!serving.process.log().contains("ERROR"), "{}", serving.process.log());
    serving.process.end();
    ran(&["store", "verify", "--data-dir", text(&journal)]).exits(0);
    let stream = ran(&["store", "export", "--data-dir", text(&journal), "-"]).exits(0).stdout;
    let copy = home.path().join("copy");
    ran_with_input(&["store", "import", "--data-dir", text(&copy), "-"], &stream).exits(0);
    let changes = |dir: &Path| ran(&["changes", "-o", "jsonl", "--data-dir", text(dir)]).exits(0).stdout;
    assert_eq!(changes(&journal), changes(&copy));
}

#[test]
fn a_signal_commits_what_is_in_hand_and_a_second_one_ends_at_once() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let journal = home.path().join("journal");
    let serving = Serving::start(&journal, &cluster.kubeconfig(), &[]);
    serving.synced();
    for number in 0..50 {
        cluster.config_map(&format!("n-{number}"), "1");
    }
    until("the first of them", || !serving.changes("name=n-0").is_empty());
    let asked = Instant::now();
    serving.process.end();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let left: Vec<String> = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.ends_with("-wal")), "the log was folded in: {left:?}");
    ran(&["store", "verify", "--data-dir", text(&journal)]).exits(0);

    // A client that holds a stream open makes the end wait for it, or not; the second signal waits for nobody.
    let Some(disk) = SmallDisk::mount(home.path().join("disk"), 16) else {
        eprintln!("not tried: nobody here may mount a small disk, which an end has to wait for");
        return;
    };
    let mut stuck = Serving::start(&disk.0.join("journal"), &cluster.kubeconfig(), &[]);
    stuck.synced();
    disk.fill();
    let mut round = 0;
    while !stuck.process.log().contains("recording is paused") {
        cluster.config_map(&format!("m-{round}"), &format!("{round}").repeat(500));
        round += 1;
        assert!(round < 20_000, "{}", stuck.process.log());
    }
    stuck.process.signal("TERM");
    std::thread::yield_now();
    let second = Instant::now();
    // The first one must have been heard before the second is sent.
    until("it no longer answers, or it waits", || second.elapsed() > Duration::from_millis(300));
    stuck.process.signal("TERM");
    let status = stuck.process.ended();
    assert!(second.elapsed() < Duration::from_secs(3), "{:?}", second.elapsed());
    assert!(!status.success(), "it did not end in good order, and says so");
}

#[test]
fn a_directory_of_another_user_is_refused_by_name() {
    if !is_root() {
        eprintln!("not tried: only root gives a directory away");
        return;
    }
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::copy(cluster.kubeconfig(), &kubeconfig).unwrap();
    std::fs::set_permissions(&kubeconfig, std::fs::Permissions::from_mode(0o644)).unwrap();
    let theirs = home.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(1), Some(1)).unwrap();
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut refused = Running::start(as_nobody(serve(&theirs, &kubeconfig, &[])));
    assert_eq!(refused.ended().code(), Some(2), "{}", refused.log());
    assert!(refused.log().contains(text(&theirs)) && refused.log().contains("hint:"), "{}", refused.log());
}

#[test]
fn the_watch_event_services_configuration_starts_unchanged_and_its_environment_beats_it() {
    let (home, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let (config, journal) = (home.path().join("resources.yaml"), home.path().join("watch-events"));
    // Its seventeen types, in its own words.
    let types = [
        ("", "v1", "Pod", "pods", true),
        ("", "v1", "Node", "nodes", false),
        ("", "v1", "Service", "services", true),
        ("", "v1", "ConfigMap", "configmaps", true),
        ("", "v1", "Secret", "secrets", true),
        ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("", "v1", "PersistentVolume", "persistentvolumes", false),
        ("", "v1", "Event", "events", true),
        ("", "v1", "Namespace", "namespaces", false),
        ("apps", "v1", "Deployment", "deployments", true),
        ("apps", "v1", "ReplicaSet", "replicasets", true),
        ("apps", "v1", "StatefulSet", "statefulsets", true),
        ("apps", "v1", "DaemonSet", "daemonsets", true),
        ("batch", "v1", "Job", "jobs", true),
        ("batch", "v1", "CronJob", "cronjobs", true),
        ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
        ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
    ];
    let mut text_of = "resources:\n".to_owned();
    for (group, version, kind, plural, namespaced) in types {
        text_of += &format!(
            "  - group: \"{group}\"\n    version: {version}\n    kind: {kind}\n    plural: {plural}\n    namespaced: {namespaced}\n"
        );
    }
    text_of += "discoverCRDs: true\nstoragePath: /nonexistent/watch-events\nretentionDays: 14\nserverPort: 8000\nmaxQueryLimit: 1000\n";
    std::fs::write(&config, text_of).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = proreus();
    command.args(["serve", "--kubeconfig", text(&cluster.kubeconfig())]);
    command.env("CONFIG_PATH", &config).env("BADGER_PATH", &journal).env("SERVER_PORT", port.to_string());
    let serving = Serving::of(Running::start(command));
    assert_eq!(serving.address, format!("127.0.0.1:{port}"));
    serving.synced();
    cluster.config_map("recorded", "1");
    until("it is recorded", || !serving.changes("name=recorded").is_empty());
    let watches = serving.get("/api/v1/watches");
    let mut watched: Vec<&str> = watches["items"].as_array().unwrap().iter().filter_map(|watch| watch["resource"].as_str()).collect();
    watched.retain(|resource| !resource.is_empty() && *resource != "customresourcedefinitions");
    watched.sort_unstable();
    let mut wanted: Vec<&str> = types.iter().map(|of| of.3).collect();
    wanted.sort_unstable();
    assert_eq!(watched, wanted, "exactly these");
    assert_eq!(serving.get("/api/v1/events?resourceType=configmaps&resourceName=recorded").as_array().unwrap().len(), 1);
    serving.process.end();
    assert!(!day_files(&journal).is_empty());
}
