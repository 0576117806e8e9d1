//! `scenario check`: plays scenario files and tells what came out and how it differs from what they expect.

use std::io;
use std::path::{Path, PathBuf};

use proreus_app::scenario::{CheckedScenario, check};
use serde::Serialize;
use serde_json::Value;

use super::counted;
use crate::failure::Failure;
use crate::flags::{ScenarioCheckFlags, ScenarioVerb};
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::terminal::fit::clean;
use crate::terminal::paint::{Ink, Paint};
use crate::terminal::times::absolute;

/// Folders inside one another that are looked into: a tree of scenarios is shallow, and a circle of links must end.
const DEPTH_LIMIT: usize = 16;

/// Variable that has files rewritten.
const UPDATE: &str = "UPDATE";

/// One file as programs read it.
#[derive(Serialize)]
struct FileOutcome<'a> {
    file: String,
    guarantee: &'a str,
    holds: bool,
    parts: Vec<PartOutcome<'a>>,
}

#[derive(Serialize)]
struct PartOutcome<'a> {
    at: String,
    section: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a Value>,
    actual: &'a [Value],
    differences: &'a [String],
}

/// Runs the verb.
pub(crate) fn run(verb: &ScenarioVerb, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    match verb {
        ScenarioVerb::Check(flags) => check_files(flags, context),
    }
}

fn check_files(flags: &ScenarioCheckFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &flags.files {
        collect(path, DEPTH_LIMIT, &mut files)?;
    }
    if files.is_empty() {
        let problem = "no scenario file there".to_owned();
        return Err(Failure::Usage { problem, hint: "name files that end in .yaml or .yml, or folders of them".to_owned() });
    }
    let format = flags.output.output.unwrap_or_default();
    let is_update = (context.around.env)(UPDATE).is_some_and(|value| !matches!(value.as_str(), "" | "0"));
    let mut listing = Listing::new(format);
    let (mut held, mut broken, mut rewritten, mut refused) = (0_u64, 0_u64, 0_u64, None);
    for file in &files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
        let checked = match check(&text) {
            Ok(checked) => checked,
            Err(source) => {
                let failure = Failure::Scenario { file: name, source };
                broken += 1;
                // Further files are checked all the same; the last refusal ends the run.
                if let Some(earlier) = refused.replace(failure) {
                    earlier.tell(context.around.stderr, Paint::default(), format.is_json())?;
                }
                continue;
            }
        };
        let holds = checked.verdict.holds();
        if holds {
            held += 1;
        } else if is_update {
            std::fs::write(file, &checked.rewritten).map_err(|source| unwritable(file, source))?;
            rewritten += 1;
        } else {
            broken += 1;
        }
        match format {
            Format::Table => show(&name, &checked, flags.quiet, context)?,
            _ if flags.quiet && holds => {}
            _ => listing.item(context.around.stdout, &outcome(name, &checked))?,
        }
    }
    listing_end(listing, format, context)?;
    let rest = if rewritten > 0 { format!(", {} rewritten", counted(rewritten, "file")) } else { String::new() };
    context.note(&format!("{} of {} hold{rest}", held, counted(files.len() as u64, "scenario")));
    match (refused, broken) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, broken) => Err(Failure::BadNews {
            problem: format!("{} of {} broken", broken, counted(files.len() as u64, "scenario")),
            hint: "if what came out is right, UPDATE=1 writes it into the file".to_owned(),
        }),
    }
}

fn listing_end(listing: Listing, format: Format, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    if format != Format::Table {
        listing.finish(context.around.stdout)?;
    }
    Ok(context.around.stdout.flush()?)
}

fn outcome(file: String, checked: &CheckedScenario) -> FileOutcome<'_> {
    let parts = checked.verdict.parts.iter().map(|part| PartOutcome {
        at: part.at.to_string(),
        section: part.section.as_str(),
        expected: part.expected.as_ref(),
        actual: &part.actual,
        differences: &part.differences,
    });
    FileOutcome { file, guarantee: &checked.verdict.guarantee, holds: checked.verdict.holds(), parts: parts.collect() }
}

fn show(name: &str, checked: &CheckedScenario, quiet: bool, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let verdict = &checked.verdict;
    if quiet && verdict.holds() {
        return Ok(());
    }
    let paint = context.paint();
    let word = if verdict.holds() { paint.text(Ink::Added, "holds ") } else { paint.text(Ink::Bad, "BREAKS") };
    let out = &mut *context.around.stdout;
    writeln!(out, "{word} {}", paint.text(Ink::Strong, &clean(name)))?;
    writeln!(out, "       {}", clean(&verdict.guarantee))?;
    for part in &verdict.parts {
        let offset = part.at.duration_since(verdict.start).as_secs();
        let unasked = if part.expected.is_none() { ", nothing expected" } else { "" };
        writeln!(out, "       {}", paint.text(Ink::Faint, &format!("+{offset}s {} ({}){unasked}", part.section, absolute(part.at))))?;
        for entry in &part.actual {
            writeln!(out, "         {}", clean(&line_of(entry)))?;
        }
        if part.actual.is_empty() {
            writeln!(out, "         {}", paint.text(Ink::Faint, "none"))?;
        }
        for difference in &part.differences {
            writeln!(out, "       {} {}", paint.text(Ink::Bad, "≠"), clean(difference))?;
        }
    }
    if !verdict.parts.iter().any(|part| part.expected.is_some()) {
        writeln!(out, "       {} the file expects nothing", paint.text(Ink::Bad, "≠"))?;
    }
    Ok(())
}

/// One entry in one line: what it is about, and what it says.
fn line_of(entry: &Value) -> String {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("kind").is_empty() {
        return entry.to_string();
    }
    let place = if text("namespace").is_empty() { text("name").to_owned() } else { format!("{}/{}", text("namespace"), text("name")) };
    let words = [text("state"), text("severity"), text("reason"), text("kind"), place.as_str()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}: {}", words.join(" "), text("message"))
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(|source| unreadable(path, source))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_scenario = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if path.is_dir() || is_scenario {
            collect(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

fn unreadable(file: &Path, source: io::Error) -> Failure {
    let step = format!("cannot read {}", file.display());
    let hint = "check the path".to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData => Failure::Usage { problem: format!("{step}: {source}"), hint },
        _ => Failure::File { step, source, hint },
    }
}

fn unwritable(file: &Path, source: io::Error) -> Failure {
    Failure::File { step: format!("cannot write {}", file.display()), source, hint: "check the permissions of the file".to_owned() }
}
