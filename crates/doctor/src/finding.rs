//! A finding: something that is wrong with one object, since when, and what to do about it.
//!
//! Pure. Its text says nothing that changes by itself (no "for 6 minutes"), so that the same trouble is the same finding.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ObjectId, Resource, Seq};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::check::{Check, Severity, Subject};
use crate::probes::Probe;

/// Whether a finding explains others of the same owner or is explained by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Explains what is wrong above it: an image that cannot be pulled.
    Cause,
    /// Explained by a cause of the same owner, where there is one: a deployment without its replicas.
    Consequence,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Why, as a word that programs read.
    pub reason: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub remediation: Cow<'static, str>,
    /// With what.
    pub object: ObjectId,
    /// Resource of that, by which access is given.
    pub resource: Resource,
    /// The owner at the top of the chain of controllers; the object itself where there is none.
    pub owner: ObjectId,
    /// The part of the object, such as a container.
    pub part: Option<String>,
    /// What class of cause, where the reason has several.
    pub class: Option<&'static str>,
    /// The node it happens on, where it happens on one.
    pub node: Option<String>,
    /// The registry it is about, where it is about one.
    pub registry: Option<String>,
    /// Whether it explains or is explained.
    pub rank: Rank,
    /// Since when it is so. In the future for what will be so by itself, such as a certificate near its end.
    pub since: Timestamp,
    /// Until when it is so, where it ends by itself.
    pub until: Option<Timestamp>,
    /// How long it must be so before it is told.
    pub grace: SignedDuration,
    /// The changes that show it.
    pub evidence: Vec<Seq>,
    /// Whether nobody looks any more at the kind of the object: it was so when it was last seen.
    pub is_stale: bool,
}

impl Finding {
    pub(crate) fn new(subject: &Subject<'_>, reason: &'static str, message: String, since: Timestamp) -> Self {
        let id = &subject.object.id;
        Self {
            check: subject.check.id,
            severity: subject.check.severity,
            reason,
            message,
            remediation: Cow::Borrowed(subject.check.remediation),
            object: id.clone(),
            resource: subject.object.resource.clone(),
            owner: subject.view.top_owner(id),
            part: None,
            class: None,
            node: None,
            registry: None,
            rank: Rank::Cause,
            since,
            until: None,
            grace: SignedDuration::from_secs(subject.check.grace_seconds),
            evidence: vec![subject.object.seq],
            is_stale: false,
        }
    }

    /// What a probe found.
    pub(crate) fn of_probe(check: &'static Check, probe: &Probe, reason: &'static str, message: String, now: Timestamp) -> Self {
        Self {
            check: check.id,
            severity: check.severity,
            reason,
            message,
            remediation: Cow::Borrowed(check.remediation),
            object: probe.about.clone(),
            resource: Resource::default(),
            owner: probe.about.clone(),
            part: None,
            class: None,
            node: None,
            registry: None,
            rank: Rank::Cause,
            since: now,
            until: None,
            grace: SignedDuration::ZERO,
            evidence: Vec::new(),
            is_stale: false,
        }
    }

    /// With another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// With another remediation than the check's.
    #[must_use]
    pub fn remedy(mut self, remediation: impl Into<Cow<'static, str>>) -> Self {
        self.remediation = remediation.into();
        self
    }

    /// About a part of the object.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Of a class of causes.
    #[must_use]
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = Some(class);
        self
    }

    /// On a node.
    #[must_use]
    pub fn on_node(mut self, node: Option<&str>) -> Self {
        self.node = node.map(str::to_owned);
        self
    }

    /// With a grace of its own, which the configuration still overrules.
    #[must_use]
    pub fn grace(mut self, seconds: i64) -> Self {
        self.grace = SignedDuration::from_secs(seconds);
        self
    }

    /// Counted to another owner than the object's own: what an object is about, where it is owned by nobody.
    #[must_use]
    pub fn owned_by(mut self, owner: ObjectId) -> Self {
        self.owner = owner;
        self
    }

    /// That ends by itself.
    #[must_use]
    pub fn until(mut self, moment: Timestamp) -> Self {
        self.until = Some(moment);
        self
    }

    /// That a cause of the same owner explains.
    #[must_use]
    pub fn consequence(mut self) -> Self {
        self.rank = Rank::Consequence;
        self
    }

    /// Shown by further changes.
    #[must_use]
    pub fn shown_by(mut self, seqs: impl IntoIterator<Item = Seq>) -> Self {
        self.evidence.extend(seqs);
        self.evidence.sort_unstable();
        self.evidence.dedup();
        self
    }

    /// When it is told.
    pub fn due(&self) -> Timestamp {
        self.since.checked_add(self.grace).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is told at this moment.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due() <= now && !self.is_over(now)
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Serialize for Finding {
    /// Flat, in the words of the wire.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("cluster", &self.object.cluster)?;
        map.serialize_entry("namespace", &self.object.namespace)?;
        map.serialize_entry("kind", &self.object.kind)?;
        map.serialize_entry("name", &self.object.name)?;
        map.serialize_entry("uid", &self.object.uid)?;
        if let Some(part) = &self.part {
            map.serialize_entry("part", part)?;
        }
        map.serialize_entry("reason", self.reason)?;
        if let Some(class) = self.class {
            map.serialize_entry("class", class)?;
        }
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("remediation", &self.remediation)?;
        map.serialize_entry("check", self.check)?;
        map.serialize_entry("since", &self.since)?;
        map.serialize_entry("owner", &OwnerWords { kind: self.owner.kind.as_str(), name: self.owner.name.as_str() })?;
        if let Some(node) = &self.node {
            map.serialize_entry("node", node)?;
        }
        if self.is_stale {
            map.serialize_entry("stale", &true)?;
        }
        map.serialize_entry("evidence", &self.evidence)?;
        map.end()
    }
}

#[derive(Serialize)]
struct OwnerWords<'a> {
    kind: &'a str,
    name: &'a str,
}
