//! `cargo xtask tidy`: proves that the repository keeps the rules which no compiler knows.
//!
//! Not here: formatting, lints and licences (`make check` asks rustfmt, clippy and cargo-deny). Each rule is a pure function from the
//! tracked text to complaints, in a module of its own, with tests that feed it a violation; this file only gathers the text and prints.

mod complaint;
mod edges;
mod headers;
mod lengths;
mod limits;
mod links;
mod map;
mod members;
mod names;
mod purity;
mod ratchet;
mod source;
mod tree;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use complaint::Complaint;
use members::Member;
use ratchet::Ratchet;
use tree::Tree;

/// Where the map of the house is drawn.
const MAP: &str = "ARCHITECTURE.md";

/// What `cargo xtask tidy` can be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the lengths that have shrunk back into the ratchet list. Nothing is ever raised or added.
    #[arg(long)]
    tighten: bool,
    /// Write the page of limits from the code.
    #[arg(long)]
    limits: bool,
}

/// Prints every complaint; fails if there is one.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root();
    let tree = Tree::of_git(&root)?;
    if args.tighten {
        tighten(&root, &tree)?;
    }
    if args.limits {
        let page =
            limits::current(&tree).with_context(|| format!("{} lacks the two marks between which its table stands", limits::PATH))?;
        std::fs::write(root.join(limits::PATH), page).with_context(|| format!("failed to write {}", limits::PATH))?;
    }
    let complaints = complaints(&Tree::of_git(&root)?, &Member::of_workspace(&root)?);
    let mut out = std::io::stdout().lock();
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    anyhow::ensure!(complaints.is_empty(), "{} broken", plural(complaints.len(), "rule is", "rules are"));
    writeln!(out, "tidy: {} tracked files keep the rules", tree.len())?;
    Ok(())
}

/// Every complaint of every rule, in the order of the rules.
fn complaints(tree: &Tree, members: &[Member]) -> Vec<Complaint> {
    let mut found = Vec::new();
    found.extend(map::check(MAP, tree.text(MAP).unwrap_or_default(), members));
    found.extend(edges::check(members));
    found.extend(headers::check(tree));
    found.extend(names::check(tree));
    found.extend(purity::check(tree));
    found.extend(words::check(tree));
    found.extend(links::check(tree));
    found.extend(limits::check(tree));
    match Ratchet::parse(tree.text(ratchet::PATH).unwrap_or_default()) {
        Ok(ratchet) => found.extend(lengths::check(tree, &ratchet)),
        Err(complaint) => found.push(complaint),
    }
    found
}

fn tighten(root: &Path, tree: &Tree) -> anyhow::Result<()> {
    let text = tree.text(ratchet::PATH).unwrap_or_default();
    let ratchet = Ratchet::parse(text).map_err(|complaint| anyhow::anyhow!("{complaint}"))?;
    let tightened = ratchet.tightened(text, &lengths::measure(tree).0);
    if tightened != text {
        std::fs::write(root.join(ratchet::PATH), tightened).with_context(|| format!("failed to write {}", ratchet::PATH))?;
    }
    Ok(())
}

/// The workspace's root: this package lies directly below it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_keeps_its_own_rules() {
        let root = root();
        let found = complaints(&Tree::of_git(&root).expect("git lists the files"), &Member::of_workspace(&root).expect("cargo knows us"));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "\n{}", text.join("\n"));
    }
}
