//! One monitored cluster in time: what is known, what has been told, what is due.
//!
//! A course is what a subscription sees: it ends with its one terminal update (Ready, Failed or deleted), and what comes after belongs to the
//! next. Within a course the phase never goes back. What is said, and in which words, stands in `telling`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Seq, Uid};

use super::assess::{Assessment, Said, Sight, assess};
use super::estimate::{Lesson, TIMED_PHASES};
use super::facts::{CAPI, Key};
use super::happening::Happening;
use super::progress::{CauseClass, Phase, Progress, RelatedObject, StateWord};
use super::provider;
use super::scope::Target;
use super::trouble::{self, EventTroubles, Trouble};
use super::{Effect, PhaseOptions, RootKind, later};

/// Incarnations remembered as gone, so that a late record of one does not begin a new course.
const GONE_LIMIT: usize = 64;
/// Nodes remembered by Events; beyond this the objects themselves count.
const NODES_LIMIT: usize = 2_000;

/// How long after its creation a cluster may be first seen for its times to be worth learning: a watch that is caught up lags seconds.
const WITNESSED_WITHIN: u64 = 60;

/// How a course ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Ready,
    Failed(CauseClass),
    Deleted,
}

/// A cause that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) first: Timestamp,
    pub(super) trouble: Trouble,
}

/// What has been told in this course.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) any: bool,
    pub(super) phase: Phase,
    pub(super) bucket: u32,
    pub(super) steps: u32,
    pub(super) steps_in_phase: u32,
    pub(super) warnings: u32,
    pub(super) states: Vec<StateWord>,
    pub(super) classes: BTreeSet<CauseClass>,
    pub(super) deletion: String,
    pub(super) deletion_steps: u32,
    /// Updates told in this course.
    pub(super) updates: u32,
    pub(super) is_unknown: bool,
}

/// One monitored cluster.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) target: Target,
    pub(super) number: u64,
    pub(super) course: u32,
    pub(super) seq: Seq,
    root: Option<(String, Uid)>,
    gone: BTreeSet<Uid>,
    said: Said,
    heard: EventTroubles,
    pub(super) standing: BTreeMap<CauseClass, Standing>,
    pub(super) assessment: Option<Assessment>,
    pub(super) speaks_of: Option<RelatedObject>,
    pub(super) deletion_reason: (String, String),
    /// The furthest phase reached, and how far in it.
    pub(super) phase: Phase,
    pub(super) permille: u32,
    pub(super) percent: u8,
    pub(super) began: Timestamp,
    pub(super) phase_began: BTreeMap<Phase, Timestamp>,
    last_progress: Timestamp,
    is_held: bool,
    machines_made: usize,
    pub(super) ready_since: Option<Timestamp>,
    pub(super) lost_since: Option<Timestamp>,
    pub(super) ended: Option<Ending>,
    pub(super) is_degraded: bool,
    pub(super) is_stalled: bool,
    pub(super) stale_since: Option<Timestamp>,
    quiet_until: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    looked_at: Timestamp,
    pub(super) told: Told,
}

impl Course {
    pub(super) fn new(target: Target, now: Timestamp) -> Self {
        Self {
            target,
            number: 0,
            course: 1,
            seq: Seq(0),
            root: None,
            gone: BTreeSet::new(),
            said: Said::default(),
            heard: EventTroubles::default(),
            standing: BTreeMap::new(),
            assessment: None,
            speaks_of: None,
            deletion_reason: (String::new(), String::new()),
            phase: Phase::Unknown,
            permille: 0,
            percent: 0,
            began: now,
            phase_began: BTreeMap::new(),
            last_progress: now,
            is_held: false,
            machines_made: 0,
            ready_since: None,
            lost_since: None,
            ended: None,
            is_degraded: false,
            is_stalled: false,
            stale_since: None,
            quiet_until: None,
            deleted_at: None,
            looked_at: Timestamp::MIN,
            told: Told::default(),
        }
    }

    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended == Some(Ending::Deleted)
    }

    /// What the monitored object is.
    pub(super) fn root_kind(&self) -> RootKind {
        match self.root.as_ref().map(|(kind, _)| kind.as_str()) {
            Some("ClusterDeployment") => RootKind::ClusterDeployment,
            Some(_) | None => RootKind::Cluster,
        }
    }

    /// Since when the monitored object is gone.
    pub(super) fn deleted_at(&self) -> Option<Timestamp> {
        self.is_over().then_some(self.deleted_at).flatten()
    }

    /// Nothing was ever told: such a course can be forgotten without anybody missing it.
    pub(super) fn is_silent(&self) -> bool {
        self.number == 0
    }

    /// A record of this cluster came.
    pub(super) fn seen(&mut self, seq: Seq, stale_since: Option<Timestamp>) {
        self.seq = seq;
        self.stale_since = stale_since;
    }

    /// Nothing is due up to here.
    pub(super) fn rest(&mut self, at: Timestamp) {
        self.looked_at = self.looked_at.max(at);
    }

    /// The first update waits for the rest of the first list.
    pub(super) fn hold(&mut self, until: Timestamp) {
        if !self.told.any {
            self.quiet_until = Some(self.quiet_until.unwrap_or(until));
        }
    }

    /// Says which incarnation is monitored. Another one under the same name ends the course of the former and begins anew.
    pub(super) fn root(&mut self, kind: &str, uid: Uid, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let is_same = self.root.as_ref().is_some_and(|(_, known)| *known == uid);
        if is_same || self.gone.contains(&uid) {
            return Vec::new();
        }
        // A Cluster whose ClusterDeployment is seen later is still the same cluster.
        let adopted = self.root.as_ref().is_some_and(|(known, _)| known == "Cluster" && kind == "ClusterDeployment");
        let mut effects = Vec::new();
        if let Some((_, former)) = self.root.clone().filter(|_| !adopted) {
            if !self.is_over() {
                effects = self.deleted([former], at, options);
            }
            let kept = (self.number, self.course, self.seq, std::mem::take(&mut self.gone), self.stale_since);
            *self = Self::new(self.target.clone(), at);
            (self.number, self.course, self.seq, self.gone, self.stale_since) = kept;
            self.course += 1;
        }
        self.root = Some((kind.to_owned(), uid));
        effects
    }

    /// What is monitored went.
    pub(super) fn deleted(&mut self, uids: impl IntoIterator<Item = Uid>, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        self.gone.extend(uids);
        while self.gone.len() > GONE_LIMIT {
            self.gone.pop_first();
        }
        if self.is_over() {
            return Vec::new();
        }
        let effects = self.tell_deleted(at, options);
        (self.ended, self.deleted_at) = (Some(Ending::Deleted), Some(at));
        self.rest(at);
        effects
    }

    /// An Event about one of the cluster's objects.
    pub(super) fn hear(&mut self, happening: &Happening, now: Timestamp) {
        let holds = !happening.message.ends_with("False");
        if happening.about.group.as_str() == CAPI && holds {
            match (happening.about.kind.as_str(), happening.reason.as_str()) {
                ("Cluster", "InfrastructureReady") => self.said.infrastructure_ready = true,
                // Renamed in Cluster API 1.11; it speaks of the same moment.
                ("Cluster", "ControlPlaneReady" | "ControlPlaneInitialized") => self.said.control_plane_initialized = true,
                ("Machine", "SuccessfulSetNodeRef") if self.said.nodes.len() < NODES_LIMIT => {
                    self.said.nodes.insert(happening.about.name.as_str().to_owned());
                }
                _ => {}
            }
        }
        let step = provider::by_happening(happening);
        self.said.step = std::mem::take(&mut self.said.step).further(step);
        self.heard.hear(happening, now);
    }

    /// An object is gone, and what was wrong with it.
    pub(super) fn take_back(&mut self, about: &Key) {
        self.heard.take_back(about);
    }

    /// Something moved: what is timed by silence begins anew.
    pub(super) fn moved(&mut self, at: Timestamp) {
        (self.last_progress, self.is_stalled) = (at, false);
    }

    fn has_failed(&self) -> bool {
        matches!(self.ended, Some(Ending::Failed(_)))
    }

    /// Takes in the evidence at a moment, and tells what is to be told.
    pub(super) fn look(&mut self, sight: &Sight<'_>, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        self.rest(at);
        self.heard.compare(sight);
        // A failure is taken back by what is said of it, not by silence: controllers give up as well.
        if !self.has_failed() {
            self.heard.forget(at);
        }
        let assessment = assess(sight);
        self.measure(&assessment, sight, at);
        self.stand(sight, at);
        self.speaks_of = speaks_of(&assessment, sight);
        self.deletion_reason = deletion_reason(sight);
        let is_settling = assessment.ready.is_ok() && !self.told.any && !self.is_settled(at, options);
        self.assessment = Some(assessment);
        // A cluster that was ready before we looked is told once, as ready, and not as on its way.
        if self.quiet_until.is_some_and(|until| at < until) || is_settling && self.stale_since.is_none() {
            return Vec::new();
        }
        self.quiet_until = None;
        self.tell(at, options)
    }

    /// Moves the marks that only rise, and starts or stops what is timed.
    fn measure(&mut self, assessment: &Assessment, sight: &Sight<'_>, at: Timestamp) {
        let is_held = assessment.states.contains(&StateWord::Paused)
            || assessment.states.contains(&StateWord::Deleting)
            || self.stale_since.is_some();
        // Time in which nothing could move, or nobody looked, does not count against it: neither while it lasts nor when it ends.
        let was_held = std::mem::replace(&mut self.is_held, is_held);
        let made = sight.members.iter().filter(|facts| facts.is(CAPI, "Machine") && (facts.has_provider_id || facts.has_node)).count();
        let further = assessment.phase > self.phase || (assessment.phase == self.phase && assessment.permille > self.permille);
        if further && !assessment.states.contains(&StateWord::Deleting) && self.phase != Phase::Ready {
            if assessment.phase > self.phase {
                self.phase_began.insert(assessment.phase, at);
            }
            (self.phase, self.permille) = (assessment.phase, assessment.permille);
        }
        if further || made > self.machines_made || is_held || was_held {
            (self.last_progress, self.machines_made) = (at, made.max(self.machines_made));
            self.is_stalled = false;
        }
        let agrees = assessment.ready.is_ok() && self.stale_since.is_none();
        self.ready_since = agrees.then(|| self.ready_since.unwrap_or(at));
        let lost = self.ended == Some(Ending::Ready) && assessment.ready.is_err() && self.stale_since.is_none();
        self.lost_since = lost.then(|| self.lost_since.unwrap_or(at));
    }

    /// Which causes stand, and since when. A cause is the same while its class is: machines are replaced, their quota is not.
    fn stand(&mut self, sight: &Sight<'_>, at: Timestamp) {
        let mut now: BTreeMap<CauseClass, Trouble> = BTreeMap::new();
        for found in trouble::standing(sight).into_iter().chain(self.heard.standing()) {
            match now.get(&found.class) {
                Some(known) if known.can_fail && !known.is_service || !found.can_fail => {}
                _ => {
                    now.insert(found.class, found);
                }
            }
        }
        // A cause that is over is a move: what it held up may take its time again.
        let is_over = |class: &CauseClass, standing: &Standing| standing.trouble.can_fail && !now.contains_key(class);
        if self.standing.iter().any(|(class, standing)| is_over(class, standing)) {
            self.moved(at);
        }
        self.standing = now
            .into_iter()
            .map(|(class, trouble)| {
                let first = self.standing.get(&class).map_or(at, |standing| standing.first);
                (class, Standing { first, trouble })
            })
            .collect();
    }

    /// Whether every source has agreed for long enough.
    pub(super) fn is_settled(&self, at: Timestamp, options: &PhaseOptions) -> bool {
        self.ready_due(options).is_some_and(|due| due <= at)
    }

    fn ready_due(&self, options: &PhaseOptions) -> Option<Timestamp> {
        self.ready_since.map(|since| after(since, options.settle_seconds))
    }

    /// Whether what was ready has been lost for long enough.
    pub(super) fn lost_due(&self, options: &PhaseOptions) -> Option<Timestamp> {
        self.lost_since.map(|since| after(since, options.settle_seconds))
    }

    /// When which cause makes it `Failed`: the first that has stood for its grace without any progress.
    pub(super) fn failed_due(&self, options: &PhaseOptions) -> Option<(Timestamp, CauseClass)> {
        if self.ended.is_some() || self.is_degraded || self.is_waiting() {
            return None;
        }
        let due = |(class, standing): (&CauseClass, &Standing)| {
            let grace = match class {
                _ if standing.trouble.is_service => options.service_grace_seconds,
                CauseClass::Capacity => options.capacity_grace_seconds,
                CauseClass::Quota
                | CauseClass::Credentials
                | CauseClass::InvalidConfiguration
                | CauseClass::Network
                | CauseClass::Image
                | CauseClass::Timeout
                | CauseClass::Unknown => options.failed_grace_seconds,
            };
            standing.trouble.can_fail.then(|| (after(standing.first.max(self.last_progress), grace), *class))
        };
        self.standing.iter().filter_map(due).min()
    }

    /// When it is called stalled.
    pub(super) fn stall_due(&self, options: &PhaseOptions) -> Option<Timestamp> {
        let is_dry = self.has(StateWord::DryRun);
        // A cause that will end in `Failed` is told already; that nothing moves meanwhile is no news.
        let is_explained = self.standing.values().any(|standing| standing.trouble.can_fail);
        let is_open = self.ended.is_none() && !self.is_degraded && self.ready_since.is_none();
        let is_timed = is_open && !self.is_waiting() && !is_dry && !is_explained;
        (is_timed && !self.is_stalled).then(|| after(self.last_progress, options.stall_seconds))
    }

    /// When the phase is `Unknown`, because nobody looks.
    pub(super) fn unknown_due(&self, options: &PhaseOptions) -> Option<Timestamp> {
        let since = self.stale_since.filter(|_| !self.told.is_unknown && self.ended.is_none())?;
        Some(after(since, options.stale_seconds))
    }

    /// Nothing is expected to move: paused, being deleted, or not seen.
    fn is_waiting(&self) -> bool {
        self.has(StateWord::Paused) || self.has(StateWord::Deleting) || self.stale_since.is_some()
    }

    pub(super) fn has(&self, word: StateWord) -> bool {
        self.assessment.as_ref().is_some_and(|assessment| assessment.states.contains(&word))
    }

    /// When it wants to be looked at without a record.
    pub(super) fn next_due(&self, options: &PhaseOptions) -> Option<Timestamp> {
        if self.is_over() || self.root.is_none() {
            return None;
        }
        let ready = self.ready_due(options).filter(|_| self.ended != Some(Ending::Ready));
        let failed = self.failed_due(options).map(|(due, _)| due);
        let dues = [
            ready,
            failed,
            self.quiet_until,
            self.lost_due(options),
            self.stall_due(options),
            self.unknown_due(options),
            self.heard.next_due().filter(|_| !self.has_failed()),
        ];
        dues.into_iter().flatten().filter(|due| *due > self.looked_at).min()
    }

    /// Ends a course and opens the next; what is known stays known, what was told does not count against it.
    pub(super) fn begin_next(&mut self) {
        self.course += 1;
        self.ended = None;
        let told = std::mem::take(&mut self.told);
        self.told =
            Told { any: true, phase: told.phase, bucket: told.bucket, states: told.states, deletion: told.deletion, ..Told::default() };
    }

    /// What this deployment took, phase by phase.
    pub(super) fn lesson(&self, at: Timestamp) -> Option<Lesson> {
        let assessment = self.assessment.as_ref()?;
        let starts: Vec<(Phase, Timestamp)> =
            TIMED_PHASES.iter().filter_map(|phase| Some((*phase, *self.phase_began.get(phase)?))).collect();
        let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([self.ready_since.unwrap_or(at)]);
        let seconds = starts.iter().zip(ends).map(|((phase, start), end)| (*phase, seconds_between(*start, end))).collect();
        let metadata = &assessment.metadata;
        // One that we did not see from its beginning teaches nothing about how long it takes.
        let created = metadata.created_at?;
        if seconds_between(created, self.began) > WITNESSED_WITHIN {
            return None;
        }
        (self.phase_began.contains_key(&Phase::Initializing) && !metadata.provider.is_empty()).then(|| Lesson {
            provider: metadata.provider.clone(),
            template: metadata.template.clone(),
            seconds,
        })
    }

    /// How it stands, as an update would say it.
    pub(super) fn current(&self, now: Timestamp, options: &PhaseOptions) -> Option<Progress> {
        self.assessment.as_ref().map(|assessment| self.draft(assessment, now, options))
    }
}

/// The object that the phase speaks of.
fn speaks_of(assessment: &Assessment, sight: &Sight<'_>) -> Option<RelatedObject> {
    let root = sight.deployment.or(sight.cluster);
    let closest = match assessment.phase {
        Phase::Provisioning => sight.infrastructure.or(sight.cluster),
        Phase::Bootstrapping => sight.control_plane.or(sight.cluster),
        Phase::Scaling => sight.cluster,
        Phase::Unknown | Phase::Initializing | Phase::Installing | Phase::Ready | Phase::Failed => None,
    };
    closest.or(root).map(super::facts::Facts::related)
}

/// How far a deletion is, by the ClusterDeployment, else by the Cluster.
fn deletion_reason(sight: &Sight<'_>) -> (String, String) {
    let condition = [sight.deployment, sight.cluster].into_iter().flatten().find_map(|facts| facts.condition("Deleting"));
    condition.map(|condition| (condition.reason.clone(), condition.message.clone())).unwrap_or_default()
}

/// A moment so many seconds later.
fn after(moment: Timestamp, seconds: u32) -> Timestamp {
    later(moment, SignedDuration::from_secs(i64::from(seconds)))
}

/// Whole seconds from one moment to a later one.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}
