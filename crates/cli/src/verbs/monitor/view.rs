//! What is shown of a monitor: a line an update, a bar below them on a terminal, or the updates for programs.

use std::io::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use proreus_api::MonitorUpdate;
use proreus_app::questions::{Phase, Severity, StateWord};

use crate::failure::Failure;
use crate::flags::MonitorFlags;
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::terminal::fit::clean;
use crate::terminal::paint::{Ink, Paint};
use crate::terminal::times::{absolute, between};

/// Redraws of the bar a second.
const REDRAWS: u8 = 10;

/// What has been shown, and how.
pub(super) struct View {
    listing: Option<Listing>,
    bar: Option<ProgressBar>,
    first: Option<Timestamp>,
    last: Option<MonitorUpdate>,
}

impl View {
    pub(super) fn new(flags: &MonitorFlags, is_watching: bool, context: &Context<'_, '_>) -> Self {
        let format = flags.output.output.unwrap_or_default();
        let is_live = is_watching && format == Format::Table && context.around.stderr_terminal && context.around.columns.is_some();
        let bar = is_live.then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            let style = ProgressStyle::with_template("{prefix:<13} {bar:32.cyan/dim} {pos:>3}%  {elapsed}  {wide_msg}");
            bar.with_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─")))
        });
        Self { listing: (format != Format::Table).then(|| Listing::new(format)), bar, first: None, last: None }
    }

    /// The newest update.
    pub(super) fn last(&self) -> Option<&MonitorUpdate> {
        self.last.as_ref()
    }

    /// Says what is waited for, where somebody looks.
    pub(super) fn wait_for(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix("Waiting");
            bar.set_message(clean(what));
        }
    }

    /// Shows an update.
    pub(super) fn tell(&mut self, update: MonitorUpdate, context: &mut Context<'_, '_>) -> Result<(), Failure> {
        let paint = context.paint();
        let first = *self.first.get_or_insert(update.timestamp);
        match (&mut self.listing, &self.bar) {
            (Some(listing), _) => {
                listing.item(context.around.stdout, &update)?;
                context.around.stdout.flush()?;
            }
            (None, Some(bar)) => {
                let stdout = &mut context.around.stdout;
                bar.suspend(|| writeln!(stdout, "{}", line(&update, first, paint)).and_then(|()| stdout.flush()))?;
                bar.set_position(u64::from(update.progress));
                bar.set_prefix(update.phase.as_str());
                let left = update.estimate.as_ref().map_or_else(String::new, |left| format!(", {left}"));
                bar.set_message(format!("{}{left}", clean(&update.step)));
            }
            (None, None) => {
                writeln!(context.around.stdout, "{}", line(&update, first, paint))?;
                context.around.stdout.flush()?;
            }
        }
        self.last = Some(update);
        Ok(())
    }

    /// Closes what is open; the last update.
    pub(super) fn finish(&mut self, context: &mut Context<'_, '_>) -> Result<Option<MonitorUpdate>, Failure> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(listing) = self.listing.take() {
            listing.finish(context.around.stdout)?;
        }
        context.around.stdout.flush()?;
        Ok(self.last.take())
    }
}

/// `2026-03-02 09:04:03Z  +4m03s    45%  Bootstrapping  The infrastructure is ready; …`
fn line(update: &MonitorUpdate, first: Timestamp, paint: Paint) -> String {
    let ink = match (update.severity, update.phase) {
        (Severity::Error, _) => Ink::Bad,
        (Severity::Warning, _) => Ink::Warning,
        (Severity::Info, Phase::Ready) => Ink::Added,
        (Severity::Info, _) => Ink::Plain,
    };
    let after = if update.timestamp > first { format!("+{}", between(first, update.timestamp)) } else { String::new() };
    let states: Vec<&str> = update.state.iter().map(|word: &StateWord| word.as_str()).collect();
    let states = if states.is_empty() { String::new() } else { format!(" [{}]", states.join(", ")) };
    let left = update.estimate.as_ref().map_or_else(String::new, |left| format!(" ({left})"));
    let caveat = update.caveat.as_ref().map_or_else(String::new, |caveat| format!("; {caveat}"));
    format!(
        "{}  {after:<7} {:>3}%  {}{}  {}",
        paint.text(Ink::Faint, &absolute(update.timestamp)),
        update.progress,
        paint.text(Ink::Kind, &format!("{:<13}", update.phase.as_str())),
        paint.text(Ink::Warning, &states),
        paint.text(ink, &clean(&format!("{}{left}{caveat}", update.message))),
    )
}
