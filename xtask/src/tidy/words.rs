//! Words that no tracked file holds: open ends without a condition, paths of somebody's machine, hosts of package registries.
//!
//! The forbidden words are put together from halves, so that this file does not break its own rule.

use super::complaint::Complaint;
use super::tree::Tree;

/// Written by tools; what they say is not ours to choose.
const GENERATED: [&str; 4] = ["Cargo.lock", "go.sum", "package-lock.json", "LICENSE"];

/// An open end needs the condition that will end it, in brackets right behind the word.
const OPEN_ENDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Folders of somebody's machine.
const MACHINE_FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Hosts of package registries: a build takes packages by name, from wherever its machine is told to.
const REGISTRIES: [&str; 10] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("proxy.golang", ".org"),
    concat!("sum.golang", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
];

/// Complains of every line that holds such a word.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let ours = tree.files().filter(|(path, _)| !GENERATED.contains(&path.rsplit('/').next().unwrap_or(path)));
    ours.flat_map(|(path, text)| text.lines().enumerate().flat_map(move |(index, line)| check_line(path, index + 1, line))).collect()
}

fn check_line(path: &str, number: usize, line: &str) -> Vec<Complaint> {
    let mut found = Vec::new();
    for word in OPEN_ENDS {
        if line.match_indices(word).any(|(at, _)| is_open_end(line, at, word)) {
            let what = format!("`{word}` without the condition that will end it");
            found.push(Complaint::of_line(path, number, what, format!("write `{word}(until …)`, or do it now")));
        }
    }
    for folder in MACHINE_FOLDERS {
        if line.match_indices(folder).any(|(at, _)| !goes_on(&line[..at])) {
            let what = format!("`{folder}` is a path of somebody's machine");
            found.push(Complaint::of_line(path, number, what, "name the path from the repository's root, or take it as an option"));
        }
    }
    for host in REGISTRIES {
        if line.contains(host) {
            let what = format!("`{host}` is the host of a package registry");
            found.push(Complaint::of_line(path, number, what, "name the package only; where it comes from is the machine's own business"));
        }
    }
    found
}

/// A whole word that is not quoted and has no condition behind it.
fn is_open_end(line: &str, at: usize, word: &str) -> bool {
    let (before, after) = (&line[..at], &line[at + word.len()..]);
    let quoted = before.ends_with('`') || before.ends_with('"');
    let whole = !before.ends_with(|sign: char| sign.is_alphanumeric()) && !after.starts_with(|sign: char| sign.is_alphanumeric());
    let condition = after.strip_prefix('(').and_then(|rest| rest.split_once(')')).is_some_and(|(inside, _)| !inside.trim().is_empty());
    whole && !quoted && !condition
}

/// Whether a path goes on here instead of beginning: a folder of that name somewhere in our tree is ours, one at the top is not.
fn goes_on(before: &str) -> bool {
    before.ends_with(|sign: char| sign.is_alphanumeric() || matches!(sign, '.' | '_' | '-' | '}' | ')' | '~' | '*'))
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn check_text(text: &str) -> Vec<String> {
        said(&check(&Tree::of(&[("a.md", text)])))
    }

    #[test]
    fn refuses_an_open_end_without_a_condition() {
        let word = OPEN_ENDS[0];
        assert_eq!(check_text(&format!("fine\n// {word}: later")), [format!("a.md:2: `{word}` without the condition that will end it")]);
        assert_eq!(check_text(&format!("// {word}()")).len(), 1);
    }

    #[test]
    fn accepts_an_open_end_with_a_condition_and_talk_about_the_word() {
        let word = OPEN_ENDS[1];
        assert_eq!(check_text(&format!("// {word}(until kube 6): drop this\nno `{word}` here\n{word}S")), [""; 0]);
    }

    #[test]
    fn refuses_paths_of_a_machine() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(check_text(&format!("cd {folder}me")), [format!("a.md:1: `{folder}` is a path of somebody's machine")]);
            assert_eq!(check_text(&format!("target{folder}me")), [""; 0]);
        }
    }

    #[test]
    fn refuses_hosts_of_package_registries() {
        for host in REGISTRIES {
            assert_eq!(check_text(&format!("see https://{host}/x")), [format!("a.md:1: `{host}` is the host of a package registry")]);
        }
    }

    #[test]
    fn leaves_generated_files_alone() {
        assert_eq!(said(&check(&Tree::of(&[("x/Cargo.lock", REGISTRIES[0])]))), [""; 0]);
    }
}
