//! Logs of containers: not recorded, so they are asked of the cluster that the pod was recorded of, in the caller's own right.
//!
//! Invariant: a log is given to whoever may read the pod and its `pods/log`; nobody who may not read the pod learns whether there is one.

use std::collections::{BTreeMap, BTreeSet};

use proreus_model::{Access, ClusterId};
use proreus_record::{ClusterSource, Deed, LogReader, LogRefusal};

use crate::access::Caller;
use crate::questions::{Selection, StateQuestion};
use crate::{AppError, Application, Moment};

pub use proreus_record::{LogFollower, LogQuestion, LogTail};

/// Lines of a log, unless another number is asked for.
pub const DEFAULT_LOG_LINES: u64 = 200;
/// Most lines of one answer; what does not fit into it is cut from the beginning.
pub const MAX_LOG_LINES: u64 = 5_000;
/// What the API server says when the container is missing or wrong.
const NAMES_CONTAINER: [&str; 2] = ["container name must be specified", "is not valid for pod"];
/// What it says when there was none before this one.
const NO_FORMER: &str = "previous terminated container";
/// Pods of one name that are looked at: one in each cluster.
const LOOKED_AT: usize = 20;

/// The clusters whose logs can be read, by their configured names.
#[derive(Default)]
pub struct PodLogs {
    readers: BTreeMap<String, LogReader>,
}

impl PodLogs {
    /// Those that are recorded; `secret_words` as for [`LogReader::new`].
    pub fn new(clusters: &[ClusterSource], secret_words: &[String]) -> Self {
        Self { readers: clusters.iter().map(|source| (source.alias.clone(), LogReader::new(source, secret_words))).collect() }
    }
}

/// The log of a container as somebody asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedLog {
    /// Id or configured name of the cluster, where several have a pod of that name.
    pub cluster: Option<String>,
    /// Which, and how much of it.
    pub log: LogQuestion,
}

/// Where a log is read, for as long as it may be.
#[derive(Clone)]
pub struct LogPlace {
    cluster: ClusterId,
    deed: Deed,
    reader: LogReader,
}

impl Application {
    /// Where a log is read: at the cluster of the one pod of that name that may be read. Who asks must be admitted before it is.
    ///
    /// # Errors
    /// No such pod, or several; a cluster that is not recorded any more; a journal that cannot be read.
    pub fn log_place(&self, wanted: &WantedLog, access: &Access) -> Result<LogPlace, AppError> {
        let LogQuestion { namespace, pod, .. } = &wanted.log;
        let cluster = self.cluster_of_pod(wanted, access)?;
        let name = self.questions.clusters()?.into_iter().find(|(id, _)| *id == cluster).and_then(|(_, name)| name);
        let reader = name.and_then(|name| self.logs.as_ref()?.readers.get(&name).cloned()).ok_or_else(|| AppError::Cluster {
            what: format!("the cluster of pod `{namespace}/{pod}` is recorded no more, so its logs cannot be read"),
            hint: "read it with kubectl logs; what the pod's status and Events say is answered by its history".to_owned(),
        })?;
        let deed = Deed {
            verb: "get".to_owned(),
            resource: "pods".to_owned(),
            subresource: "log".to_owned(),
            namespace: namespace.clone(),
            name: pod.clone(),
            ..Deed::default()
        };
        Ok(LogPlace { cluster, deed, reader })
    }

    /// Lets a caller read a log, or not.
    ///
    /// # Errors
    /// They may not, or that cannot be found out.
    pub async fn admit_to_log(&self, place: &LogPlace, caller: &Caller) -> Result<(), AppError> {
        let Deed { namespace, name, .. } = &place.deed;
        match self.may(caller, &place.cluster, place.deed.clone()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AppError::Forbidden {
                what: format!("the caller may not read the log of pod `{namespace}/{name}`"),
                hint: format!("in Kubernetes, allow the user to `get` `pods/log` in namespace `{namespace}`"),
            }),
            Err(denied) => {
                Err(AppError::Cluster { what: denied.to_string(), hint: "try again in a moment; the server's log says why".to_owned() })
            }
        }
    }

    /// The end of a log, for a caller who was admitted to it.
    ///
    /// # Errors
    /// What its cluster said against it.
    pub async fn log_tail(&self, place: &LogPlace, of: &LogQuestion) -> Result<LogTail, AppError> {
        place.reader.tail(of).await.map_err(|refusal| refused(&refusal, of))
    }

    /// A log from now on, with its last lines before, for a caller who was admitted to it.
    ///
    /// # Errors
    /// As of `log_tail`.
    pub async fn follow_log(&self, place: &LogPlace, of: &LogQuestion) -> Result<LogFollower, AppError> {
        place.reader.follow(of).await.map_err(|refusal| refused(&refusal, of))
    }

    fn cluster_of_pod(&self, wanted: &WantedLog, access: &Access) -> Result<ClusterId, AppError> {
        let LogQuestion { namespace, pod, .. } = &wanted.log;
        let selection = Selection {
            clusters: wanted.cluster.iter().cloned().collect(),
            namespaces: vec![namespace.clone()],
            groups: vec!["core".to_owned()],
            resources: vec!["pods".to_owned()],
            names: vec![pod.clone()],
            ..Selection::default()
        };
        let filter = self.questions.select(&selection)?;
        let question = StateQuestion { at: Moment::Now, filter, after: None, limit: LOOKED_AT, full: false };
        let found = self.questions.state(&question, access)?.items.into_iter().map(|view| view.change.object.cluster);
        let clusters: BTreeSet<ClusterId> = found.collect();
        let mut others = clusters.iter();
        match (others.next(), others.next()) {
            (Some(cluster), None) => Ok(cluster.clone()),
            (Some(_), Some(_)) => {
                let names: Vec<&str> = clusters.iter().map(ClusterId::as_str).collect();
                Err(AppError::BadParameter {
                    name: "cluster",
                    found: String::new(),
                    allowed: format!("several clusters have a pod `{namespace}/{pod}`; name one of {}", names.join(", ")),
                })
            }
            (None, _) => Err(AppError::NotFound {
                what: format!("pod `{namespace}/{pod}`"),
                hint: "check namespace and name; of a pod that is gone only its history is left".to_owned(),
            }),
        }
    }
}

/// What an API server said against a log.
fn refused(refusal: &LogRefusal, of: &LogQuestion) -> AppError {
    let LogQuestion { namespace, pod, container, .. } = of;
    let said = refusal.message.clone();
    match refusal.code {
        Some(400) if said.contains(NO_FORMER) => AppError::BadParameter { name: "previous", found: "true".to_owned(), allowed: said },
        Some(400) if NAMES_CONTAINER.iter().any(|words| said.contains(words)) => {
            AppError::BadParameter { name: "container", found: container.clone().unwrap_or_default(), allowed: said }
        }
        // Not there yet, such as of a container that is being created.
        Some(400 | 404) => AppError::NotFound { what: format!("the log of pod `{namespace}/{pod}`"), hint: said },
        Some(401 | 403) => AppError::Cluster {
            what: format!("the cluster does not let proreus read the log of pod `{namespace}/{pod}`: {said}"),
            hint: "allow our account to `get` `pods/log`, as `proreus manifests --pod-logs` does".to_owned(),
        },
        Some(_) | None => AppError::Cluster {
            what: format!("the log of pod `{namespace}/{pod}` cannot be read: {said}"),
            hint: "try again when the cluster and the pod's node answer".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_says_is_an_error_of_the_question_or_of_the_cluster() {
        let of = LogQuestion { namespace: "shop".into(), pod: "web".into(), container: Some("c".into()), ..LogQuestion::default() };
        let said = |code, message: &str| refused(&LogRefusal { code, message: message.to_owned() }, &of);
        let told = |code| said(code, "said");
        let wrong = "container c is not valid for pod web";
        assert!(matches!(said(Some(400), wrong), AppError::BadParameter { name: "container", .. }));
        assert!(matches!(said(Some(400), "pod web does not have a host assigned"), AppError::NotFound { .. }));
        let former = "previous terminated container \"c\" in pod \"web\" not found";
        assert!(matches!(said(Some(400), former), AppError::BadParameter { name: "previous", .. }));
        assert!(matches!(told(Some(404)), AppError::NotFound { .. }));
        assert!(told(Some(403)).hint().contains("--pod-logs"));
        assert!(matches!(told(Some(500)), AppError::Cluster { .. }));
        assert!(matches!(told(None), AppError::Cluster { .. }));
    }
}
