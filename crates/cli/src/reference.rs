//! The reference page, written from the very definitions that read the command line, so that the two cannot drift apart.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::flags::CommandLine;

/// What holds for every verb.
const PREFACE: &str = "# Command line

This page is written from the program's own definitions; `proreus VERB --help` says the same in a terminal.

## Where a question goes

Reading verbs take `--data-dir DIR` (a journal on this machine, also while `serve` writes it) or `--server URL` (a running `serve`); without
either they ask `http://127.0.0.1:8080`. Both give the same answers in the same form. With `--data-dir` and no `--at`, *now* is the journal's last
record; with no `--since`, the range is the whole journal. `changes` prints every match, oldest first, unless `--limit`.

## Output

Data goes to standard output; logs, progress, hints and counts go to standard error. `-o table|json|jsonl|yaml` chooses the form; `-o json` of a
listing is one array. The objects are those of the REST interface. Colour appears on terminals only and never when `NO_COLOR` is set, unless
`--color` says otherwise. An error with `-o json` is `{error, hint, code}` on standard error, `code` being the exit code.

## Exit codes

| code | meaning |
|---|---|
| 0 | Done. A listing exits 0 whatever it lists. |
| 1 | Refused input (usage, configuration, not found), or the bad news that was asked for, such as damage found by `store verify`. |
| 2 | We failed: a disk, a network. |

SIGTERM and Ctrl-C commit the batch in hand and exit 0 within 10 s; a second one exits at once.

## Environment

Flags beat the environment, the environment beats the configuration file. Each flag that has a variable names it in its description.

## Verbs
";

/// The page as `docs/reference/cli.md` holds it.
pub fn reference() -> String {
    let mut command = CommandLine::command();
    command.build();
    let mut out = PREFACE.to_owned();
    for verb in command.get_subcommands() {
        section(verb, "proreus", 3, &mut out);
    }
    out
}

fn section(command: &Command, parent: &str, depth: usize, out: &mut String) {
    let path = format!("{parent} {}", command.get_name());
    let title = "#".repeat(depth);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    // Writing into a String cannot fail.
    let _ = write!(out, "\n{title} `{path}`\n\n{about}.\n\n```text\n{usage}\n```\n");
    let mut groups: Vec<(String, Vec<&Arg>)> = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && !is_everywhere(arg)) {
        let heading = match (arg.is_positional(), arg.get_help_heading()) {
            (true, _) => "Arguments",
            (false, heading) => heading.unwrap_or("Options"),
        };
        match groups.iter_mut().find(|(of, _)| of == heading) {
            Some((_, args)) => args.push(arg),
            None => groups.push((heading.to_owned(), vec![arg])),
        }
    }
    for (heading, args) in groups {
        let _ = write!(out, "\n{heading}:\n\n| | |\n|---|---|\n");
        for arg in args {
            let _ = writeln!(out, "| {} | {} |", signature(arg), description(arg));
        }
    }
    for verb in command.get_subcommands() {
        section(verb, &path, depth + 1, out);
    }
}

/// What every verb has is told once.
fn is_everywhere(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version" | "color")
}

fn signature(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values()).map(|names| names.join(" ")).unwrap_or_default();
    if arg.is_positional() {
        return format!("`{value}`");
    }
    let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let value = if value.is_empty() { value } else { format!(" {value}") };
    format!("`{}{value}`", names.join(", "))
}

fn description(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = help.replace('|', "\\|").replace('\n', " ");
    let choices: Vec<String> = match arg.get_action().takes_values() {
        true => arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect(),
        false => Vec::new(),
    };
    if !choices.is_empty() {
        let _ = write!(text, ": {}", choices.join(", "));
    }
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    text
}
