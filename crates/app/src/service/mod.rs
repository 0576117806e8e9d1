//! The service as a whole: a journal, a recorder, the questions and the housekeeping, started and ended together.
//!
//! Not here: HTTP (that is `serve`) and signals (that is `cli`). Invariant: after `shutdown` everything that was taken in is durable.

mod board;
mod door;
mod emission;
mod housekeeping;
mod reload;
mod selection;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::Clock;
use proreus_record::{
    ClusterSource, ConnectError, Connection, KeyOrigin, RecordError, Recorder, RecorderInputs, RecorderSettings, RedactionKey, Redactor,
    connect,
};
use proreus_store::{DirectoryLock, Journal, OpenOptions, SqliteJournal, StoreError};
use tokio_util::sync::CancellationToken;

use crate::application::Application;
use crate::config::{ConfigError, Settings};
use crate::emission::Emission;
use crate::monitors::{MonitorInputs, Monitors, Passing};
use crate::pod_logs::PodLogs;
use crate::questions::Questions;
use crate::watching::{WatchSettings, Watching};

pub use board::Recording;
pub use reload::ConfigSource;
pub use selection::{recorder_settings, redaction_settings};

/// Name of the redaction key in the data directory.
pub(crate) const KEY_FILE: &str = "redaction.key";

/// Why the service could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The configuration will not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A cluster's access data will not do.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The journal failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorder failed.
    #[error("{}", crate::error::with_source(.0))]
    Record(#[from] RecordError),
    /// The bearer tokens cannot be used.
    #[error("{0}")]
    Tokens(String),
    /// What callers are checked by cannot be used.
    #[error("{0}")]
    Access(String),
}

impl ServiceError {
    /// Whether the input was refused (as against: we failed).
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Connect(_)
                | Self::Tokens(_)
                | Self::Access(_)
                | Self::Store(StoreError::Newer { .. } | StoreError::NoJournal { .. })
        )
    }

    /// What the person can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Config(error) => error.hint.clone(),
            Self::Connect(_) => "check --kubeconfig and --context, or `clusters` in the configuration".to_owned(),
            Self::Store(error) => crate::error::store_hint(error),
            Self::Record(RecordError::Journal { source, .. } | RecordError::Append(source)) => crate::error::store_hint(source),
            Self::Record(_) => "see the log; what was recorded before is safe".to_owned(),
            Self::Access(_) => "check `auth` in the configuration; docs/guides/access.md has examples".to_owned(),
            Self::Tokens(_) => {
                "write one token a line, each of at least 16 characters, and make the file readable for this process".to_owned()
            }
        }
    }
}

/// What a service is made of.
pub struct ServiceInputs {
    /// The configuration in force.
    pub settings: Settings,
    /// The clusters to record; `clusters_of` makes them from the settings.
    pub clusters: Vec<ClusterSource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the configuration came from, when it is to be followed.
    pub config: Option<ConfigSource>,
    /// How the recorder works, beside what the settings say.
    pub recorder: RecorderSettings,
}

/// A running service.
pub struct Service {
    application: Arc<Application>,
    recording: Arc<Recording>,
    watching: Arc<Watching>,
    emission: Emission,
    journal: Arc<SqliteJournal>,
    ending: CancellationToken,
    housekeeping: std::thread::JoinHandle<()>,
    following: tokio::task::JoinHandle<()>,
    monitoring: tokio::task::JoinHandle<()>,
}

/// The clusters that settings name, or the default one.
///
/// # Errors
/// A kubeconfig, context or service account that cannot be used. An unreachable cluster is no error.
pub async fn clusters_of(settings: &Settings) -> Result<Vec<ClusterSource>, ServiceError> {
    if settings.clusters.is_empty() {
        let connection = match &settings.kubeconfig {
            Some(path) => Connection::Kubeconfig { path: Some(path.clone()), context: None },
            None => Connection::Default,
        };
        return Ok(vec![connect(&connection, None).await?]);
    }
    let mut found: Vec<ClusterSource> = Vec::new();
    for (index, entry) in settings.clusters.iter().enumerate() {
        let connection = match entry.in_cluster {
            true => Connection::InCluster,
            false => Connection::Kubeconfig {
                path: entry.kubeconfig.clone().map(PathBuf::from).or_else(|| settings.kubeconfig.clone()),
                context: entry.context.clone(),
            },
        };
        let source = connect(&connection, entry.name.as_deref()).await?;
        if found.iter().any(|other| other.alias == source.alias) {
            return Err(ServiceError::Config(ConfigError {
                origin: "configuration".to_owned(),
                key: format!("clusters[{index}].name"),
                problem: format!("`{}` is the name of two clusters", source.alias),
                hint: "give each cluster a name of its own".to_owned(),
            }));
        }
        found.push(source);
    }
    Ok(found)
}

impl Service {
    /// Opens the journal, waiting for another process to let go of it, and starts everything.
    ///
    /// # Errors
    /// What will not do about the journal, the key, the tokens or the configuration.
    pub async fn start(inputs: ServiceInputs) -> Result<Self, ServiceError> {
        let ServiceInputs { settings, clusters, clock, config, recorder } = inputs;
        let reviewers = door::reviewers(&settings, &clusters)?;
        let files = door::Files::open(&settings)?;
        let journal = open_journal(settings.data_dir.clone()).await?;
        let key = redaction_key(&settings)?;
        let redaction = redaction_settings(&settings.record);
        let logs = PodLogs::new(&clusters, &redaction.env_name_patterns);
        let redactor = Redactor::new(Arc::new(key), redaction);
        let wanted = recorder_settings(&settings.record, &recorder)?;
        let as_trait: Arc<dyn Journal> = journal.clone();
        let writable = clusters.clone();
        let handle =
            Recorder::start(RecorderInputs { journal: as_trait.clone(), clock: clock.clone(), redactor, clusters, settings: wanted })
                .await?;
        let watermark = handle.watermark();
        let recording = Arc::new(Recording::new(handle));
        let ending = CancellationToken::new();
        let watching = Watching::start(
            as_trait.clone(),
            recording.appender(),
            watermark.clone(),
            WatchSettings { doctor: settings.doctor.clone(), incidents: settings.incidents.clone() },
            ending.clone(),
        );
        let questions = Questions::new(as_trait.clone());
        let monitors = Arc::new(Monitors::new(MonitorInputs {
            questions: questions.clone(),
            clock: clock.clone(),
            options: settings.monitor.phases.clone(),
            limits: settings.monitor.limits.clone(),
            passing: Passing::Written(recording.appender()),
        }));
        let told = emission::Told { journal: as_trait.clone(), clock: clock.clone(), clusters: writable, settings: settings.emit.clone() };
        let emission = told.start(&recording, watermark.clone());
        let door = door::door(&settings, files, reviewers, &questions, clock.clone())?;
        let application = Arc::new(Application {
            questions,
            door,
            clock: clock.clone(),
            board: recording.clone(),
            emission: emission.board(),
            watermark: watermark.clone(),
            watching: Some(watching.clone()),
            monitors: monitors.clone(),
            logs: Some(logs),
            max_query_limit: settings.max_query_limit,
        });
        let monitoring = tokio::spawn(monitors.follow(watermark, ending.clone()));
        let keeper = housekeeping::Keeper::new(journal.clone(), clock, &settings);
        let retention = keeper.retention();
        let housekeeping = keeper.start(recording.clone(), ending.clone());
        let following = tokio::spawn(reload::follow(reload::Following {
            application: application.clone(),
            recording: recording.clone(),
            watching: watching.clone(),
            source: config,
            defaults: recorder,
            retention,
            emission: emission.reconfigure(),
            ending: ending.clone(),
        }));
        Ok(Self { application, recording, watching, emission, journal, ending, housekeeping, following, monitoring })
    }

    /// What the interfaces ask.
    pub fn application(&self) -> Arc<Application> {
        self.application.clone()
    }

    /// The live recording.
    pub fn recording(&self) -> Arc<Recording> {
        self.recording.clone()
    }

    /// The doctor that watches.
    pub fn watching(&self) -> Arc<Watching> {
        self.watching.clone()
    }

    /// The journal itself, for keeping the store.
    pub fn journal(&self) -> Arc<SqliteJournal> {
        self.journal.clone()
    }

    /// Resolves when recording has ended by itself; `shutdown` then says why.
    pub async fn ended(&self) {
        self.recording.ended().await;
    }

    /// Ends the watches, writes what is taken in, ends the housekeeping.
    ///
    /// # Errors
    /// What was taken in could not be written.
    pub async fn shutdown(self) -> Result<(), ServiceError> {
        self.ending.cancel();
        self.emission.end().await;
        let outcome = self.recording.shutdown().await;
        self.following.abort();
        self.monitoring.abort();
        let housekeeping = self.housekeeping;
        if tokio::task::spawn_blocking(move || housekeeping.join()).await.is_err() {
            tracing::error!("the housekeeping ended unexpectedly");
        }
        Ok(outcome?)
    }
}

async fn open_journal(dir: PathBuf) -> Result<Arc<SqliteJournal>, ServiceError> {
    let opened = tokio::task::spawn_blocking(move || {
        let mut told = false;
        let lock = DirectoryLock::wait(&dir, |holder| {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(dir = %dir.display(), holder, "waiting for another process to let go of the data directory");
            }
            ControlFlow::Continue(())
        })?;
        SqliteJournal::open_locked(lock, &OpenOptions::default())
    });
    let journal =
        opened.await.map_err(|error| StoreError::Engine { step: "failed to open the journal".to_owned(), reason: error.to_string() })??;
    let report = journal.report();
    for damaged in &report.damaged {
        tracing::error!(damaged = ?damaged, "a damaged day was set aside; the rest is served");
    }
    if report.lost_records > 0 {
        tracing::error!(records = report.lost_records, "records that were durable can no longer be read");
    }
    Ok(Arc::new(journal))
}

fn redaction_key(settings: &Settings) -> Result<RedactionKey, ServiceError> {
    let path = settings.record.redaction_key_file.clone().unwrap_or_else(|| settings.data_dir.join(KEY_FILE));
    let (key, origin) = RedactionKey::load_or_create(&path)?;
    if origin != KeyOrigin::Loaded {
        tracing::info!(path = %path.display(), key_id = key.id(), "a new redaction key was made");
    }
    Ok(key)
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "the one place where the machine's clock is read for records")]
        Timestamp::now()
    }
}
