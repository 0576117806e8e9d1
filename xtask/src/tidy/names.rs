//! No drawers: a module is named after the idea in it, and these names have none.

use super::complaint::Complaint;
use super::source;
use super::tree::Tree;

/// Names under which anything could lie.
const DRAWERS: [&str; 11] = ["utils", "util", "common", "commons", "helpers", "helper", "misc", "manager", "managers", "data", "info"];

/// Complains of source files, folders and inline modules with a drawer's name.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        for part in path.trim_end_matches(".rs").split('/') {
            if DRAWERS.contains(&part) {
                found.push(Complaint::of_file(path, format!("`{part}` is a drawer, not a name"), HINT));
            }
        }
        let tokens = source::tokens(text).unwrap_or_default();
        for pair in tokens.windows(2) {
            if let [keyword, name] = pair
                && keyword.text == "mod"
                && DRAWERS.contains(&name.text.as_str())
            {
                found.push(Complaint::of_line(path, name.line, format!("`{}` is a drawer, not a name", name.text), HINT));
            }
        }
    }
    found
}

/// What to do instead.
const HINT: &str = "name it after the one idea in it; if there are several, make several files";

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    #[test]
    fn refuses_drawers_as_files_folders_and_inline_modules() {
        let tree = Tree::of(&[
            ("crates/a/src/utils.rs", "//! a"),
            ("crates/a/src/helpers/time.rs", "//! b"),
            ("crates/a/src/lib.rs", "//! c\nmod codec;\nmod misc {}"),
        ]);
        assert_eq!(
            said(&check(&tree)),
            [
                "crates/a/src/helpers/time.rs: `helpers` is a drawer, not a name",
                "crates/a/src/lib.rs:3: `misc` is a drawer, not a name",
                "crates/a/src/utils.rs: `utils` is a drawer, not a name",
            ]
        );
    }

    #[test]
    fn accepts_names_that_only_contain_one() {
        assert_eq!(said(&check(&Tree::of(&[("crates/a/src/database.rs", "//! a\nmod information;")]))), [""; 0]);
    }
}
