//! Where a cluster is while it is being made: a fold from recorded objects and Events to a dozen updates.
//!
//! Pure: no clock, no waiting, no randomness. `step` takes a record and the moment at which it was recorded. What is due before that moment
//! fires first and is stamped with the moment it was due, so that a replay of the journal gives the same bytes as the live run. The path:
//! `facts` and `happening` read objects and Events, `scope` says whose they are, `assess` says where the cluster is, `trouble` says what goes
//! wrong, `course` adds time and decides what is told.
//!
//! Not here: subscriptions, cursors, and whatever reads a journal.

mod assess;
mod cause;
mod course;
mod estimate;
mod facts;
mod happening;
mod progress;
mod provider;
mod reading;
mod scope;
mod summary;
mod telling;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ClusterId, Mark, MarkKind, Origin, Record, Seq, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Document;
use crate::own::is_own_event;

pub use estimate::{Lesson, Median, SAMPLES_MIN, medians};
pub use progress::{CauseClass, ClusterMetadata, Phase, Progress, RelatedObject, ServiceLine, Severity, Source, StateWord};
pub use scope::Target;

use assess::Sight;
use course::Course;
use facts::{CAPI, Facts, Key};
use happening::Happening;
use scope::{Scope, concerns, deployment_key};

/// Characters of a failure's text in an update: enough for a cloud's error, short enough for a model's context.
const MESSAGE_LENGTH: usize = 300;
/// Events kept for objects that have not been seen yet; watches of different kinds do not run in step.
const PENDING_LIMIT: usize = 512;
/// Failures by Events kept of one cluster: an object and a class each.
const EVENT_TROUBLES_LIMIT: usize = 256;
/// A failure told by an Event and not repeated for this long is over: controllers back off to 16 min at most.
const EVENT_TROUBLE_SILENCE: SignedDuration = SignedDuration::from_secs(20 * 60);
/// Finished deployments remembered: twenty of each of fifty templates say what is usual.
const LESSONS_LIMIT: usize = 1_000;
/// How long a monitor is kept whose object is gone: whoever waited for the deletion has seen it by then.
const DELETED_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long the first update of a cluster that was there before us waits for the rest of the first list.
const FIRST_LIST_HOLD: SignedDuration = SignedDuration::from_secs(5);

/// How patient the fold is. The wire names end in the unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PhaseOptions {
    /// How long every source must agree before `Ready`. k0rdent unlocks dependent services some seconds after it first says ready.
    pub settle_seconds: u32,
    /// How long a classified cause must stand, without any progress, before `Failed`. New secrets and roles take minutes to spread.
    pub failed_grace_seconds: u32,
    /// The same for a lack of machines at the provider, which comes and goes.
    pub capacity_grace_seconds: u32,
    /// The same for a service inside a cluster that is there already.
    pub service_grace_seconds: u32,
    /// How long nothing may move before it is called stalled. A slow load balancer takes ten minutes.
    pub stall_seconds: u32,
    /// How long the watch of the cluster's own object may be stale before the phase is `Unknown`. A watch is resumed within seconds.
    pub stale_seconds: u32,
    /// What earlier deployments took.
    pub medians: Vec<Median>,
}

impl Default for PhaseOptions {
    fn default() -> Self {
        Self {
            settle_seconds: 30,
            failed_grace_seconds: 5 * 60,
            capacity_grace_seconds: 15 * 60,
            service_grace_seconds: 15 * 60,
            stall_seconds: 15 * 60,
            stale_seconds: 2 * 60,
            medians: Vec::new(),
        }
    }
}

/// What comes out of the fold.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// An update of a monitor.
    Update(Box<Progress>),
    /// A deployment came to its end: what it took.
    Learned(Lesson),
}

/// The kinds of object that can be monitored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// A cluster that k0rdent deploys.
    ClusterDeployment,
    /// A cluster of Cluster API that nothing else made.
    Cluster,
}

/// What is known of a monitor beside its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What it rests on: the primary object.
    pub root: RootKind,
    /// Updates told so far.
    pub updates: u64,
    /// Whether the primary object is gone.
    pub is_deleted: bool,
}

impl RootKind {
    /// API group and resource type.
    pub fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::ClusterDeployment => (facts::K0RDENT, "clusterdeployments"),
            Self::Cluster => (CAPI, "clusters"),
        }
    }
}

/// The state of the fold over one journal: every monitored cluster in it.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    options: PhaseOptions,
    scope: Scope,
    courses: BTreeMap<Target, Course>,
    /// When each course is due next, and the same by time.
    dues: BTreeMap<Target, Timestamp>,
    by_due: BTreeSet<(Timestamp, Target)>,
    /// Medians that were given, before those that were learned.
    given: Vec<Median>,
    lessons: VecDeque<Lesson>,
    pending: VecDeque<Happening>,
    /// Resource types that are not followed, and since when.
    stale: BTreeMap<(ClusterId, String), Timestamp>,
}

/// Folds one record. Returns what follows from it, and when the fold wants to be asked again without a record.
pub fn step(phases: &mut Phases, record: &Record, now: Timestamp) -> (Vec<Effect>, Option<Timestamp>) {
    let effects = phases.fold(record, now);
    (effects, phases.next_due())
}

impl Phases {
    /// An empty fold.
    pub fn new(options: PhaseOptions) -> Self {
        Self { given: options.medians.clone(), options, ..Self::default() }
    }

    /// Takes what was learned elsewhere in place of what was learned here, oldest first.
    pub fn remember(&mut self, lessons: impl IntoIterator<Item = Lesson>) {
        self.lessons = lessons.into_iter().collect();
        self.reckon_medians();
    }

    fn learn(&mut self, lesson: Lesson) {
        self.lessons.push_back(lesson);
        self.reckon_medians();
    }

    fn reckon_medians(&mut self) {
        while self.lessons.len() > LESSONS_LIMIT {
            self.lessons.pop_front();
        }
        self.options.medians.clone_from(&self.given);
        self.options.medians.extend(medians(self.lessons.make_contiguous()));
    }

    /// Whether a kind is worth folding; for those who choose what they read.
    pub fn concerns(group: &str, kind: &str) -> bool {
        is_event(group, kind) || concerns(group, kind)
    }

    /// What is monitored now, ended or not.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.courses.keys()
    }

    /// How a target stands now: what an update would say.
    pub fn current(&self, target: &Target, now: Timestamp) -> Option<Progress> {
        self.courses.get(target)?.current(now, &self.options)
    }

    /// What is known of a monitor beside its progress.
    pub fn outline(&self, target: &Target) -> Option<Outline> {
        let course = self.courses.get(target)?;
        Some(Outline { root: course.root_kind(), updates: course.number, is_deleted: course.is_over() })
    }

    /// Fires what is due up to a moment, each stamped with the moment it was due.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        // Ends because a course that was looked at has nothing due at or before that moment.
        while let Some((due, target)) = self.first_due().filter(|(due, _)| *due <= now) {
            effects.extend(self.look(&target, due, None));
        }
        effects
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.first_due().map(|(due, _)| due)
    }

    fn first_due(&self) -> Option<(Timestamp, Target)> {
        self.by_due.first().cloned()
    }

    /// Looks up when a course is due next, after something about it changed.
    fn reckon_due(&mut self, target: &Target) {
        let due = self.courses.get(target).and_then(|course| course.next_due(&self.options));
        let before = match due {
            Some(due) => self.dues.insert(target.clone(), due),
            None => self.dues.remove(target),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.by_due.remove(&(before, target.clone()));
        }
        if let Some(due) = due {
            self.by_due.insert((due, target.clone()));
        }
    }

    /// Forgets courses that nobody can miss, and those whose object is gone for long.
    fn forget(&mut self, now: Timestamp) {
        let Self { scope, courses, .. } = self;
        let is_kept = |target: &Target, course: &Course| {
            let is_missed = !course.is_silent() || scope.members(target).next().is_some();
            is_missed && course.deleted_at().is_none_or(|at| now.duration_since(at) <= DELETED_KEPT)
        };
        let forgotten: Vec<Target> =
            courses.iter().filter(|(target, course)| !is_kept(target, course)).map(|(target, _)| target.clone()).collect();
        for target in forgotten {
            self.courses.remove(&target);
            self.reckon_due(&target);
        }
    }

    fn fold(&mut self, record: &Record, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.advance(now);
        match record {
            Record::Change(change) => effects.extend(self.change(change, now)),
            Record::Mark(mark) => effects.extend(self.mark(mark, now)),
        }
        effects
    }

    fn change(&mut self, change: &Change, now: Timestamp) -> Vec<Effect> {
        let (group, kind) = (change.object.group.as_str(), change.object.kind.as_str());
        if is_event(group, kind) {
            let body = if change.verb == Verb::Delete { Value::Null } else { body(change) };
            let is_told = body.is_object() && !is_own_event(Document::of(&body).root());
            return if is_told { self.hear(Happening::read(change, &body), change.seq, now) } else { Vec::new() };
        }
        if !concerns(group, kind) {
            return Vec::new();
        }
        if change.verb == Verb::Delete {
            return self.gone(change, now);
        }
        let facts = Facts::read(&change.object, &body(change));
        let is_new = self.scope.get(&Key::of(&facts.id)).is_none_or(|known| known.id.uid != facts.id.uid);
        let touched = self.scope.put(facts);
        let mut effects = Vec::new();
        let hold = (change.origin == Origin::Snapshot).then(|| later(now, FIRST_LIST_HOLD));
        self.forget(now);
        for target in touched {
            self.seen(&target, change.seq, now);
            effects.extend(self.look(&target, now, hold));
        }
        if is_new {
            effects.extend(self.retry_pending(now));
        }
        effects
    }

    /// Forgets an object that went; when it was what is monitored, that ends the monitor's course.
    fn gone(&mut self, change: &Change, now: Timestamp) -> Vec<Effect> {
        let key = Key::of(&change.object);
        let Some(target) = self.scope.remove(&key, &change.object.uid) else { return Vec::new() };
        self.seen(&target, change.seq, now);
        let is_root = key == deployment_key(&target) || self.root(&target).is_none();
        let cluster = self.scope.members(&target).find(|facts| facts.is(CAPI, "Cluster")).map(|facts| facts.id.uid.clone());
        let effects = match self.courses.get_mut(&target) {
            Some(course) if is_root => course.deleted([Some(change.object.uid.clone()), cluster].into_iter().flatten(), now, &self.options),
            Some(course) => {
                course.take_back(&key);
                self.look(&target, now, None)
            }
            None => Vec::new(),
        };
        self.reckon_due(&target);
        effects
    }

    fn seen(&mut self, target: &Target, seq: Seq, now: Timestamp) {
        let is_stale = self.stale_since(target);
        if let Some(course) = self.courses.get_mut(target) {
            course.seen(seq, is_stale);
        } else if self.root(target).is_some() {
            let mut course = Course::new(target.clone(), now);
            course.seen(seq, is_stale);
            self.courses.insert(target.clone(), course);
        }
        self.reckon_due(target);
    }

    /// The monitored object: the ClusterDeployment, else the Cluster of exactly this name.
    fn root(&self, target: &Target) -> Option<&Facts> {
        let own = self.scope.get(&deployment_key(target));
        own.or_else(|| self.scope.members(target).find(|facts| facts.is(CAPI, "Cluster") && facts.id.name == target.name))
    }

    fn look(&mut self, target: &Target, at: Timestamp, hold: Option<Timestamp>) -> Vec<Effect> {
        let root = self.root(target).map(|facts| (facts.id.kind.clone(), facts.id.uid.clone()));
        let Some(course) = self.courses.get_mut(target) else { return Vec::new() };
        let mut effects = Vec::new();
        if let Some((kind, uid)) = root {
            effects.extend(course.root(kind.as_str(), uid, at, &self.options));
        }
        if course.is_over() {
            course.rest(at);
            self.reckon_due(target);
            return effects;
        }
        if let Some(hold) = hold {
            course.hold(hold);
        }
        let deployment = self.scope.get(&deployment_key(target));
        let said = course.said().clone();
        let mut sight = Sight::of(deployment, self.scope.members(target).collect(), &said);
        if let Some(deployment) = deployment {
            sight.credential = self.scope.credential_of(deployment);
            sight.management_region = self.scope.region_of(deployment);
        }
        effects.extend(course.look(&sight, at, &self.options));
        self.reckon_due(target);
        for effect in &effects {
            match effect {
                Effect::Learned(lesson) => self.learn(lesson.clone()),
                Effect::Update(_) => {}
            }
        }
        effects
    }

    /// An Event: about something at home, about something not seen yet, or about what is none of ours.
    fn hear(&mut self, happening: Happening, seq: Seq, now: Timestamp) -> Vec<Effect> {
        let Ok(home) = self.scope.home_of(&happening.about, &happening.about_uid) else { return Vec::new() };
        let Some(target) = home.cloned() else {
            if concerns(happening.about.group.as_str(), happening.about.kind.as_str()) {
                if self.pending.len() >= PENDING_LIMIT {
                    self.pending.pop_front();
                }
                self.pending.push_back(happening);
            }
            return Vec::new();
        };
        self.seen(&target, seq, now);
        self.tell(&target, &happening, now)
    }

    fn tell(&mut self, target: &Target, happening: &Happening, now: Timestamp) -> Vec<Effect> {
        // Events outlive what they speak of by an hour: those of an earlier cluster of this name say nothing about this one.
        let created = self.root(target).and_then(|root| root.created);
        if created.zip(happening.last_seen).is_some_and(|(created, seen)| seen < created) {
            return Vec::new();
        }
        let Some(course) = self.courses.get_mut(target) else { return Vec::new() };
        course.hear(happening, now);
        self.look(target, now, None)
    }

    fn retry_pending(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        for happening in std::mem::take(&mut self.pending) {
            match self.scope.home_of(&happening.about, &happening.about_uid).map(Option::<&Target>::cloned) {
                Ok(Some(target)) => effects.extend(self.tell(&target, &happening, now)),
                Ok(None) => self.pending.push_back(happening),
                Err(scope::OtherIncarnation) => {}
            }
        }
        effects
    }

    /// What became true of the watching.
    fn mark(&mut self, mark: &Mark, now: Timestamp) -> Vec<Effect> {
        let key = (mark.scope.cluster.clone(), mark.scope.resource.as_str().to_owned());
        match mark.kind {
            MarkKind::Stale | MarkKind::Stopped => {
                self.stale.entry(key).or_insert(now);
            }
            MarkKind::Synced => self.stale.retain(|known, _| *known != key && !(key.1.is_empty() && known.0 == key.0)),
            MarkKind::WatchStarted | MarkKind::Gap | MarkKind::ConfigChanged | MarkKind::ClockStepped | MarkKind::Refused => {
                return Vec::new();
            }
        }
        let concerned: Vec<Target> = self.courses.keys().filter(|target| target.cluster == mark.scope.cluster).cloned().collect();
        let mut effects = Vec::new();
        for target in concerned {
            self.seen(&target, mark.seq, now);
            effects.extend(self.look(&target, now, None));
        }
        effects
    }

    /// Since when what the target's phase rests on is not followed.
    fn stale_since(&self, target: &Target) -> Option<Timestamp> {
        let is_deployment = self.scope.get(&deployment_key(target)).is_some();
        let has_cluster = self.scope.members(target).any(|facts| facts.is(CAPI, "Cluster"));
        let rests_on = |resource: &str| match resource {
            "" => true,
            "clusters" => has_cluster,
            "clusterdeployments" => is_deployment,
            _ => false,
        };
        let of_target = self.stale.iter().filter(|((cluster, resource), _)| *cluster == target.cluster && rests_on(resource));
        of_target.map(|(_, since)| *since).min()
    }
}

fn is_event(group: &str, kind: &str) -> bool {
    kind == "Event" && matches!(group, "" | "events.k8s.io")
}

fn body(change: &Change) -> Value {
    change.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null)
}

/// A moment later; the end of time for what lies beyond it.
fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}
