//! Which crate may lean on which: arrows point down, and each heavy dependency lives in one place.
//!
//! A new edge is a decision: it changes the table below in a commit of its own that says why. Dev-dependencies may point at the test kit
//! and at any crate further down, never up.

use std::collections::BTreeSet;

use super::complaint::Complaint;
use super::members::Member;

/// The arrows, from the brains up to the binary: a crate and the crates it may name.
const EDGES: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("observe", &["model"]),
    ("doctor", &["model", "observe"]),
    // Scenario files are for every brain, so their player knows none.
    ("scenario", &["model"]),
    ("store", &["model"]),
    ("record", &["model", "observe", "store"]),
    // Sends what others decided to send, and needs no word of ours for it.
    ("emit", &[]),
    // The hands of active checks reach a cluster by the recorder's connection, and do what the doctor planned.
    ("probe", &["model", "doctor", "record"]),
    ("playground", &["model"]),
    ("app", &["model", "observe", "doctor", "scenario", "store", "record", "emit", "probe", "playground"]),
    ("api", &["model", "observe", "doctor", "app"]),
    ("serve", &["model", "api", "app"]),
    // `serve` is a verb of the command line, and the verb starts the host.
    ("cli", &["model", "doctor", "api", "app", "serve"]),
    ("proreus", &["cli"]),
    ("testkit", &["model"]),
];

/// Nothing leans on these, so they may lean on anything.
const TOP: [&str; 3] = ["bench", "tests", "xtask"];

/// Brains and words: no dependency but plain formats. Whatever could wait, guess or talk to the outside stays out by not being there.
const PLAIN: [&str; 4] = ["serde", "serde_json", "jiff", "thiserror"];

/// Crates that may name the `PLAIN` dependencies only.
const PURE: [&str; 3] = ["model", "observe", "doctor"];

/// Dependencies that are kept in one place, and the crates in which they are.
const KEPT: [(&str, &[&str]); 9] = [
    ("rusqlite", &["store"]),
    ("zstd", &["store"]),
    ("kube", &["record", "probe"]),
    ("k8s-openapi", &["record"]),
    ("axum", &["serve", "playground"]),
    ("utoipa", &["api", "serve"]),
    ("clap", &["cli"]),
    ("comfy-table", &["cli"]),
    // One typed error a crate; only the binary gives up on types.
    ("anyhow", &["proreus"]),
];

/// Complains of edges that the table does not have.
pub(crate) fn check(members: &[Member]) -> Vec<Complaint> {
    let mut found = Vec::new();
    for member in members {
        let room = member.room();
        if TOP.contains(&room) {
            continue;
        }
        let Some(allowed) = allowed(room) else {
            let what = format!("`{room}` is not in the edge table");
            found.push(Complaint::of_file(
                &member.manifest(),
                what,
                "add it to EDGES in xtask/src/tidy/edges.rs, in a commit that says why",
            ));
            continue;
        };
        for dependency in &member.dependencies {
            let target = members.iter().find(|other| other.package == dependency.package);
            let refusal = match target {
                Some(target) if dependency.dev => refused_for_tests(room, target.room()),
                Some(target) => refused_edge(room, target.room(), allowed),
                None if dependency.dev => None,
                None => refused_outside(room, &dependency.package),
            };
            if let Some((what, hint)) = refusal {
                found.push(Complaint::of_file(&member.manifest(), what, hint));
            }
        }
    }
    found
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    EDGES.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

fn refused_edge(room: &str, target: &str, allowed: &[&str]) -> Option<(String, &'static str)> {
    let hint = "move the code down to where both can reach it, or add the edge to EDGES in a commit that says why";
    (!allowed.contains(&target)).then(|| (format!("`{room}` may not depend on `{target}`"), hint))
}

fn refused_for_tests(room: &str, target: &str) -> Option<(String, &'static str)> {
    let hint = "test the two together where they meet, or in `tests`";
    // A crate may name itself, to switch a feature on for its own tests.
    let fine = target == "testkit" || target == room || below(room).contains(target);
    (!fine).then(|| (format!("the tests of `{room}` may not depend on `{target}`, which is not below it"), hint))
}

fn refused_outside(room: &str, package: &str) -> Option<(String, &'static str)> {
    if PURE.contains(&room) && !PLAIN.contains(&package) {
        let hint = "do it in a crate that has hands and pass the outcome in";
        return Some((format!("`{room}` is pure and may not depend on `{package}`"), hint));
    }
    let (_, homes) = KEPT.iter().find(|(kept, _)| *kept == package)?;
    let hint = "ask the crate that has it, or add the home to KEPT in a commit that says why";
    (!homes.contains(&room) && room != "testkit").then(|| (format!("`{package}` lives in {}, not in `{room}`", homes.join(" and ")), hint))
}

/// Everything that `room` may reach by normal edges, however far.
fn below(room: &str) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&'static str> = allowed(room).unwrap_or_default().to_vec();
    // Ends because a room is expanded only when it is new, and there are as many rooms as rows.
    while let Some(next) = waiting.pop() {
        if reached.insert(next) {
            waiting.extend(allowed(next).unwrap_or_default());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn house(room: &str, dependencies: &[&str]) -> Vec<String> {
        let mut members: Vec<Member> =
            EDGES.iter().map(|(name, _)| Member::of(&format!("crates/{name}"), &format!("proreus-{name}"), &[])).collect();
        members.retain(|member| member.room() != room);
        members.push(Member::of(&format!("crates/{room}"), &format!("proreus-{room}"), dependencies));
        said(&check(&members))
    }

    #[test]
    fn accepts_arrows_that_point_down() {
        assert_eq!(house("record", &["proreus-store", "proreus-model", "kube", "dev:proreus-testkit", "dev:proreus-record"]), [""; 0]);
    }

    #[test]
    fn refuses_an_arrow_that_points_up() {
        assert_eq!(house("store", &["proreus-record"]), ["crates/store/Cargo.toml: `store` may not depend on `record`"]);
    }

    #[test]
    fn refuses_an_arrow_that_points_up_in_tests_too() {
        let said = house("store", &["dev:proreus-app"]);
        assert_eq!(said, ["crates/store/Cargo.toml: the tests of `store` may not depend on `app`, which is not below it"]);
    }

    #[test]
    fn refuses_a_client_in_a_brain() {
        assert_eq!(house("observe", &["tokio"]), ["crates/observe/Cargo.toml: `observe` is pure and may not depend on `tokio`"]);
    }

    #[test]
    fn refuses_a_heavy_dependency_outside_its_home() {
        assert_eq!(house("app", &["rusqlite"]), ["crates/app/Cargo.toml: `rusqlite` lives in store, not in `app`"]);
    }

    #[test]
    fn refuses_a_crate_that_nobody_decided_on() {
        assert_eq!(house("billing", &[]), ["crates/billing/Cargo.toml: `billing` is not in the edge table"]);
    }

    #[test]
    fn knows_no_circle() {
        for (room, _) in EDGES {
            assert!(!below(room).contains(room), "{room} reaches itself");
        }
    }
}
