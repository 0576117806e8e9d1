//! `incidents`: what went wrong, in the order in which it opened, with what changed before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use proreus_api::{Incident, IncidentSeverity, IncidentState};
use proreus_app::config::{FileConfig, Overrides, read_file, resolve};
use proreus_app::watching::WatchSettings;

use super::counted;
use super::doctor::ink;
use crate::failure::Failure;
use crate::flags::{IncidentsFlags, StateWord};
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::source::{IncidentsAsk, Source};
use crate::terminal::columns::{Cell, Column, Columns};
use crate::terminal::fit::{Cut, clean};
use crate::terminal::paint::Ink;
use crate::terminal::times::{absolute, between};

/// Between two looks with `--watch`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(crate) async fn run(flags: &IncidentsFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let source = Source::choose(&flags.source, context.around)?;
    let ask = IncidentsAsk {
        at: flags.at.clone(),
        state: match flags.state {
            StateWord::All => None,
            StateWord::Open => Some(IncidentState::Open),
            StateWord::Resolved => Some(IncidentState::Resolved),
        },
        namespaces: flags.namespace.clone(),
        checks: flags.check.clone(),
        since: flags.since.clone(),
        until: flags.until.clone(),
        replay: replayed(flags)?,
    };
    let format = flags.output.output.unwrap_or_default();
    let answer = source.incidents(&ask).await?;
    let mut printer = Printer::new(format, context);
    for incident in &answer.items {
        printer.row(incident, answer.time, context)?;
    }
    printer.settle(context)?;
    if flags.watch {
        follow(&source, &ask, answer.items, &mut printer, context).await?;
        return Ok(printer.finish(context)?);
    }
    printer.finish(context)?;
    let open = answer.items.iter().filter(|incident| incident.state == IncidentState::Open).count();
    context.note(&format!("{}, {open} open at {}", counted(answer.items.len() as u64, "incident"), absolute(answer.time)));
    Ok(())
}

/// Under which settings the records are to be folded anew, where that is wanted.
fn replayed(flags: &IncidentsFlags) -> Result<Option<WatchSettings>, Failure> {
    match (&flags.config, flags.replay) {
        (None, false) => Ok(None),
        (None, true) => Ok(Some(WatchSettings::default())),
        (Some(path), _) => watch_settings(Some(path)).map(Some),
    }
}

/// The `doctor` and `incidents` sections of a configuration file.
pub(crate) fn watch_settings(config: Option<&Path>) -> Result<WatchSettings, Failure> {
    let file = read_file(config, &|_| None)?;
    let Some((path, file)) = file else { return Ok(WatchSettings::default()) };
    // Only these sections count here; what the others need, such as a token file, may not be on this machine.
    let of_doctor = FileConfig { doctor: file.doctor, incidents: file.incidents, ..FileConfig::default() };
    let name = path.display().to_string();
    let settings = resolve(Some((&name, of_doctor)), &Overrides::default(), &Overrides::default())?;
    Ok(WatchSettings { doctor: settings.doctor, incidents: settings.incidents })
}

/// What was shown of an incident: what a person would want to hear of again.
type Shown = (IncidentState, IncidentSeverity, u32, Option<String>);

fn shown(incident: &Incident) -> Shown {
    (incident.state, incident.severity, incident.flaps, incident.merged_into.clone())
}

/// Prints what is new, until Ctrl-C.
async fn follow(
    source: &Source,
    ask: &IncidentsAsk,
    known: Vec<Incident>,
    printer: &mut Printer,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let mut known: BTreeMap<String, Shown> = known.iter().map(|incident| (incident.id.clone(), shown(incident))).collect();
    // What is no longer open must be told as well.
    let every = IncidentsAsk { state: None, ..ask.clone() };
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = &mut interrupt => return Ok(()),
        }
        let answer = source.incidents(&every).await?;
        for incident in &answer.items {
            let is_news = known.get(&incident.id) != Some(&shown(incident));
            let is_wanted = ask.state.is_none_or(|state| state == incident.state) || known.contains_key(&incident.id);
            if is_news && is_wanted {
                known.insert(incident.id.clone(), shown(incident));
                printer.row(incident, answer.time, context)?;
            }
        }
        printer.settle(context)?;
    }
}

/// Writes incidents in the format asked for.
enum Printer {
    Table(Columns),
    Machine(Listing),
}

impl Printer {
    fn new(format: Format, context: &Context<'_, '_>) -> Self {
        match format {
            Format::Table => Self::Table(Columns::new(&heads(), context.paint(), context.around.columns)),
            format => Self::Machine(Listing::new(format)),
        }
    }

    fn row(&mut self, incident: &Incident, now: Timestamp, context: &mut Context<'_, '_>) -> std::io::Result<()> {
        match self {
            Self::Table(columns) => columns.row(context.around.stdout, cells(incident, now)),
            Self::Machine(listing) => listing.item(context.around.stdout, incident),
        }
    }

    fn settle(&mut self, context: &mut Context<'_, '_>) -> std::io::Result<()> {
        if let Self::Table(columns) = self {
            columns.settle(context.around.stdout)?;
        }
        context.around.stdout.flush()
    }

    fn finish(self, context: &mut Context<'_, '_>) -> std::io::Result<()> {
        match self {
            Self::Table(mut columns) => columns.settle(context.around.stdout)?,
            Self::Machine(listing) => listing.finish(context.around.stdout)?,
        }
        context.around.stdout.flush()
    }
}

fn heads() -> [Column; 7] {
    [
        Column::whole("OPENED"),
        Column::whole("LASTED"),
        Column::whole("STATE"),
        Column::whole("SEVERITY"),
        Column::whole("REASON"),
        Column::shrinking("ABOUT", 16, Cut::Middle).at_most(44),
        Column::shrinking("CHANGED BEFORE", 24, Cut::End),
    ]
}

fn cells(incident: &Incident, now: Timestamp) -> Vec<Cell> {
    let state = match (incident.state, &incident.merged_into) {
        (IncidentState::Open, _) => Cell::inked(Ink::Strong, "open"),
        (IncidentState::Resolved, None) => Cell::inked(Ink::Faint, "resolved"),
        (IncidentState::Resolved, Some(_)) => Cell::inked(Ink::Faint, "merged"),
    };
    let place = match incident.namespace.is_empty() {
        true => format!("{} {}", incident.kind, incident.name),
        false => format!("{} {}/{}", incident.kind, incident.namespace, incident.name),
    };
    let cause = incident.cause.as_ref().map(|cause| match cause.shown() {
        Some(cause) => format!("#{} {}", cause.seq, cause.summary),
        None => "something that may not be shown".to_owned(),
    });
    vec![
        Cell::plain(absolute(incident.opened_at)),
        Cell::plain(between(incident.opened_at, incident.resolved_at.unwrap_or(now))),
        state,
        Cell::inked(ink(incident.severity), incident.severity.as_str()),
        Cell::plain(clean(&incident.reason)),
        Cell::inked(Ink::Kind, clean(&place)),
        Cell::plain(clean(&cause.unwrap_or_default())),
    ]
}
