//! The catalogue: its page is the one in the docs, and every definition can be told to people and programs.

use std::collections::BTreeSet;
use std::path::Path;

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
