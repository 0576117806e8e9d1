//! Brains are pure: no await, no clock, no randomness, no outside. `now` is an argument.
//!
//! Pure are the crates below, and every file whose header says so with the word `Pure`; saying it is a promise that this rule keeps.
//! Tests are left out: they may read a golden file.

use super::complaint::Complaint;
use super::source::{self, Token};
use super::tree::Tree;

/// Folders in which every file is pure, whatever its header says.
const PURE_FOLDERS: [&str; 4] = ["crates/model/", "crates/observe/", "crates/doctor/", "crates/scenario/"];

/// What a pure file never says, as a sequence of tokens, and why.
const BANNED: [(&[&str], &str); 13] = [
    (&["async"], "waiting"),
    (&[".", "await"], "waiting"),
    (&["tokio", ":", ":"], "waiting"),
    (&["Timestamp", ":", ":", "now"], "the clock"),
    (&["Zoned", ":", ":", "now"], "the clock"),
    (&["SystemTime"], "the clock"),
    (&["Instant"], "the clock"),
    (&["rand", ":", ":"], "randomness"),
    (&["std", ":", ":", "fs"], "the disk"),
    (&["std", ":", ":", "net"], "the network"),
    (&["std", ":", ":", "env"], "the environment"),
    (&["std", ":", ":", "process"], "other processes"),
    (&["std", ":", ":", "thread"], "waiting"),
];

/// Complains of every banned word in a pure file.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let pure = tree.with_extension("rs").filter(|(path, text)| is_pure(path, text));
    pure.flat_map(|(path, text)| check_file(path, text)).collect()
}

fn is_pure(path: &str, text: &str) -> bool {
    let promised = PURE_FOLDERS.iter().any(|folder| path.starts_with(folder)) || header_says_pure(text);
    promised && !source::is_test(path)
}

/// Whether a sentence of the header is `Pure.`, or begins with `Pure:` or `Pure,`. "Pure but for" promises nothing.
fn header_says_pure(text: &str) -> bool {
    let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let sentences = header.join(" ");
    let rests = sentences.split(". ").filter_map(|sentence| sentence.trim().strip_prefix("Pure"));
    rests.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['.', ':', ',', ';']))
}

fn check_file(path: &str, text: &str) -> Vec<Complaint> {
    let Some(tokens) = source::tokens(text) else {
        return vec![Complaint::of_file(path, "the file is not Rust", "let `cargo check` say what is wrong with it")];
    };
    let mut found = Vec::new();
    for start in 0..tokens.len() {
        for (banned, why) in BANNED {
            if let Some(first) = begins_with(&tokens[start..], banned) {
                let what = format!("a pure file says `{}`, which is {why}", banned.concat());
                found.push(Complaint::of_line(path, first.line, what, "take the outcome as an argument; hands ask, brains are told"));
            }
        }
    }
    found
}

fn begins_with<'a>(tokens: &'a [Token], words: &[&str]) -> Option<&'a Token> {
    let same = tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word);
    tokens.first().filter(|_| same)
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        said(&check(&Tree::of(&[(path, text)])))
    }

    #[test]
    fn refuses_await_clock_and_randomness_in_a_brain() {
        let text = "//! Diffs.\nasync fn a() {\n b().await;\n jiff::Timestamp::now();\n rand::random();\n}\nuse std::time::Instant;";
        let what =
            |line: usize, word: &str, why: &str| format!("crates/observe/src/a.rs:{line}: a pure file says `{word}`, which is {why}");
        assert_eq!(
            check_text("crates/observe/src/a.rs", text),
            [
                what(2, "async", "waiting"),
                what(3, ".await", "waiting"),
                what(4, "Timestamp::now", "the clock"),
                what(5, "rand::", "randomness"),
                what(7, "Instant", "the clock"),
            ]
        );
    }

    #[test]
    fn holds_a_module_to_its_own_word() {
        let body = "fn a() { std::time::SystemTime::now(); }";
        for header in
            ["//! Pure: no clock.\n", "//! The state machine of one watch.\n//!\n//! Pure.\n", "//! One watch. Pure,\n//! always.\n"]
        {
            assert_eq!(check_text("crates/record/src/a.rs", &format!("{header}{body}")).len(), 1, "{header}");
        }
    }

    #[test]
    fn leaves_hands_alone() {
        for header in ["//! Talks to the cluster. Not Pure.", "//! Pure but for `a`."] {
            assert_eq!(check_text("crates/record/src/a.rs", &format!("{header}\nasync fn a() {{}}")), [""; 0], "{header}");
        }
    }

    #[test]
    fn leaves_tests_and_words_in_prose_alone() {
        let text = "//! Diffs.\n// Instant results, no async.\nfn a() { b(\"std::fs\") }\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(check_text("crates/observe/src/a.rs", text), [""; 0]);
    }
}
