//! The one way by which hands learn the time. Brains get `now` as an argument and never see this.

use jiff::Timestamp;

/// A source of the current time; the demo and tests put a scenario clock in its place.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}
