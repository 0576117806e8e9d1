//! Checks and the doctor's report on the wire.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_app::doctor::DoctorAnswer;
use proreus_doctor as doctor;
use proreus_doctor::incidents as watch;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::incident::{IncidentFinding, IncidentSeverity};

/// How a check learns what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckMode {
    /// From what was recorded.
    Passive,
    /// By doing something in the cluster.
    Active,
}

/// A number that a check compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckThreshold {
    /// Its name in the configuration, with its unit.
    pub name: String,
    /// Its value when nothing is configured.
    pub default: i64,
}

/// The definition of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable slug.
    pub id: String,
    /// One line.
    pub title: String,
    /// Severity of its findings where they do not say otherwise.
    pub severity: IncidentSeverity,
    /// How long something must be wrong before it is told.
    pub grace_seconds: i64,
    /// What to do.
    pub remediation: String,
    /// The kinds whose objects it examines.
    pub kinds: Vec<String>,
    /// How it learns what it needs.
    pub mode: CheckMode,
    /// The reasons its findings give.
    pub reasons: Vec<String>,
    /// What may be configured.
    pub thresholds: Vec<CheckThreshold>,
}

impl From<&doctor::Check> for Check {
    fn from(check: &doctor::Check) -> Self {
        let words = |of: &[&str]| of.iter().map(|word| (*word).to_owned()).collect();
        Self {
            id: check.id.to_owned(),
            title: check.title.to_owned(),
            severity: check.severity.into(),
            grace_seconds: check.grace_seconds,
            remediation: check.remediation.to_owned(),
            kinds: check.kinds.iter().map(|kind| kind.kind.to_owned()).collect(),
            mode: match check.mode {
                doctor::Mode::Passive => CheckMode::Passive,
                doctor::Mode::Active => CheckMode::Active,
            },
            reasons: words(check.reasons),
            thresholds: check
                .thresholds
                .iter()
                .map(|threshold| CheckThreshold { name: threshold.name.to_owned(), default: threshold.default })
                .collect(),
        }
    }
}

/// Every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckPage {
    /// The checks, in the order of the catalogue.
    pub items: Vec<Check>,
    /// Always `null`: there is one page.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A finding that is silenced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilencedFinding {
    /// Until when it is not told; servers of old do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub silenced_until: Option<Timestamp>,
    /// The finding.
    #[serde(flatten)]
    pub finding: IncidentFinding,
}

/// Something that could not be decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnsettledFinding {
    /// Which check.
    pub check: String,
    /// `unknown`, or `skipped` with the reason.
    pub state: String,
    /// The cluster.
    pub cluster: String,
    /// Of which kind.
    pub kind: String,
    /// Namespace of the object; absent when it is the whole kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub namespace: Option<String>,
    /// Name of the object; absent when it is the whole kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Why.
    pub reason: String,
}

/// How one check went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckCounts {
    /// Objects it looked at.
    pub examined: u64,
    /// Objects with nothing wrong.
    pub healthy: u64,
    /// Findings that are told.
    pub findings: u64,
    /// Objects for which nobody can tell.
    pub unknown: u64,
    /// Objects it does not apply to.
    pub skipped: u64,
}

/// What the doctor says of a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The moment.
    pub at: Timestamp,
    /// The last record before it.
    pub seq: u64,
    /// How many objects were known.
    pub objects: u64,
    /// What is wrong, worst first; the first thousand.
    pub findings: Vec<IncidentFinding>,
    /// How many findings there are.
    pub count: u64,
    /// What is wrong for less than its grace; the first thousand.
    pub held: Vec<IncidentFinding>,
    /// What is wrong and silenced; the first thousand.
    pub silenced: Vec<SilencedFinding>,
    /// What could not be decided; where there is more than a thousand, what is about whole kinds comes first.
    pub unsettled: Vec<UnsettledFinding>,
    /// How each check went.
    pub checks: BTreeMap<String, CheckCounts>,
}

/// Entries of one list of a report: an answer stays within some megabytes, and says how many there are.
const REPORT_LIMIT: usize = 1_000;

impl From<DoctorAnswer> for DoctorReport {
    fn from(answer: DoctorAnswer) -> Self {
        Self::of(&answer, REPORT_LIMIT)
    }
}

impl DoctorReport {
    /// With at most so many entries in each list.
    pub fn of(answer: &DoctorAnswer, limit: usize) -> Self {
        let finding = |finding: &doctor::Finding| IncidentFinding::from(watch::FindingRecord::from(finding));
        let silenced = |until, finding| SilencedFinding { silenced_until: Some(until), finding };
        let report = &answer.report;
        Self {
            at: answer.time,
            seq: answer.seq.0,
            objects: answer.objects as u64,
            count: report.findings.len() as u64,
            findings: report.findings.iter().take(limit).map(finding).collect(),
            held: report.held.iter().take(limit).map(finding).collect(),
            silenced: report.silenced.iter().take(limit).map(|(one, until)| silenced(*until, finding(one))).collect(),
            unsettled: foremost(&report.unsettled, limit).into_iter().map(UnsettledFinding::from).collect(),
            checks: report.tallies.iter().map(|(id, tally)| ((*id).to_owned(), CheckCounts::from(*tally))).collect(),
        }
    }
}

/// As many as may be told. Checks that could not look at all are few, and must not be lost behind single objects: `--strict` asks for them.
fn foremost(unsettled: &[doctor::Unsettled], limit: usize) -> Vec<&doctor::Unsettled> {
    let mut all: Vec<&doctor::Unsettled> = unsettled.iter().collect();
    if all.len() > limit {
        all.sort_by_key(|one| (one.object.is_some(), std::cmp::Reverse(one.state)));
        all.truncate(limit);
    }
    all
}

impl From<&doctor::Unsettled> for UnsettledFinding {
    fn from(unsettled: &doctor::Unsettled) -> Self {
        let object = unsettled.object.as_ref();
        Self {
            check: unsettled.check.to_owned(),
            state: match unsettled.state {
                doctor::UnsettledState::Unknown => "unknown",
                doctor::UnsettledState::Skipped => "skipped",
            }
            .to_owned(),
            cluster: unsettled.cluster.to_string(),
            kind: unsettled.kind.to_string(),
            namespace: object.map(|object| object.namespace.to_string()),
            name: object.map(|object| object.name.to_string()),
            reason: unsettled.reason.clone(),
        }
    }
}

impl From<doctor::CheckTally> for CheckCounts {
    fn from(tally: doctor::CheckTally) -> Self {
        Self { examined: tally.examined, healthy: tally.healthy, findings: tally.findings, unknown: tally.unknown, skipped: tally.skipped }
    }
}

#[cfg(test)]
mod tests {
    use proreus_doctor::{Report, Unsettled, UnsettledState};
    use proreus_model::{ObjectId, Seq};

    use super::*;

    #[test]
    fn what_could_not_look_at_all_survives_the_cut() {
        let object = |name: &str| ObjectId {
            cluster: "c".into(),
            group: "".into(),
            kind: "Pod".into(),
            namespace: "shop".into(),
            name: name.into(),
            uid: name.into(),
        };
        let one = |state, object| Unsettled {
            check: "pod-pending",
            state,
            cluster: "c".into(),
            kind: "Pod".into(),
            object,
            reason: "words".to_owned(),
        };
        let unsettled = vec![
            one(UnsettledState::Unknown, Some(object("a"))),
            one(UnsettledState::Unknown, Some(object("b"))),
            one(UnsettledState::Unknown, None),
            one(UnsettledState::Skipped, Some(object("c"))),
            one(UnsettledState::Skipped, None),
        ];
        let report = Report { unsettled, ..Report::default() };
        let answer = DoctorAnswer { time: Timestamp::UNIX_EPOCH, seq: Seq(1), objects: 3, report };
        let told = |limit| {
            let report = DoctorReport::of(&answer, limit);
            report.unsettled.into_iter().map(|one| format!("{} {}", one.state, one.name.unwrap_or_default())).collect::<Vec<_>>()
        };
        assert_eq!(told(3), ["skipped ", "unknown ", "skipped c"]);
        assert_eq!(told(5), ["unknown a", "unknown b", "unknown ", "skipped c", "skipped "], "the order of the checks where all are told");
    }
}
