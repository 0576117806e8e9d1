//! Carries out what the doctor planned to try in a cluster, and clears away what was made for it.
//!
//! Decides nothing: what is tried is a `ProbePlan`, what it means is `proreus_doctor::probes::judge`. Invariant: whatever a run made is
//! asked to be deleted before the run returns, however it ends; what a killed process left carries a label and an expiry, and `clear` of
//! any later run removes it.

mod api;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use proreus_doctor::probes::{Action, EXPIRY_LABEL, Outcome, Probe, ProbePlan, RUN_LABEL, is_leftover, is_settled};
use proreus_model::Clock;
use proreus_record::ClusterSource;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use api::{Answer, Api};

/// Between two looks at a pod that comes up: pods take seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A fresh namespace gets its service account from a controller, a moment after it was made.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(15);
/// Longest answer to one request of the clearing away; the whole must fit into what is left after a signal.
const CLEAR_WITHIN: Duration = Duration::from_secs(3);
/// Leftovers removed in one go; more is another run's.
const LEFTOVERS_LIMIT: usize = 50;

/// The hands of the active checks in one cluster.
pub struct Prober {
    api: Api,
    clock: Arc<dyn Clock>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Probed {
    /// Every probe with its outcome, in the order of the plan.
    pub outcomes: Vec<(Probe, Outcome)>,
    /// What could not be deleted again, and why.
    pub left_behind: Vec<String>,
}

impl Prober {
    /// Hands for a cluster.
    pub fn new(source: &ClusterSource, clock: Arc<dyn Clock>) -> Self {
        Self { api: Api::new(source.client.clone()), clock }
    }

    /// Does everything that is planned, one after the other; once `cancel` is called nothing more is begun. `tell` hears of each before it
    /// is done.
    pub async fn run(&self, plan: ProbePlan, cancel: &CancellationToken, mut tell: impl FnMut(&Probe)) -> Probed {
        let mut probed = Probed::default();
        let refused = match &plan.namespace {
            Some(namespace) => self.make_namespace(namespace).await.err(),
            None => None,
        };
        for probe in plan.probes {
            let outcome = match (&refused, &probe.action) {
                _ if cancel.is_cancelled() => Outcome::NotDone { reason: "interrupted".to_owned() },
                (Some(reason), Action::Run { .. }) => Outcome::NotDone { reason: reason.clone() },
                _ => {
                    tell(&probe);
                    self.carry_out(&probe, cancel, &mut probed.left_behind).await
                }
            };
            probed.outcomes.push((probe, outcome));
        }
        if let (Some(namespace), None) = (&plan.namespace, &refused) {
            let name = namespace.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            self.delete(&format!("/api/v1/namespaces/{name}"), &mut probed.left_behind).await;
        }
        probed
    }

    /// Removes what runs left that are over; gives what was removed.
    pub async fn clear(&self) -> Vec<String> {
        let mut removed = Vec::new();
        for list in ["/api/v1/namespaces", "/api/v1/pods"] {
            let path = format!("{list}?labelSelector={RUN_LABEL}%2C{EXPIRY_LABEL}&limit={LEFTOVERS_LIMIT}");
            let Ok(Answer { status: 200, body }) = self.api.send("GET", &path, None, CLEAR_WITHIN).await else { continue };
            let list: Value = serde_json::from_str(&body).unwrap_or_default();
            for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
                let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default();
                if !item.pointer("/metadata/labels").is_some_and(|labels| is_leftover(labels, self.clock.now())) {
                    continue;
                }
                let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
                let path = match namespace {
                    "" => format!("/api/v1/namespaces/{name}"),
                    namespace => format!("/api/v1/namespaces/{namespace}/pods/{name}"),
                };
                let mut left = Vec::new();
                self.delete(&path, &mut left).await;
                if left.is_empty() {
                    removed.push(path.trim_start_matches("/api/v1/").to_owned());
                }
            }
        }
        removed
    }

    async fn make_namespace(&self, namespace: &Value) -> Result<(), String> {
        match self.api.send("POST", "/api/v1/namespaces", Some(namespace), CLEAR_WITHIN * 3).await {
            Ok(Answer { status: 200..=299, .. }) => Ok(()),
            Ok(Answer { status, body }) => {
                let status: Value = serde_json::from_str(&body).unwrap_or_else(|_| json!({"message": format!("HTTP {status}")}));
                let said = status.get("message").and_then(Value::as_str).unwrap_or_default();
                Err(format!("no namespace could be made for it: {said}; name one that is there with --probe-namespace"))
            }
            Err(reason) => Err(format!("no namespace could be made for it: {reason}")),
        }
    }

    async fn carry_out(&self, probe: &Probe, cancel: &CancellationToken, left_behind: &mut Vec<String>) -> Outcome {
        let within = whole(probe.within);
        let answered = match &probe.action {
            Action::Ask { path } => self.api.send("GET", path, None, within).await,
            Action::Rehearse { path, object } => self.api.send("POST", &format!("{path}?dryRun=All"), Some(object), within).await,
            Action::Call { address, is_tls, host, path } => outside::call(address, *is_tls, host, path, within).await,
            Action::Run { path, object } => return self.try_pod(path, object, within, cancel, left_behind).await,
        };
        match answered {
            Ok(Answer { status, body }) => Outcome::Answered { status, body },
            Err(reason) => Outcome::Silent { reason },
        }
    }

    async fn try_pod(
        &self,
        path: &str,
        pod: &Value,
        within: Duration,
        cancel: &CancellationToken,
        left_behind: &mut Vec<String>,
    ) -> Outcome {
        let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let own = format!("{path}/{name}");
        let outcome = match self.create_pod(path, pod, cancel).await {
            Ok(Answer { status: 200..=299, .. }) => self.follow_pod(&own, within, cancel).await,
            Ok(Answer { status, body }) => return Outcome::Answered { status, body },
            // Whether it was made is not known, so it is deleted all the same.
            Err(reason) => Outcome::Silent { reason },
        };
        self.delete(&own, left_behind).await;
        outcome
    }

    async fn create_pod(&self, path: &str, pod: &Value, cancel: &CancellationToken) -> Result<Answer, String> {
        let deadline = Instant::now() + ACCOUNT_WITHIN;
        loop {
            let answer = self.api.send("POST", path, Some(pod), CLEAR_WITHIN * 3).await?;
            let waits_for_account = answer.status == 403 && answer.body.to_ascii_lowercase().contains("serviceaccount");
            if !waits_for_account || Instant::now() >= deadline || cancel.is_cancelled() {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn follow_pod(&self, path: &str, within: Duration, cancel: &CancellationToken) -> Outcome {
        let deadline = Instant::now() + within;
        loop {
            let seen = self.api.send("GET", path, None, CLEAR_WITHIN).await;
            let pod: Option<Value> =
                seen.as_ref().ok().filter(|answer| answer.status == 200).and_then(|it| serde_json::from_str(&it.body).ok());
            if cancel.is_cancelled() {
                return Outcome::NotDone { reason: "interrupted".to_owned() };
            }
            match pod {
                Some(pod) if is_settled(&pod) || Instant::now() >= deadline => return Outcome::Seen { pod },
                None if Instant::now() >= deadline => {
                    let reason = seen.err().unwrap_or_else(|| "it is not there any more".to_owned());
                    return Outcome::Silent { reason };
                }
                Some(_) | None => {}
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Asks for something to be deleted; says where that was refused.
    async fn delete(&self, path: &str, left_behind: &mut Vec<String>) {
        let now = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
        let reason = match self.api.send("DELETE", path, Some(&now), CLEAR_WITHIN).await {
            Ok(Answer { status: 200..=299 | 404 | 409, .. }) => return,
            Ok(Answer { status, .. }) => format!("HTTP {status}"),
            Err(reason) => reason,
        };
        tracing::warn!(path, reason, "what a probe made could not be deleted; the next run of active checks tries again after its expiry");
        left_behind.push(format!("{}: {reason}", path.trim_start_matches("/api/v1/")));
    }
}

fn whole(within: SignedDuration) -> Duration {
    Duration::try_from(within).unwrap_or_default()
}
