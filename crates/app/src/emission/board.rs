//! How the telling stands, by endpoint: plain figures for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// How one endpoint stands. Counted since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointFigures {
    /// Notices that arrived.
    pub delivered: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Notices that will not be told.
    pub given_up: u64,
    /// Notices that wait or are on their way.
    pub waiting: u64,
    /// Since when the one that waits longest has been waiting.
    pub waiting_since: Option<Timestamp>,
    /// Why the last request failed, while requests fail.
    pub trouble: Option<String>,
}

/// The figures of all endpoints.
#[derive(Debug, Default)]
pub struct EmissionBoard {
    lanes: Mutex<BTreeMap<Lane, EndpointFigures>>,
}

/// An endpoint, and the part of it: Events have a lane for each cluster.
type Lane = (String, String);

impl EmissionBoard {
    fn lanes(&self) -> MutexGuard<'_, BTreeMap<Lane, EndpointFigures>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, endpoint: &str, part: &str, change: impl FnOnce(&mut EndpointFigures)) {
        change(self.lanes().entry((endpoint.to_owned(), part.to_owned())).or_default());
    }

    /// Leaves out endpoints that are no longer configured.
    pub(super) fn retain(&self, is_configured: impl Fn(&str) -> bool) {
        self.lanes().retain(|(endpoint, _), _| is_configured(endpoint));
    }

    /// By the name of the endpoint.
    pub fn figures(&self) -> BTreeMap<String, EndpointFigures> {
        let mut all: BTreeMap<String, EndpointFigures> = BTreeMap::new();
        for ((endpoint, _), figures) in &*self.lanes() {
            let sum = all.entry(endpoint.clone()).or_default();
            sum.delivered += figures.delivered;
            sum.failed += figures.failed;
            sum.given_up += figures.given_up;
            sum.waiting += figures.waiting;
            sum.waiting_since = [sum.waiting_since, figures.waiting_since].into_iter().flatten().min();
            sum.trouble = sum.trouble.take().or_else(|| figures.trouble.clone());
        }
        all
    }
}
