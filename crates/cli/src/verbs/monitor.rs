//! `monitor`: how far a cluster is that is being made. Lines for people, or the updates as JSON; a bar below them on a terminal.
//!
//! The exit code is the outcome: a cluster that failed, or did not come to its end in time, is the bad news that was asked for.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use proreus_app::questions::{Monitoring, Phase, Progress, Severity, StateWord, Target, Told};

use crate::failure::Failure;
use crate::flags::MonitorFlags;
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::source::Source;
use crate::source::directory::{Directory, POLL};
use crate::terminal::fit::clean;
use crate::terminal::paint::{Ink, Paint};
use crate::terminal::times::{absolute, between};

/// Redraws of the bar a second.
const REDRAWS: u8 = 10;
/// How far behind the writer we look while we watch: what it is just writing must not be overtaken by what is due.
const BEHIND: SignedDuration = SignedDuration::from_secs(2);

/// Runs the verb.
pub(crate) async fn run(flags: &MonitorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let (namespace, name) =
        flags.cluster_deployment.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && is_name(name)).ok_or_else(|| {
            Failure::Usage {
                problem: format!("`{}` names no cluster", flags.cluster_deployment),
                hint: "write NAMESPACE/NAME of the ClusterDeployment, such as kcm-system/prod".to_owned(),
            }
        })?;
    let Source::Directory(directory) = Source::choose(&flags.source, context.around)? else {
        return Err(Failure::Usage {
            problem: "monitor reads a journal's files only".to_owned(),
            hint: "name them with --data-dir DIR; a server may go on writing them".to_owned(),
        });
    };
    let wanted = Wanted {
        cluster: flags.cluster.as_deref().map(|word| directory.cluster(word)).transpose()?,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let (mut monitoring, mut before) = directory.monitoring()?;
    let mut view = View::new(flags, context);
    before.extend(monitoring.catch_up(None)?);
    let told = view.tell(before, &wanted, context)?;
    let outcome = match flags.watch {
        true => watch(flags, &directory, &mut monitoring, &wanted, &mut view, context).await,
        false if told == 0 => Err(not_found(&wanted, &monitoring)),
        false => Ok(()),
    };
    let last = view.finish(context)?;
    outcome?;
    match last.filter(|last| last.terminal && last.phase == Phase::Failed) {
        Some(last) => Err(Failure::BadNews { problem: format!("{}/{} failed", wanted.namespace, wanted.name), hint: clean(&last.message) }),
        None => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Which cluster.
struct Wanted {
    cluster: Option<proreus_model::ClusterId>,
    namespace: String,
    name: String,
}

impl Wanted {
    fn is(&self, update: &Progress) -> bool {
        update.namespace.as_str() == self.namespace
            && update.name.as_str() == self.name
            && self.cluster.as_ref().is_none_or(|cluster| *cluster == update.cluster)
    }
}

/// Goes on until the update that ends it.
async fn watch(
    flags: &MonitorFlags,
    directory: &Directory,
    monitoring: &mut Monitoring,
    wanted: &Wanted,
    view: &mut View,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(u64::from(flags.timeout) * 60);
    let (mut last, mut seen) = (directory.last_recorded_at(), Instant::now());
    while !view.last.as_ref().is_some_and(|last| last.terminal) {
        if Instant::now() >= deadline {
            return Err(Failure::BadNews {
                problem: format!("{}/{} did not come to its end within {} min", wanted.namespace, wanted.name, flags.timeout),
                hint: "raise --timeout, or ask again: nothing that was told is lost".to_owned(),
            });
        }
        tokio::time::sleep(POLL).await;
        let newest = directory.last_recorded_at();
        if newest != last {
            (last, seen) = (newest, Instant::now());
        }
        // Time passes on the writer's clock too while it has nothing to write.
        let passed = SignedDuration::try_from(seen.elapsed()).unwrap_or_default();
        let now = last.and_then(|last| last.checked_add(passed).ok()?.checked_sub(BEHIND).ok());
        view.tell(monitoring.catch_up(now)?, wanted, context)?;
    }
    Ok(())
}

fn not_found(wanted: &Wanted, monitoring: &Monitoring) -> Failure {
    /// Names in a hint: enough to see a slip, few enough to read.
    const NAMES: usize = 5;
    let known: Vec<String> = monitoring.targets().take(NAMES).map(|Target { namespace, name, .. }| format!("{namespace}/{name}")).collect();
    let hint = match known.is_empty() {
        true => "the journal holds no ClusterDeployment and no Cluster; --watch waits for one".to_owned(),
        false => format!("the journal holds {}; --watch waits for one that is not there yet", known.join(", ")),
    };
    Failure::Usage { problem: format!("no cluster {}/{} was recorded", wanted.namespace, wanted.name), hint }
}

/// What has been shown, and how.
struct View {
    listing: Option<Listing>,
    bar: Option<ProgressBar>,
    first: Option<Timestamp>,
    last: Option<Progress>,
}

impl View {
    fn new(flags: &MonitorFlags, context: &Context<'_, '_>) -> Self {
        let format = flags.output.output.unwrap_or_default();
        let is_live = flags.watch && format == Format::Table && context.around.stderr_terminal && context.around.columns.is_some();
        let bar = is_live.then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            let style = ProgressStyle::with_template("{prefix:<13} {bar:32.cyan/dim} {pos:>3}%  {wide_msg}");
            bar.with_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─")))
        });
        Self { listing: (format != Format::Table).then(|| Listing::new(format)), bar, first: None, last: None }
    }

    /// Shows the updates of the cluster that was asked for; how many there were.
    fn tell(&mut self, updates: Vec<Told>, wanted: &Wanted, context: &mut Context<'_, '_>) -> Result<usize, Failure> {
        let paint = context.paint();
        let mut told = 0;
        for update in updates.into_iter().map(|told| told.progress).filter(|update| wanted.is(update)) {
            told += 1;
            let first = *self.first.get_or_insert(update.timestamp);
            match (&mut self.listing, &self.bar) {
                (Some(listing), _) => listing.item(context.around.stdout, &update)?,
                (None, Some(bar)) => {
                    let shown = bar.suspend(|| {
                        writeln!(context.around.stdout, "{}", line(&update, first, paint)).and_then(|()| context.around.stdout.flush())
                    });
                    shown?;
                    bar.set_position(u64::from(update.progress));
                    bar.set_prefix(update.phase.as_str());
                    bar.set_message(format!(
                        "{}{}",
                        clean(&update.step),
                        update.estimate.as_ref().map_or_else(String::new, |left| format!(", {left}"))
                    ));
                }
                (None, None) => {
                    writeln!(context.around.stdout, "{}", line(&update, first, paint))?;
                    context.around.stdout.flush()?;
                }
            }
            self.last = Some(update);
        }
        Ok(told)
    }

    /// Closes what is open; the last update.
    fn finish(&mut self, context: &mut Context<'_, '_>) -> Result<Option<Progress>, Failure> {
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
fn line(update: &Progress, first: Timestamp, paint: Paint) -> String {
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
