//! What goes wrong: conditions, terminal failures and Events that tell of a failure, each with its class.
//!
//! A failure whose text names no class is not told, with three exceptions: a failed Helm release, a failed service, and what its own
//! controller calls terminal. Controllers retry, and most of what they call failed is over a minute later.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::assess::Sight;
use super::cause::{classify, lasts};
use super::facts::{Condition, FLUX, Facts, K0RDENT, Key, Status};
use super::happening::Happening;
use super::progress::{CauseClass, RelatedObject, Severity, Source};
use super::reading::first_line;
use super::summary::Summary;
use super::{EVENT_TROUBLE_SILENCE, EVENT_TROUBLES_LIMIT, MESSAGE_LENGTH, later};

/// Something that goes wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) class: CauseClass,
    pub(super) severity: Severity,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) related: RelatedObject,
    pub(super) source: Source,
    /// Whether it can end in `Failed`, once it has lasted.
    pub(super) can_fail: bool,
    /// A service does not keep the cluster from being there: more patience.
    pub(super) is_service: bool,
}

/// Conditions of a ClusterDeployment that tell of a failure, and their class when the text names none.
const DEPLOYMENT_CONDITIONS: [(&str, CauseClass); 11] = [
    ("CredentialReady", CauseClass::Credentials),
    ("TemplateReady", CauseClass::InvalidConfiguration),
    ("HelmChartReady", CauseClass::InvalidConfiguration),
    ("HelmReleaseReady", CauseClass::Unknown),
    ("DataSourceReady", CauseClass::InvalidConfiguration),
    ("ClusterDataSourceReady", CauseClass::Unknown),
    ("ClusterAuthenticationReady", CauseClass::InvalidConfiguration),
    ("ClusterAuditPolicyReady", CauseClass::InvalidConfiguration),
    ("ServicesReferencesValidation", CauseClass::InvalidConfiguration),
    ("ServicesDependencyValidation", CauseClass::InvalidConfiguration),
    ("Deleting", CauseClass::Unknown),
];

/// What goes wrong by what the objects say now.
pub(super) fn standing(sight: &Sight<'_>) -> Vec<Trouble> {
    let mut found = Vec::new();
    if let Some(deployment) = sight.deployment {
        found.extend(of_deployment(deployment));
        let release = sight.helm_release();
        let gave_up = release.is_some_and(|release| release.says("Stalled") == Some(true));
        found.iter_mut().filter(|trouble| gave_up && trouble.reason.ends_with("Failed")).for_each(|trouble| trouble.can_fail = true);
        if found.is_empty() {
            found.extend(release.and_then(of_release));
        }
        found.extend(of_services(sight));
        let summary = Summary::of(Some(deployment));
        for bullet in summary.bullets() {
            let text = first_line(&bullet.message, MESSAGE_LENGTH);
            found.extend(by_text(deployment, bullet.condition, &text).filter(|_| tells_failure("", &bullet.message)));
        }
    }
    for facts in sight.members.iter().filter(|facts| facts.id.group.as_str().ends_with("cluster.x-k8s.io")) {
        found.extend(of_failure(facts));
        let not_well = facts.conditions.iter().filter(|condition| condition.status == Status::False);
        let failing = not_well.filter(|condition| tells_failure(&condition.reason, &condition.message));
        found.extend(failing.filter_map(|condition| by_text(facts, &condition.reason, &condition.message)));
    }
    found
}

/// Whether a condition that is not well says that something failed, and not only that it waits.
fn tells_failure(reason: &str, message: &str) -> bool {
    const REASONS: [&str; 8] = ["Failed", "Error", "Timeout", "Unauthorized", "NotFound", "Invalid", "Missing", "Exceeded"];
    const WORDS: [&str; 9] = ["fail", "error", "err:", "exceeded", "denied", "invalid", "unauthorized", "quota", "not authorized"];
    let message = message.to_lowercase();
    REASONS.iter().any(|word| reason.contains(word)) || WORDS.iter().any(|word| message.contains(word))
}

/// A trouble whose reason or text names its class.
fn by_text(facts: &Facts, reason: &str, text: &str) -> Option<Trouble> {
    let class = classify(&format!("{reason}: {text}"))?;
    Some(Trouble {
        class,
        severity: if lasts(class) { Severity::Error } else { Severity::Warning },
        reason: reason.to_owned(),
        message: first_line(if text.is_empty() { reason } else { text }, MESSAGE_LENGTH),
        related: facts.related(),
        source: Source::Condition,
        can_fail: lasts(class),
        is_service: false,
    })
}

fn of_deployment(deployment: &Facts) -> Vec<Trouble> {
    let failed = |condition: &&Condition| {
        let waits = matches!(condition.reason.as_str(), "Progressing" | "" | "DependencyNotReady" | "ReconciliationSucceeded");
        condition.status == Status::False && !waits
    };
    let mut found = Vec::new();
    for (kind, otherwise) in DEPLOYMENT_CONDITIONS {
        let Some(condition) = deployment.condition(kind).filter(failed) else { continue };
        let named = classify(&format!("{}: {}", condition.reason, condition.message));
        let class = if kind == "CredentialReady" { CauseClass::Credentials } else { named.unwrap_or(otherwise) };
        found.push(Trouble {
            class,
            severity: Severity::Error,
            reason: if condition.reason == "Failed" { format!("{kind}Failed") } else { condition.reason.clone() },
            message: first_line(&condition.message, MESSAGE_LENGTH),
            related: deployment.related(),
            source: Source::Condition,
            can_fail: lasts(class),
            is_service: kind.starts_with("Services"),
        });
    }
    found
}

fn of_release(release: &Facts) -> Option<Trouble> {
    let condition = release.condition("Ready").filter(|condition| condition.status == Status::False)?;
    let gave_up = release.says("Stalled") == Some(true);
    (condition.reason.ends_with("Failed") || condition.reason == "ValuesError" || gave_up).then(|| {
        let class = classify(&format!("{}: {}", condition.reason, condition.message)).unwrap_or(CauseClass::Unknown);
        Trouble {
            class,
            severity: Severity::Error,
            reason: condition.reason.clone(),
            message: first_line(&condition.message, MESSAGE_LENGTH),
            related: release.related(),
            source: Source::Condition,
            can_fail: gave_up || lasts(class),
            is_service: false,
        }
    })
}

fn of_services(sight: &Sight<'_>) -> Vec<Trouble> {
    let Some(deployment) = sight.deployment else { return Vec::new() };
    let sets = sight.members.iter().filter(|facts| facts.is(K0RDENT, "ServiceSet")).flat_map(|set| &set.deployment.services);
    let services: Vec<_> = match deployment.deployment.services.is_empty() {
        true => sets.collect(),
        false => deployment.deployment.services.iter().collect(),
    };
    let failed = services.into_iter().filter(|service| service.state == "Failed");
    failed
        .map(|service| {
            let class = classify(&service.failure_message).unwrap_or(CauseClass::Unknown);
            let said = if service.failure_message.is_empty() { "it failed" } else { service.failure_message.as_str() };
            Trouble {
                class,
                severity: if lasts(class) { Severity::Error } else { Severity::Warning },
                reason: "ServiceFailed".to_owned(),
                message: first_line(&format!("service {}/{}: {said}", service.namespace, service.name), MESSAGE_LENGTH),
                related: deployment.related(),
                source: Source::Condition,
                can_fail: lasts(class),
                is_service: true,
            }
        })
        .collect()
}

/// What a controller itself calls terminal.
fn of_failure(facts: &Facts) -> Option<Trouble> {
    let (reason, message) = facts.failure.as_ref()?;
    let text = format!("{reason}: {message}");
    Some(Trouble {
        class: classify(&text).unwrap_or(CauseClass::Unknown),
        severity: Severity::Error,
        reason: if reason.is_empty() { "TerminalFailure".to_owned() } else { reason.clone() },
        message: first_line(if message.is_empty() { reason } else { message }, MESSAGE_LENGTH),
        related: facts.related(),
        source: Source::Condition,
        can_fail: true,
        is_service: false,
    })
}

/// Failures that Events told, and that nothing has taken back yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventTroubles(BTreeMap<(Key, CauseClass), Told>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    trouble: Trouble,
    times: i64,
    last: Timestamp,
    last_event: (proreus_model::Uid, i64),
}

impl EventTroubles {
    /// Takes in an Event about one of the cluster's objects.
    pub(super) fn hear(&mut self, happening: &Happening, now: Timestamp) {
        if !happening.tells_failure() {
            let good = happening.reason.starts_with("Successful") || happening.message == "Reconciled" || happening.message == "Ready";
            if good {
                self.take_back(&happening.about);
            }
            return;
        }
        // Their conditions tell the same, and take it back by themselves; ServiceSets complain while their cluster is not there yet.
        let told_elsewhere = matches!(happening.about.group.as_str(), K0RDENT | FLUX)
            || matches!(happening.about.kind.as_str(), "ClusterDeployment" | "HelmRelease" | "ServiceSet" | "ClusterSummary");
        let text = format!("{}: {}", happening.reason, happening.message);
        let Some(class) = classify(&text).filter(|_| !told_elsewhere) else { return };
        let key = (happening.about.clone(), class);
        if let Some(told) = self.0.get_mut(&key) {
            let event = (happening.event.clone(), happening.count);
            let fresh = if told.last_event.0 == event.0 { (event.1 - told.last_event.1).max(0) } else { 1 };
            told.times = told.times.saturating_add(fresh);
            told.last_event = event;
            told.last = now;
            return;
        }
        if self.0.len() < EVENT_TROUBLES_LIMIT {
            let trouble = trouble_of(happening, class);
            self.0.insert(key, Told { trouble, times: happening.count, last: now, last_event: (happening.event.clone(), happening.count) });
        }
    }

    /// Something good was said of an object: what was wrong with it is over.
    pub(super) fn take_back(&mut self, about: &Key) {
        self.0.retain(|(key, _), _| key != about);
    }

    /// Takes back what the objects' own state denies by now.
    pub(super) fn compare(&mut self, sight: &Sight<'_>) {
        let is_over = |about: &Key| {
            let facts = sight.members.iter().find(|facts| Key::of(&facts.id) == *about);
            facts.is_some_and(|facts| facts.ready == Some(true) || facts.says("Ready") == Some(true))
        };
        self.0.retain(|(about, _), _| !is_over(about));
    }

    /// Forgets what nobody repeated for long, and what is gone.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, told| later(told.last, EVENT_TROUBLE_SILENCE) > now);
    }

    /// When something is to be forgotten next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.0.values().map(|told| later(told.last, EVENT_TROUBLE_SILENCE)).min()
    }

    /// What stands. A failure that was told once may be over without a word; it can end in `Failed` only once repeated.
    pub(super) fn standing(&self) -> Vec<Trouble> {
        self.0
            .values()
            .map(|told| {
                let mut trouble = told.trouble.clone();
                trouble.can_fail = trouble.can_fail && told.times > 1;
                trouble
            })
            .collect()
    }
}

fn trouble_of(happening: &Happening, class: CauseClass) -> Trouble {
    Trouble {
        class,
        severity: if lasts(class) { Severity::Error } else { Severity::Warning },
        reason: happening.reason.clone(),
        message: first_line(&happening.message, MESSAGE_LENGTH),
        related: RelatedObject {
            group: happening.about.group.clone(),
            kind: happening.about.kind.clone(),
            namespace: happening.about.namespace.clone(),
            name: happening.about.name.clone(),
            uid: happening.about_uid.clone(),
        },
        source: Source::Event,
        can_fail: lasts(class),
        is_service: false,
    }
}
