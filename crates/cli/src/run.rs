//! From the words of a command line to an exit code.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clap::error::ErrorKind;

use crate::failure::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, Failure};
use crate::flags::{CommandLine, Verb};
use crate::surroundings::{Surroundings, stderr_is_terminal, stdout_columns};
use crate::terminal::paint::{ColorChoice, Paint};
use crate::verbs;

/// Threads for what may block: the questions at once, followers between them, and the recorder's own reads. Each keeps a codec's tables and a heap
/// of its own while it lives.
const MAX_BLOCKING_THREADS: usize = 32;

/// What a verb needs besides its flags.
pub(crate) struct Context<'a, 'b> {
    pub(crate) around: &'a mut Surroundings<'b>,
    pub(crate) color: ColorChoice,
}

impl Context<'_, '_> {
    /// Colours for stdout.
    pub(crate) fn paint(&self) -> Paint {
        Paint::of(self.color, self.around.columns.is_some(), self.around.env)
    }

    /// Colours for stderr.
    pub(crate) fn paint_stderr(&self) -> Paint {
        Paint::of(self.color, self.around.stderr_terminal, self.around.env)
    }

    /// A line beside the data.
    pub(crate) fn note(&mut self, text: &str) {
        let line = self.paint_stderr().text(crate::terminal::paint::Ink::Faint, text);
        // Whoever closed stderr does not want to hear it.
        let _ = writeln!(self.around.stderr, "{line}");
    }
}

/// Runs the program in the real world.
pub fn main() -> ExitCode {
    let (mut stdout, mut stderr) = (io::BufWriter::with_capacity(64 * 1024, io::stdout()), io::stderr());
    let env = |name: &str| std::env::var(name).ok();
    let mut around = Surroundings {
        stdin: &mut io::stdin(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        columns: stdout_columns(),
        stderr_terminal: stderr_is_terminal(),
        env: &env,
        clock: Arc::new(proreus_app::service::SystemClock),
        open: &proreus_app::open_reading,
    };
    ExitCode::from(run(std::env::args_os(), &mut around))
}

/// Runs one command line; the first word is the program's own name.
///
/// What is wrong has been told on stderr when this returns; the code is one of `EXIT_DONE`, `EXIT_REFUSED`, `EXIT_FAILED`.
pub fn run(words: impl IntoIterator<Item = OsString>, around: &mut Surroundings<'_>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    let line = match CommandLine::try_parse_from(&words) {
        Ok(line) => line,
        Err(error) if error.exit_code() != 0 && asks_for_json(&words) => return tell_usage_as_json(&error, around),
        Err(error) => return tell_usage(&error, around),
    };
    let json = line.verb.wants_json();
    let mut context = Context { around, color: line.color };
    let outcome = match tokio::runtime::Builder::new_multi_thread().max_blocking_threads(MAX_BLOCKING_THREADS).enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(act(line.verb, &mut context));
            // A blocking read that nobody waits for any more must not hold the exit up.
            runtime.shutdown_background();
            outcome
        }
        Err(source) => {
            Err(Failure::File { step: "cannot start".to_owned(), source, hint: "check the limits on threads and files".to_owned() })
        }
    };
    let flushed = context.around.stdout.flush().map_err(Failure::Output);
    match outcome.and(flushed) {
        Ok(()) => EXIT_DONE,
        Err(failure) => {
            let paint = context.paint_stderr();
            let _ = failure.tell(context.around.stderr, paint, json);
            failure.code()
        }
    }
}

async fn act(verb: Verb, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    match verb {
        Verb::Changes(flags) => verbs::changes::run(&flags, context).await,
        Verb::History(flags) => verbs::history::run(&flags, context).await,
        Verb::Get(flags) => verbs::get::run(&flags, context).await,
        Verb::Diff(flags) => verbs::diff::run(&flags, context).await,
        Verb::Monitor(flags) => verbs::monitor::run(&flags, context).await,
        Verb::Completions(flags) => verbs::about::completions(&flags, context),
        Verb::Version(flags) => verbs::about::version(&flags, context),
        Verb::Serve(flags) => verbs::serve::run(&flags, context).await,
        Verb::Demo(flags) => verbs::demo::run(&flags, context).await,
        Verb::Playground(flags) => verbs::playground::run(&flags, context).await,
        Verb::Manifests(flags) => verbs::manifests::run(&flags, context),
        Verb::Doctor(flags) => verbs::doctor::run(&flags, context).await,
        Verb::Incidents(flags) => verbs::incidents::run(&flags, context).await,
        Verb::Explain(flags) => verbs::explain::run(&flags, context),
        Verb::Scenario(flags) => verbs::scenario::run(&flags.verb, context),
        Verb::Mcp(flags) => verbs::mcp::run(&flags, context).await,
        Verb::Store(flags) => verbs::store::run(&flags.verb, context),
    }
}

/// Help and version are answers and go to stdout; anything else is refused. clap's own code 2 would say that we failed.
fn tell_usage(error: &clap::Error, around: &mut Surroundings<'_>) -> u8 {
    let text = error.render();
    let answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let told = match answer {
        true if around.columns.is_some() => write!(around.stdout, "{}", text.ansi()).and_then(|()| around.stdout.flush()),
        true => write!(around.stdout, "{text}").and_then(|()| around.stdout.flush()),
        false if around.stderr_terminal => write!(around.stderr, "{}", text.ansi()),
        false => write!(around.stderr, "{text}"),
    };
    match (answer, told) {
        (true, Ok(())) => EXIT_DONE,
        (true, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_DONE,
        (true, Err(_)) => EXIT_FAILED,
        (false, _) => EXIT_REFUSED,
    }
}

/// Whether a command line that could not be read asks for JSON.
fn asks_for_json(words: &[OsString]) -> bool {
    let text: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let joined = ["-ojson", "-ojsonl", "-o=json", "-o=jsonl", "--output=json", "--output=jsonl"];
    let apart = text.windows(2).any(|pair| matches!(pair, ["-o" | "--output", "json" | "jsonl"]));
    apart || text.iter().any(|word| joined.contains(word))
}

/// clap's words as an error that programs read: its first line, and what it suggests below.
fn tell_usage_as_json(error: &clap::Error, around: &mut Surroundings<'_>) -> u8 {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let problem = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let failure = Failure::Usage { problem, hint: lines.collect::<Vec<_>>().join("; ") };
    let _ = failure.tell(around.stderr, Paint::default(), true);
    failure.code()
}
