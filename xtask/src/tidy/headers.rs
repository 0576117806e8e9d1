//! Every source file opens with `//!`: what it is, what it is not, the invariant.

use super::complaint::Complaint;
use super::tree::Tree;

/// Complains of files that begin with anything else, or with an empty sentence.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let opens = |text: &str| text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|words| !words.trim().is_empty());
    let headless = tree.with_extension("rs").filter(|(_, text)| !opens(text));
    let hint = "say in the first line what the file is, then what it is not and what always holds";
    headless.map(|(path, _)| Complaint::of_line(path, 1, "the file does not open with `//! `", hint)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    #[test]
    fn accepts_a_file_that_says_what_it_is() {
        assert_eq!(said(&check(&Tree::of(&[("a.rs", "//! The words.\n"), ("b.md", "# b")]))), [""; 0]);
    }

    #[test]
    fn refuses_a_file_that_does_not() {
        let tree = Tree::of(&[("a.rs", "use std::fmt;\n//! late"), ("b.rs", ""), ("c.rs", "//! \n//! empty")]);
        let headless = |path: &str| format!("{path}:1: the file does not open with `//! `");
        assert_eq!(said(&check(&tree)), [headless("a.rs"), headless("b.rs"), headless("c.rs")]);
    }
}
