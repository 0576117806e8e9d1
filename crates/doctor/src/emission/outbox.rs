//! The outbox of one receiver: what waits to be told, what is on its way, and when to go on.
//!
//! Pure: `step` by `step`, inputs and time in, requests out. Of one incident at most one notice is on its way; what has not gone yet gives
//! way to what happened since, except for the first word of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::notice::{Gist, IncidentRecord, Notice, Occasion};
use super::pace::{Pace, Paces, wait};
use super::rules::EndpointRules;

/// Requests on their way to one receiver at a time: one slow answer does not hold up the next notice, and few receivers mind four.
const IN_FLIGHT_LIMIT: usize = 4;
/// Notices that wait for one receiver; beyond it the oldest is given up. Storms are digested before they come here, so this is days of news.
const WAITING_LIMIT: usize = 10_000;
/// Longest wait for a receiver as a whole: one that comes back is noticed within a minute.
const ENDPOINT_LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_LIMIT: SignedDuration = SignedDuration::from_mins(10);
/// A receiver that refuses one notice for what it says is asked so often in all: it may be its own bad minute.
const REJECTED_ATTEMPTS: u32 = 3;
/// Attempts before a notice can be given up for its age: after a long pause of ours it is as old as if it had been tried.
const MIN_ATTEMPTS: u32 = 3;
/// Notices about one object: ten at once, then one a minute. What is held back is told later in its newest form.
const OBJECT_PACE: Pace = Pace { burst: 10, interval: SignedDuration::from_mins(1) };
/// Requests to one receiver: a hundred at once, then ten a second.
const ENDPOINT_PACE: Pace = Pace { burst: 100, interval: SignedDuration::from_millis(100) };
/// Objects whose pace is remembered.
const OBJECTS_LIMIT: usize = 10_000;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver wants to be left alone for a time.
    Busy(SignedDuration),
    /// No answer, or one that says that the receiver is in trouble: later it may work.
    Failed,
    /// The receiver refuses us: a wrong path, a missing permission. Only somebody else can change that, so we ask seldom.
    Refused,
    /// The receiver refuses this notice for what it says.
    Rejected,
}

/// What makes an outbox go on.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The record of an incident, with the configured name of its cluster where that is known.
    Incident(&'a Arc<IncidentRecord>, Option<&'a str>),
    /// What came of a parcel.
    Outcome(u64, Outcome),
    /// Time passed.
    Time,
}

/// Notices that go in one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// For telling its outcome.
    pub id: u64,
    /// What is in it.
    pub notices: Vec<Notice>,
}

/// What a step brings about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// To be sent now.
    pub send: Vec<Parcel>,
    /// Will not be told.
    pub given_up: Vec<Notice>,
    /// How many notices of the parcel arrived.
    pub delivered: usize,
    /// When to step again though nothing happens.
    pub next_due: Option<Timestamp>,
}

/// One thing that waits to be told.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) occasion: Occasion,
    pub(super) record: Arc<IncidentRecord>,
    /// How often it was told as of this notice.
    pub(super) told: u64,
    pub(super) formerly: Option<crate::check::Severity>,
    pub(super) attempts: u32,
    pub(super) first_failed_at: Option<Timestamp>,
    pub(super) due: Timestamp,
    /// Since when it has been waiting, for the lag.
    pub(super) since: Timestamp,
}

/// What the outbox knows of an incident.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) latest: Arc<IncidentRecord>,
    pub(super) cluster_name: Option<String>,
    pub(super) gist: Gist,
    pub(super) told_at: Option<Timestamp>,
    pub(super) told_open: u64,
    pub(super) told_resolved: u64,
    pub(super) waiting: VecDeque<Waiting>,
    moment: Option<Timestamp>,
    is_sending: bool,
    /// Goes in a request of its own, since a request that it was in was refused.
    goes_alone: bool,
}

/// The object that an incident is about.
type About = (String, String, String, String);

/// The outbox of one receiver.
#[derive(Clone, Debug)]
pub struct Outbox {
    journal: String,
    consumer: String,
    rules: EndpointRules,
    pub(super) incidents: BTreeMap<String, Entry>,
    /// Incidents by the moment at which they must be looked at.
    agenda: BTreeSet<(Timestamp, String)>,
    in_flight: BTreeMap<u64, Vec<String>>,
    next_parcel: u64,
    waiting: usize,
    failures: u32,
    resume_at: Option<Timestamp>,
    full_at: Option<Timestamp>,
    objects: Paces<About>,
    is_changed: bool,
}

impl Outbox {
    /// Empty. `journal` and `consumer` go into every key.
    pub fn new(journal: &str, consumer: &str, rules: EndpointRules) -> Self {
        Self {
            journal: journal.to_owned(),
            consumer: consumer.to_owned(),
            rules,
            incidents: BTreeMap::new(),
            agenda: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            next_parcel: 1,
            waiting: 0,
            failures: 0,
            resume_at: None,
            full_at: None,
            objects: Paces::new(OBJECT_PACE, OBJECTS_LIMIT),
            is_changed: false,
        }
    }

    /// Notices that wait or are on their way.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Since when the one that waits longest has been waiting.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        self.incidents.values().filter_map(|entry| entry.waiting.front()).map(|waiting| waiting.since).min()
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether what is to be kept over a restart has changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Takes in what happened by `now`.
    pub fn step(&mut self, input: Input<'_>, now: Timestamp) -> Step {
        let mut step = Step::default();
        match input {
            Input::Incident(record, cluster_name) => self.take(record, cluster_name, now, &mut step),
            Input::Outcome(parcel, outcome) => self.settle(parcel, &outcome, now, &mut step),
            Input::Time => {}
        }
        self.dispatch(now, &mut step);
        step
    }

    /// Takes in the record of an incident and sends nothing yet: the next step does.
    pub fn note(&mut self, record: &Arc<IncidentRecord>, cluster_name: Option<&str>, now: Timestamp) -> Step {
        let mut step = Step::default();
        self.take(record, cluster_name, now, &mut step);
        step
    }

    fn take(&mut self, record: &Arc<IncidentRecord>, cluster_name: Option<&str>, now: Timestamp, step: &mut Step) {
        let Some(entry) = self.incidents.get_mut(&record.id) else {
            if record.is_open && self.rules.selection.admits(record, cluster_name) {
                self.open(record, cluster_name, now);
                self.bound(step);
            }
            return;
        };
        if record.seq <= entry.latest.seq {
            return;
        }
        entry.latest = Arc::clone(record);
        let gist = record.gist();
        if gist == entry.gist {
            return;
        }
        self.is_changed = true;
        let former = std::mem::replace(&mut entry.gist, gist);
        let occasion = match (former.is_open, record.is_open) {
            (true, true) => Some(Occasion::Changed),
            (false, true) => Some(Occasion::Reopened),
            (true, false) => Some(Occasion::Resolved).filter(|_| self.rules.send_resolved),
            (false, false) => None,
        };
        if let Some(occasion) = occasion {
            let formerly = Some(former.severity).filter(|severity| *severity != record.severity);
            self.waiting += usize::from(entry.push(occasion, formerly, now));
        }
        self.rest(&record.id);
        self.bound(step);
    }

    fn open(&mut self, record: &Arc<IncidentRecord>, cluster_name: Option<&str>, now: Timestamp) {
        let mut entry = Entry::new(record, cluster_name);
        let occasion = if record.flaps > 0 { Occasion::Reopened } else { Occasion::Opened };
        self.waiting += usize::from(entry.push(occasion, None, now));
        self.is_changed = true;
        self.admit(entry);
    }

    /// Puts in an entry that is not there yet.
    pub(super) fn admit(&mut self, entry: Entry) {
        let id = entry.latest.id.clone();
        self.incidents.insert(id.clone(), entry);
        self.rest(&id);
    }

    /// Counts what a restored entry holds.
    pub(super) fn count(&mut self, waiting: usize) {
        self.waiting += waiting;
    }

    /// Keeps the number of what waits within its limit.
    fn bound(&mut self, step: &mut Step) {
        // Ends because each turn takes one away, or finds none that could go.
        while self.waiting > WAITING_LIMIT {
            let idle = self.incidents.iter().filter(|(_, entry)| !entry.is_sending);
            let oldest = idle.filter_map(|(id, entry)| entry.waiting.front().map(|front| (front.since, id.clone()))).min();
            let Some((_, id)) = oldest else { return };
            self.give_up(&id, step);
        }
    }

    fn give_up(&mut self, id: &str, step: &mut Step) {
        let Some(entry) = self.incidents.get_mut(id) else { return };
        let Some(notice) = entry.notice(&self.journal, &self.consumer) else { return };
        entry.waiting.pop_front();
        self.waiting = self.waiting.saturating_sub(1);
        self.is_changed = true;
        step.given_up.push(notice);
        self.rest(id);
    }

    fn settle(&mut self, parcel: u64, outcome: &Outcome, now: Timestamp, step: &mut Step) {
        let Some(ids) = self.in_flight.remove(&parcel) else { return };
        let is_shared = ids.len() > 1;
        self.hold(outcome, now);
        for id in ids {
            let Some(entry) = self.incidents.get_mut(&id) else { continue };
            entry.is_sending = false;
            match outcome {
                Outcome::Delivered => {
                    entry.goes_alone = false;
                    let told = entry.waiting.pop_front();
                    self.waiting = self.waiting.saturating_sub(usize::from(told.is_some()));
                    // That an alert was kept alive is nothing to remember.
                    self.is_changed |= !(self.rules.keeps_alive && told.is_some_and(|told| told.occasion == Occasion::Repeated));
                    step.delivered += 1;
                }
                Outcome::Rejected if is_shared => entry.goes_alone = true,
                Outcome::Busy(_) | Outcome::Failed | Outcome::Refused | Outcome::Rejected => {
                    if entry.failed(outcome, &self.rules, &self.consumer, now) {
                        self.give_up(&id, step);
                    }
                }
            }
            self.rest(&id);
        }
    }

    /// How long the receiver as a whole is left alone.
    fn hold(&mut self, outcome: &Outcome, now: Timestamp) {
        let hold = match outcome {
            Outcome::Delivered | Outcome::Rejected => {
                self.failures = 0;
                self.resume_at = None;
                return;
            }
            Outcome::Busy(wanted) => (*wanted).clamp(self.rules.retry.first, RETRY_AFTER_LIMIT),
            Outcome::Refused => self.rules.retry.longest.min(ENDPOINT_LONGEST),
            Outcome::Failed => wait(&self.rules.retry, self.failures.saturating_add(1), &self.consumer).min(ENDPOINT_LONGEST),
        };
        self.failures = self.failures.saturating_add(1);
        let until = now.checked_add(hold).unwrap_or(Timestamp::MAX);
        self.resume_at = Some(self.resume_at.map_or(until, |already| already.max(until)));
    }

    /// Brings the agenda into step with an entry, and forgets one of which nothing is left to tell.
    fn rest(&mut self, id: &str) {
        let Some(entry) = self.incidents.get_mut(id) else { return };
        if let Some(moment) = entry.moment.take() {
            self.agenda.remove(&(moment, id.to_owned()));
        }
        if !entry.gist.is_open && entry.waiting.is_empty() {
            self.incidents.remove(id);
            return;
        }
        if entry.is_sending {
            return;
        }
        let repeat = || {
            let told_at = entry.told_at.unwrap_or(Timestamp::MIN);
            self.rules.repeat.filter(|_| entry.gist.is_open).map(|repeat| told_at.checked_add(repeat).unwrap_or(Timestamp::MAX))
        };
        entry.moment = entry.waiting.front().map(|waiting| waiting.due).or_else(repeat);
        if let Some(moment) = entry.moment {
            self.agenda.insert((moment, id.to_owned()));
        }
    }

    fn dispatch(&mut self, now: Timestamp, step: &mut Step) {
        // While the receiver is in trouble one request at a time finds out whether that is over.
        let most = if self.failures > 0 { 1 } else { IN_FLIGHT_LIMIT };
        // Ends because each turn either puts an entry on its way or moves its moment past `now`.
        loop {
            let Some((moment, _)) = self.agenda.first() else { return };
            if self.in_flight.len() >= most {
                return;
            }
            let allowed = self.resume_at.unwrap_or(now).max(ENDPOINT_PACE.next(self.full_at, now)).max(*moment);
            if allowed > now {
                step.next_due = Some(allowed);
                return;
            }
            if let Some(parcel) = self.parcel(now) {
                self.full_at = Some(ENDPOINT_PACE.take(self.full_at, now));
                step.send.push(parcel);
            }
        }
    }

    /// What can go now in one request; `None` if all of it must wait for its object's sake.
    fn parcel(&mut self, now: Timestamp) -> Option<Parcel> {
        let due: Vec<String> =
            self.agenda.iter().take_while(|(moment, _)| *moment <= now).take(self.rules.batch.max(1)).map(|(_, id)| id.clone()).collect();
        let mut notices = Vec::new();
        let mut ids = Vec::new();
        for id in due {
            let Some(entry) = self.incidents.get_mut(&id) else { continue };
            if entry.goes_alone && !ids.is_empty() {
                continue;
            }
            if entry.waiting.is_empty() {
                self.waiting += usize::from(entry.push(Occasion::Repeated, None, now));
            }
            let about = entry.about();
            // A further attempt is no further notice, and keeping alive is none.
            let is_news = !self.rules.keeps_alive && entry.waiting.front().is_some_and(|front| front.attempts == 0);
            let allowed = self.objects.next(&about, now);
            if allowed > now && is_news {
                if let Some(front) = entry.waiting.front_mut() {
                    front.due = allowed;
                }
                self.rest(&id);
                continue;
            }
            let Some(notice) = entry.notice(&self.journal, &self.consumer) else { continue };
            if is_news {
                self.objects.take(about, now);
            }
            entry.is_sending = true;
            entry.told_at = Some(now);
            let goes_alone = entry.goes_alone;
            self.rest(&id);
            notices.push(notice);
            ids.push(id);
            if goes_alone {
                break;
            }
        }
        if notices.is_empty() {
            return None;
        }
        let id = self.next_parcel;
        self.next_parcel += 1;
        self.in_flight.insert(id, ids);
        Some(Parcel { id, notices })
    }
}

impl Entry {
    pub(super) fn new(record: &Arc<IncidentRecord>, cluster_name: Option<&str>) -> Self {
        Self {
            latest: Arc::clone(record),
            cluster_name: cluster_name.map(str::to_owned),
            gist: record.gist(),
            told_at: None,
            told_open: 0,
            told_resolved: 0,
            waiting: VecDeque::new(),
            moment: None,
            is_sending: false,
            goes_alone: false,
        }
    }

    fn about(&self) -> About {
        let record = &self.latest;
        (record.cluster.to_string(), record.namespace.clone(), record.kind.clone(), record.name.clone())
    }

    /// Puts the newest record in line; says whether there is one more waiting than before.
    fn push(&mut self, occasion: Occasion, formerly: Option<crate::check::Severity>, now: Timestamp) -> bool {
        let last = self.waiting.len().checked_sub(1);
        let is_fixed = |index: usize, waiting: &Waiting| waiting.occasion == Occasion::Opened || (index == 0 && self.is_sending);
        let replaced = last.and_then(|last| self.waiting.pop_back_if(|waiting| !is_fixed(last, waiting)));
        let told = match (&replaced, occasion) {
            (Some(former), _) if (former.occasion == Occasion::Resolved) == (occasion == Occasion::Resolved) => former.told,
            (_, Occasion::Resolved) => {
                self.told_resolved += 1;
                self.told_resolved
            }
            (_, Occasion::Opened | Occasion::Reopened | Occasion::Changed | Occasion::Repeated) => {
                self.told_open += 1;
                self.told_open
            }
        };
        let formerly =
            replaced.as_ref().and_then(|former| former.formerly).or(formerly).filter(|severity| *severity != self.latest.severity);
        self.waiting.push_back(Waiting {
            occasion,
            record: Arc::clone(&self.latest),
            told,
            formerly,
            attempts: 0,
            first_failed_at: None,
            due: now,
            since: replaced.as_ref().map_or(now, |former| former.since),
        });
        replaced.is_none()
    }

    fn notice(&self, journal: &str, consumer: &str) -> Option<Notice> {
        let front = self.waiting.front()?;
        let stem = format!("{journal}-{:x}-{consumer}", front.record.seq.0);
        Some(Notice {
            key: if front.occasion == Occasion::Repeated { format!("{stem}-r{}", front.told) } else { stem },
            occasion: front.occasion,
            incident: Arc::clone(&front.record),
            cluster_name: self.cluster_name.clone(),
            told: front.told,
            formerly: front.formerly,
            due: front.due,
        })
    }

    /// Notes a failure; says whether the notice is to be given up.
    fn failed(&mut self, outcome: &Outcome, rules: &EndpointRules, consumer: &str, now: Timestamp) -> bool {
        let key = format!("{consumer}-{}", self.latest.id);
        let Some(front) = self.waiting.front_mut() else { return false };
        front.attempts = front.attempts.saturating_add(1);
        let since = *front.first_failed_at.get_or_insert(now);
        front.due = now.checked_add(wait(&rules.retry, front.attempts, &key)).unwrap_or(Timestamp::MAX);
        let is_old = front.attempts >= MIN_ATTEMPTS && now.duration_since(since) >= rules.retry.give_up_after;
        is_old || (*outcome == Outcome::Rejected && front.attempts >= REJECTED_ATTEMPTS)
    }
}

#[cfg(test)]
mod tests;
