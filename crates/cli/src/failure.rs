//! Why a verb ended without doing what was asked, as an exit code and as words.
//!
//! Invariant: exit 1 is refused input, nothing found, or the bad news that was asked for; exit 2 is our own failure.

use std::io::{self, Write};

use proreus_app::AppError;
use proreus_app::config::ConfigError;
use proreus_app::demo::DemoError;
use proreus_app::live::LiveError;
use proreus_app::service::ServiceError;
use proreus_app::storekeeping::StorekeepingError;
use proreus_serve::ServeError;
use serde::Serialize;

use crate::terminal::fit::clean;
use crate::terminal::paint::{Ink, Paint};

/// Done.
pub const EXIT_DONE: u8 = 0;
/// Refused input, nothing found, or the bad news that was asked for.
pub const EXIT_REFUSED: u8 = 1;
/// We failed.
pub const EXIT_FAILED: u8 = 2;

/// Why a verb ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line does not fit together in a way clap cannot know.
    #[error("{problem}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The application refused or failed.
    #[error(transparent)]
    App(#[from] AppError),
    /// The configuration will not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service could not start, or ended.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The doctor did not get to see the cluster.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// There is no demo or playground.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A journal could not be looked after.
    #[error(transparent)]
    Storekeeping(#[from] StorekeepingError),
    /// HTTP could not be served.
    #[error(transparent)]
    Host(#[from] ServeError),
    /// What was taken in could not be written in time after the signal to end.
    #[error("did not end within {} s after the signal", crate::signals::GRACE.as_secs())]
    Slow,
    /// The server answered, and said no.
    #[error("{problem}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the server said.
        problem: String,
        /// What the server or we suggest.
        hint: String,
    },
    /// The server did not answer, or not in a way we understand.
    #[error("{step}: {reason}")]
    Unreachable {
        /// What we were doing.
        step: String,
        /// What came instead.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The person ended it before it was done.
    #[error("interrupted before everything was tried")]
    Interrupted,
    /// Checks could not look at everything, and the person wants to be told so.
    #[error("{count} checks could not look at what they are for")]
    Blind {
        /// How many.
        count: usize,
    },
    /// A scenario file is none, or cannot be played.
    #[error("{file}: {source}")]
    Scenario {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: proreus_app::scenario::ScenarioCheckError,
    },
    /// A file could not be read or written.
    #[error("{step}: {source}")]
    File {
        /// What we were doing, with the path.
        step: String,
        /// What the system said.
        source: io::Error,
        /// What to do.
        hint: String,
    },
    /// The answer could not be written to stdout.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// What was asked for is bad news; it has been told already.
    #[error("{problem}")]
    BadNews {
        /// What it comes to.
        problem: String,
        /// What to do about it.
        hint: String,
    },
}

/// An error as programs read it.
#[derive(Serialize)]
struct ErrorObject<'a> {
    error: &'a str,
    hint: &'a str,
    code: u8,
}

impl Failure {
    /// True when whoever read our output has heard enough (`| head`): no failure at all.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Config(_) | Self::BadNews { .. } | Self::Scenario { .. } => EXIT_REFUSED,
            Self::App(error) => by(error.is_refusal()),
            Self::Service(error) => by(error.is_refusal()),
            Self::Live(error) => by(error.is_refusal()),
            Self::Demo(error) => by(error.is_refusal()),
            Self::Storekeeping(error) => by(error.is_refusal()),
            // 4xx: our question; 429 and 408 are no fault of the question.
            Self::Refused { status, .. } if (400..500).contains(status) && !matches!(status, 408 | 429) => EXIT_REFUSED,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_DONE,
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::File { .. }
            | Self::Output(_)
            | Self::Host(_)
            | Self::Slow
            | Self::Interrupted
            | Self::Blind { .. } => EXIT_FAILED,
        }
    }

    /// What the person can do next; empty where nothing helps.
    fn hint(&self) -> String {
        match self {
            Self::Usage { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Unreachable { hint, .. }
            | Self::File { hint, .. }
            | Self::BadNews { hint, .. } => hint.clone(),
            Self::App(error) => error.hint(),
            Self::Config(error) => error.hint.clone(),
            Self::Service(error) => error.hint(),
            Self::Live(error) => error.hint(),
            Self::Demo(error) => error.hint(),
            Self::Storekeeping(error) => error.hint(),
            Self::Host(error) => error.hint().to_owned(),
            Self::Slow => "what was durable is safe; the rest is watched again at the next start".to_owned(),
            Self::Output(_) => "check the disk or the program that reads the output".to_owned(),
            Self::Interrupted => "what was made for it is deleted; run it again".to_owned(),
            Self::Blind { .. } => {
                "the reasons stand in the output with --all; allow these kinds to be listed, name with --check what matters, or leave out --strict".to_owned()
            }
            Self::Scenario { source, .. } => source.hint().to_owned(),
        }
    }

    /// Tells the person, or the program.
    pub(crate) fn tell(&self, stderr: &mut dyn Write, paint: Paint, json: bool) -> io::Result<()> {
        if self.is_closed_pipe() {
            return Ok(());
        }
        let (error, hint) = (self.to_string(), self.hint());
        if json {
            let line = serde_json::to_string(&ErrorObject { error: &error, hint: &hint, code: self.code() })?;
            return writeln!(stderr, "{line}");
        }
        writeln!(stderr, "{} {}", paint.text(Ink::Bad, "error:"), clean(&error))?;
        match hint.is_empty() {
            true => Ok(()),
            false => writeln!(stderr, "{} {}", paint.text(Ink::Kind, "hint:"), clean(&hint)),
        }
    }
}

fn by(refusal: bool) -> u8 {
    if refusal { EXIT_REFUSED } else { EXIT_FAILED }
}
