//! The witness: every version of every object, as etcd itself saw it.
//!
//! It watches the whole store from its first revision, below the API server, so it proves what a
//! recorder above the API server should have seen. It follows every key, not only `/registry/`:
//! then each revision shows, and having caught up is a fact, not a guess. Values go to an unnamed
//! file; only identities and positions stay in memory.

mod record;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::etcd::{Etcd, plain_client};
use crate::{Error, Result};
use record::Record;
use stream::{Progress, follow};

// Everything up to an answered write is in etcd's own queue; this only bounds a hang.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// Which object a key of etcd holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath {
    /// The key without `/registry/`, namespace and name: `pods`, `services/specs`,
    /// `apiextensions.k8s.io/customresourcedefinitions`, `shop.example/orders`. Nodes are `minions`.
    pub resource: String,
    /// `""` where there is none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// One version of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// etcd's revision: the `resourceVersion` the API shows for this version, deletions included.
    pub mod_revision: u64,
    /// `metadata.uid`; of a deletion, that of the version it deleted. `""` of what is no object.
    pub uid: String,
    /// `apiVersion` as stored, which need not be the preferred one.
    pub api_version: String,
    /// `kind` as stored.
    pub kind: String,
    /// Whether this is the end of the object.
    pub deleted: bool,
    value: Option<(u64, usize)>,
}

/// Follows etcd until it is dropped.
#[derive(Debug)]
pub struct Witness {
    etcd: Etcd,
    record: Arc<Mutex<Record>>,
    progress: watch::Receiver<Progress>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts to follow the etcd behind `etcd_url` from its first revision.
    ///
    /// # Errors
    /// When no temporary file or thread can be made. An etcd that was already compacted shows
    /// in [`Self::catch_up`].
    pub fn start(etcd_url: &str) -> Result<Self> {
        let values = tempfile::tempfile().map_err(Error::io("create", "a file for values"))?;
        let record = Arc::new(Mutex::new(Record::new(values)));
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (stop, stopped) = oneshot::channel();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::io("start a runtime for", "the witness"))?;
        let etcd = Etcd::new(etcd_url.to_owned())?;
        // Not the same client: connections belong to the runtime that opened them.
        let (client, url) = (plain_client()?, etcd_url.to_owned());
        let shared = Arc::clone(&record);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = follow(&client, &url, &shared, &progress_sender) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { etcd, record, progress, stop: Some(stop), thread: Some(thread) })
    }

    /// Waits until everything etcd holds now has been seen, and returns that revision.
    ///
    /// # Errors
    /// When revisions were lost, or it does not catch up within a minute.
    pub async fn catch_up(&self) -> Result<u64> {
        let target = self.etcd.revision().await?;
        let mut progress = self.progress.clone();
        let caught_up = progress.wait_for(|progress| progress.revision >= target || progress.lost.is_some());
        let seen = match tokio::time::timeout(CATCH_UP_WITHIN, caught_up).await {
            Ok(Ok(progress)) => progress.clone(),
            Ok(Err(_)) => return Err(Error::WitnessLost("its thread has ended".to_owned())),
            Err(_) => {
                let last = format!("revision {}", self.progress.borrow().revision);
                let what = format!("the witness' arrival at revision {target}");
                return Err(Error::Deadline { what, seconds: CATCH_UP_WITHIN.as_secs(), last });
            }
        };
        match seen.lost {
            Some(reason) => Err(Error::WitnessLost(reason)),
            None => Ok(target),
        }
    }

    /// Every version of one object, oldest first; several lives under one name follow each other.
    #[must_use]
    pub fn history(&self, path: &ObjectPath) -> Vec<Version> {
        self.record().histories.get(path).cloned().unwrap_or_default()
    }

    /// Every object that ever was, with all its versions, oldest first.
    #[must_use]
    pub fn histories(&self) -> BTreeMap<ObjectPath, Vec<Version>> {
        self.record().histories.clone()
    }

    /// The JSON of a version as stored; `None` for a deletion.
    ///
    /// # Errors
    /// When the witness' own file cannot be read.
    pub fn value(&self, version: &Version) -> Result<Option<Vec<u8>>> {
        let read = self.record().value(version);
        read.map_err(Error::io("read", "the witness' file of values"))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
