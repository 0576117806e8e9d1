//! The playground as a running server: a listener, the world behind a lock, and the handle that its owner holds.
//!
//! No rule of the API lives here. The lock is never held across an await.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use proreus_model::Clock;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, HISTORY_LIMIT};
use crate::world::World;

/// Watches open at the same time; each holds a connection.
const WATCHES_LIMIT: usize = 2_000;
/// Time between bookmarks of a quiet watch, as on a real server.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Time that open requests get to end at a shutdown.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// What went wrong around the playground; refused requests are answers, not errors.
#[derive(Debug, thiserror::Error)]
pub enum PlaygroundError {
    /// The address could not be taken.
    #[error("failed to listen on {address}; hint: choose another port, or port 0 for a free one")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A scenario file is not of the documented form.
    #[error("failed to read the scenario: {reason}; hint: docs/reference/scenario-format.md has the form")]
    Scenario {
        /// What is wrong, and where.
        reason: String,
    },
    /// The API refused a step of a scenario.
    #[error("failed to play step {step} of the scenario: {reason}")]
    Step {
        /// Number of the step, from 1.
        step: usize,
        /// What the API answered.
        reason: String,
    },
}

/// How a playground is started.
pub struct PlaygroundOptions {
    /// Where to listen; port 0 takes a free one. Meant for loopback: there is no authentication.
    pub listen: SocketAddr,
    /// Source of every timestamp.
    pub clock: Arc<dyn Clock>,
    /// Source of every uid and generated name.
    pub seed: u64,
    /// Commits that watches can catch up from.
    pub history_limit: usize,
    /// Time between bookmarks of a quiet watch.
    pub bookmark_interval: Duration,
    /// Whether the built-in controllers run (deployments, scheduler, kubelets, garbage collection and so on). Off, the playground is a
    /// bare API server.
    pub controllers: bool,
}

impl PlaygroundOptions {
    /// A free loopback port, controllers on, the limits of this crate.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock,
            seed,
            history_limit: HISTORY_LIMIT,
            bookmark_interval: BOOKMARK_INTERVAL,
            controllers: true,
        }
    }
}

/// What all requests share.
pub(crate) struct Shared {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    pub(crate) revisions: watch::Sender<u64>,
    /// Counts up to end every open watch.
    pub(crate) cut: watch::Sender<u64>,
    /// The revision up to which every watch with bookmarks is to tell where it stands, without waiting for its interval.
    pub(crate) bookmark_at: watch::Sender<u64>,
    pub(crate) watch_places: Arc<Semaphore>,
    pub(crate) bookmark_interval: Duration,
    pub(crate) faults: Mutex<Faults>,
}

/// Troubles a test can ask for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Resource types, as (group, plural), that answer 403.
    pub(crate) denied: Vec<(String, String)>,
    /// Every request answers 503.
    pub(crate) unavailable: bool,
}

impl Shared {
    /// The world, for as long as the guard lives; never across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The time on the playground's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs something that may write, lets the controllers follow, and wakes the watches.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let now = self.now();
        let mut world = self.lock();
        let out = act(&mut world, now);
        world.settle(now);
        let revision = world.cluster.store.revision();
        drop(world);
        self.revisions.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        out
    }
}

/// A running playground. Dropping it stops the server without waiting.
pub struct Playground {
    shared: Arc<Shared>,
    address: SocketAddr,
    closing: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
}

impl Playground {
    /// Starts a playground and returns once it listens.
    pub async fn start(options: PlaygroundOptions) -> Result<Self, PlaygroundError> {
        let address = options.listen;
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|source| PlaygroundError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| PlaygroundError::Listen { address, source })?;
        let mut cluster = Cluster::new(options.seed, options.history_limit);
        // Without controllers no namespace would have the service account that pods are given.
        cluster.admits_service_accounts = options.controllers;
        let mut world = World::new(cluster, options.controllers);
        world.bootstrap(options.clock.now());
        let revision = world.cluster.store.revision();
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            clock: options.clock,
            revisions: watch::Sender::new(revision),
            cut: watch::Sender::new(0),
            bookmark_at: watch::Sender::new(0),
            watch_places: Arc::new(Semaphore::new(WATCHES_LIMIT)),
            bookmark_interval: options.bookmark_interval,
            faults: Mutex::new(Faults::default()),
        });
        let (closing, mut closed) = watch::channel(false);
        let app = crate::http::app(shared.clone());
        let server = tokio::spawn(async move {
            let ended = axum::serve(listener, app).with_graceful_shutdown(async move {
                let _ = closed.wait_for(|closing| *closing).await;
            });
            if let Err(error) = ended.await {
                tracing::error!(%error, "the playground's server ended");
            }
        });
        Ok(Self { shared, address, closing, server: Some(server) })
    }

    /// The base address, such as `http://127.0.0.1:34567`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig (YAML) with one context, `playground`.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: playground\nclusters:\n- name: playground\n  cluster:\n    server: {}\n\
             contexts:\n- name: playground\n  context:\n    cluster: playground\n    user: playground\n    namespace: default\n\
             users:\n- name: playground\n  user: {{}}\n",
            self.url()
        )
    }

    /// The resourceVersion of every stored object: (group, plural) → key (`namespace/name`, or `name`) → version.
    pub fn latest_versions(&self) -> BTreeMap<(String, String), BTreeMap<String, String>> {
        self.shared.lock().cluster.versions()
    }

    /// The newest revision of all.
    pub fn revision(&self) -> u64 {
        self.shared.lock().cluster.store.revision()
    }

    /// Everything that is still in the history, oldest first, one watch event of JSON a line.
    pub fn transcript(&self) -> Vec<String> {
        let world = self.shared.lock();
        let store = &world.cluster.store;
        let Some(entries) = store.since(store.compacted()) else { return Vec::new() };
        let line = |entry: &crate::store::Entry| {
            let kind = match entry.happening {
                crate::store::Happening::Added => "ADDED",
                crate::store::Happening::Modified => "MODIFIED",
                crate::store::Happening::Deleted => "DELETED",
            };
            format!("{{\"type\":\"{kind}\",\"object\":{}}}", entry.object.value())
        };
        entries.map(line).collect()
    }

    /// The part that a scenario player works on.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Asks every watch with bookmarks to say where it stands once it has told everything up to now. Asking again changes nothing.
    pub fn bookmark(&self) {
        let revision = self.revision();
        self.shared.bookmark_at.send_if_modified(|wanted| std::mem::replace(wanted, revision) != revision);
    }

    /// The custom types that are served, as (group, plural).
    pub fn custom_types(&self) -> Vec<(String, String)> {
        self.shared.lock().cluster.registry.stored().filter(|def| def.is_custom()).map(|def| def.key()).collect()
    }

    /// Forgets all history: older positions get 410 from now on, as after a compaction.
    pub fn compact(&self) {
        self.shared.lock().cluster.store.compact();
    }

    /// Ends every open watch, as a restart of the server or of a proxy does.
    pub fn cut_watches(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// Answers 403 for a resource type from now on, and ends the open watches; `denied` false allows it again.
    pub fn deny(&self, group: &str, plural: &str, denied: bool) {
        let key = (group.to_owned(), plural.to_owned());
        {
            let mut faults = self.shared.faults.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            faults.denied.retain(|known| *known != key);
            if denied {
                faults.denied.push(key);
            }
        }
        self.cut_watches();
    }

    /// Answers 503 to everything from now on, and ends the open watches; `false` heals.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.shared.faults.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).unavailable = unavailable;
        self.cut_watches();
    }

    /// Lets the controllers do what is due by now, and returns when the next thing is due.
    pub fn settle(&self) -> Option<Timestamp> {
        self.shared.write(|_, _| ());
        self.shared.lock().next_due()
    }

    /// Stops listening, ends the watches and waits for open requests.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        self.cut_watches();
        let Some(mut server) = self.server.take() else { return };
        if tokio::time::timeout(SHUTDOWN_PATIENCE, &mut server).await.is_err() {
            server.abort();
        }
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}
