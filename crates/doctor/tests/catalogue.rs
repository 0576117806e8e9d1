//! The catalogue: its page is the one in the docs, every definition can be told to people and programs, and some scenario
//! expects what a check finds.

use std::collections::BTreeSet;
use std::path::Path;

use proreus_doctor::Mode;
use proreus_doctor::catalogue::page;
use proreus_doctor::checks::CHECKS;

#[test]
#[expect(clippy::disallowed_methods, reason = "UPDATE=1 is how golden texts are rewritten everywhere in the house")]
fn the_page_in_the_docs_is_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/checks.md");
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, page()).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the page"), page(), "UPDATE=1 writes {}", path.display());
}

#[test]
fn every_definition_is_complete_and_no_id_or_reason_is_given_twice() {
    let (mut ids, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    for check in CHECKS {
        assert!(ids.insert(check.id), "{} twice", check.id);
        let is_slug = check.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(is_slug, "{} is no slug", check.id);
        assert!(!check.title.is_empty() && !check.title.ends_with('.'), "{}: title", check.id);
        assert!(!check.remediation.is_empty() && !check.remediation.ends_with('.'), "{}: remediation", check.id);
        assert!(!check.kinds.is_empty() && !check.reasons.is_empty() && check.grace_seconds >= 0, "{}", check.id);
        for reason in check.reasons {
            assert!(reasons.insert(*reason), "{}: reason {reason} is given by another check too", check.id);
        }
    }
}

/// What the scenarios expect, all of them in one text.
fn expectations(dir: &Path) -> String {
    let entries = std::fs::read_dir(dir).expect("a folder of scenarios");
    let paths = entries.map(|entry| entry.expect("entry").path());
    let of = |path: std::path::PathBuf| match path.is_dir() {
        true => expectations(&path),
        false => {
            let text = std::fs::read_to_string(&path).expect("a scenario");
            text.split("\n---")
                .filter_map(|document| document.split_once("\nexpect:"))
                .map(|(_, expected)| expected.to_owned() + "\n")
                .collect()
        }
    };
    paths.map(of).collect()
}

#[test]
fn every_passive_check_has_a_fault_that_it_finds() {
    let expected = expectations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios"));
    let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
    let has = |reason: &&str| expected.split(&format!("reason: {reason}")).skip(1).any(is_end);
    let passive = CHECKS.iter().filter(|check| check.mode == Mode::Passive);
    let without: Vec<&str> = passive.filter(|check| !check.reasons.iter().any(has)).map(|check| check.id).collect();
    assert!(without.is_empty(), "no scenario expects what {} find", without.join(", "));
}
