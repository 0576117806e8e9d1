//! How far a long piece of work is: a bar on a terminal, a plain line every few seconds elsewhere. Always on stderr.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::Context;
use crate::verbs::grouped;

/// Between two plain lines: a log stays short and still shows life.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Redraws of a bar a second.
const REDRAWS: u8 = 10;

/// Shows how far a piece of work is.
pub(crate) struct Progress {
    what: &'static str,
    unit: &'static str,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// `what` is a verb of doing, such as `exporting`; `unit` what is counted, such as `records`.
    pub(crate) fn new(what: &'static str, unit: &'static str, context: &Context<'_, '_>) -> Self {
        let bar = context.around.stderr_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS));
            let template = format!("{what} {{bar:32.cyan/dim}} {{percent:>3}}%  {{human_pos}}/{{human_len}} {unit}  {{eta}} left");
            bar.with_style(
                ProgressStyle::with_template(&template).map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─")),
            )
        });
        Self { what, unit, bar, told: Instant::now() }
    }

    /// So much is done, of so much.
    pub(crate) fn at(&mut self, done: u64, total: u64, stderr: &mut dyn Write) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total.max(done));
                bar.set_position(done);
            }
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                // Whoever closed stderr does not want to hear it.
                let _ = writeln!(stderr, "{}: {} of {} {}", self.what, grouped(done), grouped(total), self.unit);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
