//! The catalogue of checks as a page, written from the definitions that run.
//!
//! Pure.

use std::fmt::Write as _;

use crate::check::Mode;
use crate::checks::CHECKS;

/// What stands above the list.
const PREFACE: &str = "# Checks

This page is written from the checks' own definitions; `proreus explain` says the same in a terminal. What a check is told, found, unknown or skipped,
and what incidents make of it, stands in [the glossary](../../GLOSSARY.md). Graces, severities and thresholds can be configured for each check,
namespace and label.

A finding is told when it has been so for its grace. A check says *unknown* of an object whose fields are missing or mistyped, or when its kind is no
longer watched, and *skipped* when a kind is not recorded or may not be read; neither counts as healthy.

| check | finds | severity | grace | kinds |
|---|---|---|---|---|
";

/// The page as `docs/reference/checks.md` holds it.
pub fn page() -> String {
    let mut out = PREFACE.to_owned();
    // Writing into a String cannot fail.
    for check in CHECKS {
        let kinds: Vec<&str> = check.kinds.iter().map(|kind| if kind.kind == "*" { "every kind" } else { kind.kind }).collect();
        let (id, title) = (check.id, check.title);
        let _ = writeln!(out, "| [`{id}`](#{id}) | {title} | {} | {} s | {} |", check.severity, check.grace_seconds, kinds.join(", "));
    }
    for check in CHECKS {
        let _ = write!(out, "\n## {}\n\n{}.\n\n", check.id, check.title);
        if check.mode == Mode::Active {
            let _ = writeln!(out, "* Active: it does something in the cluster, and runs only in `doctor --active`.");
        }
        let reasons: Vec<String> = check.reasons.iter().map(|reason| format!("`{reason}`")).collect();
        let _ = writeln!(out, "* Reasons: {}.", reasons.join(", "));
        if !check.needs.is_empty() {
            let needs: Vec<&str> = check.needs.iter().map(|kind| kind.kind).collect();
            let _ = writeln!(out, "* Also needs: {}.", needs.join(", "));
        }
        for threshold in check.thresholds {
            let _ = writeln!(out, "* `{}`: {} unless configured.", threshold.name, threshold.default);
        }
        let _ = writeln!(out, "* What to do: {}.", check.remediation);
    }
    out
}
