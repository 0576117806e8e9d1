//! Telling others of incidents: what is told to whom, when, how often, and in which words.
//!
//! Pure: an outbox is folded from the records of incidents, the outcomes of what was sent, and the time; requests come out. The same inputs
//! give the same requests, and each carries a key from (journal, position, consumer), so that whoever hears it twice can know. Not here:
//! sending, secrets, the journal. Invariant: a notice leaves the outbox only when it was delivered or given up, and of one incident they
//! leave in the order in which it happened.
//!
//! `outbox` decides, `pace` says when to try again and how fast to go, `notice` is what is told, `words` puts it into the words of each
//! kind of receiver.

mod kept;
mod notice;
mod outbox;
mod pace;
mod rules;
mod words;

pub use kept::{KeptError, Position};
pub use notice::{IncidentRecord, Notice, Occasion, REPORTER, Unreadable};
pub use outbox::{Input, Outbox, Outcome, Parcel, Step};
pub use rules::{EndpointRules, RetryRules, Selection};
pub use words::{EventObject, Setting, alertmanager, kubernetes_event, sentinel, webhook};
