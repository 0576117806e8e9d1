//! The application as the interfaces hold it: questions, the live board, the door, the figures.

use std::sync::Arc;

use proreus_model::{Access, ClusterId, Seq};
use tokio::sync::watch;

use crate::access::{Authenticator, Caller, Deed, Denied, Request, admits_everywhere};
use crate::emission::EmissionBoard;
use crate::monitors::Monitors;
use crate::pod_logs::PodLogs;
use crate::questions::{ChangesAnswer, ChangesQuestion, IncidentNews, Questions, RecordView, RecordsAnswer};
use crate::status::{RecordingBoard, RecordingStatus, WatchState, WatchStatus};
use crate::watching::Watching;
use crate::{AppError, Clock};

/// What `serve` hosts.
pub struct Application {
    /// Questions about the past.
    pub questions: Questions,
    /// Who may ask.
    pub door: Authenticator,
    /// The time, for "two hours ago".
    pub clock: Arc<dyn Clock>,
    /// How the recording stands.
    pub board: Arc<dyn RecordingBoard>,
    /// How the telling of incidents stands.
    pub emission: Arc<EmissionBoard>,
    /// Moves with every durable append.
    pub watermark: watch::Receiver<Seq>,
    /// The doctor that watches; there is none where nothing is recorded.
    pub watching: Option<Arc<Watching>>,
    /// Provisionings, live.
    pub monitors: Arc<Monitors>,
    /// Logs of containers; there are none where no cluster is watched.
    pub logs: Option<PodLogs>,
    /// Upper bound of one page of the older endpoints.
    pub max_query_limit: usize,
}

/// Whether questions can be answered, and how the watching stands besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// The journal answers. An API server outage does not change this: the history must stay reachable.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Watches by state, in figures only: health endpoints are open and name no object.
    pub synced: usize,
    /// First lists under way.
    pub listing: usize,
    /// Not followed, retrying.
    pub stale: usize,
    /// Why recording pauses, while it does.
    pub paused: Option<String>,
}

impl Application {
    /// How the recording stands now.
    pub fn recording(&self) -> RecordingStatus {
        self.board.status()
    }

    /// Whether questions can be answered: tries one.
    pub fn readiness(&self) -> Readiness {
        let status = self.board.status();
        let count = |state| status.watches.iter().filter(|watch| watch.state == state).count();
        let answer = self.questions.journal().oldest();
        Readiness {
            ready: answer.is_ok(),
            reason: answer.err().map(|error| error.to_string()),
            synced: count(WatchState::Synced),
            listing: count(WatchState::Listing),
            stale: count(WatchState::Stale),
            paused: status.paused,
        }
    }

    /// The watches that the caller may know of: whoever may read anything of a type must see how far it can be trusted. What a watch
    /// counts, and what it says of its troubles, is about every namespace, and is for those who may read the type in all of them.
    pub fn watches(&self, access: &Access) -> Vec<WatchStatus> {
        let mut watches = self.board.status().watches;
        let Access::Only(rules) = access else { return watches };
        watches.retain(|watch| {
            rules.iter().any(|rule| {
                rule.cluster == watch.scope.cluster
                    && (watch.scope.resource.is_empty() || (rule.group == watch.scope.group && rule.resource == watch.scope.resource))
            })
        });
        for watch in &mut watches {
            let scope = &watch.scope;
            if !admits_everywhere(access, &scope.cluster, &scope.group, &scope.resource) {
                watch.hide_what_names_others();
            }
        }
        watches
    }

    /// Whether the caller may do something on a cluster now, in their own right: for what is not in the journal, such as a pod's log.
    ///
    /// # Errors
    /// It cannot be found out at the moment.
    pub async fn may(&self, caller: &Caller, cluster: &ClusterId, deed: Deed) -> Result<bool, Denied> {
        self.door.may(caller, &Request { cluster: cluster.clone(), deed }).await
    }

    /// The clusters that the caller may know of, with their configured names.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn clusters(&self, access: &Access) -> Result<Vec<(ClusterId, Option<String>)>, AppError> {
        let mut clusters = self.questions.clusters()?;
        clusters.retain(|(id, _)| match access {
            Access::All => true,
            Access::Only(rules) => rules.iter().any(|rule| rule.cluster == *id),
        });
        Ok(clusters)
    }

    /// The next page of a follower of changes; see `follow_records`.
    ///
    /// # Errors
    /// As for a page of changes.
    pub async fn follow(
        self: &Arc<Self>,
        mut question: ChangesQuestion,
        access: Access,
        patience: std::time::Duration,
    ) -> Result<ChangesAnswer, AppError> {
        (question.filter.changes, question.filter.marks) = (true, false);
        let RecordsAnswer { items, more, cursor } = self.follow_records(question, access, patience).await?;
        Ok(ChangesAnswer { items: items.into_iter().filter_map(RecordView::into_change).collect(), more, cursor })
    }

    /// The next news of incidents, waiting until there are any or `patience` is over.
    ///
    /// # Errors
    /// As for a page of changes.
    pub async fn follow_incidents(
        self: &Arc<Self>,
        question: ChangesQuestion,
        access: Access,
        patience: std::time::Duration,
    ) -> Result<IncidentNews, AppError> {
        // The records of incidents are read whole, and each is judged by the objects that it is about.
        let RecordsAnswer { items, cursor, .. } = self.follow_records(Questions::news_question(question), Access::All, patience).await?;
        let app = Arc::clone(self);
        let items = blocking(move || app.questions.news(items, &access)).await?;
        Ok(IncidentNews { items, cursor })
    }

    /// The next page of a follower, waiting until there is one. Ends with an empty page when nothing came within `patience`, so that the
    /// caller can send a heartbeat and check its client.
    ///
    /// # Errors
    /// As for a page of changes.
    pub async fn follow_records(
        self: &Arc<Self>,
        mut question: ChangesQuestion,
        access: Access,
        patience: std::time::Duration,
    ) -> Result<RecordsAnswer, AppError> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut watermark = self.watermark.clone();
        loop {
            watermark.mark_unchanged();
            let (app, asked, allowed) = (Arc::clone(self), question.clone(), access.clone());
            let answer = blocking(move || app.questions.records(&asked, &allowed)).await?;
            if !answer.items.is_empty() {
                return Ok(answer);
            }
            question.cursor = Some(answer.cursor.clone());
            match tokio::time::timeout_at(deadline, watermark.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    // The writer is gone: nothing will come, but the client may stay for what a restart brings.
                    tokio::time::sleep_until(deadline).await;
                    return Ok(answer);
                }
                Err(_) => return Ok(answer),
            }
        }
    }
}

/// Runs a blocking question off the async threads.
///
/// # Errors
/// The question's own.
pub async fn blocking<T: Send + 'static>(question: impl FnOnce() -> Result<T, AppError> + Send + 'static) -> Result<T, AppError> {
    tokio::task::spawn_blocking(question).await.unwrap_or_else(|_| {
        Err(AppError::Store(proreus_store::StoreError::Engine {
            step: "a question was cut off".to_owned(),
            reason: "the process is shutting down or the question failed unexpectedly".to_owned(),
        }))
    })
}
