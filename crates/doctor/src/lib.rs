//! What is wrong, since when, and what to do: checks over a snapshot, and incidents out of their findings.
//!
//! Pure: no clock, no randomness, no client. The doctor that answers a person, the one that watches, and the one that looks at last
//! Tuesday are this one function. Invariant: missing evidence is `Unknown` and never healthy.

pub mod catalogue;
mod check;
pub mod checks;
pub mod emission;
mod examination;
mod finding;
pub mod incidents;
pub mod probes;
mod rounds;
mod settings;

pub use check::{Check, Mode, Severity, Subject, Threshold, Undecided, Verdict};
pub use examination::{CheckTally, Judgement, Report, Unsettled, UnsettledState, examine, examine_object};
pub use finding::{Finding, Rank};
pub use settings::{CheckSettings, DoctorSettings, SettingsError, Silence};
