//! The configurations that the documents show are taken as they stand: whoever copies one starts with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

use std::path::{Path, PathBuf};

use proreus_app::config::{Overrides, parse_file, resolve};

/// First keys of examples that are other programs' configuration.
const OF_OTHERS: [&str; 3] = ["env", "authorization", "route"];
/// As many as there are at least: a document that writes its examples otherwise would go untried.
const EXAMPLES: usize = 8;

fn documents() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let guides = std::fs::read_dir(docs.join("guides")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = guides.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    all.extend([docs.join("reference/configuration.md")]);
    all.sort();
    all
}

/// The YAML blocks of a document, with the lines they begin on.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        match (inside, line.trim()) {
            (false, "```yaml") => {
                inside = true;
                found.push((number + 1, String::new()));
            }
            (true, "```") => inside = false,
            (true, _) => found.last_mut().unwrap().1.extend([line, "\n"]),
            (false, _) => {}
        }
    }
    found
}

fn first_key(example: &str) -> &str {
    let line = example.lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    line.split(':').next().unwrap_or_default()
}

#[test]
fn every_configuration_in_the_guides_is_taken() {
    let mut taken = 0;
    for path in documents() {
        for (line, example) in examples(&std::fs::read_to_string(&path).unwrap()) {
            if OF_OTHERS.contains(&first_key(&example)) {
                continue;
            }
            let place = format!("{}:{line}", path.display());
            let file = parse_file(&place, &example).unwrap_or_else(|error| panic!("{place}: {error}"));
            resolve(Some((&place, file)), &Overrides::default(), &Overrides::default()).unwrap_or_else(|error| panic!("{place}: {error}"));
            taken += 1;
        }
    }
    assert!(taken >= EXAMPLES, "only {taken} examples were tried");
}
