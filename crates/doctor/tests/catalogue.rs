//! The catalogue of checks is whole: `docs/reference/checks.md` is what the definitions say (`UPDATE=1` writes it anew), and every check has
//! a scenario with a fault under `tests/scenarios/doctor/` whose file name begins with its id.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proreus_doctor::checks::CHECKS;
use proreus_doctor::{Check, Mode};

const HEAD: &str = "# Checks

Every check of `proreus doctor`, written from the definitions in `crates/doctor/src/checks`. The *grace* is how long something must be wrong
before it is told; single findings may have another one where it matters, and the configuration overrules both. The *severity* is that of a
finding unless it says otherwise. A check that does not know enough about an object says `Unknown` for it; one whose kinds are not served
or may not be read is `Skipped`. What each reason means and what to do about it stands in the finding itself.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn duration(seconds: i64) -> String {
    match seconds {
        0 => "none".to_owned(),
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn kinds(check: &Check, list: &[proreus_observe::KindRef]) -> String {
    let name = |kind: &proreus_observe::KindRef| match kind.group {
        "*" => "every kind".to_owned(),
        "" => format!("`{}`", kind.kind),
        group => format!("`{}.{group}`", kind.kind),
    };
    assert!(!check.kinds.is_empty(), "{} examines nothing", check.id);
    list.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn page() -> String {
    let mut text = HEAD.to_owned();
    for check in CHECKS {
        let words = |list: &[&str]| list.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let mut rows = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(rows, "| {name} | {value} |");
        };
        line("severity", check.severity.as_str());
        line("grace", &duration(check.grace_seconds));
        line("examines", &kinds(check, check.kinds));
        if !check.needs.is_empty() {
            line("needs besides", &kinds(check, check.needs));
        }
        line("reasons", &words(check.reasons));
        for threshold in check.thresholds {
            line("threshold", &format!("`{}`, default {}", threshold.name, threshold.default));
        }
        if check.mode == Mode::Active {
            line("mode", "active: only when asked for");
        }
        line("to do", check.remediation);
        let _ = write!(text, "\n## {}\n\n{}.\n\n| | |\n|---|---|\n{rows}", check.id, check.title);
    }
    text
}

#[test]
fn the_page_says_what_the_definitions_say() {
    let path = root().join("docs/reference/checks.md");
    let expected = page();
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &expected).expect("written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/reference/checks.md is not what the definitions say: run this test with UPDATE=1");
}

#[test]
fn every_definition_is_whole_and_has_an_id_of_its_own() {
    let mut ids = BTreeSet::new();
    for check in CHECKS {
        assert!(ids.insert(check.id), "{} twice", check.id);
        let is_slug = check.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(is_slug && !check.title.is_empty() && !check.remediation.is_empty() && !check.reasons.is_empty(), "{}", check.id);
        assert!(!check.title.ends_with('.') && !check.remediation.ends_with('.'), "{} ends with a full stop", check.id);
    }
}

#[test]
fn every_check_has_a_fault_that_it_finds() {
    let dir = root().join("tests/scenarios/doctor");
    let entries = std::fs::read_dir(&dir).expect("the folder of scenarios");
    let names: Vec<String> = entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    let has = |id: &str| names.iter().any(|name| name.strip_prefix(id).is_some_and(|rest| rest.starts_with(['-', '.'])));
    let without: Vec<&str> =
        CHECKS.iter().filter(|check| check.mode == Mode::Passive).map(|check| check.id).filter(|id| !has(id)).collect();
    assert!(without.is_empty(), "no scenario with a fault for {}", without.join(", "));
}
