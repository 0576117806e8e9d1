//! Incidents: findings grouped by what they are wrong with, opened after their grace, resolved after a time of health, cause first.
//!
//! Pure: `step` by `step`, records and time in, effects out. A transition is stamped with the moment at which it was due, and what is due
//! before a record is done before the record is folded, so that a replay of the journal gives the same incidents to the byte. Invariant:
//! only an object that was seen healthy, or seen to go, ends a symptom; what nobody looks at any more ends nothing.
//!
//! `watch` follows the records and decides what to look at again, `lifecycle` opens and resolves, `grouping` names what a symptom can be
//! a part of, `upstream` remembers what changed before, `record` says how an incident is told to others, and `state` keeps a watch over a
//! restart.

mod agenda;
mod grouping;
mod incident;
mod lifecycle;
mod record;
mod settings;
mod state;
mod upstream;
mod watch;
mod words;

pub use incident::{Cause, Effect, Incident, IncidentState};
pub use record::{
    CauseRecord, FindingRecord, INCIDENT_KIND, INCIDENT_RESOURCE, IncidentRecord, IncidentWire, OWN_GROUP, OWN_VERSION, ObjectWords,
    OwnerWords,
};
pub use settings::IncidentSettings;
pub use state::{KeptWatch, StateError, WatchRestoring};
pub use watch::Watch;
