//! Incidents as they were known at a moment: read from what is recorded, else folded from the records as a live watch would have.
//!
//! An incident is shown if its primary object may be read; what it says of other objects is judged apart. What is no object of a cluster,
//! a registry or a whole cluster, is shown to whoever may read one of its findings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_doctor::Severity;
use proreus_doctor::incidents::{FindingRecord, INCIDENT_RESOURCE, IncidentRecord, IncidentState, OWN_GROUP, Watch};
use proreus_model::{Access, ClusterId, Cursor, Filter, Namespace, ObjectId, Order, Record, Seq, SeqRange};
use proreus_store::{BodyDetail, ReadQuery, StoreError};

use super::range::check_limit;
use super::{ChangesQuestion, Questions, RecordView};
use crate::watching::{self, WatchSettings};
use crate::{AppError, Moment};

/// What the message of an incident is to who may not read what it is about.
const HIDDEN_MESSAGE: &str = "what is wrong concerns objects that may not be shown";

/// What is asked of the incidents. An empty list means any.
#[derive(Clone, Debug, Default)]
pub struct IncidentsQuestion {
    /// As they were known when.
    pub at: Moment,
    /// Ids or configured names.
    pub clusters: Vec<String>,
    /// Namespaces of primary objects; `_` is the cluster scope.
    pub namespaces: Vec<String>,
    /// Open, resolved.
    pub states: Vec<IncidentState>,
    /// How bad they are.
    pub severities: Vec<Severity>,
    /// Ids of checks.
    pub checks: Vec<String>,
    /// Still open then or later.
    pub since: Option<Timestamp>,
    /// Opened then or earlier.
    pub until: Option<Timestamp>,
    /// By the moment of opening.
    pub order: Order,
    /// Continue after this incident.
    pub after: Option<ObjectId>,
    /// Most to return; `None` for all.
    pub limit: Option<usize>,
    /// Fold the records anew under these settings, whatever is recorded.
    pub replay: Option<WatchSettings>,
}

/// What incidents there were.
#[derive(Clone, Debug)]
pub struct IncidentsAnswer {
    /// The moment.
    pub time: Timestamp,
    /// The last record before it.
    pub seq: Seq,
    /// The same as a cursor.
    pub at: Cursor,
    /// In the order of their opening.
    pub items: Vec<IncidentView>,
    /// Whether there are further ones.
    pub more: bool,
}

/// An incident as one caller may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentView {
    /// With what may be shown.
    pub incident: IncidentRecord,
    /// Findings that are left out.
    pub hidden_findings: usize,
    /// Whether there is a cause that is left out.
    pub hides_cause: bool,
    /// Pieces of evidence that are left out.
    pub hidden_evidence: usize,
}

impl From<IncidentRecord> for IncidentView {
    fn from(incident: IncidentRecord) -> Self {
        Self { incident, hidden_findings: 0, hides_cause: false, hidden_evidence: 0 }
    }
}

/// News of incidents, for a follower.
#[derive(Clone, Debug)]
pub struct IncidentNews {
    /// Incidents with the positions of their records, in the order in which they were recorded.
    pub items: Vec<(Seq, IncidentView)>,
    /// Where to go on.
    pub cursor: Cursor,
}

impl Questions {
    /// The incidents as they were known at a moment.
    ///
    /// # Errors
    /// A moment that is no longer kept, a journal that cannot be read.
    pub fn incidents(&self, question: &IncidentsQuestion, access: &Access) -> Result<IncidentsAnswer, AppError> {
        if let Some(limit) = question.limit {
            check_limit(limit)?;
        }
        let seq = self.seq_of(question.at)?;
        let time = match question.at {
            Moment::At(time) => time,
            Moment::Now | Moment::After(_) => self.recorded_at(seq)?.unwrap_or(Timestamp::UNIX_EPOCH),
        };
        let clusters = question.clusters.iter().map(|word| self.cluster(word)).collect::<Result<Vec<ClusterId>, _>>()?;
        let namespaces = question.namespaces.iter().map(|word| Namespace::from(if word == "_" { "" } else { word.as_str() }));
        let namespaces: Vec<Namespace> = namespaces.collect();
        let mut found = self.known_incidents(question, seq, time)?;
        found.retain(|incident| {
            !watching::is_forgotten(incident, time)
                && (clusters.is_empty() || clusters.contains(&incident.object.cluster))
                && (namespaces.is_empty() || namespaces.contains(&incident.object.namespace))
                && question.admits(incident)
        });
        found.sort_by(|left, right| (left.opened_at, &left.id).cmp(&(right.opened_at, &right.id)));
        if question.order == Order::Descending {
            found.reverse();
        }
        let start = match &question.after {
            None => 0,
            Some(after) => found.iter().position(|incident| incident.record_id() == *after).map_or(found.len(), |index| index + 1),
        };
        let limit = question.limit.unwrap_or(usize::MAX);
        let (mut items, mut more) = (Vec::new(), false);
        for incident in found.drain(start..) {
            let Some(view) = self.judged(incident, access)? else { continue };
            if items.len() >= limit {
                more = true;
                break;
            }
            items.push(view);
        }
        Ok(IncidentsAnswer { time, seq, at: self.cursor_at(seq), items, more })
    }

    /// One incident as it was known at a moment.
    ///
    /// # Errors
    /// `NotFound` when there was none by that id, or it may not be seen.
    pub fn incident(&self, id: &str, at: Moment, access: &Access) -> Result<IncidentView, AppError> {
        let seq = self.seq_of(at)?;
        let filter = Filter { names: vec![id.into()], ..incident_filter() };
        let page = self.journal().objects(seq, &filter, None, 1, BodyDetail::Body)?;
        let found = page.objects.first().and_then(|change| IncidentRecord::from_body(change.body.as_deref()?).ok());
        let shown = match found {
            Some(incident) => self.judged(incident, access)?,
            None => None,
        };
        shown.ok_or_else(|| AppError::NotFound {
            what: format!("incident `{id}`"),
            hint: "`proreus incidents` lists them, with their ids by `-o json`".to_owned(),
        })
    }

    /// The question by which a follower reads what is recorded of incidents.
    pub(crate) fn news_question(question: ChangesQuestion) -> ChangesQuestion {
        ChangesQuestion { filter: incident_filter(), full: true, ..question }
    }

    /// What of the records of incidents a caller may see.
    pub(crate) fn news(&self, records: Vec<RecordView>, access: &Access) -> Result<Vec<(Seq, IncidentView)>, AppError> {
        let mut items = Vec::new();
        for record in records {
            let RecordView::Change(view) = record else { continue };
            let Some(body) = &view.object else { continue };
            let Ok(incident) = IncidentRecord::from_body(body) else { continue };
            if let Some(shown) = self.judged(incident, access)? {
                items.push((view.change.seq, shown));
            }
        }
        Ok(items)
    }

    fn known_incidents(&self, question: &IncidentsQuestion, seq: Seq, time: Timestamp) -> Result<Vec<IncidentRecord>, AppError> {
        if let Some(settings) = &question.replay {
            return self.folded_incidents(settings.clone(), seq, time);
        }
        let recorded = watching::recorded(&**self.journal(), seq)?;
        let was_followed = match self.journal().cursor(watching::CONSUMER) {
            // Somebody follows, or did.
            Err(StoreError::Damaged { .. }) => true,
            other => other?.is_some(),
        };
        if !recorded.is_empty() || was_followed {
            return Ok(recorded);
        }
        self.folded_incidents(WatchSettings::default(), seq, time)
    }

    /// What a watch over the whole journal would have told by a moment.
    fn folded_incidents(&self, settings: WatchSettings, seq: Seq, time: Timestamp) -> Result<Vec<IncidentRecord>, AppError> {
        let mut watch = Watch::new(settings.doctor, settings.incidents);
        let mut told: BTreeMap<String, IncidentRecord> = BTreeMap::new();
        let journal = &**self.journal();
        let from = watching::fold_base(journal, &mut watch)?;
        watching::replay(journal, from, seq, &mut |record: &Record| {
            for effect in watch.fold(record) {
                told.insert(effect.incident().id.clone(), effect.incident().clone());
            }
        })?;
        if watch.time().is_some() {
            for effect in watch.advance(time) {
                told.insert(effect.incident().id.clone(), effect.incident().clone());
            }
        }
        Ok(told.into_values().collect())
    }

    /// What of an incident may be shown; `None` for nothing.
    fn judged(&self, incident: IncidentRecord, access: &Access) -> Result<Option<IncidentView>, AppError> {
        if *access == Access::All {
            return Ok(Some(incident.into()));
        }
        let cluster = incident.object.cluster.clone();
        let is_shown = |finding: &FindingRecord| access.admits(&finding.cluster, &finding.group, &finding.resource, &finding.namespace);
        let object = &incident.object;
        let is_readable = match object.uid.is_empty() {
            true => incident.findings.iter().any(is_shown),
            false => access.admits(&cluster, &object.group, &object.resource, &object.namespace),
        };
        if !is_readable {
            return Ok(None);
        }
        let mut view = IncidentView::from(incident);
        let before = view.incident.findings.len();
        view.incident.findings.retain(is_shown);
        view.hidden_findings = before - view.incident.findings.len();
        let is_said = view.incident.findings.iter().any(|finding| view.incident.message.starts_with(&finding.message));
        if view.hidden_findings > 0 && !is_said && !view.incident.object.uid.is_empty() {
            HIDDEN_MESSAGE.clone_into(&mut view.incident.message);
        }
        if let Some(cause) = view.incident.cause.take() {
            match access.admits(&cluster, &cause.group, &cause.resource, &cause.namespace) {
                true => view.incident.cause = Some(cause),
                false => view.hides_cause = true,
            }
        }
        let evidence = std::mem::take(&mut view.incident.evidence);
        for seq in evidence {
            match self.may_read(seq, access)? {
                true => view.incident.evidence.push(seq),
                false => view.hidden_evidence += 1,
            }
        }
        for finding in &mut view.incident.findings {
            let mut shown = Vec::new();
            for seq in &finding.evidence {
                if self.may_read(*seq, access)? {
                    shown.push(*seq);
                }
            }
            finding.evidence = shown;
        }
        Ok(Some(view))
    }

    /// Whether the change at a position may be read; one that is no longer kept may not.
    fn may_read(&self, seq: Seq, access: &Access) -> Result<bool, AppError> {
        let query = ReadQuery {
            range: SeqRange { first: seq, last: seq },
            filter: Filter { access: access.clone(), ..Filter::changes() },
            after: None,
            order: Order::Ascending,
            limit: 1,
            detail: BodyDetail::None,
        };
        match self.journal().read(&query) {
            Ok(page) => Ok(!page.records.is_empty()),
            Err(proreus_store::StoreError::Gone { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl IncidentsQuestion {
    fn admits(&self, incident: &IncidentRecord) -> bool {
        (self.states.is_empty() || self.states.contains(&incident.state))
            && (self.severities.is_empty() || self.severities.contains(&incident.severity))
            && (self.checks.is_empty() || self.checks.contains(&incident.check))
            && self.since.is_none_or(|since| incident.resolved_at.is_none_or(|resolved| resolved >= since))
            && self.until.is_none_or(|until| incident.opened_at <= until)
    }
}

fn incident_filter() -> Filter {
    Filter { groups: vec![OWN_GROUP.into()], resources: vec![INCIDENT_RESOURCE.into()], ..Filter::changes() }
}
