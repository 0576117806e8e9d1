//! What of an incident is worth telling, and when.
//!
//! Pure. Invariant: what opened is told at once, what only goes on is told seldom.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Due, Lifecycle, Told};
use crate::incidents::grouping::{IncidentKey, fnv};
use crate::incidents::incident::{Effect, IncidentState};
use crate::incidents::record::IncidentRecord;
use crate::incidents::words::word;

/// How long after it was told what is new about an incident waits: pods that come and go one by one are told together.
const RETELL_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// How long after it was told an incident of which nothing is new but that it goes on is told again.
const RECONFIRM_AFTER: SignedDuration = SignedDuration::from_mins(10);

impl Lifecycle {
    /// Tells of the incidents that opened in this step, and of those about which something is new that need not wait.
    pub(in crate::incidents) fn announce(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.opened) {
            self.touched.remove(&key);
            let Some(record) = self.open.get(&key).map(IncidentRecord::from) else { continue };
            self.told.insert(key, Told::of(&record, now));
            self.effects.push(Effect::Opened(Box::new(record)));
        }
        for key in std::mem::take(&mut self.touched) {
            self.tell(key, now);
        }
    }

    /// Tells of an open incident what is new about it, or puts it off.
    fn tell(&mut self, key: IncidentKey, now: Timestamp) {
        let (Some(incident), Some(told)) = (self.open.get(&key), self.told.get(&key)) else { return };
        let is_urgent = told.severity != incident.severity || told.has_cause != incident.cause.is_some();
        let retell_at = told.at.checked_add(RETELL_AFTER).unwrap_or(Timestamp::MAX);
        if !is_urgent && now < retell_at {
            return self.agenda.put(retell_at, Due::Tell(Box::new(key)));
        }
        let record = IncidentRecord::from(incident);
        let fresh = Told::of(&record, now);
        if !is_urgent && fresh.print == told.print {
            if fresh.last_seen_at <= told.last_seen_at {
                return;
            }
            let reconfirm_at = told.at.checked_add(RECONFIRM_AFTER).unwrap_or(Timestamp::MAX);
            if now < reconfirm_at {
                return self.agenda.put(reconfirm_at, Due::Tell(Box::new(key)));
            }
        }
        self.told.insert(key, fresh);
        self.effects.push(Effect::Changed(Box::new(record)));
    }

    /// Takes over incidents that are recorded as open: those that go on keep their id and the moment of their opening, the others are over.
    pub(in crate::incidents) fn adopt(&mut self, recorded: &[IncidentRecord], now: Timestamp) {
        let mut fresh: BTreeSet<IncidentKey> = self.open.keys().cloned().collect();
        for record in recorded {
            let key = word(&record.reason).map(|reason| IncidentKey::new(&record.object.id(), reason));
            let Some(key) = key.filter(|key| fresh.contains(key)) else {
                let over = IncidentRecord { state: IncidentState::Resolved, resolved_at: Some(now), ..record.clone() };
                self.effects.push(Effect::Resolved(Box::new(over)));
                continue;
            };
            if let Some(incident) = self.open.get_mut(&key) {
                incident.id.clone_from(&record.id);
                incident.opened_at = record.opened_at;
                incident.flaps = record.flaps;
            }
            fresh.remove(&key);
            self.told.insert(key.clone(), Told::of(record, record.last_seen_at));
            self.tell(key, now);
        }
        self.opened.extend(fresh);
        self.announce(now);
    }
}

impl Told {
    pub(super) fn of(record: &IncidentRecord, at: Timestamp) -> Self {
        Self {
            at,
            severity: record.severity,
            has_cause: record.cause.is_some(),
            print: print_of(record),
            last_seen_at: record.last_seen_at,
        }
    }
}

/// A fingerprint of what is worth telling anew: everything but what moves with every look.
fn print_of(record: &IncidentRecord) -> u64 {
    let mut still = IncidentRecord { last_seen_at: record.opened_at, evidence: Vec::new(), ..record.clone() };
    still.findings.iter_mut().for_each(|finding| finding.evidence.clear());
    fnv(&serde_json::to_vec(&still).unwrap_or_default())
}
