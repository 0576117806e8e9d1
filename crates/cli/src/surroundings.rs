//! What a run of the program sees of the world: its outputs, its environment, its clock, the way to a journal. One struct, so that a test
//! is a run with other surroundings.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;

use proreus_app::{AppError, Clock, Questions};

/// Cells of a terminal that does not tell its width.
const DEFAULT_COLUMNS: usize = 80;

/// What a run sees of the world.
pub struct Surroundings<'a> {
    /// What is piped in.
    pub stdin: &'a mut dyn Read,
    /// Data goes here, and nothing else.
    pub stdout: &'a mut dyn Write,
    /// Everything else goes here.
    pub stderr: &'a mut dyn Write,
    /// Cells of stdout's terminal; `None` when it is none.
    pub columns: Option<usize>,
    /// Whether stderr is a terminal.
    pub stderr_terminal: bool,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Opens a journal for reading.
    pub open: &'a dyn Fn(&Path) -> Result<Questions, AppError>,
}

/// Cells of stdout's terminal; `None` when it is none.
pub(crate) fn stdout_columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let from_env = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into());
    Some(from_env.or(columns).unwrap_or(DEFAULT_COLUMNS).max(20))
}

/// Whether stderr is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}
