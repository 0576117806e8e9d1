//! `demo`: the shop's outage, recorded by the pipeline that production runs; figures at the end, or a server to look around in.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use proreus_app::demo::{Demo, DemoOptions, DemoReport};
use proreus_app::playground::scenario;

use super::{grouped, size};
use crate::failure::Failure;
use crate::flags::DemoFlags;
use crate::hosting::Host;
use crate::output::{Format, write_one};
use crate::progress::Progress;
use crate::run::Context;
use crate::signals::Signals;
use crate::terminal::fit::wrap;
use crate::terminal::paint::Ink;
use crate::terminal::times::{absolute, between};

/// Where the demo listens when nothing is said: where the reading verbs ask.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The demo shows what was recorded, not how; its story has warnings in it on purpose.
const DEFAULT_LOG_LEVEL: &str = "error";

/// Cells of a line where the output is no terminal.
const DEFAULT_ROOM: usize = 100;
/// Cells before a fact: its name and what keeps it apart.
const FACT: usize = 10;

/// Runs the verb.
pub(crate) async fn run(flags: &DemoFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    crate::logging::start(&flags.log, DEFAULT_LOG_LEVEL, context)?;
    let mut signals = Signals::take()?;
    let data_dir = flags.data_dir.clone().unwrap_or_else(default_dir);
    let options = DemoOptions { data_dir: data_dir.clone(), scenario: scenario(None, flags.seed)? };
    let mut demo = tokio::select! {
        started = Demo::start(options) => started?,
        () = signals.next() => return Ok(()),
    };
    let mut host = match flags.once {
        true => None,
        false => Some(Host::bind(demo.service().application(), flags.listen.unwrap_or(DEFAULT_LISTEN), None)?),
    };
    let mut progress = Progress::new("playing", "s of the story", context);
    let stderr = &mut *context.around.stderr;
    let playing = demo.play(|start, due, end| {
        let seconds = |to: jiff::Timestamp| to.as_second().saturating_sub(start.as_second()).max(0).unsigned_abs();
        progress.at(seconds(due), seconds(end), stderr);
    });
    let played = tokio::select! {
        played = async { match &mut host { Some(host) => host.during(playing).await, None => Ok(playing.await) } } => Some(played),
        () = signals.next() => None,
    };
    drop(progress);
    let played = match played {
        Some(played) => played.and_then(|played| played.map_err(Failure::from)).map(|()| true),
        None => Ok(false),
    };
    if let (Some(host), Ok(true)) = (&mut host, &played) {
        let address = host.address();
        context.note(&format!("the story is told; answering on http://{address} until Ctrl-C"));
        // The journal's files, because their present is the story's and not ours.
        suggest(&format!("--data-dir {}", shell_word(&data_dir)), context);
        host.during(signals.next()).await?;
    }
    let report = signals
        .while_ending(async {
            if let Some(host) = host {
                host.end().await?;
            }
            Ok(demo.finish().await?)
        })
        .await?;
    if played? && flags.once {
        show(&report, flags.output.output.unwrap_or_default(), context)?;
    }
    Ok(())
}

/// A directory of its own for every run.
fn default_dir() -> PathBuf {
    std::env::temp_dir().join(format!("proreus-demo-{}", std::process::id()))
}

fn show(report: &DemoReport, format: Format, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    if format != Format::Table {
        return Ok(write_one(context.around.stdout, format, report)?);
    }
    let paint = context.paint();
    let room = context.around.columns.unwrap_or(DEFAULT_ROOM).saturating_sub(FACT).max(20);
    let out = &mut *context.around.stdout;
    let verbs: Vec<String> = report.verbs.iter().map(|(verb, count)| format!("{} {verb}", grouped(*count))).collect();
    let mut kinds: Vec<(&String, &u64)> = report.kinds.iter().collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), (*kind).clone()));
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{} {kind}", grouped(**count))).collect();
    let span = between(report.scenario_start, report.scenario_end);
    let fact = |name: &str, text: &str| format!("{}  {text}", paint.text(Ink::Faint, &format!("{name:<8}")));
    writeln!(out, "{}", fact("story", &format!("{span}, {} to {}", absolute(report.scenario_start), absolute(report.scenario_end))))?;
    writeln!(out, "{}", fact("changes", &format!("{} ({})", paint.text(Ink::Strong, &grouped(report.changes)), verbs.join(", "))))?;
    let lines = wrap(&kinds.join(", "), room);
    for (index, line) in lines.iter().enumerate() {
        writeln!(out, "{}", fact(if index == 0 { "kinds" } else { "" }, line))?;
    }
    let times = if report.bytes.stored == 0 { 0.0 } else { report.bytes.raw as f64 / report.bytes.stored as f64 };
    let bytes = format!("{} as JSON, {} stored, {times:.1} times smaller", size(report.bytes.raw), size(report.bytes.stored));
    writeln!(out, "{}", fact("bytes", &bytes))?;
    writeln!(out, "{}", fact("journal", &report.data_dir))?;
    out.flush()?;
    suggest(&format!("--data-dir {}", shell_word(Path::new(&report.data_dir))), context);
    Ok(())
}

/// Three commands to try next.
fn suggest(source: &str, context: &mut Context<'_, '_>) {
    let commands = ["changes --kind Deployment,Pod,Node", "history deploy/web -n shop", "monitor kcm-system/eu-prod"];
    let told: io::Result<()> = (|| {
        writeln!(context.around.stderr, "try next:")?;
        commands.iter().try_for_each(|command| writeln!(context.around.stderr, "  proreus {command} {source}"))
    })();
    // Whoever closed stderr does not want to hear it.
    drop(told);
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+@%=:,".contains(letter));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
