//! Every file under `tests/scenarios/` holds what it promises, and is written as `UPDATE=1` would write it.

#![allow(clippy::panic, reason = "a test stops at the first thing that does not hold")]

use std::path::{Path, PathBuf};

use proreus_app::scenario::check;

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    let of = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    };
    paths.into_iter().flat_map(of).filter(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")).collect()
}

#[test]
fn every_scenario_holds_its_guarantee() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let found = files(&root);
    assert!(!found.is_empty(), "no scenario under {}", root.display());
    let mut broken = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        match check(&text) {
            Ok(checked) if checked.verdict.holds() => {}
            Ok(checked) if std::env::var("UPDATE").is_ok() => std::fs::write(&path, checked.rewritten).expect("written"),
            Ok(checked) => {
                let told: Vec<String> = checked.verdict.parts.iter().flat_map(|part| part.differences.clone()).collect();
                broken.push(format!("{name}: {}\n  {}", checked.verdict.guarantee, told.join("\n  ")));
            }
            Err(error) => broken.push(format!("{name}: {error}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
