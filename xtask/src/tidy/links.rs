//! Every relative link in Markdown leads somewhere: to a tracked file or folder, and to a heading if it names one.
//!
//! Links to other hosts are not followed: a check that needs the network says nothing about the repository.

use std::collections::BTreeSet;

use super::complaint::Complaint;
use super::tree::Tree;

/// Complains of links that lead nowhere.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for (line, link) in links(text) {
            if let Some(what) = broken(tree, path, &link) {
                found.push(Complaint::of_line(path, line, what, "correct the link, or write the page"));
            }
        }
    }
    found
}

/// The targets of `[words](target)` outside of code, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Every second piece between backticks is code.
        let words: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for rest in words.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                // A title may follow the target: `[words](target "title")`.
                found.push((number, target.split_whitespace().next().unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

/// The lines that are not in a fenced block of code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn broken(tree: &Tree, from: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(target) = target.filter(|target| tree.contains(target)) else {
        return Some(format!("`{link}` leads to nothing that is tracked"));
    };
    let heading = heading?;
    let there = tree.text(&target).is_some_and(|text| headings(text).contains(heading));
    (!there).then(|| format!("`{target}` has no heading `#{heading}`"))
}

/// `link` as seen from the folder of `from`, as a path from the root; `None` if it leaves the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The names by which a page's headings are linked: lower case, spaces to hyphens, other signs dropped.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| line.trim_start_matches('#').trim().to_lowercase());
    let slug = |title: String| title.chars().filter_map(slug_sign).collect();
    titles.map(slug).collect()
}

fn slug_sign(sign: char) -> Option<char> {
    match sign {
        ' ' => Some('-'),
        '-' | '_' => Some(sign),
        _ => sign.is_alphanumeric().then_some(sign),
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn check_page(text: &str) -> Vec<String> {
        said(&check(&Tree::of(&[
            ("docs/guides/a.md", text),
            ("docs/reference/b.md", "# Two Words: here\n```\n# not this\n```"),
            ("LICENSE", ""),
        ])))
    }

    #[test]
    fn accepts_links_that_lead_somewhere() {
        let text = "# Top\n[a](../reference/b.md) [b](../reference/b.md#two-words-here) [c](../../LICENSE) [d](#top) [e](https://example.com/x) [f](../reference)";
        assert_eq!(check_page(text), [""; 0]);
    }

    #[test]
    fn refuses_a_page_that_is_not_there() {
        assert_eq!(check_page("one\n[a](b.md)"), ["docs/guides/a.md:2: `b.md` leads to nothing that is tracked"]);
        assert_eq!(check_page("[a](../../../LICENSE)"), ["docs/guides/a.md:1: `../../../LICENSE` leads to nothing that is tracked"]);
    }

    #[test]
    fn refuses_a_heading_that_is_not_there() {
        assert_eq!(check_page("[a](../reference/b.md#not-this)"), ["docs/guides/a.md:1: `docs/reference/b.md` has no heading `#not-this`"]);
    }

    #[test]
    fn takes_no_code_for_a_link() {
        assert_eq!(check_page("`[a](b.md)`\n```\n[a](b.md)\n```"), [""; 0]);
    }
}
