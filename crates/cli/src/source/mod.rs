//! Where answers come from: a running server, or the files of a journal. Both give the same wire types, so that no verb knows which.
//!
//! Paging is here: a verb asks for the next page until there is none, whatever is behind it.

pub(crate) mod directory;
pub(crate) mod event_stream;
mod server;

use jiff::Timestamp;
use proreus_api::{Change, Cluster, Diff, Incident, IncidentState, Mark, ObjectAtTime};
use proreus_app::questions::Selection;
use proreus_app::watching::WatchSettings;
use serde::Serialize;

pub(crate) use directory::Directory;
pub(crate) use server::Server;

use crate::failure::Failure;
use crate::flags::SourceFlags;
use crate::surroundings::Surroundings;

/// Where a server is when nothing else is said.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// Items of a page without objects: the most a server gives.
const PAGE: u64 = 1_000;
/// Items of a page with objects: the server bounds a page by bytes too, but a smaller one shows its first lines sooner.
const FULL_PAGE: u64 = 200;

/// One record, as it stands in a listing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// A change of an object.
    Change(Box<Change>),
    /// A truth about the watching.
    Mark(Mark),
}

impl Entry {
    /// When it was recorded.
    pub(crate) fn recorded_at(&self) -> Timestamp {
        match self {
            Self::Change(change) => change.recorded_at,
            Self::Mark(mark) => mark.recorded_at,
        }
    }
}

/// Which records.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordsAsk {
    /// Narrowed by.
    pub(crate) selection: Selection,
    /// Recorded at or after, as the person wrote it.
    pub(crate) since: Option<String>,
    /// Recorded at or before.
    pub(crate) until: Option<String>,
    /// Marks too.
    pub(crate) marks: bool,
    /// With objects.
    pub(crate) full: bool,
}

/// Which object.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectAsk {
    /// Any word for its kind.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// Its namespace; `_` and `""` are the cluster scope.
    pub(crate) namespace: Option<String>,
    /// Id or configured name of its cluster.
    pub(crate) cluster: Option<String>,
    /// One incarnation.
    pub(crate) uid: Option<String>,
}

/// Which part of a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistoryAsk {
    /// Of what.
    pub(crate) object: ObjectAsk,
    /// Recorded at or after.
    pub(crate) since: Option<String>,
    /// Recorded at or before.
    pub(crate) until: Option<String>,
    /// With the Events about it.
    pub(crate) events: bool,
    /// With objects.
    pub(crate) full: bool,
}

/// Which incidents.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentsAsk {
    /// As they were known when, as the person wrote it.
    pub(crate) at: Option<String>,
    /// Open or resolved.
    pub(crate) state: Option<IncidentState>,
    /// Namespaces of primary objects.
    pub(crate) namespaces: Vec<String>,
    /// Ids of checks.
    pub(crate) checks: Vec<String>,
    /// Not resolved before.
    pub(crate) since: Option<String>,
    /// Opened by then.
    pub(crate) until: Option<String>,
    /// Fold the files anew under these settings.
    pub(crate) replay: Option<WatchSettings>,
}

/// What the doctor is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct DoctorAsk {
    /// At which moment, as the person wrote it.
    pub(crate) at: Option<String>,
    /// Ids of checks, or reasons.
    pub(crate) checks: Vec<String>,
    /// Namespaces of objects.
    pub(crate) namespaces: Vec<String>,
}

/// Incidents in the order of their opening.
#[derive(Clone, Debug)]
pub(crate) struct IncidentsList {
    /// They.
    pub(crate) items: Vec<Incident>,
    /// The moment.
    pub(crate) time: Timestamp,
}

/// Which objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateAsk {
    /// Narrowed by.
    pub(crate) selection: Selection,
    /// When, as the person wrote it.
    pub(crate) at: Option<String>,
    /// With objects.
    pub(crate) full: bool,
}

/// A page of records.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordsPage {
    /// The records, oldest first.
    pub(crate) items: Vec<Entry>,
    /// Where this page ends.
    pub(crate) end: String,
    /// Whether more match now.
    pub(crate) more: bool,
}

/// A page of objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectsPage {
    /// Last change of each.
    pub(crate) items: Vec<Change>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<String>,
}

/// Where answers come from.
pub(crate) enum Source {
    /// A running server.
    Server(Box<Server>),
    /// The files of a journal.
    Directory(Directory),
}

impl Source {
    /// Chooses by flags, then by the environment, then the server of this machine.
    pub(crate) fn choose(flags: &SourceFlags, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let env = |name: &str| (around.env)(name).filter(|value| !value.is_empty());
        let from_env = |name: &str| if flags.server.is_none() && flags.data_dir.is_none() { env(name) } else { None };
        if let Some(dir) = flags.data_dir.clone().or_else(|| from_env("PROREUS_DATA_DIR").map(Into::into)) {
            return Ok(Self::Directory(Directory::open(&dir, around)?));
        }
        Ok(Self::Server(Box::new(Self::server(flags, around)?)))
    }

    /// The server that flags or the environment name, else the one of this machine.
    pub(crate) fn server(flags: &SourceFlags, around: &Surroundings<'_>) -> Result<Server, Failure> {
        let env = |name: &str| (around.env)(name).filter(|value| !value.is_empty());
        let from_env = |name: &str| if flags.server.is_none() { env(name) } else { None };
        let named = flags.server.clone().or_else(|| from_env("PROREUS_SERVER"));
        let token = match &flags.token_file {
            Some(path) => Some(server::read_token(path)?),
            None => env("PROREUS_TOKEN"),
        };
        let ca = flags.ca_file.clone().or_else(|| env("PROREUS_CA_FILE").map(Into::into));
        // The older audit server was told by this name where the history is.
        let named = named.or_else(|| from_env("AUDIT_API_URL"));
        Server::new(named.as_deref(), token, ca.as_deref(), around.clock.now())
    }

    /// What "now" is to this source: for files the time of the last record, so that an old journal is read as it was.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Server(server) => server.now(),
            Self::Directory(directory) => directory.now(),
        }
    }

    /// Whether a word for a kind means Events.
    pub(crate) fn is_event_word(&self, word: &str) -> bool {
        let kind = word.split('.').next().unwrap_or_default();
        ["event", "events", "ev"].iter().any(|of| kind.eq_ignore_ascii_case(of))
    }

    /// The clusters of which anything is kept.
    pub(crate) async fn clusters(&self) -> Result<Vec<Cluster>, Failure> {
        match self {
            Self::Server(server) => server.clusters().await,
            Self::Directory(directory) => directory.clusters(),
        }
    }

    /// A page of records after `cursor`, at most `limit` of them.
    pub(crate) async fn records(&self, ask: &RecordsAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let limit = limit.min(page_of(ask.full));
        match self {
            Self::Server(server) => server.records(ask, cursor, limit).await,
            Self::Directory(directory) => directory.records(ask, cursor, limit),
        }
    }

    /// What is recorded after `cursor`, waiting until there is something.
    pub(crate) async fn follow(&self, ask: &RecordsAsk, cursor: &str) -> Result<Following<'_>, Failure> {
        match self {
            Self::Server(server) => server.stream(ask, cursor).await.map(|stream| Following::Stream(Box::new(stream))),
            Self::Directory(directory) => Ok(Following::Poll { directory, ask: Box::new(ask.clone()), cursor: cursor.to_owned() }),
        }
    }

    /// A page of an object's history.
    pub(crate) async fn history(&self, ask: &HistoryAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let limit = limit.min(page_of(ask.full));
        match self {
            Self::Server(server) => server.history(ask, cursor, limit).await,
            Self::Directory(directory) => directory.history(ask, cursor, limit),
        }
    }

    /// One object at a moment.
    pub(crate) async fn object(&self, ask: &ObjectAsk, at: Option<&str>) -> Result<ObjectAtTime, Failure> {
        match self {
            Self::Server(server) => server.object(ask, at).await,
            Self::Directory(directory) => directory.object(ask, at),
        }
    }

    /// A page of the objects alive at a moment.
    pub(crate) async fn state(&self, ask: &StateAsk, cursor: Option<&str>, limit: u64) -> Result<ObjectsPage, Failure> {
        let limit = limit.min(page_of(ask.full));
        match self {
            Self::Server(server) => server.state(ask, cursor, limit).await,
            Self::Directory(directory) => directory.state(ask, cursor, limit),
        }
    }

    /// The incidents as they were known at a moment.
    pub(crate) async fn incidents(&self, ask: &IncidentsAsk) -> Result<IncidentsList, Failure> {
        match self {
            Self::Server(server) => server.incidents(ask).await,
            Self::Directory(directory) => directory.incidents(ask),
        }
    }

    /// The difference between two versions.
    pub(crate) async fn diff(&self, from: u64, to: u64) -> Result<Diff, Failure> {
        match self {
            Self::Server(server) => server.diff(from, to).await,
            Self::Directory(directory) => directory.diff(from, to),
        }
    }
}

/// Records as they come.
pub(crate) enum Following<'a> {
    /// A server tells.
    Stream(Box<event_stream::EventStream>),
    /// We look.
    Poll {
        /// Where.
        directory: &'a Directory,
        /// For what.
        ask: Box<RecordsAsk>,
        /// After this.
        cursor: String,
    },
}

impl Following<'_> {
    /// The next records, at least one; `None` when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Entry>>, Failure> {
        match self {
            Self::Stream(stream) => stream.next().await,
            Self::Poll { directory, ask, cursor } => {
                let page = directory.wait(ask, cursor).await?;
                *cursor = page.end;
                Ok(Some(page.items))
            }
        }
    }
}

fn page_of(full: bool) -> u64 {
    if full { FULL_PAGE } else { PAGE }
}
