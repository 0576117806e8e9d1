//! The demo: a playground plays an outage on scenario time, and the very pipeline that production runs records it.
//!
//! Invariant: the scenario moves on only when everything that happened so far is durable, so that a story of minutes told in seconds loses
//! nothing and every run records the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proreus_model::{Access, Filter, Order, Record, Seq, SeqRange, Verb};
use proreus_playground::{Player, Playground, PlaygroundError, PlaygroundOptions, Scenario, ScenarioClock};
use proreus_record::{ClusterSource, Connection, RecorderSettings, connect};
use proreus_store::{BodyDetail, Journal, ReadQuery, SqliteJournal, StoreError};
use serde::Serialize;

use crate::Questions;
use crate::config::{Overrides, Settings, resolve};
use crate::doctor::IncidentsQuestion;
use crate::service::{Recording, Service, ServiceError, ServiceInputs};

/// The story that is told when no other is named.
pub const SHOP: &str = include_str!("../../playground/scenarios/shop.yaml");
/// The story of a k0rdent cluster that is provisioned on AWS, which the demo tells beside the shop's.
pub const PROVISIONING: &str = include_str!("../../playground/scenarios/provisioning.yaml");

/// Longest wait for the recorder to catch up with one moment of the story.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at the recorder while it catches up.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Records read at a time for the report.
const REPORT_PAGE: usize = 1_000;
/// Name of the playground's cluster.
const PLAYGROUND: &str = "playground";

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The directory holds a journal already.
    #[error("`{dir}` already holds a journal")]
    Occupied {
        /// The directory.
        dir: String,
    },
    /// The playground or its scenario failed.
    #[error(transparent)]
    Playground(#[from] PlaygroundError),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The journal failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was recorded could not be asked.
    #[error(transparent)]
    Question(#[from] crate::AppError),
    /// The recorder did not catch up.
    #[error("the recorder did not catch up with the scenario at {at} within {} s: {waiting_for}", CATCH_UP_WITHIN.as_secs())]
    Stuck {
        /// Scenario time.
        at: Timestamp,
        /// What was missing.
        waiting_for: String,
    },
}

impl DemoError {
    /// Whether the input was refused (as against: we failed).
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Occupied { .. } | Self::Playground(PlaygroundError::Scenario { .. }))
    }

    /// What the person can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Occupied { .. } => "name a directory that is empty or not there yet".to_owned(),
            Self::Playground(_) => "check the scenario file against docs/reference/scenario-format.md".to_owned(),
            Self::Service(error) => error.hint(),
            Self::Store(error) => crate::error::store_hint(error),
            Self::Question(error) => error.hint(),
            Self::Stuck { .. } => "run it again; a machine under heavy load may be too slow for it".to_owned(),
        }
    }
}

/// How a demo is run.
pub struct DemoOptions {
    /// Where the journal is written.
    pub data_dir: PathBuf,
    /// The story.
    pub scenario: Scenario,
}

/// Bytes of the journal.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct DemoBytes {
    /// Canonical JSON, uncompressed.
    pub raw: u64,
    /// As stored.
    pub stored: u64,
}

/// What a demo printed: the shape is in the contracts.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DemoReport {
    /// Changes recorded.
    pub changes: u64,
    /// Changes by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Changes by verb.
    pub verbs: BTreeMap<String, u64>,
    /// Bytes.
    pub bytes: DemoBytes,
    /// Incidents that were opened.
    pub incidents: u64,
    /// Where the journal is.
    pub data_dir: String,
    /// First moment of the story.
    pub scenario_start: Timestamp,
    /// Last moment of the story.
    pub scenario_end: Timestamp,
    /// Seed of uids and names.
    pub seed: u64,
}

/// A demo under way.
pub struct Demo {
    playground: Playground,
    player: Player,
    clock: Arc<ScenarioClock>,
    service: Service,
    start: Timestamp,
    end: Timestamp,
    seed: u64,
    data_dir: PathBuf,
}

impl Demo {
    /// Starts the playground, the journal and the recorder, at the first moment of the story.
    ///
    /// # Errors
    /// A directory in use, a scenario that cannot be started, a journal that cannot be written.
    pub async fn start(options: DemoOptions) -> Result<Self, DemoError> {
        let DemoOptions { data_dir, scenario } = options;
        refuse_occupied(&data_dir)?;
        let clock = Arc::new(ScenarioClock::new(scenario.start));
        let (start, end, seed) = (scenario.start, scenario.end(), scenario.seed);
        let playground = Playground::start(PlaygroundOptions::new(clock.clone(), seed)).await?;
        let player = Player::new(&playground, clock.clone(), scenario);
        let flags = Overrides { data_dir: Some(data_dir.display().to_string()), ..Overrides::default() };
        let settings: Settings = resolve(None, &Overrides::default(), &flags).map_err(ServiceError::Config)?;
        let source = source_of(&playground).await?;
        let inputs =
            ServiceInputs { settings, clusters: vec![source], clock: clock.clone(), config: None, recorder: RecorderSettings::default() };
        let service = Service::start(inputs).await?;
        Ok(Self { playground, player, clock, service, start, end, seed, data_dir })
    }

    /// The running service, for hosting it.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Plays the story to its end, as fast as the recorder keeps up; `progress` is told the scenario time.
    ///
    /// # Errors
    /// A step that the API refused, or a recorder that did not keep up.
    pub async fn play(&mut self, mut progress: impl FnMut(Timestamp, Timestamp, Timestamp)) -> Result<(), DemoError> {
        self.catch_up().await?;
        while let Some(due) = self.player.next_due() {
            self.player.advance_to(due)?;
            self.catch_up().await?;
            progress(self.start, due, self.end);
        }
        self.player.advance_to(self.end)?;
        self.catch_up().await
    }

    /// Waits until everything the playground knows is durable.
    async fn catch_up(&self) -> Result<(), DemoError> {
        let recording = self.service.recording();
        let deadline = tokio::time::Instant::now() + CATCH_UP_WITHIN;
        loop {
            self.playground.bookmark();
            let missing = behind(&self.playground, &recording);
            let Some(waiting_for) = missing else {
                self.service.watching().quiet().await;
                return Ok(());
            };
            if tokio::time::Instant::now() > deadline {
                return Err(DemoError::Stuck { at: proreus_model::Clock::now(&*self.clock), waiting_for });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends everything cleanly and counts what was recorded.
    ///
    /// # Errors
    /// A journal that could not be completed or read.
    pub async fn finish(self) -> Result<DemoReport, DemoError> {
        self.service.shutdown().await?;
        self.playground.shutdown().await;
        // Opened anew after everything is closed, so that the bytes are those that stay.
        let journal = Arc::new(SqliteJournal::open_read_only(&self.data_dir)?);
        let (kinds, verbs) = tally(&*journal)?;
        let questions = Questions::new(journal.clone());
        let incidents = questions.incidents(&IncidentsQuestion::default(), &Access::All)?.items;
        let segments = journal.segments()?;
        Ok(DemoReport {
            changes: verbs.values().sum(),
            kinds,
            verbs,
            bytes: DemoBytes {
                raw: segments.iter().map(|segment| segment.raw_bytes).sum(),
                stored: segments.iter().map(|segment| segment.stored_bytes).sum(),
            },
            incidents: incidents.len() as u64,
            data_dir: self.data_dir.display().to_string(),
            scenario_start: self.start,
            scenario_end: self.end,
            seed: self.seed,
        })
    }
}

/// A client of a playground.
///
/// # Errors
/// When no client can be made of its kubeconfig.
pub async fn source_of(playground: &Playground) -> Result<ClusterSource, ServiceError> {
    Ok(connect(&Connection::Inline { kubeconfig: playground.kubeconfig() }, Some(PLAYGROUND)).await?)
}

/// A directory with anything of a journal in it is left alone.
fn refuse_occupied(dir: &Path) -> Result<(), DemoError> {
    let occupied = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied { Err(DemoError::Occupied { dir: dir.display().to_string() }) } else { Ok(()) }
}

/// What the recorder has not durably seen of the playground; `None` when there is nothing.
fn behind(playground: &Playground, recording: &Recording) -> Option<String> {
    let revision = playground.revision();
    let board = recording.snapshot();
    if let Some(cluster) = board.clusters.iter().find(|cluster| !cluster.is_connected) {
        return Some(format!("the connection: {}", cluster.reason));
    }
    if board.watches.is_empty() {
        return Some("the first discovery".to_owned());
    }
    let reached = |watch: &proreus_record::WatchStatus| {
        let durable = watch.durable_version.as_ref().and_then(|version| version.as_str().parse::<u64>().ok());
        durable.is_some_and(|durable| durable >= revision)
    };
    let followed = board.watches.iter().filter(|watch| watch.condition != proreus_record::WatchCondition::Stopped);
    if let Some(watch) = followed.clone().find(|watch| !reached(watch)) {
        return Some(format!("{} up to version {revision}", watch.scope.resource));
    }
    let custom = playground.custom_types();
    let unseen = custom.iter().find(|(group, plural)| {
        !followed.clone().any(|watch| watch.scope.group.as_str() == group && watch.scope.resource.as_str() == plural)
    });
    unseen.map(|(group, plural)| format!("the watch of {plural}.{group}"))
}

/// How many changes there are of each name: of a kind, or of a verb.
type Tally = BTreeMap<String, u64>;

/// By kind and by verb.
fn tally(journal: &dyn Journal) -> Result<(Tally, Tally), StoreError> {
    let (mut kinds, mut verbs) = (BTreeMap::new(), BTreeMap::new());
    for verb in [Verb::Create, Verb::Update, Verb::Delete] {
        verbs.insert(verb.as_str().to_owned(), 0);
    }
    let mut query = ReadQuery {
        range: SeqRange { first: Seq(1), last: journal.watermark() },
        filter: Filter::changes(),
        after: None,
        order: Order::Ascending,
        limit: REPORT_PAGE,
        detail: BodyDetail::None,
    };
    loop {
        let page = journal.read(&query)?;
        for recorded in &page.records {
            if let Record::Change(change) = &recorded.record {
                *kinds.entry(change.object.kind.to_string()).or_insert(0) += 1;
                *verbs.entry(change.verb.as_str().to_owned()).or_insert(0) += 1;
            }
        }
        if !page.more {
            return Ok((kinds, verbs));
        }
        query.after = page.records.last().map(|recorded| recorded.record.seq());
    }
}
