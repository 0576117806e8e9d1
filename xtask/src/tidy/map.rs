//! The map tells the truth: every crate named in ARCHITECTURE.md is a member of the workspace, and every member is on the map.
//!
//! A crate is named by the path of its folder in code quotes, such as `crates/store`; anything else in code quotes is prose.

use std::collections::BTreeSet;

use super::complaint::Complaint;
use super::members::Member;

/// Members that lie outside `crates/`; a code-quoted word in the map is taken for a folder if it is one of these or begins with `crates/`.
const OUTSIDE_CRATES: [&str; 4] = ["bench", "testkit", "tests", "xtask"];

/// Complains of crates that are on the map and not there, or there and not on the map.
pub(crate) fn check(path: &str, map: &str, members: &[Member]) -> Vec<Complaint> {
    let on_map = folders(map);
    let there: BTreeSet<&str> = members.iter().map(|member| member.folder.as_str()).collect();
    let mut found = Vec::new();
    for (line, folder) in &on_map {
        if !there.contains(folder.as_str()) {
            let what = format!("the map names `{folder}`, which is no member of the workspace");
            found.push(Complaint::of_line(path, *line, what, "remove it from the map, or add the crate in the same commit"));
        }
    }
    for member in members {
        if !on_map.iter().any(|(_, folder)| *folder == member.folder) {
            let what = format!("the map does not name `{}`", member.folder);
            found.push(Complaint::of_file(path, what, "add one line that says what it is and what is absent from it"));
        }
        if !member.takes_lints {
            let what = "the workspace's lints are not taken";
            found.push(Complaint::of_file(&member.manifest(), what, "add `[lints]` with `workspace = true`"));
        }
    }
    found
}

/// The crate folders in code quotes, each with its line; a path into a crate stands for the crate.
fn folders(map: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in map.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let mut parts = quoted.trim_end_matches('/').split('/');
            match (parts.next(), parts.next()) {
                (Some("crates"), Some(name)) if !name.is_empty() && name != "*" => found.push((index + 1, format!("crates/{name}"))),
                (Some(first), None) if OUTSIDE_CRATES.contains(&first) => found.push((index + 1, first.to_owned())),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn members() -> Vec<Member> {
        vec![Member::of("crates/model", "proreus-model", &[]), Member::of("xtask", "xtask", &[])]
    }

    #[test]
    fn accepts_a_map_that_names_each_member() {
        assert_eq!(said(&check("A.md", "| `crates/model` | words |\n| `xtask/` | chores, see `cargo xtask tidy` |", &members())), [""; 0]);
    }

    #[test]
    fn refuses_a_crate_that_is_not_there() {
        let said = said(&check("A.md", "`crates/model` `xtask`\n`crates/execute/src/lib.rs`", &members()));
        assert_eq!(said, ["A.md:2: the map names `crates/execute`, which is no member of the workspace"]);
    }

    #[test]
    fn refuses_a_member_that_is_not_on_the_map() {
        assert_eq!(
            said(&check("A.md", "`xtask`, and crates/model without quotes", &members())),
            ["A.md: the map does not name `crates/model`"]
        );
    }

    #[test]
    fn refuses_a_member_without_the_workspaces_lints() {
        let bare = Member { takes_lints: false, ..Member::of("xtask", "xtask", &[]) };
        assert_eq!(said(&check("A.md", "`xtask`", &[bare])), ["xtask/Cargo.toml: the workspace's lints are not taken"]);
    }
}
