//! What is told of a course, and in which words: few updates, each worth reading.
//!
//! An undisturbed deployment gets a phase update for each phase it passes through and at most `STEPS_LIMIT` steps between them; warnings have
//! a budget of their own, and the terminal update always has its place. Together they never exceed fourteen.

use jiff::Timestamp;

use super::assess::{Assessment, NO_WORKERS};
use super::cause::advice;
use super::course::{Course, Ending, seconds_between};
use super::estimate::{Position, in_words, remaining};
use super::progress::{CauseClass, Phase, Progress, Severity, Source, StateWord};
use super::{Effect, PhaseOptions};

/// Steps told between phases in one course: five phases, four steps and the terminal update are the ten of an undisturbed deployment.
const STEPS_LIMIT: u32 = 4;
/// Warnings, errors and changes of state told in one course: with the ten above the fourteen that nobody exceeds.
const WARNINGS_LIMIT: u32 = 4;
/// Steps of a deletion that are told; k0rdent has seven.
const DELETION_STEPS_LIMIT: u32 = 8;
/// Updates told in one course before its end: a deletion that comes in the middle has what is left of it.
const UPDATES_LIMIT: u32 = 13;

impl Course {
    /// Tells what is to be told at a moment.
    pub(super) fn tell(&mut self, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let Some(assessment) = self.assessment.clone() else { return Vec::new() };
        if self.unknown_due(options).is_some_and(|due| due <= at) {
            return self.tell_unknown(&assessment, at, options);
        }
        if self.told.is_unknown && self.stale_since.is_some() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if self.has(StateWord::Deleting) {
            effects.extend(self.tell_deletion(&assessment, at, options));
            effects.extend(self.tell_troubles(&assessment, at, options));
            return effects;
        }
        if self.ended.is_none() && !self.is_degraded {
            effects.extend(self.tell_way(&assessment, at, options));
            effects.extend(self.tell_troubles(&assessment, at, options));
        }
        effects.extend(self.tell_end(&assessment, at, options));
        effects
    }

    /// The next phase, the next step in it, or a change of state.
    fn tell_way(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Option<Effect> {
        let came_back = std::mem::take(&mut self.told.is_unknown);
        if !self.told.any || self.phase > self.told.phase {
            let mut update = self.draft(assessment, at, options);
            update.reason = entered(self.phase).to_owned();
            (self.told.phase, self.told.bucket, self.told.steps_in_phase) = (self.phase, bucket(self.phase, self.permille, assessment), 0);
            return Some(self.send(update));
        }
        if came_back {
            let update = Progress { reason: "WatchResumed".to_owned(), ..self.draft(assessment, at, options) };
            return self.warn(update);
        }
        let words = self.words();
        let lasting = |words: &[StateWord]| words.iter().copied().filter(|word| *word != StateWord::Stalled).collect::<Vec<_>>();
        if lasting(&words) != lasting(&self.told.states) {
            let is_paused = words.contains(&StateWord::Paused);
            let mut update = self.draft(assessment, at, options);
            update.reason = if is_paused { "Paused" } else { "StateChanged" }.to_owned();
            update.message = if is_paused { "Reconciliation is paused".to_owned() } else { format!("Going on: {}", update.message) };
            self.told.states = words;
            return self.warn(update);
        }
        let bucket = bucket(self.phase, self.permille, assessment);
        let is_step = bucket > self.told.bucket;
        if is_step && self.told.steps < STEPS_LIMIT && self.told.steps_in_phase < steps_of(self.phase, assessment) {
            (self.told.bucket, self.told.steps, self.told.steps_in_phase) = (bucket, self.told.steps + 1, self.told.steps_in_phase + 1);
            let update = Progress { reason: "StepReached".to_owned(), ..self.draft(assessment, at, options) };
            return Some(self.send(update));
        }
        if self.stall_due(options).is_some_and(|due| due <= at) {
            return self.tell_stalled(assessment, at, options);
        }
        None
    }

    fn tell_stalled(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Option<Effect> {
        self.is_stalled = true;
        let update = self.draft(assessment, at, options);
        let minutes = options.stall_seconds.div_ceil(60);
        let update = Progress {
            reason: "Stalled".to_owned(),
            message: format!("Nothing has moved for {minutes} min; last: {}", update.message),
            severity: Severity::Warning,
            source: Source::System,
            ..update
        };
        self.warn(update)
    }

    /// Each class of trouble once a course.
    fn tell_troubles(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let news: Vec<CauseClass> = self.standing.keys().copied().filter(|class| !self.told.classes.contains(class)).collect();
        let mut effects = Vec::new();
        for class in news {
            let Some(trouble) = self.standing.get(&class).map(|standing| standing.trouble.clone()) else { continue };
            self.told.classes.insert(class);
            let (what, _) = advice(class);
            let update = Progress {
                reason: trouble.reason,
                message: format!("{} while {}: {}", capital(what), self.doing(assessment), trouble.message),
                severity: trouble.severity,
                source: trouble.source,
                related_object: Some(trouble.related),
                cause_class: Some(class),
                ..self.draft(assessment, at, options)
            };
            effects.extend(self.warn(update));
        }
        effects
    }

    /// Ready, failed, no longer failed, no longer ready.
    fn tell_end(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let ended = self.ended.clone();
        if self.is_settled(at, options) && ended != Some(Ending::Ready) {
            return self.tell_ready(assessment, at, options);
        }
        if let Some((due, class)) = self.failed_due(options)
            && due <= at
        {
            return self.tell_failed(assessment, class, at, options).into_iter().collect();
        }
        if let Some(Ending::Failed(class)) = ended {
            let is_standing = self.standing.get(&class).is_some_and(|standing| standing.trouble.can_fail);
            return if is_standing { Vec::new() } else { vec![self.tell_revoked(assessment, class, at, options)] };
        }
        if self.lost_due(options).is_some_and(|due| due <= at) {
            return self.tell_degraded(assessment, at, options).into_iter().collect();
        }
        Vec::new()
    }

    fn tell_ready(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let was_degraded = std::mem::take(&mut self.is_degraded);
        if matches!(self.ended, Some(Ending::Failed(_))) {
            self.begin_next();
        }
        let lesson = if was_degraded { None } else { self.lesson(at) };
        (self.phase, self.permille, self.is_stalled) = (Phase::Ready, 1000, false);
        self.ended = Some(Ending::Ready);
        let took = seconds_between(self.began, self.ready_since.unwrap_or(at));
        let message = if was_degraded || took == 0 {
            "The cluster is ready".to_owned()
        } else {
            format!("The cluster is ready after {}", in_time(took))
        };
        let update = Progress {
            reason: if was_degraded { "Recovered" } else { "ClusterReady" }.to_owned(),
            message,
            terminal: true,
            ..self.draft(assessment, at, options)
        };
        self.told.phase = Phase::Ready;
        let mut effects = vec![self.send(update)];
        effects.extend(lesson.map(Effect::Learned));
        effects
    }

    fn tell_failed(&mut self, assessment: &Assessment, class: CauseClass, at: Timestamp, options: &PhaseOptions) -> Option<Effect> {
        let trouble = self.standing.get(&class)?.trouble.clone();
        self.ended = Some(Ending::Failed(class));
        let (what, hint) = advice(class);
        let update = Progress {
            reason: trouble.reason,
            message: format!("Failed while {}: {what}: {}; {hint}", self.doing(assessment), trouble.message),
            severity: Severity::Error,
            source: trouble.source,
            related_object: Some(trouble.related),
            cause_class: Some(class),
            terminal: true,
            ..self.draft(assessment, at, options)
        };
        Some(self.send(update))
    }

    fn tell_revoked(&mut self, assessment: &Assessment, class: CauseClass, at: Timestamp, options: &PhaseOptions) -> Effect {
        self.begin_next();
        (self.told.phase, self.told.bucket) = (self.phase, bucket(self.phase, self.permille, assessment));
        self.moved(at);
        let update = self.draft(assessment, at, options);
        let (what, _) = advice(class);
        let update = Progress {
            reason: "FailureRevoked".to_owned(),
            message: format!("No longer failed, what was told is over ({what}): {}", update.message),
            ..update
        };
        self.send(update)
    }

    fn tell_degraded(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Option<Effect> {
        self.begin_next();
        (self.is_degraded, self.lost_since) = (true, None);
        let why = assessment.ready.clone().err().unwrap_or_default();
        let update = Progress {
            reason: "Degraded".to_owned(),
            message: format!("The cluster was ready and is no longer: {why}"),
            severity: Severity::Warning,
            ..self.draft(assessment, at, options)
        };
        // What stands is most likely why; without it the sources that no longer agree are all we know.
        let cause = self.standing.iter().find(|(_, standing)| standing.trouble.severity == Severity::Error);
        let update = match cause {
            None => update,
            Some((class, standing)) => {
                let ((what, _), trouble) = (advice(*class), &standing.trouble);
                let message = format!("{}; {what}: {}", update.message, trouble.message);
                Progress { message, related_object: Some(trouble.related.clone()), cause_class: Some(*class), ..update }
            }
        };
        self.warn(update)
    }

    fn tell_unknown(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        self.told.is_unknown = true;
        (self.told.any, self.ready_since) = (true, None);
        let minutes = options.stale_seconds.div_ceil(60);
        let update = Progress {
            reason: "WatchStale".to_owned(),
            message: format!("The cluster's objects have not been followed for {minutes} min; where it is, is not known"),
            severity: Severity::Warning,
            source: Source::System,
            ..self.draft(assessment, at, options)
        };
        self.warn(update).into_iter().collect()
    }

    fn tell_deletion(&mut self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Option<Effect> {
        let (reason, said) = self.deletion_reason.clone();
        let reason = if reason.is_empty() { "Deleting".to_owned() } else { reason };
        let is_first = !self.told.states.contains(&StateWord::Deleting);
        let is_spent = self.told.deletion_steps >= DELETION_STEPS_LIMIT || self.told.updates >= UPDATES_LIMIT;
        if !is_first && (reason == self.told.deletion || is_spent) {
            return None;
        }
        if is_first && self.ended.is_some() {
            self.begin_next();
        }
        self.told.deletion_steps += 1;
        self.told.deletion.clone_from(&reason);
        self.told.states = self.words();
        let message = match (is_first, said.is_empty()) {
            (_, false) => format!("The cluster is being deleted: {}", super::reading::first_line(&said, super::MESSAGE_LENGTH)),
            (true, true) => "The cluster is being deleted".to_owned(),
            (false, true) => format!("The cluster is being deleted: {}", in_lower_words(&reason)),
        };
        let update = Progress { reason, message, step: "deletion".to_owned(), ..self.draft(assessment, at, options) };
        Some(self.send(update))
    }

    /// The end of what is monitored.
    pub(super) fn tell_deleted(&mut self, at: Timestamp, options: &PhaseOptions) -> Vec<Effect> {
        let Some(assessment) = self.assessment.clone() else { return Vec::new() };
        if self.ended.is_some() {
            self.begin_next();
        }
        let update = Progress {
            reason: "Deleted".to_owned(),
            message: "The cluster is deleted".to_owned(),
            step: "deletion".to_owned(),
            terminal: true,
            estimate: None,
            remaining_seconds: None,
            ..self.draft(&assessment, at, options)
        };
        vec![self.send(update)]
    }

    /// An update as the course stands, without news.
    pub(super) fn draft(&self, assessment: &Assessment, at: Timestamp, options: &PhaseOptions) -> Progress {
        let phase = match &self.ended {
            _ if self.told.is_unknown && self.stale_since.is_some() => Phase::Unknown,
            Some(Ending::Failed(_)) => Phase::Failed,
            Some(Ending::Ready | Ending::Deleted) | None => self.phase,
        };
        let began = self.phase_began.get(&self.phase).copied().unwrap_or(self.began);
        let position = Position {
            provider: &assessment.metadata.provider,
            template: &assessment.metadata.template,
            phase,
            permille: self.permille,
            seconds_in_phase: seconds_between(began, at),
            has_services: assessment.has_services,
        };
        let words = self.words();
        let is_moving = !words.iter().any(|word| matches!(word, StateWord::Paused | StateWord::Deleting | StateWord::DryRun));
        let seconds = if is_moving { remaining(&options.medians, &position) } else { None };
        let step = if self.phase == Phase::Ready { String::new() } else { assessment.step.clone() };
        Progress {
            number: self.number + 1,
            course: self.course,
            timestamp: at,
            seq: self.seq,
            cluster: self.target.cluster.clone(),
            namespace: self.target.namespace.clone(),
            name: self.target.name.clone(),
            phase,
            state: words,
            progress: self.percent_now(),
            step,
            message: sentence(self.phase, assessment),
            reason: entered(phase).to_owned(),
            source: Source::Condition,
            severity: Severity::Info,
            terminal: false,
            related_object: self.speaks_of.clone(),
            cause_class: None,
            estimate: seconds.map(in_words),
            remaining_seconds: seconds,
            caveat: assessment.caveat.clone(),
            metadata: assessment.metadata.clone(),
            services: assessment.services.clone(),
        }
    }

    /// Percent by the furthest phase and how far in it; never below what was told.
    fn percent_now(&self) -> u8 {
        let (from, to) = self.phase.band();
        let now = from + (to - from) * self.permille.min(1000) / 1000;
        u8::try_from(now).unwrap_or(100).max(self.percent)
    }

    fn words(&self) -> Vec<StateWord> {
        let mut words = self.assessment.as_ref().map(|assessment| assessment.states.clone()).unwrap_or_default();
        words.extend(self.is_degraded.then_some(StateWord::Degraded));
        words.extend(self.is_stalled.then_some(StateWord::Stalled));
        words.sort_unstable();
        words
    }

    /// What was being done when something went wrong.
    fn doing(&self, assessment: &Assessment) -> String {
        if self.has(StateWord::Deleting) { "deleting the cluster".to_owned() } else { doing(self.phase, &assessment.step) }
    }

    fn send(&mut self, update: Progress) -> Effect {
        self.number = update.number;
        self.percent = update.progress;
        self.told.any = true;
        self.told.updates += 1;
        self.told.states.clone_from(&update.state);
        Effect::Update(Box::new(update))
    }

    /// Sends what is told only within the budget of warnings.
    fn warn(&mut self, update: Progress) -> Option<Effect> {
        if self.told.warnings >= WARNINGS_LIMIT {
            return None;
        }
        self.told.warnings += 1;
        Some(self.send(update))
    }
}

/// The word for having reached a phase.
fn entered(phase: Phase) -> &'static str {
    match phase {
        Phase::Unknown => "Unknown",
        Phase::Initializing => "Accepted",
        Phase::Provisioning => "InfrastructureStarted",
        Phase::Bootstrapping => "InfrastructureReady",
        Phase::Scaling => "ControlPlaneAvailable",
        Phase::Installing => "ClusterAvailable",
        Phase::Ready => "ClusterReady",
        Phase::Failed => "Failed",
    }
}

/// How finely a phase is told.
fn bucket(phase: Phase, permille: u32, assessment: &Assessment) -> u32 {
    match phase {
        // An adopted cluster passes through few phases: its steps are what there is to tell.
        Phase::Initializing if !assessment.has_machines => permille / 200,
        Phase::Unknown | Phase::Initializing | Phase::Provisioning => permille * 3 / 1000,
        Phase::Bootstrapping | Phase::Scaling | Phase::Installing | Phase::Ready | Phase::Failed => permille * 2 / 1000,
    }
}

/// How many steps of a phase are told.
fn steps_of(phase: Phase, assessment: &Assessment) -> u32 {
    match phase {
        Phase::Initializing if !assessment.has_machines => 3,
        Phase::Provisioning => 2,
        Phase::Initializing | Phase::Bootstrapping | Phase::Scaling | Phase::Installing => 1,
        Phase::Unknown | Phase::Ready | Phase::Failed => 0,
    }
}

/// What is going on, as one sentence.
fn sentence(phase: Phase, assessment: &Assessment) -> String {
    let step = assessment.step.as_str();
    let counted = assessment.count.map_or_else(String::new, |(done, of)| format!(": {done} of {of}"));
    match phase {
        Phase::Unknown => "Where the cluster is, is not known".to_owned(),
        Phase::Initializing => match step {
            "Helm release" => "The credential is valid; the Helm release is being installed".to_owned(),
            "waiting for the Cluster" => "The Helm release is installed; waiting for the Cluster".to_owned(),
            "connecting to the cluster" => "The Helm release is installed; connecting to the cluster".to_owned(),
            "confirming that it stays ready" => "The cluster answers; confirming that it stays ready".to_owned(),
            "credential validation" => "Validating the credential, the template and the chart".to_owned(),
            other => capital(other),
        },
        Phase::Provisioning if assessment.phase == phase && step != "infrastructure" => format!("Making infrastructure: {step}"),
        Phase::Provisioning => "Making infrastructure".to_owned(),
        Phase::Bootstrapping if assessment.phase == phase => {
            format!("The infrastructure is ready; the control plane is starting: {step}{}", counted.replacen(": ", ", ", 1))
        }
        Phase::Bootstrapping => "The infrastructure is ready; the control plane is starting".to_owned(),
        Phase::Scaling if step == NO_WORKERS => "The control plane is available; no workers are asked for".to_owned(),
        Phase::Scaling if assessment.phase == phase => format!("The control plane is available; workers are joining{counted}"),
        Phase::Scaling => "The control plane is available; workers are joining".to_owned(),
        Phase::Installing if !assessment.has_machines => format!("The cluster is connected; services are being deployed{counted}"),
        Phase::Installing if assessment.phase == phase => format!("The workers are available; services are being deployed{counted}"),
        Phase::Installing => "Services are being deployed".to_owned(),
        Phase::Ready => "The cluster is ready".to_owned(),
        Phase::Failed => "The deployment failed".to_owned(),
    }
}

/// What was being done when something went wrong.
fn doing(phase: Phase, step: &str) -> String {
    match phase {
        Phase::Unknown | Phase::Initializing => "validating and installing the release".to_owned(),
        Phase::Provisioning if matches!(step, "" | "infrastructure") => "making infrastructure".to_owned(),
        Phase::Provisioning => format!("making infrastructure ({step})"),
        Phase::Bootstrapping => "starting the control plane".to_owned(),
        Phase::Scaling => "adding workers".to_owned(),
        Phase::Installing => "deploying services".to_owned(),
        Phase::Ready | Phase::Failed => "running".to_owned(),
    }
}

/// `6m26s`
fn in_time(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        (_, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// `WaitingForClusterDeletion` as a person reads it: `waiting for cluster deletion`.
fn in_lower_words(text: &str) -> String {
    let mut words = String::new();
    for letter in text.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
