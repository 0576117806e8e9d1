//! What a check is: its definition, from which every catalogue is written, and the one function that looks at one object.
//!
//! Pure. A check sees one object and what hangs together with it; it never learns the time it runs at except as `now`, and it says since
//! when something is wrong rather than whether that is long enough: graces are the examination's.

use std::fmt;

use jiff::Timestamp;
use proreus_observe::field::Malformed;
use proreus_observe::{KindRef, Observed, Snapshot};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::checks::Readings;
use crate::finding::Finding;
use crate::settings::CheckSettings;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nobody is woken.
    Info,
    /// Something does not work as it should.
    Warning,
    /// Something that people use is down, or will be soon.
    Critical,
}

impl Severity {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a check learns what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From what was recorded; runs everywhere.
    Passive,
    /// By doing something in the cluster; runs only when asked for.
    Active,
}

/// A number that a check compares with, which the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Its name in the configuration, with its unit.
    pub name: &'static str,
    /// Its value when nothing is configured.
    pub default: i64,
}

/// The definition of a check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable slug.
    pub id: &'static str,
    /// One line for a catalogue.
    pub title: &'static str,
    /// Severity of its findings where they do not say otherwise.
    pub severity: Severity,
    /// How long something must be wrong before it is told.
    pub grace_seconds: i64,
    /// What to do.
    pub remediation: &'static str,
    /// The kinds whose objects it examines.
    pub kinds: &'static [KindRef],
    /// The kinds it must know besides; without them it cannot decide.
    pub needs: &'static [KindRef],
    /// The kinds at which it looks besides, where they are there: when one of their objects changes, it is asked again.
    pub reads: &'static [KindRef],
    /// How it learns what it needs.
    pub mode: Mode,
    /// The reasons its findings give.
    pub reasons: &'static [&'static str],
    /// What may be configured.
    pub thresholds: &'static [Threshold],
    /// Looks at one object.
    pub examine: fn(&Subject<'_>) -> Verdict,
}

impl Check {
    /// A definition to fill in: a passive check with nothing else to know.
    pub const BASE: Self = Self {
        id: "",
        title: "",
        severity: Severity::Warning,
        grace_seconds: 0,
        remediation: "",
        kinds: &[],
        needs: &[],
        reads: &[],
        mode: Mode::Passive,
        reasons: &[],
        thresholds: &[],
        examine: |_| Ok(Vec::new()),
    };
}

impl Serialize for Check {
    /// In the words of the wire.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.kind).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("graceSeconds", &self.grace_seconds)?;
        map.serialize_entry("remediation", self.remediation)?;
        map.serialize_entry("kinds", &kinds)?;
        map.serialize_entry("mode", &self.mode)?;
        map.serialize_entry("reasons", self.reasons)?;
        map.serialize_entry("thresholds", self.thresholds)?;
        map.end()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.id)
    }
}

/// Why a check says neither "healthy" nor what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The evidence is missing or makes no sense.
    Unknown(String),
    /// The check does not apply, or what it needs is not to be had.
    Skipped(String),
}

impl From<Malformed> for Undecided {
    fn from(malformed: Malformed) -> Self {
        Self::Unknown(malformed.to_string())
    }
}

/// What a check says of one object: what is wrong with it (nothing: it is healthy), or why it cannot tell.
pub type Verdict = Result<Vec<Finding>, Undecided>;

/// One object before a check.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The check.
    pub check: &'a Check,
    /// The object.
    pub object: &'a Observed,
    /// Everything else that is known.
    pub view: &'a Snapshot,
    /// What is configured for this check and this object.
    pub settings: &'a CheckSettings,
    /// The moment that is judged.
    pub now: Timestamp,
    /// What was read of the object before.
    pub(crate) readings: &'a Readings,
}

impl<'a> Subject<'a> {
    /// A finding about the object, with the definition's severity and remediation.
    pub fn finding(&self, reason: &'static str, message: impl Into<String>, since: Timestamp) -> Finding {
        Finding::new(self, reason, message.into(), since)
    }

    /// One of the check's thresholds.
    pub fn threshold(&self, name: &str) -> i64 {
        let configured = self.settings.thresholds.get(name).copied();
        let default = || self.check.thresholds.iter().find(|threshold| threshold.name == name).map(|threshold| threshold.default);
        configured.or_else(default).unwrap_or_default()
    }

    /// The moment, or that of the object's last change where there is none: how long something has been so, at least. What an object says of
    /// a moment after it was recorded is a clock that runs ahead, and must not hide the trouble until then.
    pub fn since(&self, moment: Option<Timestamp>) -> Timestamp {
        moment.map_or(self.object.recorded_at, |moment| moment.min(self.object.recorded_at))
    }

    /// The object named so in the same cluster and namespace.
    pub fn neighbour(&self, kind: KindRef, name: &str) -> Option<&'a Observed> {
        let id = &self.object.id;
        self.view.named(&id.cluster, kind, &id.namespace, &name.into()).map(AsRef::as_ref)
    }

    /// Refuses to judge an object of which no body is known.
    ///
    /// # Errors
    /// When nothing but its existence is known.
    pub fn known(&self) -> Result<&'a Observed, Undecided> {
        match self.object.is_known() {
            true => Ok(self.object),
            false => Err(Undecided::Unknown("nothing but its existence is recorded".to_owned())),
        }
    }
}
