//! What a person sees, as golden texts: tables at several widths, timelines, diffs, errors with their hints. `UPDATE=1` rewrites them.

#![allow(clippy::unwrap_used)]

mod story;

use story::{With, golden, ran, ran_with};

/// Runs each line at a width and compares the whole of what came out.
fn check(name: &str, columns: Option<usize>, lines: &[&str]) {
    let mut text = String::new();
    for line in lines {
        let with = With { columns, env: vec![("NO_COLOR", "1".to_owned())] };
        let ran = ran_with(line, &with);
        text.push_str(&format!("$ proreus {line}\n{}", ran.stdout));
        for noted in ran.stderr.lines() {
            text.push_str(&format!("stderr: {noted}\n"));
        }
        text.push_str(&format!("exit {}\n\n", ran.code));
        let widest = ran.stdout.lines().map(unicode_width::UnicodeWidthStr::width).max().unwrap_or(0);
        assert!(columns.is_none_or(|columns| widest <= columns), "{line} takes {widest} cells\n{}", ran.stdout);
    }
    golden(name, &text);
}

#[test]
fn changes_fit_terminals_of_any_width() {
    for width in [60, 80, 120, 200] {
        check(&format!("changes-{width}.txt"), Some(width), &["changes --data-dir DIR --marks"]);
    }
    check("changes-pipe.txt", None, &["changes --data-dir DIR"]);
}

#[test]
fn times_are_shown_as_asked() {
    let lines = ["changes --data-dir DIR --time absolute --limit 2", "changes --data-dir DIR --time iso --limit 2"];
    check("times.txt", Some(120), &lines);
}

#[test]
fn filters_narrow_and_alternatives_widen() {
    let lines = [
        "changes --data-dir DIR --kind deploy,no",
        "changes --data-dir DIR --kind Pod --verb create --verb delete -n shop",
        "changes --data-dir DIR --origin relist",
        "changes --data-dir DIR --manager vault --name web-db",
        "changes --data-dir DIR --since 2026-11-21T08:03:00Z --until 2026-11-21T08:04:00Z",
        "changes --data-dir DIR --since 30s",
        "changes --data-dir DIR --uid p-1 --limit 1",
        "changes --data-dir DIR --cluster prod --namespace _",
        "changes --data-dir DIR --kind Widget",
    ];
    check("filters.txt", Some(120), &lines);
}

#[test]
fn a_history_tells_changes_events_and_gaps() {
    let lines = ["history deploy/web --data-dir DIR", "history Node worker-2 --data-dir DIR", "history cm/web-config --data-dir DIR"];
    check("history-100.txt", Some(100), &lines);
    let pod = ["history po/web-7c9d8f5b6-x2x4k -n shop --data-dir DIR", "history po/web-7c9d8f5b6-x2x4k --data-dir DIR --no-events --full"];
    check("history-60.txt", Some(60), &pod[..1]);
    check("history-full.txt", None, &pod[1..]);
    check("history-of-an-event.txt", Some(100), &["history ev/web-7c9d8f5b6-x2x4k.17f4 --data-dir DIR"]);
}

#[test]
fn objects_are_shown_as_they_were() {
    let lines = [
        "get all --data-dir DIR",
        "get po --at 2026-11-21T08:04:00Z --data-dir DIR",
        "get po,deploy -n shop --data-dir DIR --limit 1",
        "get deploy web --at 8 --data-dir DIR",
        "get po/web-7c9d8f5b6-x2x4k --at 17 --data-dir DIR",
        "get cm/web-config --data-dir DIR -o json",
        "get svc --data-dir DIR",
    ];
    check("get.txt", Some(100), &lines);
}

#[test]
fn a_diff_names_both_versions() {
    check("diff.txt", Some(100), &["diff 4 6 --data-dir DIR", "diff 8 16 --data-dir DIR", "diff 8 16 --data-dir DIR -o json"]);
}

#[test]
fn machine_formats_show_the_wire_types() {
    let lines = [
        "changes --data-dir DIR --marks --name web --kind deploy -o json",
        "changes --data-dir DIR --kind Widget -o json",
        "changes --data-dir DIR --kind secret --full -o jsonl",
        "changes --data-dir DIR --kind secret -o yaml",
        "changes --data-dir DIR --resource nodes --marks -o jsonl",
        "history deploy/web --data-dir DIR --limit 2 -o jsonl",
        "get cm --data-dir DIR -o json",
        "store stats --data-dir DIR -o json",
        "version -o json",
    ];
    check("formats.txt", None, &lines);
}

#[test]
fn figures_of_a_journal() {
    check("stats.txt", Some(100), &["store stats --data-dir DIR"]);
}

#[test]
fn errors_say_what_and_what_next() {
    let lines = [
        "changes --data-dir ELSEWHERE",
        "changes --data-dir ELSEWHERE -o json",
        "changes --data-dir DIR --since yesterday",
        "changes --data-dir DIR --bogus",
        "changes --data-dir DIR --bogus -o json",
        "changes --data-dir DIR --verb patch",
        "changes --data-dir DIR --limit 0",
        "changes --data-dir DIR --server http://localhost:1",
        "changes --server ftp://host",
        "changes --server http://127.0.0.1:1 -o json",
        "history web --data-dir DIR",
        "history deploy/none --data-dir DIR",
        "get deploy none --data-dir DIR",
        "get po/web-7c9d8f5b6-x2x4k --at sometime --data-dir DIR",
        "diff 2 3 --data-dir DIR",
        "diff 2 999 --data-dir DIR",
        "manifests --namespace Shop",
        "frobnicate",
    ];
    check("errors.txt", None, &lines);
}

#[test]
fn help_tells_every_verb() {
    check(
        "help.txt",
        None,
        &[
            "--help",
            "changes --help",
            "history --help",
            "get --help",
            "serve --help",
            "store --help",
            "doctor --help",
            "incidents --help",
            "explain --help",
            "scenario check --help",
        ],
    );
}

#[test]
fn colour_appears_on_terminals_only() {
    let line = "changes --data-dir DIR --kind deploy";
    let escapes = |ran: story::Ran| ran.stdout.matches('\u{1b}').count();
    assert_eq!(escapes(ran(line)), 0);
    let terminal = With { columns: Some(100), env: Vec::new() };
    assert!(escapes(ran_with(line, &terminal)) > 0);
    assert_eq!(escapes(ran_with(&format!("--color never {line}"), &terminal)), 0);
    assert!(escapes(ran(&format!("{line} --color always"))) > 0);
    golden("colours.txt", &ran("history deploy/web --data-dir DIR --color always").stdout.replace('\u{1b}', "\\e"));
}

#[test]
fn manifests_hold_a_new_token_every_time() {
    let (one, other) = (ran("manifests --namespace watch --storage 50Gi"), ran("manifests --namespace watch --storage 50Gi"));
    assert_eq!((one.code, other.code), (0, 0), "{}", one.stderr);
    let differing: Vec<&str> =
        one.stdout.lines().zip(other.stdout.lines()).filter(|(left, right)| left != right).map(|(left, _)| left).collect();
    assert_eq!(differing.len(), 1, "{differing:?}");
    assert!(one.stdout.contains("namespace: \"watch\"") && one.stdout.contains("50Gi"));
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = ran(&format!("completions {shell}"));
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("history") && ran.stdout.contains("data-dir"), "{shell}");
    }
}

#[test]
fn the_reference_page_is_what_the_program_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let found = proreus_cli::reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "UPDATE=1 rewrites docs/reference/cli.md");
}
