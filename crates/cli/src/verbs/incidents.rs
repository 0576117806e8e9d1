//! `incidents`: what went wrong, in the order in which it opened, with what changed before.

use jiff::Timestamp;
use proreus_app::doctor::IncidentsQuestion;
use proreus_doctor::incidents::{Incident, IncidentState};
use proreus_model::Access;

use super::counted;
use super::doctor::{ink, moment};
use crate::failure::Failure;
use crate::flags::{IncidentsFlags, StateWord};
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::terminal::columns::{Cell, Column, Columns};
use crate::terminal::fit::{Cut, clean};
use crate::terminal::paint::Ink;
use crate::terminal::times::{absolute, between};

/// Runs the verb.
pub(crate) fn run(flags: &IncidentsFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let questions = (context.around.open)(&super::store::directory(flags.data_dir.as_ref(), context))?;
    let now = questions.journal().last_recorded_at().unwrap_or_else(|| context.around.clock.now());
    let at = moment(flags.at.as_deref(), &questions, now)?;
    let question = IncidentsQuestion { at, namespaces: flags.namespace.clone(), ..IncidentsQuestion::default() };
    let answer = questions.incidents(&question, &Access::All)?;
    let wanted: Vec<&Incident> = answer.incidents.iter().filter(|incident| is_wanted(flags.state, incident)).collect();
    match flags.output.output.unwrap_or_default() {
        Format::Table => table(&wanted, answer.time, context)?,
        format => {
            let mut listing = Listing::new(format);
            for incident in &wanted {
                listing.item(context.around.stdout, incident)?;
            }
            listing.finish(context.around.stdout)?;
        }
    }
    context.around.stdout.flush()?;
    let open = wanted.iter().filter(|incident| incident.state == IncidentState::Open).count();
    context.note(&format!("{}, {open} open at {}", counted(wanted.len() as u64, "incident"), absolute(answer.time)));
    Ok(())
}

fn is_wanted(state: StateWord, incident: &Incident) -> bool {
    match state {
        StateWord::All => true,
        StateWord::Open => incident.state == IncidentState::Open,
        StateWord::Resolved => incident.state == IncidentState::Resolved,
    }
}

fn table(incidents: &[&Incident], now: Timestamp, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let heads = [
        Column::whole("OPENED"),
        Column::whole("LASTED"),
        Column::whole("STATE"),
        Column::whole("SEVERITY"),
        Column::whole("REASON"),
        Column::shrinking("ABOUT", 16, Cut::Middle).at_most(44),
        Column::shrinking("CHANGED BEFORE", 24, Cut::End),
    ];
    let mut columns = Columns::new(&heads, context.paint(), context.around.columns);
    for incident in incidents {
        let is_open = incident.state == IncidentState::Open;
        let state = match (is_open, &incident.merged_into) {
            (true, _) => Cell::inked(Ink::Strong, "open"),
            (false, None) => Cell::inked(Ink::Faint, "resolved"),
            (false, Some(_)) => Cell::inked(Ink::Faint, "merged"),
        };
        let place = match incident.owner.namespace.is_empty() {
            true => format!("{} {}", incident.owner.kind, incident.owner.name),
            false => format!("{} {}/{}", incident.owner.kind, incident.owner.namespace, incident.owner.name),
        };
        let cause = incident.cause.as_ref().map(|cause| format!("#{} {}", cause.seq, cause.summary)).unwrap_or_default();
        let cells = vec![
            Cell::plain(absolute(incident.opened_at)),
            Cell::plain(between(incident.opened_at, incident.resolved_at.unwrap_or(now))),
            state,
            Cell::inked(ink(incident.severity), incident.severity.as_str()),
            Cell::plain(incident.reason),
            Cell::inked(Ink::Kind, clean(&place)),
            Cell::plain(clean(&cause)),
        ];
        columns.row(context.around.stdout, cells)?;
    }
    Ok(columns.settle(context.around.stdout)?)
}
