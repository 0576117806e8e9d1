//! Answers from the files of a journal, through the same application methods that a server calls.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use proreus_api::{Change, Cluster, Diff, Incident, IncidentState, MonitorUpdate, ObjectAtTime};
use proreus_app::doctor::IncidentState as KnownState;
use proreus_app::monitors::MonitorCursor;
use proreus_app::questions::{
    ChangesQuestion, HistoryQuestion, IncidentsQuestion, Monitoring, ObjectQuestion, ObjectRef, PhaseOptions, RecordView, StateCursor,
    StateQuestion, Told,
};
use proreus_app::{AppError, Moment, Questions, parse_moment};
use proreus_model::{Access, Cursor, Order, Seq};

use super::{Entry, HistoryAsk, IncidentsAsk, IncidentsList, ObjectAsk, ObjectsPage, RecordsAsk, RecordsPage, StateAsk};
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// Between two looks at a journal that another process writes: soon enough for a person's eye.
pub(crate) const POLL: Duration = Duration::from_millis(250);

fn state_of(state: IncidentState) -> KnownState {
    match state {
        IncidentState::Open => KnownState::Open,
        IncidentState::Resolved => KnownState::Resolved,
    }
}

/// A journal's files.
pub(crate) struct Directory {
    questions: Questions,
    now: Timestamp,
}

impl Directory {
    /// Opens for reading; a writer may go on beside us.
    pub(crate) fn open(dir: &Path, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let questions = (around.open)(dir)?;
        let now = questions.journal().last_recorded_at().unwrap_or_else(|| around.clock.now());
        Ok(Self { questions, now })
    }

    /// A reader that follows every cluster in the journal, and what was told last before the oldest record.
    pub(crate) fn monitoring(&self) -> Result<(Monitoring, Vec<Told>), Failure> {
        Ok(self.questions.monitoring(PhaseOptions::default())?)
    }

    /// The questions behind it.
    pub(crate) fn questions(&self) -> &Questions {
        &self.questions
    }

    /// An update as a server would give it.
    pub(crate) fn update(&self, told: Told) -> MonitorUpdate {
        let cursor = MonitorCursor { journal: self.questions.journal().id(), position: told.position };
        proreus_app::monitors::MonitorUpdate { cursor, progress: told.progress, is_related_hidden: false }.into()
    }

    /// The cluster that a name or an id stands for.
    pub(crate) fn cluster(&self, word: &str) -> Result<proreus_model::ClusterId, Failure> {
        Ok(self.questions.cluster(word)?)
    }

    /// When the journal's last record was taken in.
    pub(crate) fn last_recorded_at(&self) -> Option<Timestamp> {
        self.questions.journal().last_recorded_at()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn clusters(&self) -> Result<Vec<Cluster>, Failure> {
        Ok(self.questions.clusters()?.into_iter().map(Cluster::from).collect())
    }

    pub(super) fn records(&self, ask: &RecordsAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let filter = self.questions.select(&ask.selection)?;
        let question = ChangesQuestion {
            filter: proreus_model::Filter { changes: true, marks: ask.marks, ..filter },
            ..self.page(ask.since.as_deref(), ask.until.as_deref(), cursor, limit, ask.full)?
        };
        let answer = self.questions.records(&question, &Access::All)?;
        Ok(RecordsPage { items: answer.items.into_iter().map(entry).collect(), end: answer.cursor.to_string(), more: answer.more })
    }

    /// Looks until something came.
    pub(super) async fn wait(&self, ask: &RecordsAsk, cursor: &str) -> Result<RecordsPage, Failure> {
        let mut cursor = cursor.to_owned();
        loop {
            let page = self.records(ask, Some(&cursor), super::page_of(ask.full))?;
            if !page.items.is_empty() {
                return Ok(page);
            }
            cursor = page.end;
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) fn history(&self, ask: &HistoryAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let page = self.page(ask.since.as_deref(), ask.until.as_deref(), cursor, limit, ask.full)?;
        let question = HistoryQuestion { object: object_ref(&ask.object), page, events: ask.events };
        let answer = self.questions.history(&question, &Access::All)?;
        let items = answer.items.into_iter().map(|view| Entry::Change(Box::new(Change::from(view)))).collect();
        Ok(RecordsPage { items, end: answer.cursor.to_string(), more: answer.more })
    }

    pub(super) fn object(&self, ask: &ObjectAsk, at: Option<&str>) -> Result<ObjectAtTime, Failure> {
        let question = ObjectQuestion { object: object_ref(ask), at: self.moment(at)? };
        Ok(self.questions.object(&question, &Access::All)?.into())
    }

    pub(super) fn state(&self, ask: &StateAsk, cursor: Option<&str>, limit: u64) -> Result<ObjectsPage, Failure> {
        let cursor: Option<StateCursor> = cursor.map(parse_own).transpose()?;
        let question = StateQuestion {
            at: match &cursor {
                Some(cursor) => self.questions.moment_of(&cursor.at)?,
                None => self.moment(ask.at.as_deref())?,
            },
            filter: self.questions.select(&ask.selection)?,
            after: cursor.map(|cursor| cursor.after),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            full: ask.full,
        };
        let answer = self.questions.state(&question, &Access::All)?;
        let next = answer.next().map(|next| next.to_string());
        Ok(ObjectsPage { items: answer.items.into_iter().map(Change::from).collect(), next })
    }

    pub(super) fn incidents(&self, ask: &IncidentsAsk) -> Result<IncidentsList, Failure> {
        let time = |name: &'static str, text: &Option<String>| text.as_deref().map(|text| parse_moment(name, text, self.now)).transpose();
        let question = IncidentsQuestion {
            at: self.moment(ask.at.as_deref())?,
            namespaces: ask.namespaces.clone(),
            states: ask.state.into_iter().map(state_of).collect(),
            checks: ask.checks.clone(),
            since: time("since", &ask.since)?,
            until: time("until", &ask.until)?,
            replay: ask.replay.clone(),
            ..IncidentsQuestion::default()
        };
        let answer = self.questions.incidents(&question, &Access::All)?;
        Ok(IncidentsList { time: answer.time, items: answer.items.into_iter().map(Incident::from).collect() })
    }

    pub(super) fn diff(&self, from: u64, to: u64) -> Result<Diff, Failure> {
        Ok(self.questions.diff(Seq(from), Seq(to), &Access::All)?.into())
    }

    fn page(
        &self,
        since: Option<&str>,
        until: Option<&str>,
        cursor: Option<&str>,
        limit: u64,
        full: bool,
    ) -> Result<ChangesQuestion, Failure> {
        Ok(ChangesQuestion {
            since: since.map(|text| parse_moment("since", text, self.now)).transpose()?,
            until: until.map(|text| parse_moment("until", text, self.now)).transpose()?,
            cursor: cursor.map(parse_own::<Cursor>).transpose()?,
            order: Order::Ascending,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            full,
            ..ChangesQuestion::default()
        })
    }

    fn moment(&self, at: Option<&str>) -> Result<Moment, Failure> {
        match at {
            None => Ok(Moment::Now),
            Some(text) => match text.parse() {
                Ok(seq) => Ok(Moment::After(Seq(seq))),
                Err(_) => Ok(self.questions.moment("at", text, self.now)?),
            },
        }
    }
}

/// A cursor that this very run was given.
fn parse_own<T: std::str::FromStr<Err = proreus_model::CursorError>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: proreus_model::CursorError| {
        Failure::App(AppError::BadParameter { name: "cursor", found: text.to_owned(), allowed: error.to_string() })
    })
}

fn entry(view: RecordView) -> Entry {
    match view {
        RecordView::Change(view) => Entry::Change(Box::new(Change::from(*view))),
        RecordView::Mark(mark) => Entry::Mark(mark.into()),
    }
}

fn object_ref(ask: &ObjectAsk) -> ObjectRef {
    ObjectRef {
        cluster: ask.cluster.clone(),
        group: None,
        kind: ask.kind.clone(),
        namespace: ask.namespace.as_deref().map(|word| if word == "_" { "".into() } else { word.into() }),
        name: ask.name.as_str().into(),
        uid: ask.uid.as_deref().map(Into::into),
    }
}
