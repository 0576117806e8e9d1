//! The clock a playground runs on: it stands still until a player moves it.
//!
//! Nothing else in this crate asks for the time.

use std::sync::Mutex;

use jiff::Timestamp;
use proreus_model::Clock;

/// A clock that stands still until it is moved, and never goes back.
#[derive(Debug)]
pub struct ScenarioClock {
    now: Mutex<Timestamp>,
}

impl ScenarioClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { now: Mutex::new(start) }
    }

    /// Moves the clock to `to`; a moment already passed is ignored.
    pub fn advance_to(&self, to: Timestamp) {
        let mut now = self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *now = (*now).max(to);
    }
}

impl Clock for ScenarioClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
