//! Scenario files: read, played into records, compared with what came out.
//!
//! Pure: no clock, no randomness, no disk; the file is a text and its rewriting is a text. Nothing is known here of checks, monitors or
//! policies: whoever is tested by a scenario is a `Reader`, and folds the same records as in production. Invariant: the same text gives
//! the same records to the byte.
//!
//! `docs/reference/scenario-format.md` is the reference of the format.

mod compare;
mod complete;
mod file;
mod judge;
mod kinds;
mod patch;
mod player;
mod rewrite;
mod time;

pub use compare::differences;
pub use file::{Expectation, Scenario, ScenarioError, Section, Step};
pub use judge::{Part, Reader, Verdict, judge};
pub use player::Player;
pub use rewrite::rewrite;
pub use time::offset_of;
